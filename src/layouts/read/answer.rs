//! The typed replies to reads. Missing, wrong type and missing group are variants here, never numbers, so they
//! cannot be added up by accident.

use super::super::name::Name;

/// What Redis said to one [`Read`](super::Read).
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The key does not exist. Redis deletes a collection with its last member.
    Missing,
    /// Members of a list, set, sorted set, hash or stream.
    Size(u64),
    /// The number in a string: finite, at least 0.
    Number(f64),
    /// A string that holds no such number.
    NotANumber,
    /// The key holds another type than the read can count.
    WrongType(String),
    /// A consumer group as it stands.
    Group(Group),
    /// Entries of a consumer group that are idle.
    Idle {
        /// How many.
        entries: u64,
        /// Whether the group has anything to give or pending: only then can there come to be others.
        busy: bool,
        /// How many more are pending that were not looked at.
        overflow: u64,
    },
    /// The stream exists and has no such group; it holds this many entries.
    MissingGroup {
        /// Entries in the stream (XLEN).
        entries: u64,
    },
    /// Whether a flag stands.
    Flag(bool),
    /// What the members of a collection have.
    PerMember {
        /// What counts, of those that were looked at.
        counted: u64,
        /// How many members were looked at.
        examined: u64,
        /// How many more members there are.
        overflow: u64,
        /// How many of what counts do not tell their queue, so that they count for every trigger.
        unsure: u64,
    },
    /// What workers say.
    Heartbeats {
        /// How many jobs they have begun.
        jobs: u64,
        /// How many workers do not name their queues, where those are what counts: theirs are not in it.
        nameless: u64,
        /// How many workers are silent and are taken to run something: that is in it.
        silent: u64,
    },
}

impl Answer {
    /// Whether it is sure that there is no job in it.
    #[must_use]
    pub fn counts_nothing(&self) -> bool {
        match self {
            Self::Missing | Self::Size(0) | Self::MissingGroup { entries: 0 } | Self::Flag(_) => {
                true
            }
            Self::Group(group) => group.waiting.entries() == 0 && group.pending == 0,
            Self::PerMember { counted, overflow, .. } => *counted == 0 && *overflow == 0,
            Self::Number(number) => *number == 0.0,
            Self::Heartbeats { jobs, .. } => *jobs == 0,
            Self::Idle { busy, .. } => !busy,
            Self::Size(_) | Self::MissingGroup { .. } | Self::NotANumber | Self::WrongType(_) => {
                false
            }
        }
    }

    /// Whether it says that there is a key of a queue. Redis says 0 of a collection that does not exist, and
    /// keeps none without members. What is asked of each member of a collection is often one key for all
    /// queues, so that only what counts says anything.
    #[must_use]
    pub fn shows_a_key(&self) -> bool {
        match self {
            Self::Missing | Self::Flag(_) => false,
            Self::PerMember { counted, .. } => *counted > 0,
            Self::Heartbeats { jobs, .. } => *jobs > 0,
            Self::Size(members) => *members > 0,
            Self::Number(_)
            | Self::NotANumber
            | Self::WrongType(_)
            | Self::Group(_)
            | Self::Idle { .. }
            | Self::MissingGroup { .. } => true,
        }
    }

    /// Whether the next change of it may come without an announcement by Redis. XREADGROUP, XACK
    /// and XGROUP announce nothing; XADD does, so that a group with nothing to give and nothing
    /// pending changes only by it (measured on Redis 7.0 and Valkey 9.1).
    #[must_use]
    pub fn changes_silently(&self) -> bool {
        match self {
            Self::Group(group) => group.waiting.entries() > 0 || group.pending > 0,
            Self::Idle { busy, .. } => *busy,
            Self::MissingGroup { .. } => true,
            // A member's own key is none whose changes are waited for.
            Self::PerMember { examined, .. } => *examined > 0,
            Self::Missing
            | Self::Size(_)
            | Self::Number(_)
            | Self::NotANumber
            | Self::WrongType(_)
            | Self::Flag(_)
            | Self::Heartbeats { .. } => false,
        }
    }
}

/// The state of one consumer group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Entries that no consumer was given yet.
    pub waiting: Waiting,
    /// Entries that were given to a consumer and not acknowledged.
    pub pending: u64,
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

/// Why an answer counts nothing: what Redis holds is not what the layout says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutMismatch {
    /// The key's type cannot be counted by this layout.
    #[error("key `{key}` holds the Redis type {found}, expected {expected}")]
    WrongType {
        /// The key.
        key: Name,
        /// The type that Redis named.
        found: String,
        /// What the read can count.
        expected: &'static str,
    },
    /// The string is no plain decimal of at least 0.
    #[error("key `{key}` holds a string that is no plain decimal number of at least 0")]
    NotANumber {
        /// The key.
        key: Name,
    },
    /// There are too many members to look at each, and nothing can be said without.
    #[error("key `{key}` has {members} members, at most {most} are looked at")]
    TooMany {
        /// The key.
        key: Name,
        /// Its members.
        members: u64,
        /// How many may be.
        most: usize,
    },
    /// More queues match than one trigger may count, and a part of the sum is no sum.
    #[error("more than {most} queues or keys match `{pattern}`; name a narrower pattern")]
    TooManyQueues {
        /// The pattern.
        pattern: Name,
        /// How many may.
        most: usize,
    },
    /// The queues that match have more keys than their namespace may have, and a part of the sum is no
    /// sum.
    #[error(
        "namespace `{namespace}` is at its limit of {most} keys (setting \
         limits.keys_per_namespace), and the queues that match `{pattern}` have more"
    )]
    TooManyKeys {
        /// The pattern.
        pattern: Name,
        /// The namespace, cut and escaped.
        namespace: String,
        /// How many keys it may have.
        most: usize,
    },
    /// The consumer group does not exist and the trigger says not to guess.
    #[error("stream `{key}` has no consumer group `{group}`")]
    MissingGroup {
        /// The stream.
        key: Name,
        /// The group.
        group: Name,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_idle_group_is_announced() {
        let group = |waiting, pending| {
            Answer::Group(Group { waiting: Waiting::Exact(waiting), pending }).changes_silently()
        };
        assert!(!group(0, 0));
        assert!(group(1, 0) && group(0, 1));
        assert!(Answer::MissingGroup { entries: 0 }.changes_silently());
        assert!(!Answer::Missing.changes_silently() && !Answer::Size(7).changes_silently());
    }
}
