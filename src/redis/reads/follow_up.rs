//! The reads of one batch on their way to their answers: what follows in a stream, a group that is missing, a
//! string that is empty, a type that must be named.

use std::time::Duration;

use deadpool_redis::redis::Cmd;

use crate::{
    layouts::{Answer, Read},
    sampling::Fault,
};

use super::{
    super::{error::few, wire::Response},
    asked::First,
    encode::KeyType,
    fields::KnownFields,
    kinds,
    known_tails::KnownTails,
    member_questions::MemberQuestions,
    progress::Progress,
};

/// The reads of one batch, each answered or with a question open.
#[derive(Debug, Default)]
pub(in crate::redis) struct FollowUps {
    reads: Vec<Progress>,
    shared: MemberQuestions,
}

impl FollowUps {
    /// Takes in the first reply to a read, and how long its stream is if it is of a group. Replies come in the
    /// order of the reads.
    pub(in crate::redis) fn first(
        &mut self,
        index: usize,
        read: &Read,
        (guess, now): (KeyType, Duration),
        reply: &Response,
        length: Option<&Response>,
    ) {
        debug_assert_eq!(index, self.reads.len(), "replies come in the order of the reads");
        let progress =
            kinds::of(read).first(First { reply, guess, now, length, members: &mut self.shared });
        self.reads.push(progress.unwrap_or_else(|fault| Progress::Done(Err(fault))));
    }

    /// Whether the answer to a read is of the moment of its first reply. What a group was given and what it
    /// was not is told by one reply, whatever is counted afterwards.
    pub(in crate::redis) fn is_of_one_moment(&self, index: usize) -> bool {
        self.reads[index].is_of_first_reply()
    }

    /// What is to be asked next for each read, and then for each question that reads share, whose members
    /// are in flight nearly always, so that they come last; `None` when every read has its answer.
    pub(in crate::redis) fn open(&self) -> Option<Vec<Vec<Cmd>>> {
        let is_open = |progress: &Progress| matches!(progress, Progress::Open(..));
        let is_any_open = self.reads.iter().any(is_open) || self.shared.is_open();
        let commands = || self.reads.iter().map(Progress::commands).chain(self.shared.commands());
        is_any_open.then(|| commands().collect())
    }

    /// Takes in the replies to what was asked, in its order.
    pub(in crate::redis) fn proceed(
        &mut self,
        asked: &[Vec<Cmd>],
        mut rest: &[Response],
        fields: &KnownFields,
        tails: &KnownTails,
    ) -> Result<(), Fault> {
        let mut asked = asked.iter();
        for (progress, commands) in std::mem::take(&mut self.reads).into_iter().zip(asked.by_ref())
        {
            let (replies, others) = rest.split_at_checked(commands.len()).ok_or_else(few)?;
            rest = others;
            self.reads.push(match progress {
                Progress::Open(question) => {
                    let next = question.proceed(replies, tails);
                    next.unwrap_or_else(|fault| Progress::Done(Err(fault)))
                }
                progress @ (Progress::Done(_) | Progress::Shared(_)) => progress,
            });
        }
        self.shared.proceed(asked, rest, fields)
    }

    /// What every read is answered. What is still open had no more time.
    pub(in crate::redis) fn into_answers(self, fields: &KnownFields) -> Vec<Result<Answer, Fault>> {
        let shared = self.shared.into_answers(fields);
        let done = |progress| match progress {
            Progress::Done(answer) => answer,
            Progress::Open(..) => Err(Fault::Timeout),
            Progress::Shared(place) => shared.at(place),
        };
        self.reads.into_iter().map(done).collect()
    }
}
