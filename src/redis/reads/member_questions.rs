//! Reads of one batch that look at the same members are asked as one question, and all questions share the
//! bytes of a round.
//!
//! Forty queues of one Sidekiq have one set of processes, whose jobs would otherwise come forty times.

use std::{collections::HashMap, sync::Arc};

use deadpool_redis::redis::Cmd;

use crate::{
    layouts::{Answer, Name, PerMember},
    limits,
    sampling::Fault,
};

use super::{
    super::{error::few, wire::Response},
    fields::KnownFields,
    per_member::{MemberStep, Next},
};

/// Where the answer of one read will be.
#[derive(Debug, Clone, Copy)]
pub(in crate::redis) struct AnswerPlace {
    question: usize,
    nth: usize,
}

/// The questions about members of one batch.
#[derive(Debug, Default)]
pub(in crate::redis) struct MemberQuestions {
    questions: Vec<MemberQuestion>,
    /// Which of them are about this collection.
    of: HashMap<Name, Vec<usize>>,
    /// The question that the next round begins with, where one round has no room for all.
    turn: usize,
}

/// One question, and the reads that it answers.
#[derive(Debug)]
struct MemberQuestion {
    /// They [look alike](PerMember::looks_alike).
    reads: Vec<Arc<PerMember>>,
    progress: MemberProgress,
}

#[derive(Debug)]
enum MemberProgress {
    Open(MemberStep),
    Done(Result<Vec<Answer>, Fault>),
}

impl MemberQuestions {
    /// Takes in a read, with what its first reply made of it.
    pub(in crate::redis) fn take_in(
        &mut self,
        each: &Arc<PerMember>,
        step: MemberStep,
    ) -> AnswerPlace {
        let known = self.of.entry(each.collection.clone()).or_default();
        let alike = |place: &&usize| {
            let question: &MemberQuestion = &self.questions[**place];
            question.reads.first().is_some_and(|first| first.looks_alike(each))
        };
        let (place, step) = match known.iter().find(alike) {
            Some(place) => (*place, step),
            None => {
                known.push(self.questions.len());
                self.questions
                    .push(MemberQuestion { reads: vec![], progress: MemberProgress::Open(step) });
                (self.questions.len() - 1, MemberStep::Members(0))
            }
        };
        let question = &mut self.questions[place];
        question.reads.push(Arc::clone(each));
        if let (MemberProgress::Open(MemberStep::Members(most)), MemberStep::Members(members)) =
            (&mut question.progress, step)
        {
            // The members are asked after all of the sizes, so that they answer for the last of them too.
            *most = members.max(*most);
        }
        AnswerPlace { question: place, nth: question.reads.len() - 1 }
    }

    /// Whether anything is to be asked.
    pub(in crate::redis) fn is_open(&self) -> bool {
        self.questions.iter().any(|question| matches!(question.progress, MemberProgress::Open(_)))
    }

    /// What is to be asked next for each question.
    pub(in crate::redis) fn commands(&self) -> impl Iterator<Item = Vec<Cmd>> {
        let (shares, _) = self.shares();
        self.questions.iter().zip(shares).map(|(question, bytes)| match question.open() {
            Some((each, step)) => step.commands(each, bytes),
            None => vec![],
        })
    }

    /// The bytes that each question may bring in this round: an equal share for all that bring any, as
    /// long as there is room for one member of each. Tells also which is the first that has to wait.
    fn shares(&self) -> (Vec<u64>, Option<usize>) {
        let weight = |question: &MemberQuestion| {
            let (each, step) = question.open()?;
            step.weight(each)
        };
        let weights: Vec<Option<u64>> = self.questions.iter().map(weight).collect();
        let number = u64::try_from(weights.iter().flatten().count()).unwrap_or(u64::MAX);
        let share = (limits::MEMBER_ROUND_BYTES / number.max(1)).max(1);
        let (mut shares, mut waits) = (vec![share; weights.len()], None);
        let mut room = limits::MEMBER_ROUND_MOST_BYTES;
        for place in (self.turn..weights.len()).chain(0..self.turn.min(weights.len())) {
            let Some(weight) = weights[place] else { continue };
            if room == 0 {
                shares[place] = 0;
                waits = waits.or(Some(place));
            }
            room = room.saturating_sub(weight.max(share));
        }
        (shares, waits)
    }

    /// Takes in the replies to [`MemberQuestions::commands`], of which each question had so many.
    pub(in crate::redis) fn proceed<'a>(
        &mut self,
        asked: impl Iterator<Item = &'a Vec<Cmd>>,
        mut rest: &[Response],
        fields: &KnownFields,
    ) -> Result<(), Fault> {
        let (shares, waits) = self.shares();
        self.turn = waits.unwrap_or(self.turn);
        for ((question, commands), bytes) in self.questions.iter_mut().zip(asked).zip(shares) {
            let (replies, others) = rest.split_at_checked(commands.len()).ok_or_else(few)?;
            rest = others;
            question.proceed((replies, bytes), fields);
        }
        Ok(())
    }

    /// The answers to all questions. What is still open had no more time.
    pub(in crate::redis) fn into_answers(self, fields: &KnownFields) -> Answers {
        let answers = self.questions.into_iter().map(|MemberQuestion { reads, progress }| {
            let each = reads.first().ok_or_else(few)?;
            match progress {
                MemberProgress::Done(answers) => answers,
                MemberProgress::Open(step) => step.part(each, fields),
            }
        });
        Answers(answers.collect())
    }
}

impl MemberQuestion {
    fn open(&self) -> Option<(&PerMember, &MemberStep)> {
        match &self.progress {
            MemberProgress::Open(step) => Some((self.reads.first()?, step)),
            MemberProgress::Done(_) => None,
        }
    }

    fn proceed(&mut self, replies: (&[Response], u64), fields: &KnownFields) {
        let nothing = MemberProgress::Done(Err(Fault::Timeout));
        self.progress = match std::mem::replace(&mut self.progress, nothing) {
            MemberProgress::Open(step) => match step.proceed(&self.reads, replies, fields) {
                Ok(Next::Step(step)) => MemberProgress::Open(step),
                Ok(Next::Done(answers)) => MemberProgress::Done(Ok(answers)),
                Err(fault) => MemberProgress::Done(Err(fault)),
            },
            done @ MemberProgress::Done(_) => done,
        };
    }
}

/// What the questions were answered.
pub(in crate::redis) struct Answers(Vec<Result<Vec<Answer>, Fault>>);

impl Answers {
    /// The answer of one read.
    pub(in crate::redis) fn at(&self, place: AnswerPlace) -> Result<Answer, Fault> {
        match self.0.get(place.question) {
            Some(Ok(answers)) => answers.get(place.nth).cloned().ok_or_else(few),
            Some(Err(fault)) => Err(fault.clone()),
            None => Err(few()),
        }
    }
}

#[cfg(test)]
mod tests;
