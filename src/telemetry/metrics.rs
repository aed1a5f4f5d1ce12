//! Every metric of the service. Labels come from enums and from the configured connections, never
//! from a trigger, so their number is bounded.
//!
//! This is the one file that names `prometheus-client`.

use std::{fmt::Write, sync::Arc};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::time;

/// Declares an enum whose variants are label values.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// The label value.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
                encoder.write_str(self.text())
            }
        }
    };
}

label! {
    /// A method of the protocol.
    Method {
        /// `IsActive`.
        IsActive = "IsActive",
        /// `StreamIsActive`.
        StreamIsActive = "StreamIsActive",
        /// `GetMetricSpec`.
        GetMetricSpec = "GetMetricSpec",
        /// `GetMetrics`.
        GetMetrics = "GetMetrics",
        /// `StreamMetricSpec`.
        StreamMetricSpec = "StreamMetricSpec",
    }
}

label! {
    /// How a call was answered.
    Code {
        /// OK.
        Ok = "OK",
        /// The metadata is wrong.
        InvalidArgument = "INVALID_ARGUMENT",
        /// A rule forbids it.
        PermissionDenied = "PERMISSION_DENIED",
        /// Redis holds something else than the layout says.
        FailedPrecondition = "FAILED_PRECONDITION",
        /// Redis cannot be read.
        Unavailable = "UNAVAILABLE",
        /// A limit is reached.
        ResourceExhausted = "RESOURCE_EXHAUSTED",
    }
}

label! {
    /// Why `true` or `false` was pushed.
    PushKind {
        /// The state at the start of a stream.
        First = "first",
        /// The workload became active.
        Activated = "activated",
        /// The activation once more.
        Repeat = "repeat",
        /// The workload became inactive.
        Deactivated = "deactivated",
    }
}

label! {
    /// What became of one read.
    ReadResult {
        /// It was answered.
        Ok = "ok",
        /// It failed.
        Failed = "failed",
    }
}

label! {
    /// Why a read was sent.
    ReadCause {
        /// Nothing was known yet.
        First = "first",
        /// A change was announced, or everything was suspect.
        Changed = "changed",
        /// A job fell due, or a lease ran out.
        Time = "time",
        /// Changes of it are not announced.
        Cadence = "cadence",
        /// The last read failed.
        Retry = "retry",
        /// Nothing happened for long.
        Safety = "safety",
    }
}

label! {
    /// What became of one attempt to connect.
    ConnectOutcome {
        /// The link is up.
        Ok = "ok",
        /// It failed.
        Failed = "failed",
    }
}

label! {
    /// The kind of observation that a call was answered with.
    ObservationState {
        /// Read after the call, or known to be unchanged.
        Fresh = "fresh",
        /// The last known value, within the stale budget.
        Stale = "stale",
        /// Nothing may be said.
        Unavailable = "unavailable",
        /// Redis holds something else than the layout says.
        Misfit = "misfit",
    }
}

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
    rpcs: Family<Rpc, Counter>,
    streams: Family<OfMethod, Gauge>,
    pushes: Family<OfPush, Counter>,
    pushes_deferred: Counter,
    per_link: PerLink,
}

#[derive(Clone, Default)]
struct PerLink {
    observations: Family<OfObservation, Counter>,
    reads: Family<OfRead, Counter>,
    connects: Family<OfConnect, Counter>,
    batches: Family<Link, Counter>,
    invalidations: Family<Link, Counter>,
    answers_from_memory: Family<Link, Counter>,
    activations: Family<Link, Counter>,
    up: Family<Link, Gauge>,
    tracking: Family<Link, Gauge>,
    triggers: Family<Link, Gauge>,
}

impl Metrics {
    /// All metrics, at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("penstock");
        let rpcs = Family::default();
        let streams = Family::default();
        let pushes = Family::default();
        let pushes_deferred = Counter::default();
        registry.register("rpcs", "Calls answered, by method and status code", rpcs.clone());
        registry.register("streams_open", "Streams that are open now", streams.clone());
        registry.register("pushes", "Messages pushed on StreamIsActive", pushes.clone());
        registry.register(
            "pushes_deferred",
            "Repeats of an activation that waited for the push budget",
            pushes_deferred.clone(),
        );
        let per_link = PerLink::register(&mut registry);
        register_constants(&mut registry);
        Arc::new(Self { registry, rpcs, streams, pushes, pushes_deferred, per_link })
    }

    /// Counts a call and how it was answered.
    pub fn rpc(&self, method: Method, code: Code) {
        self.rpcs.get_or_create(&Rpc { method, code }).inc();
    }

    /// Counts a stream that opened (+1) or ended (−1).
    pub fn streams(&self, method: Method, change: i64) {
        self.streams.get_or_create(&OfMethod { method }).inc_by(change);
    }

    /// Counts a pushed message.
    pub fn push(&self, kind: PushKind) {
        self.pushes.get_or_create(&OfPush { kind }).inc();
    }

    /// Counts a repeat that had to wait.
    pub fn push_deferred(&self) {
        self.pushes_deferred.inc();
    }

    /// The metrics of one link.
    #[must_use]
    pub fn link(&self, link: Link) -> LinkMetrics {
        LinkMetrics { families: self.per_link.clone(), link }
    }

    /// All metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// Only if a label cannot be written, which no label of ours can cause.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl PerLink {
    fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let m = &metrics;
        registry.register(
            "observations",
            "Answers given, by what was known",
            m.observations.clone(),
        );
        registry.register("redis_reads", "Questions put to Redis", m.reads.clone());
        registry.register("redis_connects", "Attempts to connect to Redis", m.connects.clone());
        registry.register("redis_batches", "Pipelines sent to Redis", m.batches.clone());
        registry.register(
            "redis_invalidations",
            "Changes that Redis announced",
            m.invalidations.clone(),
        );
        registry.register(
            "answers_from_memory",
            "Answers that needed no read of their own",
            m.answers_from_memory.clone(),
        );
        registry.register("activations", "Edges from inactive to active", m.activations.clone());
        registry.register("redis_up", "Whether the link to Redis is up", m.up.clone());
        registry.register("redis_tracking", "Whether Redis announces changes", m.tracking.clone());
        registry.register("triggers", "Triggers that are remembered", m.triggers.clone());
        metrics
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
pub struct LinkMetrics {
    families: PerLink,
    link: Link,
}

impl LinkMetrics {
    /// Counts an answer.
    pub fn observation(&self, state: ObservationState) {
        let Link { connection, database } = self.link.clone();
        self.families
            .observations
            .get_or_create(&OfObservation { connection, database, state })
            .inc();
    }

    /// Counts a read.
    pub fn read(&self, cause: ReadCause, result: ReadResult) {
        let Link { connection, database } = self.link.clone();
        let label = OfRead { connection, database, cause, result };
        self.families.reads.get_or_create(&label).inc();
    }

    /// Counts an attempt to connect and notes whether the link is up and tracked.
    pub fn connect(&self, outcome: ConnectOutcome, tracked: bool) {
        let Link { connection, database } = self.link.clone();
        self.families.connects.get_or_create(&OfConnect { connection, database, outcome }).inc();
        self.families.up.get_or_create(&self.link).set(i64::from(outcome == ConnectOutcome::Ok));
        self.families.tracking.get_or_create(&self.link).set(i64::from(tracked));
    }

    /// Notes that the link is lost.
    pub fn lost(&self) {
        self.families.up.get_or_create(&self.link).set(0);
        self.families.tracking.get_or_create(&self.link).set(0);
    }

    /// Counts a pipeline.
    pub fn batch(&self) {
        self.families.batches.get_or_create(&self.link).inc();
    }

    /// Counts an announced change.
    pub fn invalidation(&self) {
        self.families.invalidations.get_or_create(&self.link).inc();
    }

    /// Counts an answer that needed no read of its own.
    pub fn from_memory(&self) {
        self.families.answers_from_memory.get_or_create(&self.link).inc();
    }

    /// Counts an activation.
    pub fn activation(&self) {
        self.families.activations.get_or_create(&self.link).inc();
    }

    /// Notes how many triggers are remembered.
    pub fn triggers(&self, number: usize) {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.families.triggers.get_or_create(&self.link).set(number);
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
