//! What the Redis side has to know of each kind of read: whoever adds one decides all of it.

use std::time::Duration;

use deadpool_redis::redis::Cmd;

use crate::{
    layouts::{Answer, Name},
    sampling::{Fault, Validity},
};

use super::{
    super::wire::Response, encode::KeyType, known_types::KnownTypes,
    member_questions::MemberQuestions, progress::Progress,
};

/// How a read is asked.
pub(in crate::redis) trait Asked {
    /// The first command, if the key is of this type. It only reads, its reply is small, and it goes out with
    /// those of the whole batch. `now` is Redis's own time.
    fn question(&self, key_type: KeyType, now: Duration) -> Cmd;

    /// What the reply to the first command makes of it.
    ///
    /// # Errors
    /// [`Fault`] for a reply that it cannot have.
    fn first(&self, first: First<'_>) -> Result<Progress, Fault>;

    /// How it takes part in the transaction of its trigger.
    fn together(&self) -> Together;

    /// The commands that it takes, whatever type its key turns out to have.
    fn rights(&self) -> Vec<&'static str>;

    /// What one refresh costs Redis; `None` if no command asks for it.
    fn cost(&self) -> Option<Cost>;

    /// The type that its key is taken for until Redis says that it is another.
    fn guess(&self, _types: &KnownTypes) -> KeyType {
        KeyType::Other
    }

    /// Whether a reply says that the key's type was guessed wrongly.
    fn is_mistaken(&self, _guess: KeyType, _reply: &Response) -> bool {
        false
    }

    /// The stream whose groups its first command lists. Reads that follow one another share that.
    fn groups_of(&self) -> Option<&Name> {
        None
    }

    /// The stream whose length is asked after the first commands of the batch.
    fn length_of(&self) -> Option<&Name> {
        None
    }

    /// Asks when time alone will change the answer, if the key is of this type and it does.
    fn next_change(&self, _key_type: KeyType, _now: Duration) -> Option<Cmd> {
        None
    }

    /// How long the answer lasts, by the reply to [`Asked::next_change`].
    fn lasts(&self, _reply: &Response, _now: Duration) -> Validity {
        Validity::Unknown
    }

    /// Whether this answer of it may change without an announcement.
    fn changes_silently(&self, answer: &Answer) -> bool {
        answer.changes_silently()
    }
}

/// The reply to the first command of a read.
pub(in crate::redis) struct First<'a> {
    pub(in crate::redis) reply: &'a Response,
    /// The type that the key was taken for.
    pub(in crate::redis) guess: KeyType,
    /// Redis's own time, where the read depends on it.
    pub(in crate::redis) now: Duration,
    /// The reply to the question of [`Asked::length_of`].
    pub(in crate::redis) length: Option<&'a Response>,
    /// What is asked of members by all reads of the batch.
    pub(in crate::redis) members: &'a mut MemberQuestions,
}

/// How a read takes part in the transaction of its trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redis) enum Together {
    /// The first reply is the answer, or the moment of the answer.
    Whole,
    /// The first reply is only a part of the answer. It is in the transaction if no other trigger asks it.
    Begins,
    /// No job moves through it, or more replies are needed than one.
    Apart,
}

/// What one refresh of a read costs Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Commands, whatever is in its key.
    pub commands: usize,
    /// Which others there are at times.
    pub more: Option<&'static str>,
}
