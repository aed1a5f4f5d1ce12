//! The number that a trigger makes of the states of its jobs.
//!
//! This is the other extension folder. A signal is a pure function of counts; whether a workload
//! is active is one rule for all of them and lives with the trigger.
//!
//! # Adding a signal
//! 1. Write `kinds/NAME.rs` with a unit struct that implements [`SignalKind`].
//! 2. Add a variant to [`Signal`], to [`KINDS`], and to the one dispatch, [`Signal::kind`].
//! 3. Document it in `docs/triggers.md`. The tests below hold it to the rules of all signals.

mod kinds;

use crate::layouts::{Count, Counts};

/// What every signal can say of itself.
pub trait SignalKind: Sync {
    /// The word in a trigger's `signal`.
    fn name(&self) -> &'static str;
    /// One sentence for people.
    fn doc(&self) -> &'static str;
    /// The sum that it makes, as `probe` shows it.
    fn formula(&self) -> &'static str;
    /// The target per replica when the trigger names none.
    fn default_target(&self) -> Option<f64>;
    /// When the target per replica may become another than KEDA was told.
    fn target_change(&self) -> TargetChange;
    /// The number that KEDA is told.
    fn value(&self, counts: &Counts) -> Count;
}

/// When the target of a trigger may become another.
///
/// KEDA can have targets streamed (`StreamMetricSpec`), and patches its object three times for every
/// message and so for every stream that opens (KEDA 2.21, `controllers/keda/scaledobject_controller.go`),
/// within twenty requests a second for all objects. So nothing is streamed of a target that stays. A signal
/// whose target moves adds a variant, and whoever matches on it has to say what is streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetChange {
    /// With the metadata alone, of which KEDA knows.
    WithMetadata,
}

/// The signals that triggers can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Waiting + due + in flight.
    Backlog,
    /// Waiting + due.
    Waiting,
    /// In flight alone.
    InFlight,
}

/// Every signal, in the order in which the docs list them.
pub const KINDS: &[Signal] = &[Signal::Backlog, Signal::Waiting, Signal::InFlight];

impl Signal {
    /// The signal of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        KINDS.iter().copied().find(|signal| signal.kind().name() == name)
    }

    /// The only dispatch.
    #[must_use]
    pub fn kind(self) -> &'static dyn SignalKind {
        match self {
            Self::Backlog => &kinds::backlog::Backlog,
            Self::Waiting => &kinds::waiting::Waiting,
            Self::InFlight => &kinds::in_flight::InFlight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_is_found_by_its_name() {
        for signal in KINDS {
            assert_eq!(Signal::named(signal.kind().name()), Some(*signal));
            assert!(signal.kind().doc().ends_with('.'));
        }
        assert_eq!(Signal::named("Backlog"), None);
    }

    #[test]
    fn no_signal_exceeds_the_backlog_and_an_empty_queue_is_zero() {
        let counts =
            Counts { waiting: 5.into(), due: 2.into(), in_flight: 3.into(), ..Counts::default() };
        for signal in KINDS {
            assert!(signal.kind().value(&counts) <= counts.backlog());
            assert_eq!(signal.kind().value(&Counts::default()), Count::ZERO);
        }
    }

    #[test]
    fn each_signal_is_its_formula() {
        let counts =
            Counts { waiting: 5.into(), due: 2.into(), in_flight: 3.into(), ..Counts::default() };
        let value = |signal: Signal| signal.kind().value(&counts);
        assert_eq!(value(Signal::Backlog), Count::from(10));
        assert_eq!(value(Signal::Waiting), Count::from(7));
        assert_eq!(value(Signal::InFlight), Count::from(3));
    }
}
