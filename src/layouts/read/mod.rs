//! The closed set of questions that a layout may put to Redis.
//!
//! It is the contract between layouts, the cache and the Redis side: a read is data, equal reads are one read,
//! and a read names every key it touches.
//!
//! # Adding a read
//! 1. Write `NAME.rs` here: the question, what is answered, what an answer counts and how exact it is. Add a
//!    line to `reads!` below.
//! 2. Write `redis/reads/kinds/NAME.rs`: its commands, their replies, the rights and what they cost. Add a line
//!    to the `match` in `redis/reads/kinds/mod.rs`.
//! 3. If layouts write it as TOML, its words are a file in `layouts/definition/question/` and a line there.
//! 4. Describe it in `docs/own-layouts.md`, and let the fuzz target `replies` read it too.

pub(in crate::layouts) mod contract;
pub(in crate::layouts) mod doubt;
pub(in crate::layouts) mod flag;
pub(in crate::layouts) mod group;
pub(in crate::layouts) mod heartbeats;
pub(in crate::layouts) mod idle;
pub(in crate::layouts) mod kind;
pub(in crate::layouts) mod member_key;
pub(in crate::layouts) mod mismatch;
pub(in crate::layouts) mod number;
pub(in crate::layouts) mod oldest;
pub(in crate::layouts) mod per_member;
pub(in crate::layouts) mod scores;
pub(in crate::layouts) mod size;

use std::{fmt, sync::Arc};

use self::{
    contract::{AnswerKind, CountedRead, KeyRole, ReadKind},
    doubt::{Bias, Doubt},
    flag::Flag,
    group::{Group, GroupAnswer, GroupPart},
    heartbeats::{Heartbeats, HeartbeatsAnswer, HeartbeatsPart},
    idle::{Idle, IdleAnswer},
    member_key::MemberKey,
    mismatch::LayoutMismatch,
    number::{MissingNumber, Number, NumberAnswer},
    oldest::{Oldest, OldestAnswer},
    per_member::{Overflow, PerMember, PerMemberAnswer},
    size::{Size, SizeAnswer},
};
use super::{count::Count, name::Name};

/// Three enums from one list: the questions, the parts of their answers, and the answers.
macro_rules! reads {
    ($($(#[$doc:meta])+ $name:ident { read: $read:ty, part: $part:ty, answer: $answer:ty })+) => {
        /// One question to Redis.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Read {
            $($(#[$doc])+ $name($read),)+
        }

        /// Which part of an answer counts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Part {
            $($(#[$doc])+ $name($part),)+
        }

        /// What Redis said to one [`Read`]. Missing, wrong type and missing group are variants, never numbers,
        /// so that they cannot be added up by accident.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Answer {
            /// The key does not exist. Redis deletes a collection with its last member.
            Missing,
            /// The key holds another type than the read can count.
            WrongType(String),
            $($(#[$doc])+ $name($answer),)+
        }

        impl Read {
            fn kind(&self) -> &dyn ReadKind {
                match self { $(Self::$name(read) => read,)+ }
            }

            /// What one part of an answer counts. Every pair is decided: nothing falls through to 0.
            ///
            /// # Errors
            /// [`LayoutMismatch`] when what Redis holds is not what is counted.
            pub(in crate::layouts) fn count(
                &self,
                part: Part,
                answer: &Answer,
            ) -> Result<Count, LayoutMismatch> {
                match (self, part, answer) {
                    (_, _, Answer::WrongType(found)) => Err(self.wrong_type(found)),
                    $((Self::$name(read), Part::$name(part), Answer::$name(answer)) => {
                        read.count(part, answer)
                    })+
                    $((Self::$name(read), Part::$name(part), Answer::Missing) => {
                        read.missing(part)
                    })+
                    // The part or the answer of another read, which nothing mixes up.
                    (_, _, Answer::Missing $(| Answer::$name(_))+) => Err(self.wrong_type("of another read")),
                }
            }

            /// A part of what it asks for, for people.
            #[must_use]
            pub fn describe(&self, part: Part) -> String {
                match (self, part) {
                    $((Self::$name(read), Part::$name(part)) => read.describe(part),)+
                    (_, $(Part::$name(_))|+) => self.to_string(),
                }
            }

            /// Why this part of an answer is not exact.
            pub(in crate::layouts) fn doubts(
                &self,
                part: Part,
                answer: &Answer,
            ) -> Vec<(Bias, Doubt)> {
                match (self, part, answer) {
                    $((Self::$name(read), Part::$name(part), Answer::$name(answer)) => {
                        read.doubts(part, answer)
                    })+
                    (_, _, Answer::Missing | Answer::WrongType(_) $(| Answer::$name(_))+) => vec![],
                }
            }
        }

        impl Answer {
            /// What was said of a key that is there and of a type that the read can count.
            fn kind(&self) -> Option<&dyn AnswerKind> {
                match self {
                    Self::Missing | Self::WrongType(_) => None,
                    $(Self::$name(answer) => Some(answer),)+
                }
            }
        }
    };
}

reads! {
    /// How much a key holds.
    Size { read: Size, part: (), answer: SizeAnswer }
    /// The number in a string.
    Number { read: Number, part: MissingNumber, answer: NumberAnswer }
    /// When the job became ready that has waited longest.
    Oldest { read: Arc<Oldest>, part: (), answer: OldestAnswer }
    /// What a consumer group of a stream has not been given yet, and what it has not acknowledged.
    Group { read: Group, part: GroupPart, answer: GroupAnswer }
    /// How many of the entries that a consumer group has not acknowledged are idle.
    Idle { read: Idle, part: (), answer: IdleAnswer }
    /// Whether something is so.
    Flag { read: Flag, part: (), answer: bool }
    /// What each member of a collection has.
    PerMember { read: Arc<PerMember>, part: Overflow, answer: PerMemberAnswer }
    /// What workers say on channels. No command asks for it: it is listened to.
    Heartbeats { read: Heartbeats, part: HeartbeatsPart, answer: HeartbeatsAnswer }
}

impl Read {
    /// The key whose changes are announced for it. (What the members of a collection have is read
    /// again every second while there are members.) What is listened to has its first channel's name for one.
    #[must_use]
    pub fn key(&self) -> &Name {
        self.kind().key()
    }

    /// The names of the keys that a caller must be allowed to read, and of the channels if the database is
    /// given.
    #[must_use]
    pub fn touches(&self, database: Option<u32>) -> Vec<Name> {
        let keys = self.kind().keys().into_iter().cloned();
        database.into_iter().flat_map(|number| self.kind().channels(number)).chain(keys).collect()
    }

    /// The channels that it listens to, on this database.
    pub(in crate::layouts) fn channels(&self, database: u32) -> Vec<Name> {
        self.kind().channels(database)
    }

    /// What stands around a member of its collection in the key that it reads for that too.
    #[must_use]
    pub fn member_key(&self) -> Option<&MemberKey> {
        self.kind().member_key()
    }

    /// Whether the answer changes by Redis's time passing alone.
    #[must_use]
    pub fn depends_on_time(&self) -> bool {
        self.kind().depends_on_time()
    }

    /// What its key is to the queue that is counted.
    #[must_use]
    pub fn role(&self) -> KeyRole {
        self.kind().role()
    }

    /// About how many bytes it holds beside its own size.
    pub(in crate::layouts) fn footprint(&self) -> usize {
        self.kind().footprint()
    }

    fn wrong_type(&self, found: &str) -> LayoutMismatch {
        let (key, expected) = (self.key().clone(), self.kind().expected());
        LayoutMismatch::WrongType { key, found: found.to_owned(), expected }
    }
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)
    }
}

impl Answer {
    /// Whether it is sure that there is no job in it.
    #[must_use]
    pub fn counts_nothing(&self) -> bool {
        self.kind().map_or(*self == Self::Missing, AnswerKind::counts_nothing)
    }

    /// Whether it says that there is a key of a queue.
    #[must_use]
    pub fn shows_a_key(&self) -> bool {
        self.kind().map_or(*self != Self::Missing, AnswerKind::shows_a_key)
    }

    /// Whether the next change of it may come without an announcement by Redis.
    #[must_use]
    pub fn changes_silently(&self) -> bool {
        self.kind().is_some_and(AnswerKind::changes_silently)
    }

    /// Whether all that it says is exact.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.kind().is_none_or(AnswerKind::is_exact)
    }
}
