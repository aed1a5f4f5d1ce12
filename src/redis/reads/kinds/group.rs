//! A consumer group: XINFO GROUPS, the length of its stream, and the entries that follow the last delivered
//! one.

use std::time::Duration;

use deadpool_redis::redis::Cmd;

use crate::{
    layouts::{Answer, Group, GroupAnswer, Name},
    sampling::Fault,
};

use super::super::{
    super::{
        error::{fault, few},
        wire::Response,
    },
    asked::{Asked, Cost, First, Together},
    decode,
    encode::KeyType,
    group_row,
    known_tails::KnownTails,
    progress::{FollowUp, Progress},
    tail::{Tail, TailOutcome},
};

impl Asked for Group {
    fn question(&self, _: KeyType, _: Duration) -> Cmd {
        group_row::groups(&self.key)
    }

    fn first(&self, First { reply, length, .. }: First<'_>) -> Result<Progress, Fault> {
        let missing = |entries| Answer::Group(GroupAnswer::Missing { entries });
        let row = match group_row::row(&self.key, &self.group, reply, missing)? {
            Ok(row) => row,
            Err(progress) => return Ok(progress),
        };
        let length = decode::count(length.ok_or_else(few)?.as_ref().map_err(fault)?)?;
        let outcome = Tail::of(self.group.clone(), &row, length);
        Ok(counted(self.key.clone(), row.pending, outcome))
    }

    /// What a group was given and what it was not is told by one reply.
    fn together(&self) -> Together {
        Together::Whole
    }

    fn rights(&self) -> Vec<&'static str> {
        vec!["xinfo|groups", "xlen", "xrange", "type"]
    }

    /// The groups, the length, and whether an entry follows the last delivered one; further commands count
    /// those that do.
    fn cost(&self) -> Option<Cost> {
        Some(Cost { commands: 3, more: Some("up to seven more while entries wait") })
    }

    fn groups_of(&self) -> Option<&Name> {
        Some(&self.key)
    }

    /// After its groups, so that no growth is taken off twice.
    fn length_of(&self) -> Option<&Name> {
        Some(&self.key)
    }
}

/// How many entries follow the last delivered one?
#[derive(Debug)]
struct Following {
    key: Name,
    pending: u64,
    tail: Tail,
}

impl FollowUp for Following {
    fn commands(&self) -> Vec<Cmd> {
        self.tail.commands(&self.key)
    }

    fn proceed(
        self: Box<Self>,
        replies: &[Response],
        tails: &KnownTails,
    ) -> Result<Progress, Fault> {
        let Self { key, pending, tail } = *self;
        let outcome = tail.proceed(&key, replies, tails)?;
        Ok(counted(key, pending, outcome))
    }

    fn is_of_first_reply(&self) -> bool {
        true
    }
}

fn counted(key: Name, pending: u64, outcome: TailOutcome) -> Progress {
    match outcome {
        TailOutcome::Open(tail) => Progress::open(Following { key, pending, tail }),
        TailOutcome::Known(waiting) => {
            Progress::done(Answer::Group(GroupAnswer::State { waiting, pending }))
        }
    }
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::{RedisError, make_extension_error};

    use super::{super::super::member_questions::MemberQuestions, *};

    #[test]
    fn a_group_takes_no_such_key_for_an_answer() {
        let no_such_key: RedisError =
            make_extension_error("ERR".to_owned(), Some("no such key".to_owned()));
        let group = Group { key: "s".into(), group: "g".into() };
        let (reply, members) = (Err(no_such_key), &mut MemberQuestions::default());
        let progress = group.first(First {
            reply: &reply,
            guess: KeyType::Stream,
            now: Duration::ZERO,
            length: None,
            members,
        });
        assert!(matches!(progress, Ok(Progress::Done(Ok(Answer::Missing)))), "{progress:?}");
    }
}
