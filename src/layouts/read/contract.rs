//! What every read has to say of itself and of its answers: whoever adds one decides all of it.

use std::fmt;

use super::{
    super::{count::Count, name::Name},
    doubt::{Bias, Doubt},
    member_key::MemberKey,
    mismatch::LayoutMismatch,
};

/// A question to Redis. It is data, and names every key that it touches.
pub(in crate::layouts) trait ReadKind: fmt::Display {
    /// The key whose changes are announced for it; the first channel of what is listened to.
    fn key(&self) -> &Name;

    /// The keys that it reads and whose names are known before: its own alone, where it does not say more.
    fn keys(&self) -> Vec<&Name> {
        vec![self.key()]
    }

    /// The channels that it listens to, on this database.
    fn channels(&self, _: u32) -> Vec<Name> {
        vec![]
    }

    /// The key that it reads for each member of a collection.
    fn member_key(&self) -> Option<&MemberKey> {
        None
    }

    /// Whether the answer changes by Redis's time passing alone.
    fn depends_on_time(&self) -> bool;

    /// What of a queue its key is.
    fn role(&self) -> KeyRole;

    /// The types of keys that it can count, for people.
    fn expected(&self) -> &'static str;

    /// About how many bytes it holds beside its own size.
    fn footprint(&self) -> usize;
}

/// What the key of a read is to the queue that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRole {
    /// The queue's own: jobs are in it, and move through it.
    OfQueue,
    /// Often one for all queues: jobs move through it.
    Shared,
    /// A sign beside the queue: no job moves through it.
    Sign,
    /// A number that somebody keeps: no job moves through it, and it may not exist for long.
    Number,
}

/// How a read counts its answers.
pub(in crate::layouts) trait CountedRead: ReadKind {
    /// The parts of an answer that can count.
    type Part: Copy;
    /// What Redis says of a key that is there and of a type that the read can count.
    type Answer: AnswerKind;

    /// What one part of an answer counts. Nothing that is unknown may become a number here.
    ///
    /// # Errors
    /// [`LayoutMismatch`] when what Redis holds is not what is counted.
    fn count(&self, part: Self::Part, answer: &Self::Answer) -> Result<Count, LayoutMismatch>;

    /// What a part counts where there is no key. Redis deletes a collection with its last member.
    ///
    /// # Errors
    /// [`LayoutMismatch`] when that says nothing.
    fn missing(&self, _: Self::Part) -> Result<Count, LayoutMismatch> {
        Ok(Count::ZERO)
    }

    /// A part of what it asks for, for people.
    fn describe(&self, _: Self::Part) -> String {
        self.to_string()
    }

    /// Why this part of an answer is not exact.
    fn doubts(&self, part: Self::Part, answer: &Self::Answer) -> Vec<(Bias, Doubt)>;
}

/// What Redis said to a read.
pub(in crate::layouts) trait AnswerKind {
    /// Whether it is sure that there is no job in it.
    fn counts_nothing(&self) -> bool;

    /// Whether it says that there is a key of a queue. Redis says 0 of a collection that does not exist,
    /// and keeps none without members.
    fn shows_a_key(&self) -> bool;

    /// Whether the next change of it may come without an announcement by Redis.
    fn changes_silently(&self) -> bool;

    /// Whether all that it says is exact.
    fn is_exact(&self) -> bool;
}
