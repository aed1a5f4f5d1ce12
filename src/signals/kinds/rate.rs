//! `rate`: how many come in a second, by a counter of what came.

use crate::{
    layouts::{Count, Counts, Measure},
    signals::{Meta, Setting, Settings, SignalKind, kind::sum_step},
};

pub(in crate::signals) struct Rate;

static META: Meta = Meta {
    name: "rate",
    doc: "How many come in a second, over a window: how much a counter rises.",
    formula: "arrived per second",
    made_of: &[Measure::Arrived],
    helped_by: &[],
    takes: &[Setting::Window],
    needs: &[],
    default_target: None,
    auto_target: false,
};

impl SignalKind for Rate {
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
