//! Redis's own clock in the model: it may run faster or slower than ours, and be set.
//!
//! The oracle asks it about the past: when, in our time, a score came.

use crate::transcript::Moment;

/// The clock; its readings are microseconds since the Unix epoch.
#[derive(Debug)]
pub struct Clock {
    stretches: Vec<Stretch>,
    set_at: Option<u64>,
}

/// A time in which the clock ran evenly.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: Moment,
    reading: i64,
    /// Microseconds by which it gains on ours in a second.
    drift: i64,
}

impl Stretch {
    fn at(&self, ms: u64) -> i64 {
        let passed = i64::try_from(ms.saturating_sub(self.from.ms)).unwrap();
        self.reading + passed * 1_000 + passed * self.drift / 1_000
    }

    /// The first millisecond of ours at which the reading is at least this.
    fn reaches(&self, reading: i64) -> u64 {
        let missing = (reading - self.reading).max(0);
        let guess = u64::try_from(missing * 1_000 / (1_000_000 + self.drift)).unwrap();
        let from = self.from.ms + guess.saturating_sub(1);
        (from..from + 4).find(|ms| self.at(*ms) >= reading).unwrap_or(from + 4)
    }
}

impl Clock {
    /// A clock that drifts by so many microseconds a second.
    pub fn new(drift: i64) -> Self {
        let first = Stretch { from: Moment::default(), reading: 1_700_000_000_000_000, drift };
        Self { stretches: vec![first], set_at: None }
    }

    /// What it read at a moment.
    pub fn at(&self, moment: Moment) -> i64 {
        let next = self.stretches.partition_point(|stretch| stretch.from <= moment);
        self.stretches[next.saturating_sub(1)].at(moment.ms)
    }

    /// Sets it forward or back.
    pub fn set(&mut self, now: Moment, by: i64) {
        let reading = self.at(now) + by;
        let drift = self.stretches.last().unwrap().drift;
        self.stretches.push(Stretch { from: now, reading, drift });
        self.set_at = Some(now.ms);
    }

    /// When it was last set, in our milliseconds.
    pub fn set_at(&self) -> Option<u64> {
        self.set_at
    }

    /// What it read from one millisecond of ours to another, wherever something may come of it: at
    /// both ends, when it was set, and when it first read one of these. With the millisecond of
    /// each, in order.
    pub fn readings(&self, turns: &[i64], (from, to): (u64, u64)) -> Vec<(u64, i64)> {
        let mut readings = vec![];
        for (place, stretch) in self.stretches.iter().enumerate() {
            let next = self.stretches.get(place + 1).map_or(u64::MAX, |next| next.from.ms);
            let (start, end) = (from.max(stretch.from.ms), to.min(next));
            if start > end {
                continue;
            }
            let mut moments = vec![start, end];
            moments.extend(turns.iter().map(|turn| stretch.reaches(*turn)));
            moments.retain(|ms| (start..=end).contains(ms));
            moments.sort_unstable();
            readings.extend(moments.into_iter().map(|ms| (ms, stretch.at(ms))));
        }
        readings
    }
}
