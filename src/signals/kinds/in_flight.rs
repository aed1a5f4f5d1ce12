//! `in-flight`: what is taken and not finished.

use crate::{
    layouts::{Count, Counts, Measure},
    signals::{Meta, SignalKind, TargetChange},
};

pub(in crate::signals) struct InFlight;

static META: Meta = Meta {
    name: "in-flight",
    doc: "What workers have taken and not finished.",
    sum_of: &[Measure::InFlight],
    per_second: false,
    default_target: Some(5.0),
    target_change: TargetChange::WithMetadata,
};

impl SignalKind for InFlight {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn value(&self, counts: &Counts) -> Count {
        counts.sum(META.sum_of)
    }
}
