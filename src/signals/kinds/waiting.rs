//! `waiting`: what a worker could take now. For callers that add running work themselves.

use crate::{
    layouts::{Count, Counts, Measure},
    signals::{Meta, Settings, SignalKind, kind::sum_step},
};

pub(in crate::signals) struct Waiting;

static META: Meta = Meta {
    name: "waiting",
    doc: "What a worker could take now; fits ScaledJobs with strategy accurate or eager.",
    formula: "waiting + due",
    made_of: &[Measure::Waiting, Measure::Due],
    helped_by: &[],
    takes: &[],
    needs: &[],
    default_target: Some(5.0),
    auto_target: true,
};

impl SignalKind for Waiting {
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
