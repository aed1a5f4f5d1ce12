//! What the model answers to a batch, and at which moments.

use tokio::time::Instant;

use super::Server;
use crate::{
    layouts::Read,
    sampling::{Fault, Reply, Validity},
};

impl Server {
    pub(super) fn is_poisoned_by(&mut self, reads: &[Read]) -> bool {
        let is_poisoned = reads.iter().any(|read| self.poisonous.contains(read.key()));
        if is_poisoned {
            self.poisonings.push((Instant::now(), questions(reads)));
        }
        is_poisoned
    }

    pub(super) fn answer(&mut self, reads: &[Read]) -> Vec<Result<Reply, Fault>> {
        self.batches.push(reads.len());
        let mut replies = vec![];
        for (place, read) in reads.iter().enumerate() {
            let is_moment = place == 0 || !self.transacts;
            if let Some(meanwhile) = self.meanwhile.as_mut().filter(|_| is_moment) {
                meanwhile(&mut self.keys, place);
            }
            self.moments += u64::from(is_moment);
            self.reads.push((Instant::now(), read.clone()));
            let failure = self.failing.get(read.key()).cloned();
            let answer = self.keys.answer(read);
            let lasts = match self.lasting.get(read.key()) {
                Some(lasts) => *lasts,
                None if answer.changes_silently() => Validity::Unknown,
                None => Validity::UntilAnnounced,
            };
            let is_one_question = matches!(read, Read::Size(_) | Read::Group(_));
            let moment = is_one_question.then_some(self.moments);
            replies.push(failure.map_or(Ok(Reply { answer, lasts, moment, clock: None }), Err));
        }
        replies
    }
}

/// How many questions these reads are: those that look alike are one.
fn questions(reads: &[Read]) -> usize {
    let is_alike = |one: &Read, other: &Read| match (one, other) {
        (Read::PerMember(one), Read::PerMember(other)) => one.looks_alike(other),
        _ => false,
    };
    let is_first =
        |place: &usize| !reads[..*place].iter().any(|read| is_alike(read, &reads[*place]));
    (0..reads.len()).filter(is_first).count()
}
