//! The pretended KEDA and HPA: the model decides, the service is asked over gRPC.
//!
//! Polls every 30 s and syncs every 15 s of its own clock, which runs faster than the real one;
//! pushes come in real time. It does not know how the service finds its answers.

use std::{collections::HashMap, time::Duration};

use tokio::{sync::watch, time::sleep_until};

use crate::{
    grpc::{CallError, KedaClient, Polled, Pushes},
    hpa::{
        Activity, Autoscaler, Decision, HpaFlags, Reading, ScaledObject, StatusReplicas, Target,
        Trigger, Verdict,
    },
    time::Instant,
};

use super::{DemoError, Load, QUEUE, Shared};

/// How long KEDA waits before it opens a stream again.
const REOPEN: Duration = Duration::from_secs(2);

pub(super) struct Keda {
    shared: Shared,
    client: KedaClient,
    autoscaler: Autoscaler,
    clock: Clock,
    polling_interval: Duration,
    sync_period: Duration,
    failing: Option<String>,
}

/// The pretended cluster's time.
#[derive(Clone, Copy)]
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
    /// Connects to the service and creates the ScaledObject: one `external-push` trigger with the
    /// defaults of KEDA.
    pub(super) async fn connect(
        shared: Shared,
        load: Load,
        scaler: &str,
        in_flight: &str,
    ) -> Result<Self, DemoError> {
        let target =
            Target::try_from(load.target).map_err(|error| DemoError::Range(error.to_string()))?;
        let spec = ScaledObject {
            triggers: vec![Trigger { target, activation: 0.0 }],
            max_replica_count: load.max_replicas,
            ..ScaledObject::default()
        };
        let flags = HpaFlags::default();
        let (polling_interval, sync_period) = (spec.polling_interval, flags.sync_period);
        let autoscaler = Autoscaler::new(spec, flags, 0)?;
        let pairs = [
            ("scalerAddress", scaler.to_owned()),
            ("queue", QUEUE.to_owned()),
            ("inFlight", in_flight.to_owned()),
            ("target", load.target.to_string()),
        ];
        let metadata: HashMap<String, String> =
            pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let client = KedaClient::connect(scaler, ("default", "demo"), metadata).await?;
        let clock = Clock { started: Instant::now(), speed: load.speed };
        let failing = None;
        Ok(Self { shared, client, autoscaler, clock, polling_interval, sync_period, failing })
    }

    /// Plays KEDA until the workers are back at zero with all jobs done.
    pub(super) async fn run(mut self, replicas: watch::Sender<u32>) -> Result<(), DemoError> {
        let mut pushes = Some(self.client.pushes().await?);
        let mut next_poll = Instant::now();
        let mut next_sync = self.clock.after(next_poll, self.sync_period);
        let mut reopen_at = next_poll;
        loop {
            tokio::select! {
                pushed = next_push(&mut pushes, reopen_at) => match pushed {
                    Pushed::Activity(active) => self.push(active),
                    Pushed::Ended(why) => {
                        self.shared.board().event(format!("KEDA: stream ended ({why})"), Instant::now());
                        pushes = None;
                        reopen_at = Instant::now() + REOPEN;
                    }
                    Pushed::Reopen => {
                        pushes = self.client.pushes().await.ok();
                        reopen_at = Instant::now() + REOPEN;
                    }
                },
                () = sleep_until(next_poll) => {
                    next_poll = self.clock.after(next_poll, self.polling_interval);
                    let reading = self.read().await;
                    let decision = self.autoscaler.poll(self.clock.at(Instant::now()), &[reading]);
                    self.note(decision);
                }
                () = sleep_until(next_sync) => {
                    next_sync = self.clock.after(next_sync, self.sync_period);
                    self.sync().await;
                }
            }
            self.shared.board().scaled(self.autoscaler.replicas());
            replicas.send_replace(self.autoscaler.replicas());
            let board = self.shared.board();
            if board.is_drained() && board.replicas == 0 {
                return Ok(());
            }
        }
    }

    fn push(&mut self, active: bool) {
        let now = Instant::now();
        self.shared.board().event(format!("penstock: pushed {active}"), now);
        // Since KEDA 2.18 a pushed `false` does nothing.
        if active {
            self.shared.board().activated(now);
            let decision = self.autoscaler.push(self.clock.at(now));
            self.note(decision);
        }
    }

    /// The HPA's sync; it is off at zero replicas.
    async fn sync(&mut self) {
        let replicas = StatusReplicas(self.autoscaler.replicas());
        if replicas.0 == 0 {
            return;
        }
        let reading = self.read().await;
        let now = Instant::now();
        let verdict = self.autoscaler.hpa_sync(self.clock.at(now), replicas, &[reading]);
        self.tell(verdict, now);
    }

    async fn read(&mut self) -> Reading {
        let polled = self.client.poll().await;
        let trouble = polled.as_ref().err().map(ToString::to_string);
        if let Some(trouble) = trouble.as_ref().filter(|_| trouble != self.failing) {
            self.shared.board().event(format!("KEDA: {trouble}"), Instant::now());
        }
        self.failing = trouble;
        match polled {
            Ok(Polled { value, active, .. }) => Reading::Known { value: value.into(), active },
            Err(CallError::Spec(_)) => Reading::SpecFailed,
            Err(CallError::Call(_) | CallError::Connect(_)) => Reading::Failed,
        }
    }

    fn note(&mut self, decision: Decision) {
        let now = Instant::now();
        match decision.activity {
            Some(Activity::Activated) => {
                self.shared.board().activated(now);
                self.shared.board().event("KEDA: active", now);
            }
            Some(Activity::Deactivated) => {
                self.shared.board().event("KEDA: inactive, the cooldown runs", now);
            }
            None => {}
        }
        self.tell(decision.verdict, now);
    }

    fn tell(&self, verdict: Verdict, now: Instant) {
        match verdict {
            Verdict::Scaled { from, to, reason } => {
                let what = format!("{from} → {to} replicas ({reason})");
                self.shared.board().event(what, now);
            }
            Verdict::Kept { .. } => {}
        }
    }
}

/// What the stream gives.
enum Pushed {
    Activity(bool),
    Ended(String),
    Reopen,
}

async fn next_push(pushes: &mut Option<Pushes>, reopen_at: Instant) -> Pushed {
    match pushes {
        Some(stream) => match stream.next().await {
            Ok(Some(active)) => Pushed::Activity(active),
            Ok(None) => Pushed::Ended("OK".to_owned()),
            Err(error) => Pushed::Ended(error.to_string()),
        },
        None => {
            sleep_until(reopen_at).await;
            Pushed::Reopen
        }
    }
}
