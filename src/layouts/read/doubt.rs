//! Why an answer is no more than a bound.

use std::fmt;

use super::super::name::Name;

/// Which way a count may be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    /// It is an upper bound.
    High,
    /// It is a lower bound.
    Low,
}

/// Why a part of an answer is no more than a bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// Members of a collection are not looked at, and each counts.
    Unseen(Name, u64),
    /// Members of a collection are not looked at, and none counts in this state.
    LeftOut(Name, u64),
    /// Values do not tell which queue they belong to, and count for every trigger that reads them.
    Unsure(Name, u64),
    /// What a group has still to be given is not counted any further.
    Uncounted(Name),
    /// Pending entries are not looked at, and none of them counts as idle.
    NotIdle(Name, u64),
    /// Workers are silent, and are taken to run something.
    Silent(Name, u64),
    /// Workers do not name their queues, and what they run counts for none.
    Nameless(Name, u64),
}

impl Bias {
    /// That of what this is taken off.
    #[must_use]
    pub(in crate::layouts) fn turned(self) -> Self {
        match self {
            Self::High => Self::Low,
            Self::Low => Self::High,
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unseen(key, members) => {
                write!(f, "{members} members of `{key}` are not looked at, and each counts")
            }
            Self::LeftOut(key, members) => {
                write!(f, "{members} members of `{key}` are not looked at, and none counts here")
            }
            Self::Unsure(key, values) => write!(
                f,
                "{values} values of `{key}` do not tell their queue, and count for every trigger that reads it"
            ),
            Self::Uncounted(key) => {
                write!(f, "what the group of `{key}` has still to be given is not counted further")
            }
            Self::NotIdle(key, entries) => write!(
                f,
                "{entries} pending entries of `{key}` are not looked at, and none of them counts as idle"
            ),
            Self::Silent(key, workers) => {
                write!(f, "{workers} workers on `{key}` are silent, and are taken to run something")
            }
            Self::Nameless(key, workers) => write!(
                f,
                "{workers} workers on `{key}` do not name their queues, and what they run counts for none"
            ),
        }
    }
}
