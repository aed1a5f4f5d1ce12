//! `gauge`: a number that anyone may set, such as a floor before a burst.

use crate::{
    layouts::{Count, Counts, Measure},
    signals::{Meta, Settings, SignalKind, kind::sum_step},
};

pub(in crate::signals) struct Gauge;

static META: Meta = Meta {
    name: "gauge",
    doc: "The number that a key holds, whoever sets it.",
    formula: "gauge",
    made_of: &[Measure::Gauge],
    helped_by: &[],
    takes: &[],
    needs: &[],
    default_target: None,
    auto_target: false,
};

impl SignalKind for Gauge {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn value(&self, counts: &Counts, _: &Settings) -> Count {
        counts.sum(META.made_of)
    }

    fn steps(&self, counts: &Counts, _: &Settings) -> Vec<String> {
        sum_step(&META, counts)
    }
}
