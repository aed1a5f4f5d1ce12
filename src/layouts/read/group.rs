//! What a consumer group of a stream has not been given yet, and what it has not acknowledged.

use std::fmt;

use super::{
    super::{bytes::bytes_of_texts, count::Count, name::Name},
    contract::{AnswerKind, CountedRead, KeyRole, ReadKind},
    doubt::{Bias, Doubt},
    mismatch::LayoutMismatch,
};

/// A consumer group as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group {
    /// The stream.
    pub key: Name,
    /// The consumer group.
    pub group: Name,
}

/// What of a group counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupPart {
    /// What it has not been given yet.
    Waiting(MissingGroup),
    /// What it was given and has not acknowledged.
    Pending(MissingGroup),
}

/// What a stream without the group means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MissingGroup {
    /// The workers will create it at 0: every entry waits. KEDA 2.20 counts the same way for
    /// `lagCount` (`pkg/scalers/redis_streams_scaler.go`).
    All,
    /// The workers will create it at `$`: nothing waits.
    Nothing,
    /// The trigger's value is unknown.
    Unknown,
}

/// The state of a group, or that the stream has none of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupAnswer {
    /// The group is there.
    State {
        /// Entries that no consumer was given yet.
        waiting: Waiting,
        /// Entries that were given to a consumer and not acknowledged.
        pending: u64,
    },
    /// The stream exists and has no such group.
    Missing {
        /// Entries in the stream (XLEN).
        entries: u64,
    },
}

/// How many entries a group still has to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// As the ids in the stream say. Redis's own lag is no answer: it is wrong after trimming.
    Exact(u64),
    /// An upper bound, where more entries follow than are counted one by one: the lag where that is one, or
    /// the length of the stream.
    AtMost(u64),
}

impl Waiting {
    /// The entries to plan for. The bound is used as it is: too many costs a worker for a while,
    /// too few leaves jobs behind.
    #[must_use]
    pub fn entries(self) -> u64 {
        match self {
            Self::Exact(entries) | Self::AtMost(entries) => entries,
        }
    }
}

impl ReadKind for Group {
    fn key(&self) -> &Name {
        &self.key
    }

    fn depends_on_time(&self) -> bool {
        false
    }

    fn role(&self) -> KeyRole {
        KeyRole::OfQueue
    }

    fn expected(&self) -> &'static str {
        "a stream"
    }

    fn footprint(&self) -> usize {
        bytes_of_texts([&self.key, &self.group])
    }
}

impl CountedRead for Group {
    type Part = GroupPart;
    type Answer = GroupAnswer;

    fn count(&self, part: GroupPart, answer: &GroupAnswer) -> Result<Count, LayoutMismatch> {
        use GroupPart::{Pending, Waiting};
        let entries = match (part, answer) {
            (Waiting(_), GroupAnswer::State { waiting, .. }) => waiting.entries(),
            (Pending(_), GroupAnswer::State { pending, .. }) => *pending,
            (Waiting(MissingGroup::All), GroupAnswer::Missing { entries }) => *entries,
            (
                Waiting(MissingGroup::Nothing) | Pending(MissingGroup::All | MissingGroup::Nothing),
                GroupAnswer::Missing { .. },
            ) => 0,
            (
                Waiting(MissingGroup::Unknown) | Pending(MissingGroup::Unknown),
                GroupAnswer::Missing { .. },
            ) => {
                let (key, group) = (self.key.clone(), self.group.clone());
                return Err(LayoutMismatch::MissingGroup { key, group });
            }
        };
        Ok(Count::from(entries))
    }

    fn describe(&self, part: GroupPart) -> String {
        match part {
            GroupPart::Waiting(_) => format!("undelivered of {self}"),
            GroupPart::Pending(_) => format!("pending of {self}"),
        }
    }

    fn doubts(&self, part: GroupPart, answer: &GroupAnswer) -> Vec<(Bias, Doubt)> {
        match part {
            GroupPart::Waiting(_) if !answer.is_exact() => {
                vec![(Bias::High, Doubt::Uncounted(self.key.clone()))]
            }
            GroupPart::Waiting(_) | GroupPart::Pending(_) => vec![],
        }
    }
}

impl AnswerKind for GroupAnswer {
    fn counts_nothing(&self) -> bool {
        match self {
            Self::State { waiting, pending } => waiting.entries() == 0 && *pending == 0,
            Self::Missing { entries } => *entries == 0,
        }
    }

    fn shows_a_key(&self) -> bool {
        true
    }

    /// XREADGROUP, XACK and XGROUP announce nothing; XADD does, so that a group with nothing to give and
    /// nothing pending changes only by it (measured on Redis 7.0 and Valkey 9.1).
    fn changes_silently(&self) -> bool {
        match self {
            Self::State { waiting, pending } => waiting.entries() > 0 || *pending > 0,
            Self::Missing { .. } => true,
        }
    }

    fn is_exact(&self) -> bool {
        match self {
            Self::State { waiting, .. } => matches!(waiting, Waiting::Exact(_)),
            Self::Missing { .. } => true,
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group `{}` of `{}`", self.group, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layouts::{Answer, SizeAnswer};

    #[test]
    fn only_an_idle_group_is_announced() {
        let silent = |waiting, pending| {
            GroupAnswer::State { waiting: Waiting::Exact(waiting), pending }.changes_silently()
        };
        assert!(!silent(0, 0));
        assert!(silent(1, 0) && silent(0, 1));
        assert!(GroupAnswer::Missing { entries: 0 }.changes_silently());
        assert!(!SizeAnswer::Members(7).changes_silently() && !Answer::Missing.changes_silently());
    }
}
