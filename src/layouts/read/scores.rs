//! How the scores of a sorted set tell a time.

use std::time::Duration;

/// The unit of a sorted set's scores, since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Nanoseconds (Machinery).
    Nanoseconds,
    /// Milliseconds × 4096, and a sequence number below (BullMQ and Bull).
    MillisecondsTimes4096,
}

/// How the scores of a sorted set are compared with the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scores {
    /// What they are written in.
    pub unit: Unit,
    /// By how much time the count is wider: due so long ahead, or leased until so long ago.
    pub slack: Duration,
}

impl From<Unit> for Scores {
    fn from(unit: Unit) -> Self {
        Self { unit, slack: Duration::ZERO }
    }
}
