//! How many of the entries that a consumer group has not acknowledged were neither delivered nor claimed for
//! so long.

use std::{fmt, time::Duration};

use super::{
    super::{bytes::bytes_of_texts, count::Count, name::Name},
    contract::{AnswerKind, CountedRead, KeyRole, ReadKind},
    doubt::{Bias, Doubt},
    mismatch::LayoutMismatch,
};

/// The idle entries of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Idle {
    /// The stream.
    pub key: Name,
    /// The consumer group.
    pub group: Name,
    /// For how long they are idle, to the millisecond.
    pub after: Duration,
}

/// The idle entries, or that the stream has no such group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdleAnswer {
    /// The group is there.
    Entries {
        /// How many are idle.
        entries: u64,
        /// Whether the group has anything to give or pending: only then can there come to be others.
        busy: bool,
        /// How many more are pending that were not looked at.
        overflow: u64,
    },
    /// The stream exists and has no such group.
    MissingGroup {
        /// Entries in the stream (XLEN).
        entries: u64,
    },
}

impl ReadKind for Idle {
    fn key(&self) -> &Name {
        &self.key
    }

    /// How long an entry is idle is looked at every second, as all of a group that has any.
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

impl CountedRead for Idle {
    type Part = ();
    type Answer = IdleAnswer;

    fn count(&self, (): (), answer: &IdleAnswer) -> Result<Count, LayoutMismatch> {
        Ok(match answer {
            IdleAnswer::Entries { entries, .. } => Count::from(*entries),
            // A group that is not there was given nothing.
            IdleAnswer::MissingGroup { .. } => Count::ZERO,
        })
    }

    fn doubts(&self, (): (), answer: &IdleAnswer) -> Vec<(Bias, Doubt)> {
        match answer {
            IdleAnswer::Entries { overflow: overflow @ 1.., .. } => {
                vec![(Bias::Low, Doubt::NotIdle(self.key.clone(), *overflow))]
            }
            IdleAnswer::Entries { .. } | IdleAnswer::MissingGroup { .. } => vec![],
        }
    }
}

impl AnswerKind for IdleAnswer {
    fn counts_nothing(&self) -> bool {
        match self {
            Self::Entries { busy, .. } => !busy,
            Self::MissingGroup { entries } => *entries == 0,
        }
    }

    fn shows_a_key(&self) -> bool {
        true
    }

    /// As those of its group: see [`super::group`].
    fn changes_silently(&self) -> bool {
        match self {
            Self::Entries { busy, .. } => *busy,
            Self::MissingGroup { .. } => true,
        }
    }

    fn is_exact(&self) -> bool {
        match self {
            Self::Entries { overflow, .. } => *overflow == 0,
            Self::MissingGroup { .. } => true,
        }
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "idle for {:?} in group `{}` of `{}`", self.after, self.group, self.key)
    }
}
