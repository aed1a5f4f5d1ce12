//! Every metric of the service. Labels come from enums and from the configured connections, never
//! from a trigger, so their number is bounded.
//!
//! Declared in one place, with its labels' files beside it. Each counter is found once, so that
//! counting costs a call nothing but an addition.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::labels::{
    Code, ConnectOutcome, Method, ObservationState, PushKind, ReadCause, ReadResult,
};
use crate::time;

/// Seconds from an announced change to the message about it.
const PUSH_SECONDS: [f64; 10] =
    [0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.02, 0.1, 0.5, 2.0];
/// Seconds since a held value was last known to be true.
const STALE_SECONDS: [f64; 8] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];

/// The link that a metric is about: a connection and one of its databases.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Link {
    /// The connection's name.
    pub connection: String,
    /// The database's number.
    pub database: u32,
}

/// Declares a set of labels.
macro_rules! labels {
    ($name:ident { $($field:ident: $type:ty),+ }) => {
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name { $($field: $type),+ }
    };
}

labels!(Rpc { method: Method, code: Code });
labels!(OfMethod { method: Method });
labels!(OfPush { kind: PushKind });
labels!(OfObservation { connection: String, database: u32, state: ObservationState });
labels!(OfRead { connection: String, database: u32, cause: ReadCause, result: ReadResult });
labels!(OfConnect { connection: String, database: u32, outcome: ConnectOutcome });
labels!(Build { version: &'static str });

/// All metrics of one process.
pub struct Metrics {
    registry: Registry,
    rpcs: [[Counter; Code::ALL.len()]; Method::ALL.len()],
    streams: Family<OfMethod, Gauge>,
    pushes: Family<OfPush, Counter>,
    pushes_deferred: Counter,
    push_seconds: Histogram,
    tasks: Gauge,
    per_link: PerLink,
}

#[derive(Clone)]
struct PerLink {
    observations: Family<OfObservation, Counter>,
    stale_seconds: Family<Link, Histogram, fn() -> Histogram>,
    reads: Family<OfRead, Counter>,
    connects: Family<OfConnect, Counter>,
    links_lost: Family<Link, Counter>,
    batches: Family<Link, Counter>,
    invalidations: Family<Link, Counter>,
    from_memory: Family<Link, Counter>,
    coalesced: Family<Link, Counter>,
    activations: Family<Link, Counter>,
    up: Family<Link, Gauge>,
    tracking: Family<Link, Gauge>,
    triggers: Family<Link, Gauge>,
    not_visible: Family<Link, Gauge>,
    questions: Family<Link, Gauge>,
}

impl Metrics {
    /// All metrics, at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("penstock");
        let rpcs = Family::<Rpc, Counter>::default();
        let streams = Family::default();
        let pushes = Family::default();
        let pushes_deferred = Counter::default();
        let push_seconds = Histogram::new(PUSH_SECONDS);
        let r = &mut registry;
        r.register("rpcs", "Calls answered, by method and status code", rpcs.clone());
        r.register("streams_open", "Streams that are open now", streams.clone());
        r.register("pushes", "Messages pushed on StreamIsActive", pushes.clone());
        r.register(
            "pushes_deferred",
            "Repeats of an activation that waited for the push budget",
            pushes_deferred.clone(),
        );
        r.register(
            "push_latency_seconds",
            "From an announced change to the activation that it made being handed to the transport",
            push_seconds.clone(),
        );
        let tasks = Gauge::default();
        r.register("tasks", "Tasks of the process that have not ended", tasks.clone());
        let per_link = PerLink::register(r);
        register_constants(r);
        let rpcs = Method::ALL
            .map(|method| Code::ALL.map(|code| rpcs.get_or_create_owned(&Rpc { method, code })));
        Arc::new(Self {
            registry,
            rpcs,
            streams,
            pushes,
            pushes_deferred,
            push_seconds,
            tasks,
            per_link,
        })
    }

    /// Counts a call and how it was answered.
    pub fn rpc(&self, method: Method, code: Code) {
        self.rpcs[method as usize][code as usize].inc();
    }

    /// Counts a stream that opened (+1) or ended (−1).
    pub fn streams(&self, method: Method, change: i64) {
        self.streams.get_or_create(&OfMethod { method }).inc_by(change);
    }

    /// Counts a pushed message.
    pub fn push(&self, kind: PushKind) {
        self.pushes.get_or_create(&OfPush { kind }).inc();
    }

    /// Notes how long an activation took from the announcement of the change behind it.
    pub fn push_latency(&self, latency: Duration) {
        self.push_seconds.observe(latency.as_secs_f64());
    }

    /// Counts a repeat that had to wait.
    pub fn push_deferred(&self) {
        self.pushes_deferred.inc();
    }

    /// The metrics of one link.
    #[must_use]
    pub fn link(&self, link: Link) -> LinkMetrics {
        LinkMetrics(Arc::new(self.per_link.of(link)))
    }

    /// All metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// Only if a label cannot be written, which no label of ours can cause.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let tasks = runtime.metrics().num_alive_tasks();
            self.tasks.set(i64::try_from(tasks).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// What the sampler of one link remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// Triggers.
    pub triggers: usize,
    /// Those whose work in flight is in no key.
    pub not_visible: usize,
    /// The distinct questions of all of them.
    pub questions: usize,
}

impl PerLink {
    fn register(r: &mut Registry) -> Self {
        let stale_seconds: fn() -> Histogram = || Histogram::new(STALE_SECONDS);
        let m = Self {
            observations: Family::default(),
            stale_seconds: Family::new_with_constructor(stale_seconds),
            reads: Family::default(),
            connects: Family::default(),
            links_lost: Family::default(),
            batches: Family::default(),
            invalidations: Family::default(),
            from_memory: Family::default(),
            coalesced: Family::default(),
            activations: Family::default(),
            up: Family::default(),
            tracking: Family::default(),
            triggers: Family::default(),
            not_visible: Family::default(),
            questions: Family::default(),
        };
        r.register("observations", "Answers given, by what was known", m.observations.clone());
        r.register(
            "stale_answer_age_seconds",
            "How long ago a held value was last known to be true when it was given",
            m.stale_seconds.clone(),
        );
        r.register("redis_reads", "Questions put to Redis, by why and what came", m.reads.clone());
        r.register("redis_connects", "Attempts to connect to Redis", m.connects.clone());
        r.register("redis_links_lost", "Links to Redis that broke", m.links_lost.clone());
        r.register("redis_batches", "Pipelines sent to Redis", m.batches.clone());
        r.register("redis_invalidations", "Changes that Redis announced", m.invalidations.clone());
        r.register(
            "answers_from_memory",
            "Answers that needed no read of their own",
            m.from_memory.clone(),
        );
        r.register(
            "answers_coalesced",
            "Answers that came of a read which another call or stream had asked for",
            m.coalesced.clone(),
        );
        r.register("activations", "Edges from inactive to active", m.activations.clone());
        r.register("redis_up", "Whether the link to Redis is up", m.up.clone());
        r.register("redis_tracking", "Whether Redis announces changes", m.tracking.clone());
        r.register("triggers", "Triggers that are remembered", m.triggers.clone());
        r.register(
            "triggers_not_visible",
            "Remembered triggers whose work in flight is in no key",
            m.not_visible.clone(),
        );
        r.register("questions", "Distinct questions of all those triggers", m.questions.clone());
        m
    }

    fn of(&self, link: Link) -> OfLink {
        let Link { connection, database } = &link;
        let (connection, database) = (|| connection.clone(), *database);
        OfLink {
            observations: ObservationState::ALL.map(|state| {
                let label = OfObservation { connection: connection(), database, state };
                self.observations.get_or_create_owned(&label)
            }),
            reads: ReadCause::ALL.map(|cause| {
                ReadResult::ALL.map(|result| {
                    let label = OfRead { connection: connection(), database, cause, result };
                    self.reads.get_or_create_owned(&label)
                })
            }),
            connects: ConnectOutcome::ALL.map(|outcome| {
                let label = OfConnect { connection: connection(), database, outcome };
                self.connects.get_or_create_owned(&label)
            }),
            stale_seconds: self.stale_seconds.get_or_create_owned(&link),
            links_lost: self.links_lost.get_or_create_owned(&link),
            batches: self.batches.get_or_create_owned(&link),
            invalidations: self.invalidations.get_or_create_owned(&link),
            from_memory: self.from_memory.get_or_create_owned(&link),
            coalesced: self.coalesced.get_or_create_owned(&link),
            activations: self.activations.get_or_create_owned(&link),
            up: self.up.get_or_create_owned(&link),
            tracking: self.tracking.get_or_create_owned(&link),
            triggers: self.triggers.get_or_create_owned(&link),
            not_visible: self.not_visible.get_or_create_owned(&link),
            questions: self.questions.get_or_create_owned(&link),
        }
    }
}

fn register_constants(registry: &mut Registry) {
    let build = Family::<Build, Gauge>::default();
    build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION") }).set(1);
    registry.register("build_info", "The version of penstock", build);
    let started: Gauge = Gauge::default();
    started.set(i64::try_from(time::wall_now().as_secs()).unwrap_or(i64::MAX));
    registry.register("start_time_seconds", "When the process started, Unix time", started);
}

/// The metrics of one connection and database.
#[derive(Clone)]
pub struct LinkMetrics(Arc<OfLink>);

struct OfLink {
    observations: [Counter; ObservationState::ALL.len()],
    reads: [[Counter; ReadResult::ALL.len()]; ReadCause::ALL.len()],
    connects: [Counter; ConnectOutcome::ALL.len()],
    stale_seconds: Histogram,
    links_lost: Counter,
    batches: Counter,
    invalidations: Counter,
    from_memory: Counter,
    coalesced: Counter,
    activations: Counter,
    up: Gauge,
    tracking: Gauge,
    triggers: Gauge,
    not_visible: Gauge,
    questions: Gauge,
}

impl LinkMetrics {
    /// Counts an answer.
    pub fn observation(&self, state: ObservationState) {
        self.0.observations[state as usize].inc();
    }

    /// Notes how old a held value was when it was given.
    pub fn stale(&self, age: Duration) {
        self.0.stale_seconds.observe(age.as_secs_f64());
    }

    /// Counts a read.
    pub fn read(&self, cause: ReadCause, result: ReadResult) {
        self.0.reads[cause as usize][result as usize].inc();
    }

    /// Counts an attempt to connect and notes whether the link is up and tracked.
    pub fn connect(&self, outcome: ConnectOutcome, tracked: bool) {
        self.0.connects[outcome as usize].inc();
        self.0.up.set(i64::from(outcome == ConnectOutcome::Ok));
        self.0.tracking.set(i64::from(tracked));
    }

    /// Counts a link that broke.
    pub fn lost(&self) {
        self.0.links_lost.inc();
        self.down();
    }

    /// Notes that there is no link.
    pub fn down(&self) {
        self.0.up.set(0);
        self.0.tracking.set(0);
    }

    /// Counts a pipeline.
    pub fn batch(&self) {
        self.0.batches.inc();
    }

    /// Counts an announced change.
    pub fn invalidation(&self) {
        self.0.invalidations.inc();
    }

    /// Counts an answer that needed no read of its own.
    pub fn from_memory(&self) {
        self.0.from_memory.inc();
    }

    /// Counts an answer that came of a read which others had asked for.
    pub fn coalesced(&self) {
        self.0.coalesced.inc();
    }

    /// Counts an activation.
    pub fn activation(&self) {
        self.0.activations.inc();
    }

    /// Notes what is remembered.
    pub fn remembered(&self, remembered: Remembered) {
        let Remembered { triggers, not_visible, questions } = remembered;
        for (gauge, number) in [
            (&self.0.triggers, triggers),
            (&self.0.not_visible, not_visible),
            (&self.0.questions, questions),
        ] {
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_the_prefix_and_a_bounded_label() {
        let metrics = Metrics::new();
        metrics.rpc(Method::GetMetrics, Code::Ok);
        let link = metrics.link(Link { connection: "default".to_owned(), database: 0 });
        link.connect(ConnectOutcome::Ok, true);
        let text = metrics.encode().unwrap();
        let expected = r#"penstock_rpcs_total{method="GetMetrics",code="OK"} 1"#;
        assert!(text.contains(expected), "{text}");
        assert!(text.contains(r#"penstock_redis_up{connection="default",database="0"} 1"#));
        let ours = |line: &str| line.starts_with('#') || line.starts_with("penstock_");
        assert!(text.lines().all(ours), "{text}");
    }
}
