//! One round: a fault, with somebody who writes and somebody who asks, then a calm in which every
//! answer has to become what Redis holds.

use std::{fmt, fs, sync::Arc, time::Duration};

use deadpool_redis::redis::{self, Pipeline};
use fastrand::Rng;
use futures_util::{StreamExt, stream};
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::{
    Flags,
    fault::Fault,
    fleet::{Fleet, Temper},
    harness::{
        Direct, Kind, Proxy, RECOVERY, STEP, Server, Service, Setup, count, millis, pipeline,
    },
    listen::{Listeners, is_of_the_transport},
    tally::{Judged, Nothing, Tally},
    wire::{Keda, Trigger},
};

/// Triggers that are asked at once.
const AT_ONCE: usize = 64;
/// Steps that one packet brings.
const STEPS: usize = 8;
/// How long a calm is waited for before it is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that lives through the faults.
pub struct World {
    start: Instant,
    rounds: usize,
    rng: Rng,
    server: Server,
    proxy: Proxy,
    service: Service,
    keda: Keda,
    direct: Direct,
    fleet: Arc<Fleet>,
    tally: Arc<Tally>,
    listeners: Listeners,
    /// Held by who writes, and by who takes the data away.
    writing: Arc<Mutex<()>>,
}

/// What one round showed.
pub struct Round {
    pub number: usize,
    pub fault: Fault,
    pub judged: Judged,
    /// How long after the fault the last answer was right.
    pub settled: Duration,
    /// What was wrong when a calm was given up, or wrong again after it.
    pub unsettled: Vec<String>,
    /// Seconds since the start, and what the service held then.
    pub at: f64,
    pub memory_kb: f64,
    pub descriptors: f64,
    pub tasks: f64,
    /// Connections of KEDA, each of which is a descriptor and a task.
    pub connections: f64,
    pub streams: f64,
    pub opened: u64,
}

impl World {
    pub async fn start(flags: &Flags) -> Self {
        let server = Server::start(Kind::Redis);
        let proxy = Proxy::to(server.port()).await;
        let url = proxy.url();
        let config = format!(
            "[server]\npush_inactive = true\n[redis.default]\nurl = \"{url}\"\nhold_stale = \"2s\"\n"
        );
        let service = Setup::default().config(config).start().await;
        let (keda, mut direct) = (service.keda().await, Direct::to(&server));
        let (fleet, tally) = (Arc::new(Fleet::of(flags.triggers)), Arc::<Tally>::default());
        direct.insist(&pipeline(fleet.beginning())).await;
        let listeners = Listeners::of(&keda, &fleet, &tally);
        let rng = Rng::with_seed(flags.seed);
        let mut world = Self {
            start: Instant::now(),
            rounds: 0,
            rng,
            server,
            proxy,
            service,
            keda,
            direct,
            fleet,
            tally,
            listeners,
            writing: Arc::default(),
        };
        let (_, unsettled) = world.settle(Instant::now()).await;
        assert!(unsettled.is_empty(), "it does not begin right: {unsettled:#?}");
        world
    }

    /// The next fault, and the calm after it. The bound is how long a calm may take.
    pub async fn round(&mut self, bound: Duration) -> Round {
        let (number, fault) = (self.rounds, Fault::of(self.rounds, &mut self.rng));
        self.rounds += 1;
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let (fleet, writing) = (Arc::clone(&self.fleet), Arc::clone(&self.writing));
        let direct = Direct::to(&self.server);
        let own = Rng::with_seed(self.rng.u64(..));
        tasks.spawn(write((direct, own), fleet, (writing, stop.clone()), number));
        let (keda, fleet, tally) =
            (self.keda.clone(), Arc::clone(&self.fleet), Arc::clone(&self.tally));
        tasks.spawn(ask((keda, self.rng.fork()), fleet, tally, stop.clone()));

        sleep(millis(self.rng.u64(200..1_000))).await;
        self.strike(fault).await;
        sleep(millis(self.rng.u64(0..400))).await;
        stop.cancel();
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        let (settled, mut unsettled) = self.settle(Instant::now()).await;
        if settled <= bound {
            unsettled.extend(self.stays_right().await);
        }
        let descriptors = fs::read_dir(self.service.proc("fd")).unwrap().count();
        Round {
            number,
            fault,
            judged: self.tally.judge(),
            settled,
            unsettled,
            at: self.start.elapsed().as_secs_f64(),
            memory_kb: f64::from(u32::try_from(self.service.memory()).unwrap_or(u32::MAX)),
            descriptors: f64::from(u32::try_from(descriptors).unwrap_or(u32::MAX)),
            tasks: self.service.metric("penstock_tasks").await,
            connections: self.service.metric("penstock_connections_open{listener=\"grpc\"}").await,
            streams: self.service.metric("penstock_streams_open").await,
            opened: self.listeners.opened(),
        }
    }

    async fn strike(&mut self, fault: Fault) {
        if !fault.loses_data() {
            fault.strike(&mut self.server, &self.proxy).await;
            return;
        }
        let writing = Arc::clone(&self.writing);
        let _nobody_writes = writing.lock().await;
        let from = Instant::now();
        fault.strike(&mut self.server, &self.proxy).await;
        self.direct.insist(&pipeline(self.fleet.beginning())).await;
        self.tally.gone(from, Instant::now() + RECOVERY + Duration::from_secs(1));
    }

    /// Asks until everything is answered and was pushed as Redis has it. Gives how long that took
    /// for the slowest, and what was never right.
    async fn settle(&mut self, calm: Instant) -> (Duration, Vec<String>) {
        let truth = self.truth().await;
        let mut settled = Duration::ZERO;
        let mut open: Vec<usize> = (0..truth.len()).collect();
        loop {
            let looks = self.look(&open, &truth).await;
            let mut wrong = Vec::new();
            for (member, asked_at, said) in looks {
                match said {
                    None => settled = settled.max(asked_at - calm),
                    Some(said) => wrong.push((member, said)),
                }
            }
            if wrong.is_empty() {
                return (settled, vec![]);
            }
            if calm.elapsed() > PATIENCE {
                return (
                    calm.elapsed(),
                    wrong.into_iter().map(|(_, said)| said).take(10).collect(),
                );
            }
            open = wrong.into_iter().map(|(member, _)| member).collect();
            sleep(STEP).await;
        }
    }

    /// Looks at everything once more.
    async fn stays_right(&mut self) -> Vec<String> {
        let truth = self.truth().await;
        let all: Vec<usize> = (0..truth.len()).collect();
        self.look(&all, &truth).await.into_iter().filter_map(|(_, _, said)| said).collect()
    }

    async fn truth(&mut self) -> Vec<(f64, bool)> {
        let mut values = self.direct.insist(&pipeline([count(&self.fleet.parts)])).await;
        let counts: Vec<f64> = redis::from_redis_value(values.remove(0)).unwrap();
        self.fleet.truth(&counts)
    }

    /// When each was asked, and what it said if that was not right.
    async fn look(
        &self,
        members: &[usize],
        truth: &[(f64, bool)],
    ) -> Vec<(usize, Instant, Option<String>)> {
        let one = |member: usize| async move {
            let trigger = &self.fleet.members[member].trigger;
            let (value, active) = truth[member];
            let asked_at = Instant::now();
            let told = told(&self.keda, trigger).await;
            let pushed = self.listeners.last(member);
            let is_right = matches!(told, (Ok(v), Ok(a)) if v == value && a == active)
                && pushed.is_none_or(|pushed| pushed == Some(active));
            let said = || {
                format!(
                    "{:?} is {value}, {active}; pushed {pushed:?}, told {told:?}",
                    trigger.metadata
                )
            };
            (member, asked_at, (!is_right).then(said))
        };
        stream::iter(members.iter().copied().map(one)).buffer_unordered(AT_ONCE).collect().await
    }
}

/// Value and activity of a trigger; asked again if the question did not reach the service.
async fn told(keda: &Keda, trigger: &Trigger) -> (Result<f64, Status>, Result<bool, Status>) {
    let start = Instant::now();
    loop {
        let told = tokio::join!(keda.value(trigger), keda.is_active(trigger));
        let errors = [told.0.as_ref().err(), told.1.as_ref().err()];
        let is_lost = errors.into_iter().flatten().any(is_of_the_transport);
        if !is_lost || start.elapsed() > PATIENCE {
            return told;
        }
        sleep(STEP).await;
    }
}

/// Writes until it is stopped, in packets that are done whole or not at all.
async fn write(
    (mut direct, mut rng): (Direct, Rng),
    fleet: Arc<Fleet>,
    (writing, stop): (Arc<Mutex<()>>, CancellationToken),
    round: usize,
) {
    let mut number = (round as u64 + 1) << 32;
    while !stop.is_cancelled() {
        let nobody_else = writing.lock().await;
        for _ in 0..STEPS {
            number += 1;
            let mut commands: Pipeline = pipeline(fleet.step(&mut rng, number));
            commands.atomic();
            direct.try_once(&commands).await;
        }
        drop(nobody_else);
        sleep(STEP).await;
    }
}

/// Asks some triggers, and again others, until it is stopped.
async fn ask(
    (keda, mut rng): (Keda, Rng),
    fleet: Arc<Fleet>,
    tally: Arc<Tally>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let some: Vec<usize> = (0..AT_ONCE).map(|_| rng.usize(0..fleet.members.len())).collect();
        let one = |member: usize| {
            let (keda, fleet, tally) = (&keda, &fleet, &tally);
            async move {
                let of = &fleet.members[member];
                let asked_at = Instant::now();
                let (value, active) = told(keda, &of.trigger).await;
                let answered_at = Instant::now();
                for refusal in [value.as_ref().err(), active.as_ref().err()].into_iter().flatten() {
                    if refusal.code() != Code::Unavailable {
                        tally.wrong(format!("q{member}: {refusal}"));
                    }
                }
                tally.answered(value.is_ok() && active.is_ok(), answered_at - asked_at);
                let lies = [
                    (value.is_ok_and(|v| v == 0.0), "a zero"),
                    (active.is_ok_and(|a| !a), "a false"),
                ];
                for (_, what) in lies.into_iter().filter(|(is_nothing, _)| *is_nothing) {
                    if of.temper == Temper::Steady {
                        tally.nothing(Nothing { member, what, asked_at, answered_at });
                    }
                }
            }
        };
        stream::iter(some.into_iter().map(one)).buffer_unordered(AT_ONCE).collect::<()>().await;
        sleep(STEP).await;
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, fault, judged, settled, at, memory_kb, descriptors, tasks, .. } = self;
        write!(
            f,
            "{at:>6.0}s round {number}: {fault}; {} answers, {} unavailable, slowest {:?}, {} lies; \
             right after {settled:?}; {memory_kb} kB, {descriptors} descriptors, {tasks} tasks, {} streams",
            judged.answers,
            judged.unavailable,
            judged.slowest,
            judged.lies.len(),
            self.streams,
        )?;
        for what in self.unsettled.iter().chain(&judged.lies).chain(&judged.wrong) {
            write!(f, "\n        {what}")?;
        }
        Ok(())
    }
}
