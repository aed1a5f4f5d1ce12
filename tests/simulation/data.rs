//! What the model Redis holds, what it ever held, and how a read is answered from it.
//!
//! The oracle reads it too: the history of every key is the truth that observations are held against.

use std::{collections::BTreeMap, time::Duration};

use penstock::{
    layouts::{Answer, GroupAnswer, Members, Read, SizeAnswer, Waiting},
    limits,
    sampling::Validity,
};

use crate::{
    catalog::{KEYS, Kind, key_of, members_of},
    clock::Clock,
    jobs::{JobId, Jobs},
    transcript::Moment,
};

/// What one key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing: there is no such key.
    Missing,
    /// So many jobs.
    List(u64),
    /// Jobs with these scores, in microseconds, in order.
    SortedSet(Vec<i64>),
    /// A number, or something else.
    Text(Option<u32>),
    /// Entries, and what a group waits for and has not acknowledged.
    Stream { entries: u64, group: Option<(u64, u64)> },
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Its jobs and their scores.
    pub members: BTreeMap<JobId, i64>,
    /// What it held since when; the last is what it holds.
    pub history: Vec<(Moment, Content)>,
    /// When it was written to in a way that Redis announces.
    pub writes: Vec<Moment>,
}

/// All keys, the jobs in them, and Redis's clock.
#[derive(Debug)]
pub struct Data {
    /// The keys, as in [`KEYS`].
    pub keys: Vec<Key>,
    /// Every job that there is, or was lately.
    pub jobs: Jobs,
    /// The clock.
    pub clock: Clock,
}

impl Data {
    /// No keys.
    pub fn new(drift: i64) -> Self {
        let key = |_: &(&str, Kind)| Key {
            members: BTreeMap::new(),
            history: vec![(Moment::default(), Content::Missing)],
            writes: vec![],
        };
        let keys = KEYS.iter().map(key).collect();
        Self { keys, jobs: Jobs::default(), clock: Clock::new(drift) }
    }

    /// What a key holds.
    pub fn content(&self, key: usize) -> &Content {
        &self.keys[key].history.last().unwrap().1
    }

    /// What a key held at a moment.
    pub fn content_at(&self, key: usize, moment: Moment) -> &Content {
        let history = &self.keys[key].history;
        let next = history.partition_point(|(since, _)| *since <= moment);
        &history[next.saturating_sub(1)].1
    }

    /// Everything that a key held from the start of a millisecond on, and since when.
    pub fn contents_since(&self, key: usize, ms: u64) -> &[(Moment, Content)] {
        let history = &self.keys[key].history;
        let next = history.partition_point(|(since, _)| since.ms < ms);
        &history[next.saturating_sub(1)..]
    }

    /// The first write after a moment that Redis announces.
    pub fn first_write_after(&self, key: usize, moment: Moment) -> Option<Moment> {
        let writes = &self.keys[key].writes;
        writes.get(writes.partition_point(|write| *write <= moment)).copied()
    }

    /// Notes what a key holds now.
    pub fn hold(&mut self, key: usize, now: Moment, content: Content) {
        self.keys[key].history.push((now, content));
    }

    /// Notes what a key of jobs holds now, after its members have changed.
    pub fn hold_members(&mut self, key: usize, now: Moment) {
        let members = &self.keys[key].members;
        let content = match KEYS[key].1 {
            _ if members.is_empty() => Content::Missing,
            Kind::SortedSet => {
                let mut scores: Vec<i64> = members.values().copied().collect();
                scores.sort_unstable();
                Content::SortedSet(scores)
            }
            Kind::List | Kind::Text | Kind::Stream => Content::List(members.len() as u64),
        };
        self.hold(key, now, content);
    }
}

/// By how much a job counts as due early, and a lease as held longer.
pub fn grace() -> i64 {
    i64::try_from(limits::CLOCK_GRACE.as_micros()).unwrap()
}

/// What Redis answers to a read of such a key when its clock reads this.
pub fn answer(content: &Content, read: &Read, clock: i64) -> Answer {
    match content {
        Content::Missing => Answer::Missing,
        Content::List(jobs) => Answer::Size(SizeAnswer::Members(*jobs)),
        Content::SortedSet(scores) => Answer::Size(SizeAnswer::Members(match members_of(read) {
            Members::All | Members::AllOf(_) => scores.len(),
            Members::Due(_) => scores.partition_point(|score| *score <= clock + grace()),
            Members::Leased(_) => {
                scores.len() - scores.partition_point(|score| *score <= clock - grace())
            }
        } as u64)),
        Content::Text(Some(number)) => Answer::Size(SizeAnswer::Number(f64::from(*number))),
        Content::Text(None) => Answer::Size(SizeAnswer::NotANumber),
        Content::Stream { entries, group: None } => {
            Answer::Group(GroupAnswer::Missing { entries: *entries })
        }
        Content::Stream { group: Some((waiting, pending)), .. } => {
            Answer::Group(GroupAnswer::State {
                waiting: Waiting::Exact(*waiting),
                pending: *pending,
            })
        }
    }
}

/// How long an answer to a read that depends on time lasts, as the next score after its bound says.
pub fn lasts(content: &Content, read: &Read, clock: i64) -> Validity {
    let Content::SortedSet(scores) = content else { return Validity::UntilAnnounced };
    let bound = match members_of(read) {
        Members::All | Members::AllOf(_) => return Validity::UntilAnnounced,
        Members::Due(_) => clock + grace(),
        Members::Leased(_) => clock - grace(),
    };
    let next = scores.get(scores.partition_point(|score| *score <= bound));
    next.map_or(Validity::UntilAnnounced, |score| {
        Validity::For(Duration::from_micros(u64::try_from(score - bound).unwrap()))
    })
}

/// The readings of Redis's clock at which the answer to a read of such a key changes.
pub fn turning_points(content: &Content, read: &Read) -> Vec<i64> {
    let Content::SortedSet(scores) = content else { return vec![] };
    match members_of(read) {
        Members::All | Members::AllOf(_) => vec![],
        Members::Due(_) => scores.iter().map(|score| score - grace()).collect(),
        Members::Leased(_) => scores.iter().map(|score| score + grace()).collect(),
    }
}

impl Data {
    /// Every answer that was true to a read at some time from the start of a millisecond to now. The
    /// clock that a count is made by is read before the count, by at most so much.
    pub fn answers_since(&self, read: &Read, (ms, before): (u64, u64), now: Moment) -> Vec<Answer> {
        let key = key_of(read);
        let contents = self.contents_since(key, ms);
        let mut answers = vec![];
        for (place, (since, content)) in contents.iter().enumerate() {
            let until = contents.get(place + 1).map_or(now.ms, |(next, _)| next.ms);
            let turns = turning_points(content, read);
            for (_, clock) in
                self.clock.readings(&turns, (since.ms.max(ms).saturating_sub(before), until))
            {
                let answer = answer(content, read, clock);
                if !answers.contains(&answer) {
                    answers.push(answer);
                }
            }
        }
        answers
    }
}
