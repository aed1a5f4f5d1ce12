//! The jobs where workers take from a list, or from a sorted set whose scores are no times.
//!
//! Jobs may be long, so the first is looked at alone, its neighbours only where it is short, and further ones, in pages that
//! grow, only as long as all are short. Those come where no job is ready that was looked at: its time is to come, it says none
//! (one that an operator put back), or its hash is gone.

use std::{collections::HashSet, sync::Arc, time::Duration};

use deadpool_redis::redis::{Cmd, Value};

use crate::{
    layouts::{Answer, End, JobPlace, Kind, ListedJobs, Name, ReadyAt},
    limits,
    sampling::Fault,
};

use super::{
    super::super::{
        super::wire::Response,
        decode::{self, unexpected},
        encode::of_key,
        known_tails::KnownTails,
        progress::{self, FollowUp, Progress, reply},
        stamps::{self, Job, ReadyTime},
    },
    outcome::{answered, said},
};

pub(super) fn question(key: &Name, jobs: &ListedJobs) -> Cmd {
    elements(key, jobs.taken, 0, among(jobs))
}

pub(super) fn rights(jobs: &ListedJobs) -> &'static [&'static str] {
    match (jobs.taken, &jobs.job) {
        (End::Left | End::Right, JobPlace::Element) => &["lrange"],
        (End::Left | End::Right, JobPlace::Hash(_) | JobPlace::FieldOf(_)) => &["lrange", "hmget"],
        (End::Lowest, JobPlace::Element) => &["zrange"],
        (End::Lowest, JobPlace::Hash(_) | JobPlace::FieldOf(_)) => &["zrange", "hmget"],
    }
}

pub(super) fn first(
    key: &Name,
    jobs: &Arc<ListedJobs>,
    replied: &Response,
    now: Duration,
) -> Result<Progress, Fault> {
    let types = match jobs.taken {
        End::Left | End::Right => Kind::List.names(),
        End::Lowest => Kind::SortedSet.names(),
    };
    let value = match progress::of_type(key, types, replied)? {
        Ok(value) => value,
        Err(progress) => return Ok(progress),
    };
    let look = Look {
        key: key.clone(),
        jobs: Arc::clone(jobs),
        now,
        times: vec![],
        far: None,
        is_unsaid: false,
        bytes: 0,
        reach: among(jobs),
        is_first: true,
        names: HashSet::new(),
        step: Step::Page(among(jobs)),
    };
    look.page(value, among(jobs))
}

/// How many elements are asked for first.
fn among(jobs: &ListedJobs) -> u32 {
    match jobs.job {
        JobPlace::Element => 1,
        JobPlace::Hash(_) | JobPlace::FieldOf(_) => limits::OLDEST_AMONG,
    }
}

/// LRANGE, or ZRANGE: so many elements from one end on, after the first ones there.
fn elements(key: &Name, end: End, skipped: u32, number: u32) -> Cmd {
    let (from, to) = (i64::from(skipped), i64::from(skipped + number));
    let (name, [from, to]) = match end {
        End::Left => ("LRANGE", [from, to - 1]),
        End::Right => ("LRANGE", [-to, -from - 1]),
        End::Lowest => ("ZRANGE", [from, to - 1]),
    };
    let mut command = of_key(name, &[], key);
    command.arg(from).arg(to);
    command
}

/// As many elements as were asked for, in the order in which workers take them.
fn taken_first(jobs: &ListedJobs, value: &Value, asked: u32) -> Result<Vec<Vec<u8>>, Fault> {
    let mut members = decode::strings(value)?;
    if jobs.taken == End::Right {
        members.reverse();
    }
    members.truncate(usize::try_from(asked).unwrap_or(usize::MAX));
    Ok(members)
}

/// What was found so far, and what is asked next.
#[derive(Debug)]
struct Look {
    key: Name,
    jobs: Arc<ListedJobs>,
    /// Redis's own time when the look began.
    now: Duration,
    /// What the jobs say that are taken next.
    times: Vec<ReadyTime>,
    /// What the one at another end says.
    far: Option<ReadyTime>,
    /// Whether one of them is there and says nothing.
    is_unsaid: bool,
    /// Bytes of all jobs that were looked at.
    bytes: u64,
    /// How many elements from the end on it is looked at.
    reach: u32,
    /// Whether no further ones were looked at.
    is_first: bool,
    /// The names of the jobs of the look before, where they are not the elements themselves.
    names: HashSet<Vec<u8>>,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// The neighbours of a first element, and one at another end.
    Neighbours,
    /// What some members name, after those that were asked and before those that are left for later.
    Named { asked: Vec<Vec<u8>>, now: Vec<Vec<u8>>, later: Vec<Vec<u8>>, is_all: bool },
    /// So many elements from the end on.
    Page(u32),
}

impl Look {
    /// Looks at one job that is there.
    fn note(&mut self, job: &Job<'_>, bytes: usize) {
        let at = stamps::ready_at(&self.jobs.stamps, job, self.now);
        self.is_unsaid |= at.is_none();
        self.times.extend(at);
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// Looks at the fields of a job. Without any of them it is gone, or one that its framework passes.
    fn note_fields(&mut self, fields: &[&str], texts: &[Option<Vec<u8>>]) {
        if texts.iter().any(Option::is_some) {
            self.note(&Job::Fields(fields, texts), texts.iter().flatten().map(Vec::len).sum());
        }
    }

    fn next(mut self, step: Step) -> Progress {
        self.step = step;
        Progress::open(self)
    }

    /// The earliest of what is said, where one is ready. Else none may be: all have to say so, and all to be seen.
    fn end(self, is_all: bool) -> Progress {
        let all = || self.times.iter().chain(&self.far);
        let ready = all().filter(|time| !time.is_to_come).map(|time| time.at).min();
        let earliest = ready.or_else(|| all().map(|time| time.at).min());
        if ready.is_some() || is_all && !self.is_unsaid {
            return said(earliest, self.bytes);
        }
        let ready =
            if self.is_unsaid || earliest.is_none() { ReadyAt::Unsaid } else { ReadyAt::Unseen };
        answered(ready, self.bytes)
    }

    /// Elements of the list, from the end on.
    fn page(mut self, value: &Value, asked: u32) -> Result<Progress, Fault> {
        let mut members = taken_first(&self.jobs, value, asked)?;
        if members.is_empty() {
            return Ok(Progress::done(Answer::Missing));
        }
        let is_all = u32::try_from(members.len()).unwrap_or(u32::MAX) < asked;
        (self.times, self.is_unsaid) = (vec![], false);
        Ok(match self.jobs.job {
            JobPlace::Element => {
                for element in members {
                    self.note(&Job::Text(&element), element.len());
                }
                self.after_elements(is_all)
            }
            JobPlace::Hash(_) => {
                let (asked, later) = (vec![], vec![]);
                self.next(Step::Named { asked, now: members, later, is_all })
            }
            // Of the values, which are the jobs themselves, the first is looked at alone.
            JobPlace::FieldOf(_) => {
                let is_alone = self.is_first && members.len() > 1;
                let later = if is_alone { members.split_off(1) } else { vec![] };
                self.next(Step::Named { asked: vec![], now: members, later, is_all })
            }
        })
    }

    fn is_short(&self) -> bool {
        self.bytes <= limits::OLDEST_BYTES
    }

    /// Whether one of those is ready that are taken next.
    fn has_ready(&self) -> bool {
        self.times.iter().any(|time| !time.is_to_come)
    }

    /// Jobs whose time is to come hide those behind them, and so do some that say none. What was taken meanwhile moves the
    /// others up, so that it is looked at all of them once more.
    fn after_elements(mut self, is_all: bool) -> Progress {
        if std::mem::take(&mut self.is_first) && self.is_short() {
            return self.next(Step::Neighbours);
        }
        if is_all || !self.is_short() || self.has_ready() || self.reach >= limits::OLDEST_FURTHEST {
            return self.end(is_all);
        }
        self.reach *= 2;
        let reach = self.reach;
        self.next(Step::Page(reach))
    }

    /// The same for jobs that are named. Those that say nothing may be gone by now, and others be in their place.
    fn after_named(mut self, names: Vec<Vec<u8>>, is_all: bool) -> Result<Progress, Fault> {
        let is_seen_again = !self.is_first;
        let is_over = is_all && (is_seen_again || !self.times.is_empty());
        let is_far = self.reach >= limits::OLDEST_FURTHEST;
        if self.has_ready() || !self.is_short() || is_over || is_far {
            let are_others = is_seen_again && !names.iter().any(|name| self.names.contains(name));
            if self.times.is_empty() && !self.is_unsaid && are_others {
                return Err(unexpected("jobs that are taken faster than they are looked at"));
            }
            return Ok(self.end(is_all));
        }
        self.is_first = false;
        self.reach *= 2;
        self.names = names.into_iter().collect();
        let reach = self.reach;
        Ok(self.next(Step::Page(reach)))
    }

    /// What the neighbours of the first element say, which was looked at already, and the one at another end.
    fn neighbours(mut self, replies: &[Response]) -> Result<Progress, Fault> {
        let near = taken_first(&self.jobs, reply(replies, 0)?, limits::OLDEST_AMONG - 1)?;
        let is_all = near.len() + 1 < limits::OLDEST_AMONG as usize;
        for element in near {
            self.note(&Job::Text(&element), element.len());
        }
        if self.jobs.other_end.is_some() {
            let far = taken_first(&self.jobs, reply(replies, 1)?, 1)?;
            self.bytes +=
                u64::try_from(far.iter().map(Vec::len).sum::<usize>()).unwrap_or(u64::MAX);
            let said =
                |far: &Vec<u8>| stamps::ready_at(&self.jobs.stamps, &Job::Text(far), self.now);
            self.far = far.first().and_then(said);
        }
        self.reach = limits::OLDEST_AMONG;
        Ok(self.after_elements(is_all))
    }
}

impl FollowUp for Look {
    fn commands(&self) -> Vec<Cmd> {
        let Self { key, jobs, .. } = self;
        match &self.step {
            Step::Neighbours => {
                let near = elements(key, jobs.taken, 1, limits::OLDEST_AMONG - 1);
                let far = jobs.other_end.map(|end| elements(key, end, 0, 1));
                [near].into_iter().chain(far).collect()
            }
            Step::Page(reach) => vec![elements(key, jobs.taken, 0, *reach)],
            Step::Named { now, .. } => match &jobs.job {
                JobPlace::Hash(around) => {
                    let fields = stamps::fields(&jobs.stamps);
                    now.iter().map(|id| values(&around.key(id), &fields)).collect()
                }
                JobPlace::FieldOf(hash) => vec![values(hash, now)],
                JobPlace::Element => vec![],
            },
        }
    }

    fn proceed(
        mut self: Box<Self>,
        replies: &[Response],
        _: &KnownTails,
    ) -> Result<Progress, Fault> {
        let step = std::mem::replace(&mut self.step, Step::Neighbours);
        match step {
            Step::Neighbours => self.neighbours(replies),
            Step::Page(reach) => self.page(reply(replies, 0)?, reach),
            Step::Named { mut asked, now, later, is_all } => {
                let jobs = Arc::clone(&self.jobs);
                let fields = stamps::fields(&jobs.stamps);
                for place in 0..replies.len() {
                    let texts = decode::optional_strings(reply(replies, place)?)?;
                    if matches!(jobs.job, JobPlace::Hash(_)) {
                        self.note_fields(&fields, &texts);
                        continue;
                    }
                    for text in texts.iter().flatten() {
                        self.note(&Job::Text(text), text.len());
                    }
                }
                asked.extend(now);
                if !later.is_empty() && self.is_short() {
                    let (now, later) = (later, vec![]);
                    return Ok(self.next(Step::Named { asked, now, later, is_all }));
                }
                let is_all = is_all && later.is_empty();
                self.after_named(asked, is_all)
            }
        }
    }
}

/// HMGET
fn values(key: &Name, fields: &[impl AsRef<[u8]>]) -> Cmd {
    let mut command = of_key("HMGET", &[], key);
    for field in fields {
        command.arg(field.as_ref());
    }
    command
}

#[cfg(test)]
mod tests;
