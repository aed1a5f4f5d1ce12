//! What a trigger says of its workers and of what it wants, for the signals that need more than counts.

use std::time::Duration;

use crate::layouts::Measure;

/// What a trigger says beside what is counted. A signal gets what it [takes](super::Meta::takes), and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Settings {
    /// Over how long it is looked at how much comes.
    pub window: Option<Duration>,
    /// How many jobs one worker runs at a time: at least 1.
    pub slots: Option<u32>,
    /// How long a job may wait: more than zero.
    pub max_wait: Option<Duration>,
    /// How long a job runs, on average: more than zero. Where it is measured, what it is taken for until then.
    pub task_time: Option<Duration>,
    /// Whether that is measured, by how many jobs run and how many end.
    pub measures_task_time: bool,
    /// Whether replicas have to keep up with what comes, whatever waits.
    pub keep_up: bool,
}

impl Settings {
    /// How many jobs one worker runs at a time; one where nobody says, which makes more workers and not fewer.
    #[must_use]
    pub fn slots(&self) -> f64 {
        f64::from(self.slots.unwrap_or(1))
    }
}

/// A key of a trigger that only some signals take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// [`Settings::window`].
    Window,
    /// [`Settings::slots`].
    Slots,
    /// [`Settings::max_wait`].
    MaxWait,
    /// [`Settings::task_time`].
    TaskTime,
    /// [`Settings::keep_up`].
    KeepUp,
}

impl Settings {
    /// How many jobs one replica works off within the tolerated wait, if a job runs for this long: what `target: auto`
    /// comes to. Never fewer than it runs at a time, since more replicas would find nothing to do; and as few as that while
    /// nobody knows how long a job runs.
    #[must_use]
    pub fn jobs_per_replica(&self, task_time: Option<Duration>) -> f64 {
        let times = self.max_wait.zip(task_time);
        let rounds = times.map_or(1.0, |(wait, task)| wait.as_secs_f64() / task.as_secs_f64());
        self.slots() * rounds.max(1.0)
    }

    /// The setting that has this looked at, whatever the signal is made of.
    #[must_use]
    pub fn asks_for(&self, measure: Measure) -> Option<Setting> {
        match measure {
            Measure::Arrived => self.keep_up.then_some(Setting::KeepUp),
            Measure::Finished => self.measures_task_time.then_some(Setting::TaskTime),
            Measure::Due
            | Measure::Waiting
            | Measure::InFlight
            | Measure::Orphaned
            | Measure::Oldest
            | Measure::Busy
            | Measure::Running
            | Measure::Gauge => None,
        }
    }
}

impl Setting {
    /// Every one, in the order in which the docs list them.
    pub const ALL: [Self; 5] =
        [Self::Window, Self::Slots, Self::MaxWait, Self::TaskTime, Self::KeepUp];

    /// Its key in a trigger.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::Slots => "slots",
            Self::MaxWait => "maxWait",
            Self::TaskTime => "taskTime",
            Self::KeepUp => "keepUp",
        }
    }
}
