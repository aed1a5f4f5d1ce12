//! Whether a workload should run: one rule for every signal of a trigger that counts jobs, and one for the others.

use crate::layouts::{Count, Counts, Measure};

/// Whether a workload should run, and by what: in flight > 0, or a job is left that only a new worker brings
/// back, or waiting + due > activation; where no jobs are counted, value > activation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activity {
    /// So many jobs run.
    InFlight(Count),
    /// So many jobs lost their workers.
    Orphaned(Count),
    /// So many jobs can be taken, which is more than the activation.
    Ready(Count),
    /// Nothing runs, and no more than the activation can be taken.
    Idle(Count),
    /// No jobs are counted, and the value is more than the activation.
    Above(Count),
    /// No jobs are counted, and the value is no more than the activation.
    NotAbove(Count),
}

impl Activity {
    /// What these counts come to.
    #[must_use]
    pub fn of(counts: &Counts, activation: f64) -> Self {
        let (in_flight, orphaned) = (counts[Measure::InFlight], counts[Measure::Orphaned]);
        let ready = counts.ready();
        if in_flight.is_positive() {
            Self::InFlight(in_flight)
        } else if orphaned.is_positive() {
            Self::Orphaned(orphaned)
        } else if ready.get() > activation {
            Self::Ready(ready)
        } else {
            Self::Idle(ready)
        }
    }

    /// What this value comes to where no jobs are counted.
    #[must_use]
    pub fn of_value(value: Count, activation: f64) -> Self {
        if value.get() > activation { Self::Above(value) } else { Self::NotAbove(value) }
    }

    /// Whether the workload should run.
    #[must_use]
    pub fn is_active(self) -> bool {
        !matches!(self, Self::Idle(_) | Self::NotAbove(_))
    }
}
