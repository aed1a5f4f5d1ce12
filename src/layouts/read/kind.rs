//! The types that a key of Redis can have.

use serde::Deserialize;

/// The Redis type of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A list.
    List,
    /// A set.
    Set,
    /// A sorted set.
    SortedSet,
    /// A hash.
    Hash,
    /// A stream.
    Stream,
    /// A string.
    String,
}

impl Kind {
    /// Its name in Redis, alone in a list.
    #[must_use]
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::List => &["list"],
            Self::Set => &["set"],
            Self::SortedSet => &["zset"],
            Self::Hash => &["hash"],
            Self::Stream => &["stream"],
            Self::String => &["string"],
        }
    }

    /// It with its article, for people.
    #[must_use]
    pub fn described(self) -> &'static str {
        match self {
            Self::List => "a list",
            Self::Set => "a set",
            Self::SortedSet => "a zset",
            Self::Hash => "a hash",
            Self::Stream => "a stream",
            Self::String => "a string",
        }
    }

    /// Its name in Redis.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
            Self::String => "string",
        }
    }
}
