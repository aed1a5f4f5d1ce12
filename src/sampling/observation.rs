//! What the service may say now: the stale policy.
//!
//! Pure. Unknown is a value of its own here, and there is no path from it to a number.

use std::time::Duration;

use crate::{
    layouts::{LayoutMismatch, Name},
    time::Instant,
    trigger::Verdict,
};

use super::source::Fault;

/// Why there is no fresh value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Nothing was ever read, and the first answer did not come in time.
    #[error("no value is known yet")]
    NotYetRead,
    /// It changed since it was read, or may have, and was not asked for.
    #[error("it is read again when it is asked for")]
    NotAsked,
    /// The queues of a pattern are not known yet.
    #[error("the queues that match `{0}` are still being looked for")]
    Searching(Name),
    /// The answer did not come before the call had to be answered.
    #[error("Redis did not answer before the call's deadline")]
    Slow,
    /// A lower count was read, and was not confirmed before the call had to be answered.
    #[error("a lower count was read and is not confirmed yet")]
    Unconfirmed,
    /// A rate needs a past.
    #[error("the counter was not yet watched for the trigger's window")]
    NotWatched,
    /// What is told of jobs is known, and what the value is made of is not what the layout says.
    #[error("{0}")]
    Mismatch(LayoutMismatch),
    /// Redis could not be asked or did not answer.
    #[error("{0}")]
    Fault(Fault),
}

/// What may be said about a trigger.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// Read for this call, or known to be unchanged since.
    Fresh(Verdict),
    /// The last known value, held within the stale budget.
    Stale {
        /// The value.
        verdict: Verdict,
        /// How long ago it was last known to be true.
        age: Duration,
        /// Why there is no fresher one.
        why: Why,
    },
    /// Whether the workload should run is known, and the value is not.
    ActivityOnly {
        /// Whether it should.
        active: bool,
        /// Why there is no value.
        why: Why,
    },
    /// Nothing may be said.
    Unavailable(Why),
    /// What Redis holds is not what the layout says.
    LayoutMismatch(LayoutMismatch),
}

impl Observation {
    /// The verdict, if anything may be said.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        match self {
            Self::Fresh(verdict) | Self::Stale { verdict, .. } => Some(verdict),
            Self::ActivityOnly { .. } | Self::Unavailable(_) | Self::LayoutMismatch(_) => None,
        }
    }

    /// Whether the workload should run, if that may be said.
    #[must_use]
    pub fn active(&self) -> Option<bool> {
        match self {
            Self::ActivityOnly { active, .. } => Some(*active),
            Self::Fresh(verdict) | Self::Stale { verdict, .. } => Some(verdict.active),
            Self::Unavailable(_) | Self::LayoutMismatch(_) => None,
        }
    }

    /// Whether it is only true of what was read just now.
    #[must_use]
    pub fn is_of_now(&self) -> bool {
        match self {
            Self::Fresh(_) | Self::ActivityOnly { .. } | Self::LayoutMismatch(_) => true,
            Self::Stale { .. } | Self::Unavailable(_) => false,
        }
    }

    /// Whether a stream that was told this need not be told the other: the age of a held value is
    /// no news.
    #[must_use]
    pub fn is_same_news(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Stale { verdict: one, .. }, Self::Stale { verdict: other, .. }) => one == other,
            (one, other) => one == other,
        }
    }
}

/// What may be said about a trigger without asking for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// What.
    pub observation: Observation,
    /// Whether its counts are no bounds.
    pub is_exact: bool,
    /// How long a job runs, where that was measured or is given.
    pub task_time: Option<Duration>,
}

/// The last value that was known, and until when it was known to be true.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeldVerdict {
    pub verdict: Verdict,
    /// When the newest of the answers that it was made of was read.
    pub read_at: Instant,
    /// The last moment at which it was known to be true.
    pub valid_until: Instant,
}

/// The stale policy: the last known value for as long as the budget lasts, then nothing. A value
/// never known has no budget.
#[must_use]
pub fn hold(held: Option<HeldVerdict>, why: Why, budget: Duration, now: Instant) -> Observation {
    let Some(held) = held else { return Observation::Unavailable(why) };
    let age = now.saturating_duration_since(held.valid_until);
    if age <= budget {
        Observation::Stale { verdict: held.verdict, age, why }
    } else {
        Observation::Unavailable(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layouts::{Counts, Measure};

    fn held(valid_until: Instant) -> HeldVerdict {
        let counts = Counts::default().with(Measure::Waiting, 7);
        let verdict = Verdict { value: 7.into(), active: true, counts };
        HeldVerdict { verdict, read_at: valid_until, valid_until }
    }

    #[test]
    fn the_last_known_value_is_held_for_the_budget_and_not_longer() {
        let start = Instant::now();
        let budget = Duration::from_secs(30);
        let at = |s| hold(Some(held(start)), Why::Slow, budget, start + Duration::from_secs(s));
        assert!(matches!(at(30), Observation::Stale { verdict, .. } if verdict.active));
        assert_eq!(at(31), Observation::Unavailable(Why::Slow));
    }

    #[test]
    fn a_value_never_known_has_no_budget() {
        let observation = hold(None, Why::NotYetRead, Duration::MAX, Instant::now());
        assert_eq!(observation, Observation::Unavailable(Why::NotYetRead));
    }
}
