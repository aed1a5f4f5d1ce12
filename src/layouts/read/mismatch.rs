//! Why an answer counts nothing.

use super::super::name::Name;

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
    /// The string is no number that a gauge may have.
    #[error("key `{key}` holds a string that is no finite number of at least 0")]
    NoGauge {
        /// The key.
        key: Name,
    },
    /// There is no key, and the trigger says that this is unknown.
    #[error("there is no key `{key}`, and with missing=unknown that is no 0")]
    NoNumber {
        /// The key.
        key: Name,
    },
    /// No job of those that wait says since when it does.
    #[error("no job that was looked at in `{key}` says when it became ready: {remedy}")]
    NoStamp {
        /// The key.
        key: Name,
        /// What to do about it.
        remedy: Box<str>,
    },
    /// None of the jobs that were looked at is ready yet, and there are others behind them.
    #[error(
        "none of the jobs that were looked at in `{key}` is ready yet, and others stand behind them"
    )]
    NoneReady {
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
