//! How fast counters rise: what they did for as long as a window, noted in parts of it.
//!
//! Pure. A rate needs a past: until the counters were watched for the whole window it is unknown, and no zero.

use std::{collections::VecDeque, time::Duration};

use crate::{layouts::Count, limits, time::Instant};

/// What counters did lately.
#[derive(Debug, Clone)]
pub struct Arrivals {
    window: Duration,
    /// When a rise was seen, and how much all had risen by then since they are watched; oldest first. At least one
    /// of them is older than the window, once it was watched that long.
    rises: VecDeque<(Instant, f64)>,
    /// What each counter said last. None of them: whatever they say next is no rise.
    last: Box<[Count]>,
    /// The last rate that was known, which outlives what was noted.
    known: Option<Count>,
}

impl Arrivals {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self { window, rises: VecDeque::new(), last: [].into(), known: None }
    }

    /// Takes in what the counters said at a time. One that fell began anew.
    pub fn note(&mut self, counters: &[Count], at: Instant) {
        // What is cut to the largest number rises no more, and would look as if nothing came.
        if counters.iter().any(|counter| counter.get() >= limits::QUANTITY_MAX) {
            return self.forget(at);
        }
        let rise = |(now, before): (&Count, &Count)| {
            if now < before { now.get() } else { now.less(*before).get() }
        };
        let is_known = self.last.len() == counters.len();
        let pairs = counters.iter().zip(&self.last).filter(|_| is_known);
        let rise: f64 = pairs.map(rise).sum();
        self.last = counters.into();
        let Some((_, total)) = self.rises.back().copied() else {
            return self.rises.push_back((at, 0.0));
        };
        if rise > 0.0 {
            let part = self.window / limits::RATE_PARTS;
            let before = self.rises.len().checked_sub(2).map(|place| self.rises[place].0);
            if before.is_some_and(|before| at < before + part) {
                self.rises.pop_back();
            }
            self.rises.push_back((at, total + rise));
        }
        while self.rises.get(1).is_some_and(|(second, _)| *second + self.window <= at) {
            self.rises.pop_front();
        }
    }

    /// Forgets all but the rate of now: nobody saw what the counters did meanwhile, or whether they are the same.
    pub fn forget(&mut self, now: Instant) {
        self.known = self.rate(now).or(self.known);
        self.rises.clear();
        self.rebase();
    }

    /// There may be other counters now: what they say next is no rise.
    pub fn rebase(&mut self) {
        self.last = [].into();
    }

    /// How many came in a second, over the window; `None` until it was watched.
    #[must_use]
    pub fn rate(&self, now: Instant) -> Option<Count> {
        let since = self.rises.front()?.0;
        if since + self.window > now {
            return None;
        }
        Count::new(self.per_second(now)?)
    }

    /// No more than the rate: how many came in a second, over the window and as far as it was watched. Of what was not
    /// watched that is none.
    #[must_use]
    pub fn at_least(&self, now: Instant) -> Count {
        self.per_second(now).and_then(Count::new).unwrap_or(Count::ZERO)
    }

    /// The rate, or until its window was watched what it was before, or is at least by now; `None` if it never was
    /// known.
    #[must_use]
    pub fn estimate(&self, now: Instant) -> Option<Count> {
        self.rate(now).or_else(|| Some(self.known?.most(self.at_least(now))))
    }

    fn per_second(&self, now: Instant) -> Option<f64> {
        let (_, total) = self.rises.back()?;
        let before = self.rises.iter().rev().find(|(at, _)| *at + self.window <= now);
        let (_, before) = before.or(self.rises.front())?;
        Some((total - before) / self.window.as_secs_f64())
    }

    /// When something else is to be told without anything coming: the window was watched, or the rate is no more than
    /// this.
    #[must_use]
    pub fn changes_at(&self, activation: f64, now: Instant) -> Option<Instant> {
        let (_, total) = self.rises.back()?;
        let most = activation * self.window.as_secs_f64();
        let calm = self.rises.iter().find(|(_, risen)| total - risen <= most);
        let ends =
            [calm, self.rises.front()].into_iter().flatten().map(|(at, _)| *at + self.window);
        ends.filter(|at| *at > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_mins(1);

    struct Watched {
        arrivals: Arrivals,
        start: Instant,
    }

    impl Watched {
        fn new() -> Self {
            Self { arrivals: Arrivals::new(WINDOW), start: Instant::now() }
        }

        fn at(&self, seconds: f64) -> Instant {
            self.start + Duration::from_secs_f64(seconds)
        }

        fn note(&mut self, seconds: f64, counters: &[u32]) {
            let of = |counter: &u32| Count::from(u64::from(*counter));
            let counters: Vec<Count> = counters.iter().map(of).collect();
            self.arrivals.note(&counters, self.at(seconds));
        }

        fn rate(&self, seconds: f64) -> Option<f64> {
            self.arrivals.rate(self.at(seconds)).map(Count::get)
        }
    }

    #[test]
    fn a_rate_is_unknown_until_its_window_was_watched() {
        let mut watched = Watched::new();
        assert_eq!(watched.rate(0.0), None);
        watched.note(0.0, &[1_000]);
        watched.note(10.0, &[1_060]);
        assert_eq!(watched.rate(59.9), None, "and not what came since");
        assert_eq!(watched.arrivals.at_least(watched.at(59.9)).get(), 1.0);
        assert_eq!(watched.rate(60.0), Some(1.0));
        assert_eq!(watched.rate(70.0), Some(0.0), "it falls with time alone");
        watched.arrivals.forget(watched.at(71.0));
        assert_eq!(watched.rate(71.0), None);
    }

    #[test]
    fn until_it_is_watched_again_a_rate_is_taken_for_what_it_was_or_is_at_least() {
        let mut watched = Watched::new();
        let estimate = |watched: &Watched, seconds| {
            watched.arrivals.estimate(watched.at(seconds)).map(Count::get)
        };
        watched.note(0.0, &[0]);
        watched.note(30.0, &[60]);
        assert_eq!(estimate(&watched, 31.0), None, "it never was known");
        watched.note(61.0, &[60]);
        assert_eq!(estimate(&watched, 61.0), Some(1.0));
        watched.arrivals.forget(watched.at(62.0));
        watched.note(70.0, &[60]);
        assert_eq!(estimate(&watched, 71.0), Some(1.0));
        watched.note(72.0, &[240]);
        assert_eq!(estimate(&watched, 72.0), Some(3.0));
    }

    #[test]
    fn a_burst_counts_once_however_it_is_seen() {
        for step in [1, 7, 50, 600] {
            let mut watched = Watched::new();
            watched.note(0.0, &[0]);
            let mut counter = 0;
            while counter < 600 {
                counter = (counter + step).min(600);
                watched.note(61.0 + f64::from(counter) / 200.0, &[counter]);
            }
            assert_eq!(watched.rate(65.0), Some(10.0), "in steps of {step}");
            assert_eq!(watched.rate(120.5), Some(10.0), "in steps of {step}");
            assert_eq!(watched.rate(126.0), Some(0.0), "in steps of {step}");
        }
    }

    #[test]
    fn a_steady_stream_is_right_within_a_part_of_the_window_and_takes_bounded_room() {
        let mut watched = Watched::new();
        for tick in 0..100_000 {
            watched.note(f64::from(tick) / 80.0, &[tick]);
        }
        let rate = watched.rate(100_000.0 / 80.0).unwrap();
        assert!((rate - 80.0).abs() <= 80.0 * 0.02, "{rate}");
        assert!(watched.arrivals.rises.len() <= 125, "{}", watched.arrivals.rises.len());
    }

    #[test]
    fn each_counter_that_falls_began_anew_and_another_one_is_no_rise() {
        let mut watched = Watched::new();
        watched.note(0.0, &[1_000, 500]);
        watched.note(61.0, &[1_030, 15]);
        assert_eq!(watched.rate(62.0), Some(45.0 / 60.0), "30 and 15");
        watched.arrivals.rebase();
        watched.note(63.0, &[9_000, 15]);
        watched.note(64.0, &[9_000, 15, 700]);
        assert_eq!(watched.rate(64.0), Some(45.0 / 60.0), "a counter that is new did not rise");
        watched.note(65.0, &[9_015, 15, 700]);
        assert_eq!(watched.rate(65.0), Some(1.0));
    }

    #[test]
    fn a_counter_that_is_cut_to_the_largest_number_is_unknown() {
        let mut watched = Watched::new();
        watched.note(0.0, &[7]);
        let most = Count::from(u64::MAX);
        watched.arrivals.note(&[most], watched.at(61.0));
        assert_eq!(watched.rate(62.0), None);
    }

    #[test]
    fn what_changes_with_time_alone_has_a_time() {
        let mut watched = Watched::new();
        let next = |watched: &Watched, activation, seconds| {
            let at = watched.arrivals.changes_at(activation, watched.at(seconds))?;
            Some(at.duration_since(watched.start).as_secs())
        };
        assert_eq!(next(&watched, 0.0, 0.0), None);
        watched.note(0.0, &[0]);
        assert_eq!(next(&watched, 0.0, 1.0), Some(60), "it is known then");
        watched.note(70.0, &[60]);
        watched.note(80.0, &[180]);
        assert_eq!(next(&watched, 0.0, 81.0), Some(140), "nothing came for a minute");
        assert_eq!(next(&watched, 2.0, 81.0), Some(130), "two a second are left");
        assert_eq!(next(&watched, 2.0, 131.0), None);
    }
}
