//! `backlog`: everything unfinished. The default, since it keeps workers while they work.

use crate::{
    layouts::{Count, Counts},
    signals::{SignalKind, TargetChange},
};

/// See [`Signal::Backlog`](crate::signals::Signal::Backlog).
pub(in crate::signals) struct Backlog;

impl SignalKind for Backlog {
    fn name(&self) -> &'static str {
        "backlog"
    }

    fn doc(&self) -> &'static str {
        "Every job that is not finished, so that workers stay while jobs run."
    }

    fn formula(&self) -> &'static str {
        "waiting + due + in flight"
    }

    fn default_target(&self) -> Option<f64> {
        Some(5.0)
    }

    fn target_change(&self) -> TargetChange {
        TargetChange::WithMetadata
    }

    fn value(&self, counts: &Counts) -> Count {
        counts.backlog()
    }
}
