//! How a batch of reads is answered in few round trips.
//!
//! All commands of a batch go in one pipeline in the order of the reads, those that belong together in one
//! transaction. A key whose type was guessed wrongly makes the whole batch go again, so that the answers
//! keep their order; answers that need a second command (what waits in a stream, an empty string) get it
//! afterwards, when it can only count a job twice.

use std::{collections::HashMap, time::Duration};

use deadpool_redis::redis::Cmd;

use crate::{
    layouts::{Answer, Name, Read},
    sampling::{Fault, Reply, Validity},
};

use super::{
    super::{session::Session, wire::Wire},
    encode::{self, KeyType},
    follow_up::FollowUps,
    kinds,
    transaction::{self, Questions, Replies},
};

/// How often a batch is tried while keys change their types under it.
const ATTEMPTS: usize = 3;

impl<W: Wire> Session<W> {
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
            let types: Vec<KeyType> =
                reads.iter().map(|read| kinds::of(read).guess(&self.types)).collect();
            let (mut questions, places) = transaction::compose(reads, &sets, |at| {
                kinds::of(&reads[at]).question(types[at], nows[at])
            });
            let lengths = lengths(reads, &mut questions);
            // Where nothing is announced, everything is read again soon anyway.
            let timed: Vec<(usize, usize)> = (0..reads.len())
                .filter(|_| self.tracked)
                .filter_map(|at| {
                    Some((at, kinds::of(&reads[at]).next_change(types[at], nows[at])?))
                })
                .map(|(at, next)| (at, questions.add(next)))
                .collect();
            let replies = self.put(&questions, &lengths).await?;
            let rows =
                || reads.iter().zip(&types).zip(places.iter().map(|place| replies.at(*place)));
            let mistaken: Vec<Name> = rows()
                .filter(|((read, guess), reply)| kinds::of(read).is_mistaken(**guess, reply))
                .map(|((read, _), _)| read.key().clone())
                .collect();
            if !mistaken.is_empty() && attempt < ATTEMPTS {
                self.learn_types(mistaken).await?;
                continue;
            }
            let mut follow_ups = FollowUps::default();
            for (index, ((read, guess), reply)) in rows().enumerate() {
                let length = lengths[index].map(|place| replies.at(place));
                follow_ups.first(index, read, (*guess, nows[index]), reply, length);
            }
            let moments: Vec<Option<u64>> = (0..reads.len())
                .map(|at| {
                    follow_ups.is_of_one_moment(at).then(|| self.moment(replies.moment(places[at])))
                })
                .collect();
            self.moments += u64::try_from(questions.commands().len()).unwrap_or(u64::MAX);
            let answers = self.follow_up(follow_ups).await?;
            let with_reads = reads.iter().zip(answers).zip(moments).zip(nows);
            let mut answers: Vec<_> = with_reads
                .map(|(((read, answer), moment), now)| {
                    let clock = read.depends_on_time().then_some(*now);
                    answer.map(|answer| Reply { moment, clock, ..with_validity(read, answer) })
                })
                .collect();
            for (at, next) in timed {
                if let Ok(reply) = &mut answers[at] {
                    reply.lasts = kinds::of(&reads[at]).lasts(replies.at(next), nows[at]);
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
            let (one, other) = (reads[one].key(), reads[other].key());
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
    let mut place =
        |key: &'r Name| *known.entry(key).or_insert_with(|| questions.add(encode::length(key)));
    reads.iter().map(|read| kinds::of(read).length_of().map(&mut place)).collect()
}

/// An answer with how long it lasts, where time alone does not change it.
pub(in crate::redis) fn with_validity(read: &Read, answer: Answer) -> Reply {
    let is_silent = kinds::of(read).changes_silently(&answer);
    let lasts = if is_silent { Validity::Unknown } else { Validity::UntilAnnounced };
    Reply { answer, lasts, moment: None, clock: None }
}
