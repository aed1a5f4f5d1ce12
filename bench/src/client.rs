//! KEDA's side of the protocol over one HTTP/2 connection, for many triggers.
//!
//! Thousands share a connection here, as in KEDA's operator. The same code asks both servers.

use tokio::{
    task::JoinSet,
    time::{Duration, Instant, sleep_until},
};
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};

use anyhow::Context;

use crate::{
    processes::Server,
    proto::{
        GetMetricsRequest, IsActiveResponse, ScaledObjectRef,
        external_scaler_client::ExternalScalerClient,
    },
};

/// A trigger of the object of this name. It has the entries that KEDA sends with any trigger.
pub fn trigger(name: &str, metadata: &[(&str, &str)]) -> ScaledObjectRef {
    let own = [("scalerAddress", "penstock.penstock.svc:9090"), ("target", "5")];
    let entries = own.iter().chain(metadata);
    ScaledObjectRef {
        name: name.to_owned(),
        namespace: "bench".to_owned(),
        scaler_metadata: entries.map(|(key, value)| ((*key).into(), (*value).into())).collect(),
    }
}

/// A connection to a scaler.
#[derive(Debug, Clone)]
pub struct Scaler(ExternalScalerClient<Channel>);

impl Scaler {
    /// Opens a connection of its own.
    pub async fn connect(server: &Server) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{}", server.grpc()))?;
        let channel = endpoint.tcp_nodelay(true).connect().await.context("cannot connect")?;
        Ok(Self(ExternalScalerClient::new(channel)))
    }

    /// `GetMetricSpec`.
    pub async fn metric_spec(&mut self, trigger: &ScaledObjectRef) -> anyhow::Result<String> {
        let specs = self.0.get_metric_spec(trigger.clone()).await?.into_inner();
        Ok(specs.metric_specs.into_iter().next().context("no metric spec")?.metric_name)
    }

    /// `GetMetrics`: the value, rounded up.
    pub async fn metrics(&mut self, trigger: &ScaledObjectRef, name: &str) -> anyhow::Result<i64> {
        let scaled_object_ref = Some(trigger.clone());
        let request = GetMetricsRequest { scaled_object_ref, metric_name: name.to_owned() };
        let values = self.0.get_metrics(request).await?.into_inner();
        Ok(values.metric_values.first().context("no metric value")?.metric_value)
    }

    /// `IsActive`.
    pub async fn is_active(&mut self, trigger: &ScaledObjectRef) -> anyhow::Result<bool> {
        Ok(self.0.is_active(trigger.clone()).await?.into_inner().result)
    }

    /// `StreamIsActive`.
    pub async fn stream(
        &mut self,
        trigger: &ScaledObjectRef,
    ) -> anyhow::Result<Streaming<IsActiveResponse>> {
        Ok(self.0.stream_is_active(trigger.clone()).await?.into_inner())
    }

    /// What KEDA asks about a trigger at each poll and each sync of the HPA: three calls in turn.
    pub async fn poll(&mut self, trigger: &ScaledObjectRef) -> anyhow::Result<()> {
        let name = self.metric_spec(trigger).await?;
        self.metrics(trigger, &name).await?;
        self.is_active(trigger).await?;
        Ok(())
    }
}

/// Calls that one poll makes.
pub const CALLS_PER_POLL: u64 = 3;

/// Polls one trigger after the other, `in_flight` at a time, until a moment; tells how many polls
/// were made.
pub async fn poll_until(
    scaler: &Scaler,
    triggers: &[ScaledObjectRef],
    (in_flight, until): (usize, Instant),
) -> anyhow::Result<u64> {
    let mut tasks = JoinSet::new();
    for first in 0..in_flight {
        let (mut scaler, triggers) = (scaler.clone(), triggers.to_vec());
        tasks.spawn(async move {
            let mut polls = 0;
            // Each task begins elsewhere, so that they do not walk in step.
            for trigger in triggers.iter().cycle().skip(first * 7 % triggers.len()) {
                if Instant::now() >= until {
                    break;
                }
                scaler.poll(trigger).await?;
                polls += 1;
            }
            anyhow::Ok(polls)
        });
    }
    sum(tasks).await
}

/// Polls each trigger once, as fast as the server answers.
pub async fn poll_once(scaler: &Scaler, triggers: &[ScaledObjectRef]) -> anyhow::Result<u64> {
    let mut tasks = JoinSet::new();
    for part in triggers.chunks(triggers.len().div_ceil(64)) {
        let (mut scaler, part) = (scaler.clone(), part.to_vec());
        tasks.spawn(async move {
            for trigger in &part {
                scaler.poll(trigger).await?;
            }
            anyhow::Ok(u64::try_from(part.len())?)
        });
    }
    sum(tasks).await
}

/// Polls each trigger once per period, spread evenly over it, until a moment.
pub async fn poll_in_cadence(
    scaler: Scaler,
    triggers: Vec<ScaledObjectRef>,
    (period, until): (Duration, Instant),
) -> anyhow::Result<u64> {
    /// Triggers that are polled at the same time.
    const LANES: usize = 4;
    let pause = period.div_f64(f64::from(u32::try_from(triggers.len())?));
    let (start, mut tasks) = (Instant::now(), JoinSet::new());
    for lane in 0..LANES {
        let (mut scaler, triggers) = (scaler.clone(), triggers.clone());
        tasks.spawn(async move {
            let mut polls = 0;
            for turn in (lane..).step_by(LANES) {
                let due = start + pause.mul_f64(f64::from(u32::try_from(turn)?));
                if due >= until {
                    break;
                }
                sleep_until(due).await;
                scaler.poll(&triggers[turn % triggers.len()]).await?;
                polls += 1;
            }
            anyhow::Ok(polls)
        });
    }
    sum(tasks).await
}

async fn sum(mut tasks: JoinSet<anyhow::Result<u64>>) -> anyhow::Result<u64> {
    let mut polls = 0;
    while let Some(made) = tasks.join_next().await {
        polls += made??;
    }
    Ok(polls)
}
