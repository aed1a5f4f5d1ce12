//! The closed set of questions that a layout may put to Redis.
//!
//! It is the contract between layouts, the cache and the Redis side: a read is data, equal reads are one read,
//! and a read names every key it touches.

pub(in crate::layouts) mod answer;
pub(in crate::layouts) mod heartbeats;
pub(in crate::layouts) mod kind;
pub(in crate::layouts) mod member_key;
pub(in crate::layouts) mod per_member;

use std::{fmt, sync::Arc, time::Duration};

use self::{heartbeats::Heartbeats, kind::Kind, member_key::MemberKey, per_member::PerMember};
use super::name::Name;

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

/// Which members of a sorted set count. Every member of any other type always counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Members {
    /// All of them.
    All,
    /// All of them, of a key that always has this type in its framework.
    AllOf(Kind),
    /// Those whose score has come: score ≤ now + slack.
    Due(Scores),
    /// Those whose score is still to come: score > now - slack.
    Leased(Scores),
}

/// What makes a flag stand.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Test {
    /// The key exists, whatever it holds.
    Exists,
    /// The hash has this field.
    Field(Name),
    /// The set has this member.
    Member(Name),
    /// The string is this one.
    Value(Name),
}

/// One question to Redis.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Read {
    /// How much a key holds: the length of a list, set, sorted set, hash or stream, or the number
    /// in a string. The type is detected.
    Size {
        /// The key.
        key: Name,
        /// Which members of a sorted set count.
        members: Members,
    },
    /// What a consumer group of a stream has not been given yet, and what it has not acknowledged.
    Group {
        /// The stream.
        key: Name,
        /// The consumer group.
        group: Name,
    },
    /// How many of the entries that a consumer group has not acknowledged were neither delivered nor
    /// claimed for so long.
    Idle {
        /// The stream.
        key: Name,
        /// The consumer group.
        group: Name,
        /// For how long, to the millisecond.
        after: Duration,
    },
    /// Whether something is so.
    Flag {
        /// The key.
        key: Name,
        /// What is asked of it.
        test: Test,
    },
    /// What each member of a collection has.
    PerMember(Arc<PerMember>),
    /// What workers say on channels. No command asks for it: it is listened to.
    Heartbeats(Heartbeats),
}

impl Read {
    /// The key whose changes are announced for it. (What the members of a collection have is read
    /// again every second while there are members.) What is heard has its first channel's name for
    /// one.
    #[must_use]
    pub fn keys(&self) -> [&Name; 1] {
        match self {
            Self::Size { key, .. }
            | Self::Group { key, .. }
            | Self::Idle { key, .. }
            | Self::Flag { key, .. } => [key],
            Self::PerMember(each) => [&each.collection],
            Self::Heartbeats(heartbeats) => [&heartbeats.format.key],
        }
    }

    /// The names of the keys that a caller must be allowed to read, and of the channels if the database is
    /// given.
    #[must_use]
    pub fn touches(&self, database: Option<u32>) -> Vec<Name> {
        match self {
            Self::Heartbeats(heartbeats) => {
                let format = &heartbeats.format;
                let channels = database.into_iter().flat_map(|number| format.channels(number));
                channels.chain(format.roll().map(|roll| roll.collection.clone())).collect()
            }
            Self::Size { .. }
            | Self::Group { .. }
            | Self::Idle { .. }
            | Self::Flag { .. }
            | Self::PerMember(_) => self.keys().into_iter().cloned().collect(),
        }
    }

    /// What stands around a member of its collection in the key that it reads for that too.
    #[must_use]
    pub fn member_key(&self) -> Option<&MemberKey> {
        match self {
            Self::PerMember(each) => each.member_key(),
            Self::Size { .. }
            | Self::Group { .. }
            | Self::Idle { .. }
            | Self::Flag { .. }
            | Self::Heartbeats(_) => None,
        }
    }

    /// Whether the answer changes by Redis's time passing alone.
    #[must_use]
    pub fn depends_on_time(&self) -> bool {
        match self {
            Self::Size { members, .. } => !matches!(members, Members::All | Members::AllOf(_)),
            // How long an entry is idle is looked at every second, as all of a group that has any.
            Self::Group { .. }
            | Self::Idle { .. }
            | Self::Flag { .. }
            | Self::PerMember(_)
            | Self::Heartbeats(_) => false,
        }
    }
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { key, members: Members::All | Members::AllOf(_) } => {
                write!(f, "size of `{key}`")
            }
            Self::Size { key, members: Members::Due(_) } => write!(f, "due in `{key}`"),
            Self::Size { key, members: Members::Leased(_) } => write!(f, "leased in `{key}`"),
            Self::Group { key, group } => write!(f, "group `{group}` of `{key}`"),
            Self::Idle { key, group, after } => {
                write!(f, "idle for {after:?} in group `{group}` of `{key}`")
            }
            Self::PerMember(each) => each.fmt(f),
            Self::Heartbeats(heartbeats) => heartbeats.fmt(f),
            Self::Flag { key, test: Test::Exists } => write!(f, "`{key}` exists"),
            Self::Flag { key, test: Test::Field(field) } => write!(f, "`{key}` has `{field}`"),
            Self::Flag { key, test: Test::Member(member) } => write!(f, "`{key}` has `{member}`"),
            Self::Flag { key, test: Test::Value(value) } => write!(f, "`{key}` is `{value}`"),
        }
    }
}
