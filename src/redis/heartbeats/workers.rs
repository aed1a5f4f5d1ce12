//! The workers of one heartbeat format, and how many jobs they run together. It is pure.
//!
//! The rules of silence live here: when it means that there are no workers, when it means that the count is
//! unknown, and when it means work: a Celery worker with gevent, eventlet or solo runs a task in the loop
//! that would send its heartbeats. A message that cannot be read never lowers a count.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use crate::{
    layouts::{HeartbeatFormat, WorkerFilter},
    limits,
    sampling::Fault,
    time::Instant,
};

use super::message::Heartbeat;

/// The workers whose heartbeats came in one format.
#[derive(Debug)]
pub(super) struct Workers {
    /// How often they are expected to speak.
    interval: Duration,
    /// For how long one that falls silent is taken to run something; without it, it is gone.
    silence: Option<Duration>,
    /// Since when they are listened to without a gap.
    since: Instant,
    known: BTreeMap<String, Worker>,
    /// Those that are taken for dead until they speak, although they may still be listed.
    given_up: BTreeSet<String>,
    /// The last message that could not be understood, and when it came.
    doubt: Option<(Instant, String)>,
}

/// What one worker said last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Worker {
    jobs: u64,
    /// How many jobs it says that it ended since it started.
    ended: Option<u64>,
    /// How many of them it ended since it was heard first.
    finished: u64,
    slots: Option<u64>,
    every: Duration,
    queues: Option<Vec<String>>,
    heard_at: Instant,
    /// Whether it is only listed, and has said nothing yet.
    listed: bool,
}

/// What the workers that count say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeartbeatTally {
    /// Jobs that they have begun.
    pub(super) jobs: u64,
    /// Workers that run something.
    pub(super) busy: u64,
    /// Jobs that those who are known ended, each since it was heard first.
    pub(super) finished: u64,
    /// For how long that is true without another heartbeat; `None` for ever.
    pub(super) holds_for: Option<Duration>,
    /// Workers that do not say which queues they serve, where that is what counts.
    pub(super) nameless: u64,
    /// Workers that are silent and are taken to run something.
    pub(super) silent: u64,
}

impl Workers {
    pub(super) fn new(format: &HeartbeatFormat, now: Instant) -> Self {
        Self {
            interval: format.interval,
            silence: format.silence.as_ref().map(|silence| silence.at_most),
            since: now,
            known: BTreeMap::new(),
            given_up: BTreeSet::new(),
            doubt: None,
        }
    }

    /// They are listened to anew, after a gap. Who was heard before is believed for a while, since its
    /// jobs go on while it comes back to Redis.
    pub(super) fn listen_anew(&mut self, now: Instant) {
        (self.since, self.doubt) = (now, None);
        // What they ended meanwhile, nobody saw them run.
        self.known.values_mut().for_each(|worker| worker.ended = None);
    }

    /// Takes in a heartbeat. Tells whether it is news.
    pub(super) fn take(&mut self, heartbeat: Heartbeat, now: Instant) -> bool {
        self.forget(now);
        let Heartbeat { worker: name, jobs, ended, every, slots, queues } = heartbeat;
        if self.known.len() >= limits::HEARTBEAT_WORKERS && !self.known.contains_key(&name) {
            let most = limits::HEARTBEAT_WORKERS;
            return self.doubt(format!("more than {most} workers speak on it"), now);
        }
        self.given_up.remove(&name);
        let before = self.known.get(&name).filter(|before| before.queues == queues);
        let finished = before.map_or(0, |before| before.finished_by(ended));
        let worker =
            Worker { jobs, ended, finished, slots, every, queues, heard_at: now, listed: false };
        let before = self.known.insert(name, worker.clone());
        before.is_none_or(|before| {
            // What is finished is looked at with the rest: while as many run, it can wait for that.
            (before.jobs, &before.queues) != (worker.jobs, &worker.queues)
                || self.silence.is_some() && before.is_overdue(now)
        })
    }

    /// Takes in who is listed, as those are that began and have not ended in their own way. One that
    /// nobody has heard may run something all the while, or be dead: like one that fell silent now, once.
    pub(super) fn enroll(&mut self, names: Vec<String>, now: Instant) {
        if self.silence.is_none() {
            return;
        }
        self.given_up.retain(|name| names.contains(name));
        for name in names {
            if self.known.contains_key(&name) || self.given_up.contains(&name) {
                continue;
            }
            if self.known.len() >= limits::HEARTBEAT_WORKERS {
                let most = limits::HEARTBEAT_WORKERS;
                self.doubt(format!("more than {most} workers are listed or speak on it"), now);
                return;
            }
            let worker = Worker {
                jobs: 0,
                ended: None,
                finished: 0,
                slots: None,
                every: self.interval,
                queues: None,
                heard_at: now,
                listed: true,
            };
            self.known.insert(name, worker);
        }
    }

    /// A worker said that it ends. Tells whether it is news.
    pub(super) fn end(&mut self, name: &str) -> bool {
        let ended = self.known.remove_entry(name);
        let is_news = ended.is_some();
        self.give_up(ended.into_iter().map(|(name, _)| name));
        is_news
    }

    /// Takes these workers for dead until they speak. Of too many the first are forgotten, which counts one too
    /// many for a while if it is listed when all are listened to anew.
    fn give_up(&mut self, names: impl Iterator<Item = String>) {
        if self.silence.is_some() {
            self.given_up.extend(names);
        }
        while self.given_up.len() > limits::HEARTBEAT_WORKERS {
            self.given_up.pop_first();
        }
    }

    /// Something was said that cannot be counted. Until it is long enough ago nothing is known, since
    /// the worker that said it may run anything. Tells whether it is news.
    pub(super) fn doubt(&mut self, why: String, now: Instant) -> bool {
        let before = self.doubt.replace((now, why));
        before.is_none_or(|(_, before)| Some(&before) != self.doubt.as_ref().map(|(_, why)| why))
    }

    /// How long they are listened to before silence means that there is none: each should have
    /// spoken twice.
    fn listening(&self) -> Duration {
        limits::LISTENING.max(2 * self.longest_interval() + Duration::from_secs(1))
    }

    fn longest_interval(&self) -> Duration {
        self.known.values().map(|worker| worker.every).fold(self.interval, Duration::max)
    }

    /// What the workers that count say.
    ///
    /// # Errors
    /// [`Fault`] while it is unknown.
    pub(super) fn tally(
        &mut self,
        filter: &WorkerFilter,
        now: Instant,
    ) -> Result<HeartbeatTally, Fault> {
        self.forget(now);
        let listening = self.listening();
        if now < self.since + listening {
            return Err(Fault::Listening(listening));
        }
        let memory = silence(self.longest_interval());
        if let Some((at, why)) = &self.doubt
            && now < *at + memory
        {
            return Err(Fault::Unexpected(why.clone()));
        }
        self.doubt = None;
        let mut tally = HeartbeatTally {
            jobs: 0,
            busy: 0,
            finished: 0,
            holds_for: None,
            nameless: 0,
            silent: 0,
        };
        for (name, worker) in &self.known {
            let is_silent = self.silence.is_some() && worker.is_overdue(now);
            let jobs = if is_silent { worker.most_jobs() } else { worker.jobs };
            let is_included = filter.includes(name, worker.queues.as_deref());
            if is_included == Some(true) {
                tally.finished = tally.finished.saturating_add(worker.finished);
            }
            match is_included {
                None => tally.nameless += 1,
                Some(false) => {}
                Some(true) if jobs == 0 && self.silence.is_none() => {}
                Some(true) => {
                    tally.jobs = tally.jobs.saturating_add(jobs);
                    tally.busy += u64::from(jobs > 0);
                    tally.silent += u64::from(is_silent && jobs > worker.jobs);
                    let until = if is_silent || self.silence.is_none() {
                        worker.believed_until(self.since, self.silence)
                    } else {
                        worker.overdue_at()
                    };
                    let left = until.saturating_duration_since(now);
                    tally.holds_for = Some(tally.holds_for.map_or(left, |least| least.min(left)));
                }
            }
        }
        Ok(tally)
    }

    /// Forgets the workers that have been silent for too long.
    fn forget(&mut self, now: Instant) {
        let (since, silence) = (self.since, self.silence);
        let is_over =
            |_: &String, worker: &mut Worker| now >= worker.believed_until(since, silence);
        let gone: Vec<String> = self.known.extract_if(.., is_over).map(|(name, _)| name).collect();
        self.give_up(gone.into_iter());
    }
}

/// How long a worker with this interval may be silent before it is taken for dead.
fn silence(interval: Duration) -> Duration {
    limits::HEARTBEAT_SILENCE.max(3 * interval)
}

impl Worker {
    /// Since when it should have spoken again, and one message was lost.
    fn overdue_at(&self) -> Instant {
        self.heard_at + 2 * self.every
    }

    fn is_overdue(&self, now: Instant) -> bool {
        now >= self.overdue_at()
    }

    /// How many jobs it has finished since it was heard first when it says that it ended so many since it started.
    /// One that says less was started anew, and what it ended before it spoke is not known.
    fn finished_by(&self, ended: Option<u64>) -> u64 {
        let more = ended.zip(self.ended).map(|(now, before)| now.saturating_sub(before));
        self.finished.saturating_add(more.unwrap_or(0))
    }

    /// What it runs at most if it says nothing.
    fn most_jobs(&self) -> u64 {
        self.jobs.max(self.slots.unwrap_or(1)).max(1)
    }

    fn believed_until(&self, since: Instant, at_most: Option<Duration>) -> Instant {
        let silence = silence(self.every);
        let until = self.heard_at + at_most.map_or(silence, |at_most| at_most.max(silence));
        if self.heard_at < since { until.max(since + limits::REJOINING) } else { until }
    }
}

/// For people who ask what was heard: one worker after another, a few of them.
impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.known.is_empty() {
            return f.write_str("nobody");
        }
        for (place, (name, worker)) in self.known.iter().enumerate() {
            let between = if place == 0 { "" } else { "; " };
            if worker.listed {
                write!(f, "{between}{}: listed, and has not spoken", name.escape_debug())?;
                continue;
            }
            write!(f, "{between}{}: {} running", name.escape_debug(), worker.jobs)?;
            match &worker.queues {
                None => f.write_str(", names no queues")?,
                Some(queues) => write!(f, ", serves {}", queues.join(", ").escape_debug())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
