//! `backlog`: everything unfinished. The default, since it keeps workers while they work.

use crate::{
    layouts::{Count, Counts, Measure},
    signals::{Meta, Settings, SignalKind, kind::sum_step},
};

pub(in crate::signals) struct Backlog;

static META: Meta = Meta {
    name: "backlog",
    doc: "Every job that is not finished, so that workers stay while jobs run.",
    formula: "waiting + due + in flight",
    made_of: &[Measure::Waiting, Measure::Due, Measure::InFlight],
    helped_by: &[],
    takes: &[],
    needs: &[],
    default_target: Some(5.0),
    auto_target: true,
};

impl SignalKind for Backlog {
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
