//! `rate`: how many come in a second, by a counter of what came.

use crate::{
    layouts::{Count, Counts, Measure},
    signals::{Meta, SignalKind, TargetChange},
};

pub(in crate::signals) struct Rate;

static META: Meta = Meta {
    name: "rate",
    doc: "How many come in a second, over a window: how much a counter rises.",
    sum_of: &[Measure::Arrived],
    per_second: true,
    default_target: None,
    target_change: TargetChange::WithMetadata,
};

impl SignalKind for Rate {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn value(&self, counts: &Counts) -> Count {
        counts.sum(META.sum_of)
    }
}
