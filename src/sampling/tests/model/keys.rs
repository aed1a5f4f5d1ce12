//! The keys of the model: what they hold, who was told, and what has yet to be announced.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::{
    layouts::{Answer, Glob, KeyPattern, Name, PerMemberAnswer, Read, SizeAnswer},
    limits,
    sampling::{KeyPage, Position},
};

/// What Redis holds, and what it has yet to announce.
#[derive(Default)]
pub struct Keys {
    pub(super) answers: HashMap<Name, Answer>,
    pub(super) armed: HashSet<Name>,
    pub(super) announcements: VecDeque<Name>,
}

impl Keys {
    pub fn set(&mut self, key: &str, answer: Answer) {
        let key = Name::from(key);
        self.answers.insert(key.clone(), answer);
        if self.armed.remove(&key) {
            self.announcements.push_back(key);
        }
    }

    /// How many members a key has.
    pub fn size(&self, key: &str) -> u64 {
        let answer = self.answers.get(&Name::from(key));
        if let Some(Answer::Size(SizeAnswer::Members(size))) = answer { *size } else { 0 }
    }

    /// Moves one member, as LMOVE does; nothing happens without one.
    pub fn shift(&mut self, from: &str, to: &str) {
        let (source, target) = (self.size(from), self.size(to));
        if source > 0 {
            self.set(from, Answer::Size(SizeAnswer::Members(source - 1)));
            self.set(to, Answer::Size(SizeAnswer::Members(target + 1)));
        }
    }

    /// The keys that are there, one page in their order after this one. Of a pattern with many stars Redis
    /// is given the first two.
    pub(super) fn page(&self, wild: &KeyPattern, after: Option<&[u8]>, most: usize) -> KeyPage {
        let is_there = |answer: &Answer| {
            !matches!(answer, Answer::Missing | Answer::Size(SizeAnswer::Members(0)))
        };
        let mut keys: Vec<&Name> = (self.answers.iter())
            .filter(|(key, answer)| is_there(answer) && after.is_none_or(|at| key.as_bytes() > at))
            .map(|(key, _)| key)
            .collect();
        keys.sort();
        let last = keys.get(most).map(|_| keys[most - 1]);
        let next = last.map(|key| Position::new(key.as_bytes()));
        let given = Glob::parse(&wild.glob.up_to_star(limits::SCAN_STARS).to_string()).unwrap();
        let page = keys.into_iter().take(most).filter(|key| given.matches(key.as_bytes()));
        KeyPage { keys: page.cloned().collect(), next }
    }

    pub(super) fn answer(&mut self, read: &Read) -> Answer {
        let key = read.key();
        self.armed.insert(key.clone());
        match (read, self.answers.get(key)) {
            (_, None) => Answer::Missing,
            (Read::PerMember(_), Some(Answer::Size(SizeAnswer::Members(size)))) => {
                Answer::PerMember(PerMemberAnswer {
                    counted: *size,
                    examined: *size,
                    overflow: 0,
                    unsure: 0,
                })
            }
            (_, Some(answer)) => answer.clone(),
        }
    }
}
