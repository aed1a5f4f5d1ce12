//! What there is to see of the demo: numbers, events, and the summary at the end.
//!
//! It knows no terminal, and gives lines of text.

use std::{collections::VecDeque, fmt, time::Duration};

use penstock::time::Instant;

use super::{Lengths, Load};

/// Events that stay visible.
const EVENTS: usize = 8;
/// Columns of a bar.
const BAR: usize = 40;

/// Something that happened, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Since the start of the demo.
    pub at: Duration,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:6.2} s  {}", self.at.as_secs_f64(), self.what)
    }
}

/// The state of the demo.
#[derive(Debug)]
pub struct Board {
    load: Load,
    started: Instant,
    /// How many jobs each list holds.
    pub lengths: Lengths,
    /// Workers that should run.
    pub replicas: u32,
    /// Jobs that are finished.
    pub done: usize,
    /// Jobs whose worker was ended before they were.
    pub cut: usize,
    /// Every number of replicas that there was, in turn.
    pub history: Vec<u32>,
    enqueued: usize,
    first_enqueue: Option<Instant>,
    /// From the first enqueue to the activation.
    pub activation: Option<Duration>,
    recent: VecDeque<Event>,
    fresh: Vec<Event>,
}

impl Board {
    pub(super) fn new(load: Load, started: Instant) -> Self {
        Self {
            load,
            started,
            lengths: Lengths { waiting: 0, in_flight: 0 },
            replicas: 0,
            done: 0,
            cut: 0,
            history: vec![0],
            enqueued: 0,
            first_enqueue: None,
            activation: None,
            recent: VecDeque::new(),
            fresh: Vec::new(),
        }
    }

    pub(super) fn event(&mut self, what: impl Into<String>, now: Instant) {
        let event = Event { at: now - self.started, what: what.into() };
        self.recent.push_back(event.clone());
        if self.recent.len() > EVENTS {
            self.recent.pop_front();
        }
        self.fresh.push(event);
    }

    pub(super) fn enqueued(&mut self, jobs: usize, now: Instant) {
        self.enqueued += jobs;
        self.first_enqueue.get_or_insert(now);
        self.event(format!("producer: {jobs} jobs enqueued"), now);
    }

    pub(super) fn activated(&mut self, now: Instant) {
        if let (None, Some(first)) = (self.activation, self.first_enqueue) {
            self.activation = Some(now - first);
        }
    }

    pub(super) fn scaled(&mut self, replicas: u32) {
        if replicas != self.replicas {
            self.replicas = replicas;
            self.history.push(replicas);
        }
    }

    /// Whether every job there will be is done or cut.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.done + self.cut >= self.load.jobs
    }

    /// Whether the demo showed what it is there to show.
    #[must_use]
    pub fn is_success(&self) -> bool {
        let most = self.history.iter().max().copied().unwrap_or(0);
        self.done == self.load.jobs && self.cut == 0 && self.replicas == 0 && most > 0
    }

    /// The events since the last time.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.fresh)
    }

    /// One line for output that is no terminal.
    #[must_use]
    pub fn line(&self) -> String {
        let Lengths { waiting, in_flight } = self.lengths;
        let (replicas, done) = (self.replicas, self.done);
        format!(
            "waiting {waiting:4}  in flight {in_flight:3}  replicas {replicas:3}  done {done:4}"
        )
    }

    /// The picture for a terminal.
    #[must_use]
    pub fn picture(&self, now: Instant) -> Vec<String> {
        let most = self.load.jobs.max(1);
        let replicas = usize::try_from(self.replicas).unwrap_or(usize::MAX);
        let max = usize::try_from(self.load.max_replicas).unwrap_or(usize::MAX).max(1);
        let elapsed = (now - self.started).as_secs_f64();
        let mut lines = vec![
            format!("penstock demo  {elapsed:5.1} s  (KEDA's clock × {})", self.load.speed),
            String::new(),
            bar("waiting", self.lengths.waiting, most),
            bar("in flight", self.lengths.in_flight, max),
            bar("replicas", replicas, max),
            bar("done", self.done, most),
            String::new(),
        ];
        lines.extend(self.recent.iter().map(ToString::to_string));
        lines.resize(7 + EVENTS, String::new());
        lines
    }

    /// The summary at the end.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        let history: Vec<String> = self.history.iter().map(ToString::to_string).collect();
        let activation = self.activation.map_or_else(
            || "never".to_owned(),
            |time| format!("{:.1} ms", time.as_secs_f64() * 1000.0),
        );
        vec![
            format!("jobs done                    {} of {}", self.done, self.load.jobs),
            format!("jobs cut                     {}", self.cut),
            format!("first enqueue → activation   {activation}"),
            format!("replicas                     {}", history.join(" → ")),
        ]
    }
}

fn bar(name: &str, number: usize, most: usize) -> String {
    let filled = (number.min(most) * BAR).div_ceil(most);
    let (full, empty) = ("█".repeat(filled), "·".repeat(BAR - filled));
    format!("{name:<10} {number:5}  {full}{empty}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> (Board, Instant) {
        let load = Load {
            speed: 20.0,
            jobs: 2,
            job_time: Duration::from_secs(1),
            target: 1.0,
            max_replicas: 4,
        };
        let now = Instant::now();
        (Board::new(load, now), now)
    }

    #[test]
    fn only_all_jobs_done_none_cut_and_a_way_up_and_down_is_a_success() {
        let (mut board, now) = board();
        assert!(!board.is_success());
        board.enqueued(2, now);
        board.scaled(2);
        board.done = 2;
        assert!(!board.is_success(), "workers still run");
        board.scaled(0);
        assert!(board.is_success());
        board.cut = 1;
        assert!(!board.is_success());
    }

    #[test]
    fn the_activation_is_timed_from_the_first_enqueue_once() {
        let (mut board, now) = board();
        board.activated(now);
        assert_eq!(board.activation, None, "nothing was enqueued yet");
        board.enqueued(1, now);
        board.activated(now + Duration::from_millis(3));
        board.activated(now + Duration::from_secs(9));
        assert_eq!(board.activation, Some(Duration::from_millis(3)));
        assert!(board.summary()[2].ends_with("3.0 ms"));
    }

    #[test]
    fn a_bar_is_never_longer_than_its_room() {
        let width = |number, most| bar("x", number, most).chars().count();
        assert_eq!(width(0, 5), width(99, 5));
        assert!(bar("x", 1, 1000).contains('█'), "one of many is visible");
    }
}
