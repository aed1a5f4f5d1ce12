//! How a batch of reads is answered in few round trips.
//!
//! All commands of a batch go in one pipeline in the order of the reads, those that belong together in one
//! transaction. A key whose type was guessed wrongly makes the whole batch go again, so that the answers
//! keep their order; answers that need a second command (what waits in a stream, an empty string) get it
//! afterwards, when it can only count a job twice.

use std::{collections::HashMap, time::Duration};

use deadpool_redis::redis::Cmd;

use crate::{
    layouts::{Answer, Ask, Members, Name, Read},
    sampling::{Fault, Reply, Validity},
};

use super::{
    super::{
        error::{Refusal, refusal},
        session::Session,
        wire::{Response, Wire},
    },
    decode,
    encode::{self, KeyType},
    follow_up::FollowUps,
    transaction::{self, Questions, Replies},
};

/// How often a batch is tried while keys change their types under it.
const ATTEMPTS: usize = 3;

impl<W: Wire> Session<W> {
    fn guess(&self, read: &Read) -> KeyType {
        match read {
            Read::Size { key, members } => {
                let of_unknown = match members {
                    Members::AllOf(kind) => return (*kind).into(),
                    Members::All => KeyType::List,
                    Members::Due(_) | Members::Leased(_) => KeyType::SortedSet,
                };
                self.types.of(key).unwrap_or(of_unknown)
            }
            Read::Group { .. } | Read::Idle { .. } => KeyType::Stream,
            Read::Flag { .. } | Read::PerMember(_) | Read::Heartbeats(_) => KeyType::Other,
        }
    }

    /// Asks for the types of keys that were guessed wrongly.
    async fn learn_types(&mut self, keys: Vec<Name>) -> Result<(), Fault> {
        let questions: Vec<Cmd> = keys.iter().map(encode::type_of).collect();
        let replies = self.round(&questions).await?;
        self.types.learn(keys, replies)
    }

    /// Answers reads in their order. `nows` has for each of them the time of the server that answers it,
    /// `flows` which of them belong together, in the order of each trigger.
    pub(in crate::redis) async fn answer(
        &mut self,
        reads: &[Read],
        nows: &[Duration],
        flows: &[Vec<usize>],
    ) -> Result<Vec<Result<Reply, Fault>>, Fault> {
        let sets = self.sets(reads, flows);
        for attempt in 1..=ATTEMPTS {
            let types: Vec<KeyType> = reads.iter().map(|read| self.guess(read)).collect();
            let (mut questions, places) = transaction::compose(reads, &sets, |at| {
                encode::question(&reads[at], types[at], nows[at])
            });
            let lengths = lengths(reads, &mut questions);
            // Where nothing is announced, everything is read again soon anyway.
            let is_timed = |at: &usize| self.tracked && depends_on_time(&reads[*at], types[*at]);
            let timed: Vec<(usize, usize)> = (0..reads.len())
                .filter(is_timed)
                .map(|at| (at, questions.add(encode::next_score(&reads[at], nows[at]))))
                .collect();
            let replies = self.put(&questions, &lengths).await?;
            let rows =
                || reads.iter().zip(&types).zip(places.iter().map(|place| replies.at(*place)));
            let mistaken: Vec<Name> = rows()
                .filter(|((read, guess), reply)| is_mistaken(read, **guess, reply))
                .map(|((read, _), _)| read.keys()[0].clone())
                .collect();
            if !mistaken.is_empty() && attempt < ATTEMPTS {
                self.learn_types(mistaken).await?;
                continue;
            }
            let mut follow_ups = FollowUps::default();
            for (index, ((read, guess), reply)) in rows().enumerate() {
                let length = lengths[index].map(|place| replies.at(place));
                follow_ups.first(index, read, *guess, reply, length);
            }
            let moments: Vec<Option<u64>> = (0..reads.len())
                .map(|at| {
                    follow_ups.is_of_one_moment(at).then(|| self.moment(replies.moment(places[at])))
                })
                .collect();
            self.moments += u64::try_from(questions.commands().len()).unwrap_or(u64::MAX);
            let answers = self.follow_up(follow_ups).await?;
            let with_reads = reads.iter().zip(answers).zip(moments);
            let mut answers: Vec<_> = with_reads
                .map(|((read, answer), moment)| {
                    answer.map(|answer| Reply { moment, ..with_validity(read, answer) })
                })
                .collect();
            for (at, next) in timed {
                if let Ok(reply) = &mut answers[at] {
                    reply.lasts = decode::lasts(replies.at(next), &reads[at], nows[at]);
                }
            }
            return Ok(answers);
        }
        Err(Fault::Unexpected("the types of the keys keep changing".to_owned()))
    }

    /// Asks what is open until every read has its answer, or there is no more time.
    async fn follow_up(
        &mut self,
        mut open: FollowUps,
    ) -> Result<Vec<Result<Answer, Fault>>, Fault> {
        while let Some(asked) = open.open() {
            let commands: Vec<Cmd> = asked.iter().flatten().cloned().collect();
            let Some(replies) = self.further_round(&commands).await? else { break };
            open.proceed(&asked, &replies, &self.fields, &self.tails)?;
        }
        Ok(open.into_answers(&self.fields))
    }

    /// Which reads are asked at one moment: those of a trigger that one server answers.
    fn sets(&self, reads: &[Read], flows: &[Vec<usize>]) -> Vec<Option<usize>> {
        if !self.transacts {
            return vec![None; reads.len()];
        }
        let is_shared = |one: usize, other: usize| {
            let ([one], [other]) = (reads[one].keys(), reads[other].keys());
            self.wire.is_shared(one.as_bytes(), other.as_bytes())
        };
        transaction::sets(reads, flows, is_shared)
    }

    /// Asks the questions of a batch, those by themselves whose transaction did not come about, and after
    /// them once more how long streams are, which must not be older than what is known of their groups.
    async fn put(
        &mut self,
        questions: &Questions,
        lengths: &[Option<usize>],
    ) -> Result<Replies, Fault> {
        let replies = self.round(questions.commands()).await?;
        let mut replies = questions.take(replies);
        if replies.refused {
            self.transacts = false;
        }
        if !replies.open.is_empty() {
            replies.open.extend(lengths.iter().flatten());
        }
        let open = questions.at(&replies.open);
        replies.fill(self.round(&open).await?);
        Ok(replies)
    }

    /// The name of a moment of this batch.
    fn moment(&self, place: usize) -> u64 {
        self.moments.saturating_add(u64::try_from(place).unwrap_or(u64::MAX))
    }
}

/// Asks how long the streams of groups are, each once and after the groups, so that no growth is taken off
/// twice. Tells for each read the place of that question.
fn lengths<'r>(reads: &'r [Read], questions: &mut Questions) -> Vec<Option<usize>> {
    let mut known = HashMap::new();
    let length = |read: &'r Read| match read {
        Read::Group { key, .. } => {
            Some(*known.entry(key).or_insert_with(|| questions.add(encode::length(key))))
        }
        Read::Size { .. }
        | Read::Idle { .. }
        | Read::Flag { .. }
        | Read::PerMember(_)
        | Read::Heartbeats(_) => None,
    };
    reads.iter().map(length).collect()
}

/// Whether the answer to a read changes by time passing alone: only members of sorted sets have a
/// time.
pub(in crate::redis) fn depends_on_time(read: &Read, key_type: KeyType) -> bool {
    key_type == KeyType::SortedSet && read.depends_on_time()
}

/// An answer with how long it lasts, where time alone does not change it.
pub(in crate::redis) fn with_validity(read: &Read, answer: Answer) -> Reply {
    // The fields of a hash are no keys of their own; but those that were left for want of time are
    // looked at next time.
    let of_fields = matches!(read, Read::PerMember(each) if each.ask == Ask::Field);
    let is_partial = matches!(answer, Answer::PerMember { examined: 1.., overflow: 1.., .. });
    let is_silent = answer.changes_silently() && (!of_fields || is_partial);
    let lasts = if is_silent { Validity::Unknown } else { Validity::UntilAnnounced };
    Reply { answer, lasts, moment: None }
}

/// Whether a reply says that the key's type was guessed wrongly.
fn is_mistaken(read: &Read, guess: KeyType, reply: &Response) -> bool {
    match (read, reply) {
        (
            Read::Group { .. }
            | Read::Idle { .. }
            | Read::Flag { .. }
            | Read::PerMember(_)
            | Read::Heartbeats(_),
            _,
        ) => false,
        // Its type is for the answer to say.
        (Read::Size { members: Members::AllOf(_), .. }, _) => false,
        (Read::Size { .. }, Err(error)) => refusal(error) == Refusal::WrongType,
        (Read::Size { .. }, Ok(value)) => {
            let named = || decode::type_name(value).ok();
            let other =
                || named().is_some_and(|name| KeyType::named(&name) == Some(KeyType::Other));
            guess == KeyType::Other && !other()
        }
    }
}
