//! The pretended KEDA and HPA: the model decides, the service is asked over gRPC.
//!
//! It polls every 30 s and syncs every 15 s of its own clock, unless it is told otherwise, and that
//! clock runs faster than the real one; pushes come in real time. It does not know how the service finds its answers, and what
//! becomes of the replicas that it decides on.

use std::{collections::HashMap, fmt, time::Duration};

use penstock_hpa::{
    Activity, Autoscaler, Decision, HpaFlags, InvalidSpec, Reading, ScaleReason, ScaledObject,
    StatusReplicas, Verdict,
};
use tokio::time::{Instant, sleep_until};

use crate::client::{CallError, KedaClient, Polled, Pushes};

/// How long KEDA waits before it opens a stream again.
const REOPEN: Duration = Duration::from_secs(2);

/// A ScaledObject with one `external-push` trigger, and the cluster that it is in.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The object; its one trigger has the target that the metadata names.
    pub object: ScaledObject,
    /// How the cluster's HPA controller is started.
    pub flags: HpaFlags,
    /// The metadata of the trigger.
    pub metadata: HashMap<String, String>,
    /// By how much the cluster's clock runs faster than the real one.
    pub speed: f64,
}

/// Why KEDA cannot look after a workload.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The service cannot be called.
    #[error("the service: {0}")]
    Call(#[from] CallError),
    /// KEDA or the API server would refuse the ScaledObject.
    #[error("the ScaledObject: {0}")]
    Spec(#[from] InvalidSpec),
}

/// KEDA and the HPA of one workload, which begins without a replica.
#[derive(Debug)]
pub struct Keda {
    client: KedaClient,
    autoscaler: Autoscaler,
    clock: Clock,
    polling_interval: Duration,
    sync_period: Duration,
    pushes: Option<Pushes>,
    reopen_at: Instant,
    next_poll: Instant,
    next_sync: Instant,
    failing: Option<String>,
}

/// What comes next: a push has come, or it is time for something.
#[derive(Debug)]
pub enum Due {
    /// The service pushed whether the workload is active.
    Push(bool),
    /// The stream of pushes has ended, and why.
    End(String),
    /// The stream of pushes is to be opened again.
    Reopen,
    /// KEDA asks the service.
    Poll,
    /// The HPA asks the service.
    Sync,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The service pushed whether the workload is active.
    Pushed(bool),
    /// The stream of pushes has ended, and why.
    StreamEnded(String),
    /// The service did not answer as it did before, and why.
    Failed(String),
    /// The activity of the ScaledObject has changed.
    Changed(Activity),
    /// The number of replicas has changed.
    Scaled {
        /// Before.
        from: u32,
        /// After.
        to: u32,
        /// Why.
        reason: ScaleReason,
    },
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pushed(active) => write!(f, "penstock: pushed {active}"),
            Self::StreamEnded(why) => write!(f, "KEDA: stream ended ({why})"),
            Self::Failed(why) => write!(f, "KEDA: {why}"),
            Self::Changed(Activity::Activated) => f.write_str("KEDA: active"),
            Self::Changed(Activity::Deactivated) => {
                f.write_str("KEDA: inactive, the cooldown runs")
            }
            Self::Scaled { from, to, reason } => write!(f, "{from} → {to} replicas ({reason})"),
        }
    }
}

/// The pretended cluster's time.
#[derive(Debug, Clone, Copy)]
struct Clock {
    started: Instant,
    speed: f64,
}

impl Clock {
    /// The cluster's time at a moment of real time.
    fn at(&self, now: Instant) -> Duration {
        (now - self.started).mul_f64(self.speed)
    }

    /// The moment of real time at which a span of the cluster's time has passed.
    fn after(&self, now: Instant, span: Duration) -> Instant {
        now + span.div_f64(self.speed)
    }
}

impl Keda {
    /// Connects to the service at `scaler` and creates the object.
    ///
    /// # Errors
    /// [`ConnectError`] when the service cannot be reached or refuses the stream, or KEDA the object.
    pub async fn connect(scaler: &str, workload: Workload) -> Result<Self, ConnectError> {
        let Workload { object, flags, metadata, speed } = workload;
        let (polling_interval, sync_period) = (object.polling_interval, flags.sync_period);
        let autoscaler = Autoscaler::new(object, flags, 0)?;
        let mut client = KedaClient::connect(scaler, ("default", "demo"), metadata).await?;
        let pushes = Some(client.pushes().await?);
        let now = Instant::now();
        let clock = Clock { started: now, speed };
        Ok(Self {
            client,
            autoscaler,
            clock,
            polling_interval,
            sync_period,
            pushes,
            reopen_at: now,
            next_poll: now,
            next_sync: clock.after(now, sync_period),
            failing: None,
        })
    }

    /// The replicas that there should be.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        self.autoscaler.replicas()
    }

    /// Waits for what comes next. May be dropped while it waits.
    pub async fn next(&mut self) -> Due {
        tokio::select! {
            pushed = next_push(&mut self.pushes, self.reopen_at) => pushed,
            () = sleep_until(self.next_poll) => Due::Poll,
            () = sleep_until(self.next_sync) => Due::Sync,
        }
    }

    /// Does what is due, and tells what became of it.
    pub async fn act(&mut self, due: Due) -> Vec<Happening> {
        match due {
            Due::Push(active) => self.push(active),
            Due::End(why) => {
                self.pushes = None;
                self.reopen_at = Instant::now() + REOPEN;
                vec![Happening::StreamEnded(why)]
            }
            Due::Reopen => {
                self.pushes = self.client.pushes().await.ok();
                self.reopen_at = Instant::now() + REOPEN;
                vec![]
            }
            Due::Poll => {
                self.next_poll = self.clock.after(self.next_poll, self.polling_interval);
                let (reading, mut happened) = self.read().await;
                let decision = self.autoscaler.poll(self.clock.at(Instant::now()), &[reading]);
                happened.extend(decided(decision));
                happened
            }
            Due::Sync => {
                self.next_sync = self.clock.after(self.next_sync, self.sync_period);
                self.sync().await
            }
        }
    }

    fn push(&mut self, active: bool) -> Vec<Happening> {
        let mut happened = vec![Happening::Pushed(active)];
        // Since KEDA 2.18 a pushed `false` does nothing.
        if active {
            happened.extend(decided(self.autoscaler.push(self.clock.at(Instant::now()))));
        }
        happened
    }

    /// The HPA's sync; it is off at zero replicas.
    async fn sync(&mut self) -> Vec<Happening> {
        let replicas = StatusReplicas(self.autoscaler.replicas());
        if replicas.0 == 0 {
            return vec![];
        }
        let (reading, mut happened) = self.read().await;
        let now = self.clock.at(Instant::now());
        happened.extend(scaled(self.autoscaler.hpa_sync(now, replicas, &[reading])));
        happened
    }

    async fn read(&mut self) -> (Reading, Vec<Happening>) {
        let polled = self.client.poll().await;
        let trouble = polled.as_ref().err().map(ToString::to_string);
        let news = trouble.clone().filter(|_| trouble != self.failing);
        self.failing = trouble;
        let reading = match polled {
            Ok(Polled { value, active, .. }) => Reading::Known { value: value.into(), active },
            Err(CallError::Spec(_)) => Reading::SpecFailed,
            Err(CallError::Call(_) | CallError::Connect(_)) => Reading::Failed,
        };
        (reading, news.map(Happening::Failed).into_iter().collect())
    }
}

fn decided(decision: Decision) -> impl Iterator<Item = Happening> {
    decision.activity.map(Happening::Changed).into_iter().chain(scaled(decision.verdict))
}

fn scaled(verdict: Verdict) -> Option<Happening> {
    match verdict {
        Verdict::Scaled { from, to, reason } => Some(Happening::Scaled { from, to, reason }),
        Verdict::Kept { .. } => None,
    }
}

async fn next_push(pushes: &mut Option<Pushes>, reopen_at: Instant) -> Due {
    match pushes {
        Some(stream) => match stream.next().await {
            Ok(Some(active)) => Due::Push(active),
            Ok(None) => Due::End("OK".to_owned()),
            Err(error) => Due::End(error.to_string()),
        },
        None => {
            sleep_until(reopen_at).await;
            Due::Reopen
        }
    }
}
