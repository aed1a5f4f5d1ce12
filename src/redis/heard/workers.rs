//! Who was heard on a station, and what that makes.
//!
//! It is pure, and apart from the channels, because the rules of silence live here: when it means
//! that there is nobody, and when it only means that nobody knows. A message that cannot be read
//! never lowers a count.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{layouts::Whose, limits, sampling::Fault, time::Instant};

use super::message::Said;

/// Everybody who was heard on one station.
#[derive(Debug)]
pub(super) struct Workers {
    /// How often they are expected to speak.
    interval: Duration,
    /// Since when they are listened to without a gap.
    since: Instant,
    known: BTreeMap<String, Worker>,
    /// What was said that nobody can make anything of, and when.
    doubt: Option<(Instant, String)>,
}

/// What one worker said last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Worker {
    jobs: u64,
    every: Duration,
    queues: Option<Vec<String>>,
    heard_at: Instant,
}

/// What the workers that count say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    /// Jobs that they have begun.
    pub(super) jobs: u64,
    /// For how long that holds if nobody speaks; `None` for ever.
    pub(super) holds_for: Option<Duration>,
    /// Workers that do not say which queues they serve, where that is what counts.
    pub(super) nameless: u64,
}

impl Workers {
    /// Nobody was heard yet.
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self { interval, since: now, known: BTreeMap::new(), doubt: None }
    }

    /// They are listened to anew, after a gap. Who was heard before is believed for a while, since its
    /// jobs go on while it comes back to Redis.
    pub(super) fn listen_anew(&mut self, now: Instant) {
        (self.since, self.doubt) = (now, None);
    }

    /// Takes in what a worker said. Tells whether it is news.
    pub(super) fn hear(&mut self, said: Said, now: Instant) -> bool {
        self.forget(now);
        let Said { worker: name, jobs, every, queues } = said;
        if self.known.len() >= limits::HEARD_WORKERS && !self.known.contains_key(&name) {
            let most = limits::HEARD_WORKERS;
            return self.doubt(format!("more than {most} workers speak on it"), now);
        }
        let worker = Worker { jobs, every, queues, heard_at: now };
        let before = self.known.insert(name, worker.clone());
        before.is_none_or(|before| (before.jobs, before.queues) != (worker.jobs, worker.queues))
    }

    /// A worker said that it ends. Tells whether it is news.
    pub(super) fn end(&mut self, name: &str) -> bool {
        self.known.remove(name).is_some()
    }

    /// Something was said that cannot be counted. Until it is long enough ago nothing is known, since
    /// the worker that said it may run anything. Tells whether it is news.
    pub(super) fn doubt(&mut self, why: String, now: Instant) -> bool {
        let before = self.doubt.replace((now, why));
        before.is_none_or(|(_, before)| Some(&before) != self.doubt.as_ref().map(|(_, why)| why))
    }

    /// How long they are listened to before silence means that there is nobody: everybody should have
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
    /// [`Fault`] while nobody can know.
    pub(super) fn tally(&mut self, whose: &Whose, now: Instant) -> Result<Tally, Fault> {
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
        let mut tally = Tally { jobs: 0, holds_for: None, nameless: 0 };
        for (name, worker) in &self.known {
            match whose.includes(name, worker.queues.as_deref()) {
                None => tally.nameless += 1,
                Some(false) => {}
                Some(true) if worker.jobs == 0 => {}
                Some(true) => {
                    tally.jobs = tally.jobs.saturating_add(worker.jobs);
                    let left = worker.believed_until(self.since).saturating_duration_since(now);
                    tally.holds_for = Some(tally.holds_for.map_or(left, |least| least.min(left)));
                }
            }
        }
        Ok(tally)
    }

    /// Forgets who has been silent for too long.
    fn forget(&mut self, now: Instant) {
        let since = self.since;
        self.known.retain(|_, worker| now < worker.believed_until(since));
    }
}

/// How long a worker with this interval may be silent before it is taken for dead.
fn silence(interval: Duration) -> Duration {
    limits::HEARD_SILENCE.max(3 * interval)
}

impl Worker {
    fn believed_until(&self, since: Instant) -> Instant {
        let until = self.heard_at + silence(self.every);
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
mod tests {
    use super::*;
    use crate::layouts::Glob;

    const SECOND: Duration = Duration::from_secs(1);

    fn said(worker: &str, jobs: u64, every: u64) -> Said {
        let every = Duration::from_secs(every);
        Said { worker: worker.to_owned(), jobs, every, queues: None }
    }

    fn serving(worker: &str, jobs: u64, queues: &[&str]) -> Said {
        let queues = Some(queues.iter().map(|queue| (*queue).to_owned()).collect());
        Said { queues, ..said(worker, jobs, 2) }
    }

    fn pool(pattern: &str) -> Whose {
        Whose::Pool(Glob::parse(pattern).unwrap())
    }

    fn queues(queues: &[&str]) -> Whose {
        Whose::Queues(queues.iter().map(|queue| (*queue).into()).collect())
    }

    fn jobs(workers: &mut Workers, whose: &Whose, now: Instant) -> Option<u64> {
        workers.tally(whose, now).ok().map(|tally| tally.jobs)
    }

    /// Workers that have been listened to for long enough.
    fn listened() -> (Workers, Instant) {
        let start = Instant::now();
        (Workers::new(2 * SECOND, start), start + 5 * SECOND)
    }

    #[test]
    fn silence_means_nothing_until_everybody_should_have_spoken_twice() {
        let start = Instant::now();
        let mut workers = Workers::new(2 * SECOND, start);
        let early = workers.tally(&pool("*"), start + 4 * SECOND);
        assert_eq!(early, Err(Fault::Listening(5 * SECOND)));
        assert_eq!(jobs(&mut workers, &pool("*"), start + 5 * SECOND), Some(0));
        // What is expected, or heard, to speak less often is listened to for longer.
        let mut seldom = Workers::new(10 * SECOND, start);
        assert_eq!(jobs(&mut seldom, &pool("*"), start + 20 * SECOND), None);
        assert_eq!(jobs(&mut seldom, &pool("*"), start + 21 * SECOND), Some(0));
        workers.hear(said("slow@a", 0, 30), start + 5 * SECOND);
        assert_eq!(jobs(&mut workers, &pool("*"), start + 60 * SECOND), None);
        assert_eq!(jobs(&mut workers, &pool("*"), start + 61 * SECOND), Some(0));
    }

    #[test]
    fn the_jobs_of_a_pool_are_those_of_the_workers_that_match() {
        let (mut workers, now) = listened();
        for (worker, jobs) in [("emails@a", 2), ("emails@b", 3), ("reports@a", 4)] {
            assert!(workers.hear(said(worker, jobs, 2), now), "a new worker is news");
        }
        assert_eq!(jobs(&mut workers, &pool("emails@*"), now), Some(5));
        assert_eq!(jobs(&mut workers, &pool("*@a"), now), Some(6));
        assert_eq!(jobs(&mut workers, &pool("others@*"), now), Some(0));
        assert!(!workers.hear(said("emails@a", 2, 2), now + SECOND), "nothing is new");
        assert!(workers.hear(said("emails@a", 1, 2), now + SECOND));
        assert_eq!(jobs(&mut workers, &pool("emails@*"), now), Some(4));
    }

    #[test]
    fn a_worker_counts_once_for_all_the_queues_that_it_serves() {
        let (mut workers, now) = listened();
        workers.hear(serving("a", 2, &["emails", "reports"]), now);
        workers.hear(serving("b", 3, &["reports"]), now);
        workers.hear(said("c", 7, 2), now);
        assert_eq!(jobs(&mut workers, &queues(&["emails"]), now), Some(2));
        assert_eq!(jobs(&mut workers, &queues(&["emails", "reports"]), now), Some(5));
        let tally = workers.tally(&queues(&["other"]), now).unwrap();
        assert_eq!((tally.jobs, tally.nameless), (0, 1));
        assert_eq!(workers.tally(&pool("*"), now).unwrap().nameless, 0);
        assert!(workers.hear(serving("c", 7, &["other"]), now), "it now says whom it serves");
        assert_eq!(jobs(&mut workers, &queues(&["other"]), now), Some(7));
    }

    #[test]
    fn a_worker_that_falls_silent_counts_until_three_of_its_intervals_are_over() {
        let (mut workers, now) = listened();
        workers.hear(said("a", 2, 2), now);
        workers.hear(said("slow", 1, 20), now);
        let later = now + 41 * SECOND;
        workers.hear(said("a", 2, 2), later);
        let tally = workers.tally(&pool("*"), later).unwrap();
        assert_eq!((tally.jobs, tally.holds_for), (3, Some(10 * SECOND)));
        let tally = workers.tally(&pool("*"), later + 10 * SECOND).unwrap();
        assert_eq!((tally.jobs, tally.holds_for), (1, Some(9 * SECOND)));
        let tally = workers.tally(&pool("*"), later + 19 * SECOND).unwrap();
        assert_eq!((tally.jobs, tally.holds_for), (0, None));
    }

    #[test]
    fn a_worker_that_says_that_it_ends_counts_no_more() {
        let (mut workers, now) = listened();
        workers.hear(said("a", 2, 2), now);
        assert!(workers.end("a") && !workers.end("a"));
        assert_eq!(jobs(&mut workers, &pool("*"), now), Some(0));
    }

    #[test]
    fn what_cannot_be_read_never_lowers_a_count() {
        let (mut workers, now) = listened();
        workers.hear(said("a", 2, 2), now);
        assert!(workers.doubt("no JSON".to_owned(), now + SECOND), "the first is news");
        assert!(!workers.doubt("no JSON".to_owned(), now + 9 * SECOND));
        // The worker that spoke last may be the one that is not understood any more.
        let fault = Err(Fault::Unexpected("no JSON".to_owned()));
        assert_eq!(workers.tally(&pool("*"), now + 18 * SECOND), fault);
        assert_eq!(jobs(&mut workers, &pool("*"), now + 19 * SECOND), Some(0));
    }

    #[test]
    fn after_a_gap_who_was_heard_before_is_believed_until_it_had_time_to_come_back() {
        let (mut workers, now) = listened();
        workers.hear(said("a", 2, 2), now);
        workers.hear(said("b", 3, 2), now);
        let back = now + 60 * SECOND;
        workers.listen_anew(back);
        assert_eq!(jobs(&mut workers, &pool("*"), back + 4 * SECOND), None);
        workers.hear(said("a", 1, 2), back + 4 * SECOND);
        let tally = workers.tally(&pool("*"), back + 5 * SECOND).unwrap();
        assert_eq!((tally.jobs, tally.holds_for), (4, Some(9 * SECOND)));
        workers.hear(said("a", 1, 2), back + 39 * SECOND);
        assert_eq!(jobs(&mut workers, &pool("*"), back + 40 * SECOND), Some(1));
    }

    #[test]
    fn more_workers_than_are_remembered_are_no_number() {
        let (mut workers, now) = listened();
        for number in 0..limits::HEARD_WORKERS {
            workers.hear(said(&format!("w{number}"), 1, 2), now);
        }
        assert_eq!(jobs(&mut workers, &pool("*"), now), Some(limits::HEARD_WORKERS as u64));
        assert!(workers.hear(said("one more", 1, 2), now));
        assert!(!workers.hear(said("w0", 1, 2), now + SECOND), "who is known is still heard");
        assert_eq!(jobs(&mut workers, &pool("*"), now + 9 * SECOND), None);
        assert_eq!(workers.known.len(), limits::HEARD_WORKERS);
    }
}
