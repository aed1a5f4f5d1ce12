//! How much one link remembers, as the metrics show it.

/// What the sampler of one link remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// Triggers.
    pub triggers: usize,
    /// Those whose work in flight is in no key.
    pub not_visible: usize,
    /// Those of which a count is known to be no more than a bound.
    pub not_exact: usize,
    /// The distinct questions of all of them.
    pub questions: usize,
    /// Searches for the queues of patterns.
    pub searches: usize,
    /// Queues that they found.
    pub queues_found: usize,
    /// Triggers of which a queue is left out since the rule `keys` does not include it.
    pub leaving_out: usize,
    /// Triggers of which no key was ever there, for long enough to be told.
    pub never_seen: usize,
}
