//! `backlog`: everything unfinished. The default, since it keeps workers while they work.

use crate::{
    layouts::{Count, Counts, Measure},
    signals::{Meta, SignalKind, TargetChange},
};

pub(in crate::signals) struct Backlog;

static META: Meta = Meta {
    name: "backlog",
    doc: "Every job that is not finished, so that workers stay while jobs run.",
    sum_of: &[Measure::Waiting, Measure::Due, Measure::InFlight],
    per_second: false,
    default_target: Some(5.0),
    target_change: TargetChange::WithMetadata,
};

impl SignalKind for Backlog {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn value(&self, counts: &Counts) -> Count {
        counts.sum(META.sum_of)
    }
}
