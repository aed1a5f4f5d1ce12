//! `waiting`: what a worker could take now. For callers that add running work themselves.

use crate::{
    layouts::{Count, Counts},
    signals::{SignalKind, TargetChange},
};

/// See [`Signal::Waiting`](crate::signals::Signal::Waiting).
pub(in crate::signals) struct Waiting;

impl SignalKind for Waiting {
    fn name(&self) -> &'static str {
        "waiting"
    }

    fn doc(&self) -> &'static str {
        "What a worker could take now; fits ScaledJobs with strategy accurate or eager."
    }

    fn formula(&self) -> &'static str {
        "waiting + due"
    }

    fn default_target(&self) -> Option<f64> {
        Some(5.0)
    }

    fn target_change(&self) -> TargetChange {
        TargetChange::WithMetadata
    }

    fn value(&self, counts: &Counts) -> Count {
        counts.ready()
    }
}
