//! The metrics of one link: a connection and one of its databases.
//!
//! Each link has a set of them, found once.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::{
    labels::{ConnectOutcome, ObservationState, ReadCause, ReadResult, labels, registered},
    remembered::Remembered,
};

/// Seconds since a held value was last known to be true.
const STALE_SECONDS: [f64; 8] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];

/// The link that a metric is about: a connection and one of its databases.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LinkLabels {
    /// The connection's name.
    pub connection: String,
    /// The database's number.
    pub database: u32,
}

labels!(OfObservation { connection: String, database: u32, state: ObservationState });
labels!(OfRead { connection: String, database: u32, cause: ReadCause, result: ReadResult });
labels!(OfConnect { connection: String, database: u32, outcome: ConnectOutcome });

/// Metrics that are labelled by the link alone: what each is called here and in the registry, and what it
/// tells.
macro_rules! of_link_alone {
    ($($field:ident: $kind:ident = $name:literal, $help:literal;)+) => {
        #[derive(Clone)]
        struct Families { $($field: Family<LinkLabels, $kind>,)+ }

        struct OfLinkAlone { $($field: $kind,)+ }

        impl Families {
            fn register(r: &mut Registry) -> Self {
                Self { $($field: registered(r, $name, $help),)+ }
            }

            fn of(&self, link: &LinkLabels) -> OfLinkAlone {
                OfLinkAlone { $($field: self.$field.get_or_create_owned(link),)+ }
            }
        }
    };
}

of_link_alone! {
    links_lost: Counter = "redis_links_lost", "Links to Redis that broke";
    batches: Counter = "redis_batches", "Pipelines sent to Redis";
    invalidations: Counter = "redis_invalidations", "Changes that Redis announced";
    from_memory: Counter = "answers_from_memory", "Answers that needed no read of their own";
    coalesced: Counter = "answers_coalesced",
        "Answers that came of a read which another call or stream had asked for";
    activations: Counter = "activations", "Edges from inactive to active";
    up: Gauge = "redis_up", "Whether the link to Redis is up";
    tracking: Gauge = "redis_tracking", "Whether Redis announces changes";
    triggers: Gauge = "triggers", "Triggers that are remembered";
    not_visible: Gauge = "triggers_not_visible",
        "Remembered triggers whose work in flight is in no key";
    not_exact: Gauge = "triggers_not_exact",
        "Remembered triggers of which a count is known to be no more than a bound";
    questions: Gauge = "questions", "Distinct questions of all those triggers";
    scans: Counter = "redis_scans", "Steps of searches for queues";
    searches: Gauge = "searches", "Patterns of keys that are looked for";
    queues_found: Gauge = "queues_found", "Queues that patterns found";
    leaving_out: Gauge = "triggers_leaving_out",
        "Remembered triggers whose pattern finds a queue that the rule keys does not include";
    never_seen: Gauge = "triggers_never_seen",
        "Remembered triggers of which no key was ever there, ten minutes after they were known";
}

/// The metrics of every link.
#[derive(Clone)]
pub(super) struct PerLink {
    observations: Family<OfObservation, Counter>,
    stale_seconds: Family<LinkLabels, Histogram, fn() -> Histogram>,
    reads: Family<OfRead, Counter>,
    connects: Family<OfConnect, Counter>,
    alone: Families,
}

impl PerLink {
    pub(super) fn register(r: &mut Registry) -> Self {
        let new: fn() -> Histogram = || Histogram::new(STALE_SECONDS);
        let stale_seconds = Family::new_with_constructor(new);
        r.register(
            "stale_answer_age_seconds",
            "How long ago a held value was last known to be true when it was given",
            stale_seconds.clone(),
        );
        Self {
            observations: registered(r, "observations", "Answers given, by what was known"),
            stale_seconds,
            reads: registered(r, "redis_reads", "Questions put to Redis, by why and what came"),
            connects: registered(r, "redis_connects", "Attempts to connect to Redis"),
            alone: Families::register(r),
        }
    }

    /// Those of one link.
    pub(super) fn of(&self, link: LinkLabels) -> LinkMetrics {
        let LinkLabels { connection, database } = &link;
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
            alone: self.alone.of(&link),
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
    alone: OfLinkAlone,
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
        self.0.alone.up.set(i64::from(outcome == ConnectOutcome::Ok));
        self.0.alone.tracking.set(i64::from(tracked));
    }

    /// Counts a link that broke.
    pub fn lost(&self) {
        self.0.alone.links_lost.inc();
        self.down();
    }

    /// Notes that there is no link.
    pub fn down(&self) {
        self.0.alone.up.set(0);
        self.0.alone.tracking.set(0);
    }

    /// Counts a pipeline.
    pub fn batch(&self) {
        self.0.alone.batches.inc();
    }

    /// Counts a step of a search.
    pub fn scan(&self) {
        self.0.alone.scans.inc();
    }

    /// Counts an announced change.
    pub fn invalidation(&self) {
        self.0.alone.invalidations.inc();
    }

    /// Counts an answer that needed no read of its own.
    pub fn from_memory(&self) {
        self.0.alone.from_memory.inc();
    }

    /// Counts an answer that came of a read which others had asked for.
    pub fn coalesced(&self) {
        self.0.alone.coalesced.inc();
    }

    /// Counts an activation.
    pub fn activation(&self) {
        self.0.alone.activations.inc();
    }

    /// Notes what is remembered.
    pub fn remembered(&self, remembered: Remembered) {
        let Remembered { triggers, not_visible, not_exact, questions, .. } = remembered;
        let Remembered { searches, queues_found, leaving_out, never_seen, .. } = remembered;
        for (gauge, number) in [
            (&self.0.alone.triggers, triggers),
            (&self.0.alone.not_visible, not_visible),
            (&self.0.alone.not_exact, not_exact),
            (&self.0.alone.questions, questions),
            (&self.0.alone.searches, searches),
            (&self.0.alone.queues_found, queues_found),
            (&self.0.alone.leaving_out, leaving_out),
            (&self.0.alone.never_seen, never_seen),
        ] {
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }
}
