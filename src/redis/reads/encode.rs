//! Commands that are no read's own. All of them only read, and all are tracked by Redis. Their replies are small,
//! except for pages of stream entries, which are bounded by their bytes.

use deadpool_redis::redis::{self, Cmd};

use crate::layouts::{Kind, Name};

use super::stream_id::StreamId;

/// The type of a key, as far as it decides which command counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::redis) enum KeyType {
    /// A list. Most queues are, so a key of unknown type is taken for one first.
    #[default]
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
    Text,
    /// A type of a module, or of a newer Redis.
    Other,
}

impl From<Kind> for KeyType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::List => Self::List,
            Kind::Set => Self::Set,
            Kind::SortedSet => Self::SortedSet,
            Kind::Hash => Self::Hash,
            Kind::Stream => Self::Stream,
            Kind::String => Self::Text,
        }
    }
}

impl KeyType {
    /// The type by the name that TYPE replies; `None` for a missing key.
    pub(in crate::redis) fn named(name: &str) -> Option<Self> {
        match name {
            "none" => None,
            "list" => Some(Self::List),
            "set" => Some(Self::Set),
            "zset" => Some(Self::SortedSet),
            "hash" => Some(Self::Hash),
            "stream" => Some(Self::Stream),
            "string" => Some(Self::Text),
            _ => Some(Self::Other),
        }
    }
}

/// TIME
pub(in crate::redis) fn time() -> Cmd {
    redis::cmd("TIME")
}

/// TYPE key
pub(in crate::redis) fn type_of(key: &Name) -> Cmd {
    of_key("TYPE", &[], key)
}

/// EXISTS key
pub(in crate::redis) fn exists(key: &Name) -> Cmd {
    of_key("EXISTS", &[], key)
}

/// XLEN key
pub(in crate::redis) fn length(key: &Name) -> Cmd {
    of_key("XLEN", &[], key)
}

/// XRANGE key from + COUNT n: the entries from an id on, one page.
pub(in crate::redis) fn entries_from(key: &Name, from: StreamId, count: u64) -> Cmd {
    let mut command = of_key("XRANGE", &[], key);
    command.arg(from.to_string()).arg("+").arg("COUNT").arg(count);
    command
}

/// XRANGE key - until COUNT 1: the first entry of a stream, if its id is none after this one.
pub(in crate::redis) fn first_entry_until(key: &Name, until: StreamId) -> Cmd {
    let mut command = of_key("XRANGE", &[], key);
    command.arg("-").arg(until.to_string()).arg("COUNT").arg(1);
    command
}

/// A command about a key.
pub(in crate::redis) fn of_key(command: &str, words: &[&str], key: &Name) -> Cmd {
    let mut command = redis::cmd(command);
    for word in words {
        command.arg(word);
    }
    command.arg(key.as_bytes());
    command
}
