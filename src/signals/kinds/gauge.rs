//! `gauge`: a number that anyone may set, such as a floor before a burst.

use crate::{
    layouts::{Count, Counts, Measure},
    signals::{Meta, SignalKind, TargetChange},
};

pub(in crate::signals) struct Gauge;

static META: Meta = Meta {
    name: "gauge",
    doc: "The number that a key holds, whoever sets it.",
    sum_of: &[Measure::Gauge],
    per_second: false,
    default_target: None,
    target_change: TargetChange::WithMetadata,
};

impl SignalKind for Gauge {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn value(&self, counts: &Counts) -> Count {
        counts.sum(META.sum_of)
    }
}
