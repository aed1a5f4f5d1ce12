//! The number that a trigger makes of its measures, and whether its workload is active.
//!
//! `kinds/` (one file a signal) is an extension folder. A signal is a pure function of what was counted; whether a workload
//! is active is one rule for all triggers that count jobs, and another for those that do not ([`Activity`]).
//!
//! # Adding a signal
//! 1. Write `kinds/NAME.rs` with a unit struct that implements [`SignalKind`].
//! 2. Add it to `kinds/mod.rs`, which lists them all.
//! 3. Document it in `docs/signals.md`, and in `docs/triggers.md` in the table of signals and in the error that lists
//!    them. The tests below hold it to the rules of all signals, and `tests/fuzz/sound.rs` wants its arithmetic a second
//!    time.

mod activity;
mod kind;
mod kinds;
mod settings;

use std::{
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
};

use crate::layouts::Measure;

pub use activity::Activity;
pub use kind::{Meta, SignalKind};
use kinds::KINDS;
pub use settings::{Setting, Settings};

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

    /// Whether its value is made of this, with these settings.
    #[must_use]
    pub fn is_made_of(self, measure: Measure, settings: &Settings) -> bool {
        self.meta().made_of.contains(&measure) || settings.asks_for(measure).is_some()
    }

    /// Whether its value makes use of this where the layout tells it, with these settings.
    #[must_use]
    pub fn uses(self, measure: Measure, settings: &Settings) -> bool {
        // How many jobs run says how long they do.
        let times = measure == Measure::Running && settings.measures_task_time;
        self.is_made_of(measure, settings) || self.meta().helped_by.contains(&measure) || times
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
    use std::time::Duration;

    use super::*;
    use crate::layouts::{Count, Counts};

    fn counts() -> Counts {
        Counts::default()
            .with(Measure::Waiting, 5)
            .with(Measure::Due, 2)
            .with(Measure::InFlight, 3)
            .with(Measure::Orphaned, 9)
            .with(Measure::Oldest, 12)
            .with(Measure::Busy, 1)
            .with(Measure::Gauge, 50)
            .with(Measure::Arrived, 70)
            .with(Measure::Running, 3)
            .with(Measure::Finished, 80)
    }

    fn settings() -> Settings {
        Settings {
            slots: Some(4),
            max_wait: Some(Duration::from_mins(1)),
            task_time: Some(Duration::from_secs(30)),
            ..Settings::default()
        }
    }

    #[test]
    fn every_signal_is_found_by_its_name() {
        for signal in Signal::all() {
            assert_eq!(Signal::named(signal.name()), Some(signal));
            let meta = signal.meta();
            assert!(meta.doc.ends_with('.'));
            assert!(meta.needs.iter().all(|setting| meta.takes.contains(setting)));
        }
        assert_eq!(Signal::named("Backlog"), None);
        assert_eq!(Signal::all().next(), Some(Signal::default()));
    }

    #[test]
    fn an_empty_queue_is_zero_and_each_job_more_is_never_less() {
        for signal in Signal::all() {
            let value = |counts: &Counts| signal.value(counts, &settings());
            assert_eq!(value(&Counts::default()), Count::ZERO);
            for measure in Measure::ALL {
                let more = counts().with(measure, counts()[measure] + Count::from(7));
                assert!(value(&more) >= value(&counts()), "{signal:?} of more {measure:?}");
            }
        }
    }

    #[test]
    fn each_signal_is_what_its_name_says() {
        let value = |name: &str| Signal::named(name).unwrap().value(&counts(), &settings()).get();
        assert_eq!(value("backlog"), 10.0);
        assert_eq!(value("waiting"), 7.0);
        assert_eq!(value("in-flight"), 3.0);
        assert_eq!(value("load"), 250.0);
        assert_eq!(value("replicas"), 8.5 * 30.0 / 240.0);
        assert_eq!(value("latency"), 12.0);
        assert_eq!(value("gauge"), 50.0);
        assert_eq!(value("rate"), 70.0);
    }

    #[test]
    fn the_last_step_that_people_are_shown_comes_to_the_value() {
        for signal in Signal::all() {
            let steps = signal.steps(&counts(), &settings());
            let value = signal.value(&counts(), &settings()).get();
            let last = steps.last().unwrap().rsplit_once(" = ").unwrap().1;
            let shown: f64 = last.parse().unwrap();
            assert!((shown - value).abs() < 0.005, "{signal:?}: {steps:?}, and it is {value}");
        }
    }
}
