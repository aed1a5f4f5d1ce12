//! The number that a trigger makes of its measures, and whether its workload is active.
//!
//! `kinds/` (one file a signal) is an extension folder. A signal is a pure function of what was counted; whether a workload
//! is active is one rule for all triggers that count jobs, and another for those that do not ([`Activity`]).
//!
//! # Adding a signal
//! 1. Write `kinds/NAME.rs` with a unit struct that implements [`SignalKind`].
//! 2. Add it to `kinds/mod.rs`, which lists them all.
//! 3. Document it in `docs/triggers.md`, in the table of signals and in the error that lists them. The tests below hold
//!    it to the rules of all signals, and `tests/fuzz/sound.rs` wants its arithmetic a second time.

mod activity;
mod kind;
mod kinds;

use std::{
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
};

use crate::layouts::Measure;

pub use activity::Activity;
pub use kind::{Meta, SignalKind, TargetChange};
use kinds::KINDS;

/// A signal that triggers can name. It is known by its name.
#[derive(Clone, Copy)]
pub struct Signal(&'static dyn SignalKind);

impl Signal {
    /// Every signal, in the order in which the docs list them. The first is that of a trigger which names none.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().map(|kind| Self(*kind))
    }

    /// The signal of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|signal| signal.name() == name)
    }

    /// Its word in a trigger.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.meta().name
    }

    /// Whether it adds this up.
    #[must_use]
    pub fn counts(self, measure: Measure) -> bool {
        self.meta().sum_of.contains(&measure)
    }
}

impl Default for Signal {
    fn default() -> Self {
        Self(KINDS[0])
    }
}

impl Deref for Signal {
    type Target = dyn SignalKind;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for Signal {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Signal {}

impl Hash for Signal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layouts::{Count, Counts};

    fn counts() -> Counts {
        Counts::default()
            .with(Measure::Waiting, 5)
            .with(Measure::Due, 2)
            .with(Measure::InFlight, 3)
            .with(Measure::Orphaned, 9)
            .with(Measure::Gauge, 50)
            .with(Measure::Arrived, 70)
    }

    #[test]
    fn every_signal_is_found_by_its_name() {
        for signal in Signal::all() {
            assert_eq!(Signal::named(signal.name()), Some(signal));
            assert!(signal.meta().doc.ends_with('.'));
        }
        assert_eq!(Signal::named("Backlog"), None);
        assert_eq!(Signal::all().next(), Some(Signal::default()));
    }

    #[test]
    fn no_signal_of_jobs_exceeds_the_backlog_and_an_empty_queue_is_zero() {
        for signal in Signal::all() {
            let is_of_jobs = signal.meta().sum_of.iter().all(|measure| measure.is_of_jobs());
            assert!(signal.value(&counts()) <= counts().backlog() || !is_of_jobs);
            assert_eq!(signal.value(&Counts::default()), Count::ZERO);
        }
    }

    #[test]
    fn each_signal_is_the_sum_that_people_are_shown() {
        let value = |name: &str| Signal::named(name).unwrap().value(&counts());
        assert_eq!(value("backlog"), Count::from(10));
        assert_eq!(value("waiting"), Count::from(7));
        assert_eq!(value("in-flight"), Count::from(3));
        assert_eq!(value("gauge"), Count::from(50));
        assert_eq!(value("rate"), Count::from(70));
        for signal in Signal::all() {
            assert_eq!(signal.value(&counts()), counts().sum(signal.meta().sum_of));
        }
    }
}
