//! `waiting`: what a worker could take now. For callers that add running work themselves.

use crate::{
    layouts::{Count, Counts, Measure},
    signals::{Meta, SignalKind, TargetChange},
};

pub(in crate::signals) struct Waiting;

static META: Meta = Meta {
    name: "waiting",
    doc: "What a worker could take now; fits ScaledJobs with strategy accurate or eager.",
    sum_of: &[Measure::Waiting, Measure::Due],
    per_second: false,
    default_target: Some(5.0),
    target_change: TargetChange::WithMetadata,
};

impl SignalKind for Waiting {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn value(&self, counts: &Counts) -> Count {
        counts.sum(META.sum_of)
    }
}
