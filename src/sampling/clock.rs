//! Redis's clock beside ours: whether it was set since it was last looked at.
//!
//! Pure. When a job falls due or a lease runs out is known in Redis's time and waited for in ours,
//! which is right as long as both run alike. It does not know what depends on it.

use std::time::Duration;

use crate::{limits, time::Instant};

/// What is known of Redis's clock on one link.
#[derive(Debug, Default)]
pub struct Clock {
    /// When it was last asked for, and the reading that later ones are held against.
    asked_at: Option<Instant>,
    reference: Option<ClockReading>,
}

/// A reading: Redis said `time` at some moment between the two of ours.
#[derive(Debug, Clone, Copy)]
struct ClockReading {
    time: Duration,
    sent_at: Instant,
    heard_at: Instant,
}

impl Clock {
    /// When it is to be asked for again.
    #[must_use]
    pub fn due_at(&self, now: Instant) -> Instant {
        self.asked_at.map_or(now, |asked_at| asked_at + limits::PROOF_INTERVAL)
    }

    /// Notes a reading that was asked for and heard at these two moments; tells whether the clock
    /// was set, or ran away from ours, by more than [`limits::CLOCK_DRIFT`] since the reference.
    pub fn was_set(&mut self, time: Option<Duration>, sent_at: Instant, heard_at: Instant) -> bool {
        self.asked_at = Some(sent_at);
        let Some(time) = time else { return false };
        let reading = ClockReading { time, sent_at, heard_at };
        let was_set = self.reference.is_some_and(|reference| !reading.agrees_with(reference));
        // Of two readings that agree, the one that took less time tells more.
        if was_set || self.reference.is_none_or(|reference| reading.took() < reference.took()) {
            self.reference = Some(reading);
        }
        was_set
    }
}

impl ClockReading {
    fn took(self) -> Duration {
        self.heard_at.saturating_duration_since(self.sent_at)
    }

    /// Whether as much time has passed there as here, as far as the two round trips let us know.
    fn agrees_with(self, earlier: Self) -> bool {
        let shortest = self.sent_at.saturating_duration_since(earlier.heard_at);
        let longest = self.heard_at.saturating_duration_since(earlier.sent_at);
        let least = (earlier.time + shortest).saturating_sub(limits::CLOCK_DRIFT);
        let most = earlier.time + longest + limits::CLOCK_DRIFT;
        (least..=most).contains(&self.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readings (Redis's ms, sent, heard), and whether each says that the clock was set.
    fn readings(readings: &[(u64, u64, u64)]) -> Vec<bool> {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut clock = Clock::default();
        let mut note = |(time, sent, heard): &(u64, u64, u64)| {
            clock.was_set(Some(ms(*time)), start + ms(*sent), start + ms(*heard))
        };
        readings.iter().map(&mut note).collect()
    }

    #[test]
    fn a_clock_that_runs_like_ours_was_not_set_however_slow_its_answers() {
        let seen = [(5_000, 0, 10), (6_000, 1_000, 1_400), (7_300, 2_000, 2_400)];
        assert_eq!(readings(&seen), [false; 3]);
    }

    #[test]
    fn a_clock_that_was_set_forward_or_back_is_told_once() {
        let seen = [(5_000, 0, 1), (9_000, 1_000, 1_001), (10_000, 2_000, 2_001)];
        assert_eq!(readings(&seen), [false, true, false]);
        let seen = [(5_000, 0, 1), (4_000, 1_000, 1_001), (5_000, 2_000, 2_001)];
        assert_eq!(readings(&seen), [false, true, false]);
    }

    #[test]
    fn a_slow_first_reading_does_not_hide_for_ever_that_the_clock_is_set() {
        let seen = [(5_000, 0, 400), (6_000, 1_000, 1_001), (7_300, 2_000, 2_001)];
        assert_eq!(readings(&seen), [false, false, true]);
    }

    #[test]
    fn a_clock_that_creeps_away_is_noticed_once_it_is_far_enough() {
        let seen = [(0, 0, 1), (1_030, 1_000, 1_001), (2_060, 2_000, 2_001)];
        assert_eq!(readings(&seen), [false, false, true]);
    }

    #[test]
    fn a_clock_that_may_not_be_asked_was_never_set() {
        let now = Instant::now();
        let mut clock = Clock::default();
        assert!(!clock.was_set(None, now, now));
        assert_eq!(clock.due_at(now), now + limits::PROOF_INTERVAL);
    }
}
