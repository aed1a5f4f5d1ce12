//! `latency`: for how long the oldest job has waited. It grows by itself.

use crate::{
    layouts::{Count, Counts, Measure},
    signals::{Meta, Settings, SignalKind},
};

pub(in crate::signals) struct Latency;

static META: Meta = Meta {
    name: "latency",
    doc: "How many seconds ago the oldest job became ready that waits.",
    formula: "seconds since the oldest",
    made_of: &[Measure::Oldest],
    helped_by: &[],
    takes: &[],
    needs: &[],
    default_target: None,
    auto_target: false,
};

impl SignalKind for Latency {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn value(&self, counts: &Counts, _: &Settings) -> Count {
        counts.sum(META.made_of)
    }

    fn steps(&self, counts: &Counts, _: &Settings) -> Vec<String> {
        vec![format!("{} = {:.3}", META.formula, counts.sum(META.made_of).get())]
    }
}
