//! `in-flight`: what is taken and not finished.

use crate::{
    layouts::{Count, Counts, Measure},
    signals::{Meta, Settings, SignalKind, kind::sum_step},
};

pub(in crate::signals) struct InFlight;

static META: Meta = Meta {
    name: "in-flight",
    doc: "What workers have taken and not finished.",
    formula: "in flight",
    made_of: &[Measure::InFlight],
    helped_by: &[],
    takes: &[],
    needs: &[],
    default_target: Some(5.0),
    auto_target: false,
};

impl SignalKind for InFlight {
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
