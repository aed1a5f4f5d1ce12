//! `in-flight`: what is taken and not finished.

use crate::{
    layouts::{Count, Counts},
    signals::{SignalKind, TargetChange},
};

/// See [`Signal::InFlight`](crate::signals::Signal::InFlight).
pub(in crate::signals) struct InFlight;

impl SignalKind for InFlight {
    fn name(&self) -> &'static str {
        "in-flight"
    }

    fn doc(&self) -> &'static str {
        "What workers have taken and not finished."
    }

    fn formula(&self) -> &'static str {
        "in flight"
    }

    fn default_target(&self) -> Option<f64> {
        Some(5.0)
    }

    fn target_change(&self) -> TargetChange {
        TargetChange::WithMetadata
    }

    fn value(&self, counts: &Counts) -> Count {
        counts.in_flight
    }
}
