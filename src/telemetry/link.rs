//! The metrics of one link: a connection and one of its databases.
//!
//! They are apart from the process's own because each link has a set of them, found once.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::{
    labels::{ConnectOutcome, ObservationState, ReadCause, ReadResult, labels},
    remembered::Remembered,
};

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

labels!(OfObservation { connection: String, database: u32, state: ObservationState });
labels!(OfRead { connection: String, database: u32, cause: ReadCause, result: ReadResult });
labels!(OfConnect { connection: String, database: u32, outcome: ConnectOutcome });

/// The metrics of every link.
#[derive(Clone)]
pub(super) struct PerLink {
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
    not_exact: Family<Link, Gauge>,
    questions: Family<Link, Gauge>,
    scans: Family<Link, Counter>,
    searches: Family<Link, Gauge>,
    queues_found: Family<Link, Gauge>,
    leaving_out: Family<Link, Gauge>,
    never_seen: Family<Link, Gauge>,
}

impl PerLink {
    pub(super) fn register(r: &mut Registry) -> Self {
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
            not_exact: Family::default(),
            questions: Family::default(),
            scans: Family::default(),
            searches: Family::default(),
            queues_found: Family::default(),
            leaving_out: Family::default(),
            never_seen: Family::default(),
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
        m.register_triggers(r);
        r.register("questions", "Distinct questions of all those triggers", m.questions.clone());
        m.register_found(r);
        m
    }

    fn register_found(&self, r: &mut Registry) {
        r.register("redis_scans", "Steps of searches for queues", self.scans.clone());
        r.register("searches", "Patterns of keys that are looked for", self.searches.clone());
        r.register("queues_found", "Queues that patterns found", self.queues_found.clone());
        r.register(
            "triggers_leaving_out",
            "Remembered triggers whose pattern finds a queue that the rule keys does not include",
            self.leaving_out.clone(),
        );
        r.register(
            "triggers_never_seen",
            "Remembered triggers of which no key was ever there, ten minutes after they were known",
            self.never_seen.clone(),
        );
    }

    fn register_triggers(&self, r: &mut Registry) {
        r.register("triggers", "Triggers that are remembered", self.triggers.clone());
        r.register(
            "triggers_not_visible",
            "Remembered triggers whose work in flight is in no key",
            self.not_visible.clone(),
        );
        r.register(
            "triggers_not_exact",
            "Remembered triggers of which a count is known to be no more than a bound",
            self.not_exact.clone(),
        );
    }

    /// Those of one link.
    pub(super) fn of(&self, link: Link) -> LinkMetrics {
        let Link { connection, database } = &link;
        let (connection, database) = (|| connection.clone(), *database);
        LinkMetrics(Arc::new(OfLink {
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
            not_exact: self.not_exact.get_or_create_owned(&link),
            questions: self.questions.get_or_create_owned(&link),
            scans: self.scans.get_or_create_owned(&link),
            searches: self.searches.get_or_create_owned(&link),
            queues_found: self.queues_found.get_or_create_owned(&link),
            leaving_out: self.leaving_out.get_or_create_owned(&link),
            never_seen: self.never_seen.get_or_create_owned(&link),
        }))
    }
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
    not_exact: Gauge,
    questions: Gauge,
    scans: Counter,
    searches: Gauge,
    queues_found: Gauge,
    leaving_out: Gauge,
    never_seen: Gauge,
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

    /// Counts a step of a search.
    pub fn scan(&self) {
        self.0.scans.inc();
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
        let Remembered { triggers, not_visible, not_exact, questions, .. } = remembered;
        let Remembered { searches, queues_found, leaving_out, never_seen, .. } = remembered;
        for (gauge, number) in [
            (&self.0.triggers, triggers),
            (&self.0.not_visible, not_visible),
            (&self.0.not_exact, not_exact),
            (&self.0.questions, questions),
            (&self.0.searches, searches),
            (&self.0.queues_found, queues_found),
            (&self.0.leaving_out, leaving_out),
            (&self.0.never_seen, never_seen),
        ] {
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }
}
