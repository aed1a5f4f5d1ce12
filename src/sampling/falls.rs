//! Whether a lower count than before is believed.
//!
//! Pure. While a framework moves a job, the job may be in no key for a moment (the layout's gap), and
//! keys that are read one after the other can miss one that moves back. A reading that is lower than
//! the one before may therefore be wrong, and a rise never is. So a fall is confirmed by reading again,
//! within the call that sees it: until nothing has changed for as long as the gap, or, where everything
//! changes all the time, for a bounded time of which the highest reading counts. Only a gap that is
//! longer than a call can wait holds what was counted before, from when the fall happened.

use std::{collections::VecDeque, time::Duration};

use crate::{layouts::Count, limits, time::Instant, trigger::Verdict};

/// Falls of a long gap that are kept apart; more are taken together, and held longer rather than shorter.
const FALLS: usize = 8;

/// One reading of all that a subject counts.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// What it comes to.
    pub verdict: Verdict,
    /// When the newest of its answers was asked for.
    pub read_at: Instant,
    /// When what it tells happened, if that was announced; else the same.
    pub happened_at: Instant,
    /// Until when all changes of what it was made of are known.
    pub proved_at: Instant,
    /// Whether all of it was true at one moment.
    pub whole: bool,
    /// Whether nothing changed since the reading before it; `None` where nobody would say.
    pub quiet: Option<bool>,
}

/// What was counted lately, and what of it is believed.
#[derive(Debug, Clone, Default)]
pub struct Falls {
    /// The last reading that was believed.
    believed: Option<Verdict>,
    /// When the last reading was asked for, believed or not.
    noted_at: Option<Instant>,
    /// A fall that is not confirmed yet.
    doubt: Option<Doubt>,
    /// What the last reading is taken for, where it is not taken as it is.
    instead: Option<Verdict>,
    /// With a long gap: what was counted before each fall and until when it stands. Each is less than
    /// the one before it, and stands for longer.
    held: VecDeque<(Verdict, Instant)>,
}

#[derive(Debug, Clone, Copy)]
struct Doubt {
    began_at: Instant,
    /// The reading since which nothing has changed.
    quiet_since: Instant,
    highest: Verdict,
    last: Verdict,
    /// How many readings there were, and how many of the last ones in a row said the same.
    readings: usize,
    alike: usize,
    again_at: Instant,
}

impl Falls {
    /// Takes in a reading; one that was taken in before changes nothing.
    pub fn note(&mut self, reading: &Reading, gap: Duration, now: Instant) {
        if self.noted_at.replace(reading.read_at) == Some(reading.read_at) {
            return;
        }
        self.held.retain(|(_, until)| *until > now);
        let believed = if is_long(gap) {
            self.hold(reading, gap);
            reading.verdict
        } else if self.is_doubtful(reading, gap) {
            let Some(confirmed) = self.confirm(reading, gap, now) else { return };
            confirmed
        } else {
            reading.verdict
        };
        self.doubt = None;
        self.instead = (believed != reading.verdict).then_some(believed);
        self.believed = Some(believed);
    }

    /// Leaves a fall as it is that cannot be confirmed, since what was read counts nothing.
    pub fn give_up(&mut self) {
        self.doubt = None;
    }

    /// When the last reading was asked for.
    #[must_use]
    pub fn noted_at(&self) -> Option<Instant> {
        self.noted_at
    }

    /// When the next reading is wanted to confirm a fall. Until then nothing new can be said.
    #[must_use]
    pub fn again_at(&self) -> Option<Instant> {
        self.doubt.map(|doubt| doubt.again_at)
    }

    /// What is told for the last reading, which came to this: of a long gap the highest value that
    /// still stands, and active if any of it was.
    #[must_use]
    pub fn told(&self, verdict: Verdict, now: Instant) -> Verdict {
        let verdict = self.instead.unwrap_or(verdict);
        self.standing(now).map(|(fallen, _)| *fallen).fold(verdict, most)
    }

    /// When the next of the counts that a long gap holds no longer stands.
    #[must_use]
    pub fn until(&self, now: Instant) -> Option<Instant> {
        self.standing(now).map(|(_, until)| *until).min()
    }

    /// A fall; or nothing at all, of which it is not known what was there before.
    fn is_doubtful(&self, reading: &Reading, gap: Duration) -> bool {
        let is_exact = reading.whole && gap.is_zero();
        let now = total(&reading.verdict);
        !is_exact && self.believed.map_or(!now.is_some(), |before| now < total(&before))
    }

    /// What is believed if the doubt is over with this reading.
    fn confirm(&mut self, reading: &Reading, gap: Duration, now: Instant) -> Option<Verdict> {
        let Some(doubt) = &mut self.doubt else {
            self.doubt = Some(Doubt {
                began_at: now,
                quiet_since: reading.read_at,
                highest: reading.verdict,
                last: reading.verdict,
                readings: 1,
                alike: 1,
                again_at: now + gap,
            });
            return None;
        };
        doubt.alike = if doubt.last == reading.verdict { doubt.alike + 1 } else { 1 };
        doubt.readings += 1;
        (doubt.last, doubt.highest) = (reading.verdict, most(doubt.highest, reading.verdict));
        if reading.quiet == Some(false) {
            doubt.quiet_since = reading.read_at;
        }
        let quiet_until = doubt.quiet_since + gap;
        doubt.again_at = if reading.quiet == Some(true) { now.max(quiet_until) } else { now };
        let is_settled = reading.quiet.unwrap_or(doubt.alike >= limits::CONFIRMING_READINGS);
        if is_settled && reading.proved_at >= quiet_until {
            return Some(reading.verdict);
        }
        // Everything changes all the time: what was true at any moment since is true enough.
        let is_long = now >= doubt.began_at + gap + limits::CONFIRMATION;
        (is_long && doubt.readings >= limits::BUSY_READINGS).then_some(doubt.highest)
    }

    /// Lets what was believed stand until the gap after a fall is over.
    fn hold(&mut self, reading: &Reading, gap: Duration) {
        let Some(last) = self.believed.filter(|last| total(&reading.verdict) < total(last)) else {
            return;
        };
        let (mut last, mut until) = (last, reading.happened_at + gap);
        while self.held.len() == FALLS
            || self.held.back().is_some_and(|(fallen, _)| total(fallen) <= total(&last))
        {
            let Some((fallen, stands)) = self.held.pop_back() else { break };
            (last, until) = (most(last, fallen), until.max(stands));
        }
        self.held.push_back((last, until));
    }

    fn standing(&self, now: Instant) -> impl Iterator<Item = &(Verdict, Instant)> {
        self.held.iter().filter(move |(_, until)| *until > now)
    }
}

/// Whether a gap is longer than a call waits.
#[must_use]
pub fn is_long(gap: Duration) -> bool {
    gap > limits::GAP_WAITED_FOR
}

/// The higher value with the counts that it was made of, and active if either is.
fn most(one: Verdict, other: Verdict) -> Verdict {
    let higher = if one.value < other.value { other } else { one };
    Verdict { active: one.active || other.active, ..higher }
}

/// What does not change when a job moves.
fn total(verdict: &Verdict) -> Count {
    verdict.counts.backlog() + verdict.counts.orphaned
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layouts::Counts;

    const GAP: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(15);

    fn verdict(jobs: u64) -> Verdict {
        let counts = Counts { waiting: jobs.into(), ..Counts::default() };
        Verdict { value: jobs.into(), active: jobs > 0, counts }
    }

    /// A trigger that is read at moments of one clock, in milliseconds.
    struct World {
        falls: Falls,
        start: Instant,
        gap: Duration,
    }

    impl World {
        fn new(gap: Duration) -> Self {
            Self { falls: Falls::default(), start: Instant::now(), gap }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn read(&mut self, ms: u64, jobs: u64, whole: bool, quiet: Option<bool>) -> Option<u64> {
            let read_at = self.at(ms);
            let verdict = verdict(jobs);
            let reading = Reading {
                verdict,
                read_at,
                happened_at: read_at,
                proved_at: read_at,
                whole,
                quiet,
            };
            self.falls.note(&reading, self.gap, read_at);
            if self.falls.again_at().is_some() {
                return None;
            }
            let told = self.falls.told(verdict, read_at).value.get();
            (0..=2000).find(|jobs| verdict_of(*jobs) == told)
        }

        fn again_ms(&self) -> Option<u128> {
            self.falls.again_at().map(|at| (at - self.start).as_millis())
        }
    }

    fn verdict_of(jobs: u64) -> f64 {
        verdict(jobs).value.get()
    }

    #[test]
    fn a_fall_that_was_read_at_one_moment_is_believed_where_moves_are_one_step() {
        let mut world = World::new(Duration::ZERO);
        assert_eq!(world.read(0, 10, true, None), Some(10));
        assert_eq!(world.read(9, 0, true, None), Some(0));
        assert_eq!(world.read(10, 5, false, Some(false)), Some(5), "a rise needs nothing");
        assert_eq!(world.read(11, 4, false, Some(false)), None, "it was read over several moments");
        assert_eq!(world.read(12, 4, true, Some(false)), Some(4));
    }

    #[test]
    fn a_fall_is_confirmed_when_nothing_has_changed_for_the_gap() {
        let mut world = World::new(GAP);
        assert_eq!(world.read(0, 10, true, Some(true)), Some(10));
        assert_eq!(world.read(5_000, 0, true, Some(false)), None);
        assert_eq!(world.again_ms(), Some(5_020));
        assert_eq!(world.read(5_020, 0, true, Some(true)), Some(0));
        // A change in between begins the gap anew.
        assert_eq!(world.read(6_000, 3, true, Some(false)), Some(3));
        assert_eq!(world.read(7_000, 2, true, Some(false)), None);
        assert_eq!(world.read(7_020, 2, true, Some(false)), None);
        assert_eq!(world.again_ms(), Some(7_020), "the sooner it is seen whole the better");
        assert_eq!(world.read(7_030, 2, true, Some(true)), None);
        assert_eq!(world.again_ms(), Some(7_040));
        assert_eq!(world.read(7_040, 2, true, Some(true)), Some(2));
    }

    #[test]
    fn what_comes_back_was_no_fall() {
        let mut world = World::new(GAP);
        assert_eq!(world.read(0, 10, true, Some(true)), Some(10));
        assert_eq!(world.read(100, 9, true, Some(false)), None);
        assert_eq!(world.read(112, 10, true, Some(false)), Some(10));
        assert_eq!(world.again_ms(), None);
    }

    #[test]
    fn where_everything_changes_all_the_time_the_highest_reading_counts() {
        let mut world = World::new(GAP);
        assert_eq!(world.read(0, 10, true, Some(true)), Some(10));
        let mut told = None;
        for (n, jobs) in [7, 8, 9, 8].into_iter().cycle().take(40).enumerate() {
            told = told.or(world.read(100 + 12 * n as u64, jobs, true, Some(false)));
        }
        assert_eq!(told, Some(9), "true at some moment since the fall was seen");
    }

    #[test]
    fn where_nothing_is_announced_some_readings_in_a_row_have_to_agree() {
        let mut world = World::new(GAP);
        assert_eq!(world.read(0, 10, true, None), Some(10));
        for ms in [100, 120, 132] {
            assert_eq!(world.read(ms, 0, true, None), None);
        }
        assert_eq!(world.read(144, 0, true, None), Some(0));
    }

    #[test]
    fn nothing_at_all_is_looked_at_twice_where_nothing_was_known_before() {
        let mut world = World::new(GAP);
        assert_eq!(world.read(0, 0, true, Some(false)), None);
        assert_eq!(world.read(20, 0, true, Some(true)), Some(0));
        assert_eq!(World::new(GAP).read(0, 3, true, Some(false)), Some(3));
        assert_eq!(World::new(Duration::ZERO).read(0, 0, true, None), Some(0));
    }

    #[test]
    fn a_long_gap_holds_a_fall_from_when_it_happened_and_a_rise_is_told_at_once() {
        let mut world = World::new(LONG);
        assert_eq!(world.read(0, 5, false, None), Some(5));
        assert_eq!(world.read(60_000, 4, false, None), Some(5));
        assert_eq!(world.falls.until(world.at(60_000)), Some(world.at(75_000)));
        assert_eq!(world.read(70_000, 6, false, None), Some(6));
        assert_eq!(world.read(74_999, 6, false, None), Some(6));
        assert_eq!(world.read(80_000, 4, false, None), Some(6));
        assert_eq!(world.read(95_001, 4, false, None), Some(4));
    }

    #[test]
    fn a_step_on_the_way_down_stands_for_its_own_gap() {
        let mut world = World::new(LONG);
        for (ms, jobs) in [(0, 10), (1_000, 8), (9_000, 0)] {
            world.read(ms, jobs, false, None);
        }
        let mut told = |ms| world.read(ms, 0, false, None);
        assert_eq!((told(15_999), told(16_001), told(23_999)), (Some(10), Some(8), Some(8)));
        assert_eq!(told(24_001), Some(0));
    }

    #[test]
    fn a_fall_of_the_total_hides_no_rise_of_the_value_or_of_activity() {
        let start = Instant::now();
        let counts = |waiting: u64, in_flight: u64| {
            let (waiting, in_flight) = (waiting.into(), in_flight.into());
            Counts { waiting, in_flight, ..Counts::default() }
        };
        let (before, after) = (counts(9, 1), counts(0, 8));
        let before = Verdict { value: before.in_flight, active: false, counts: before };
        let after = Verdict { value: after.in_flight, active: true, counts: after };
        let mut falls = Falls::default();
        for verdict in [before, after] {
            let read_at = start + Duration::from_secs(u64::from(verdict.active));
            let (happened_at, proved_at) = (read_at, read_at);
            let reading =
                Reading { verdict, read_at, happened_at, proved_at, whole: false, quiet: None };
            falls.note(&reading, LONG, read_at);
        }
        let told = falls.told(after, start + Duration::from_secs(1));
        assert!(told.active);
        assert_eq!(told.value, after.value);
    }

    proptest! {
        #[test]
        fn many_falls_are_held_no_shorter_than_each_alone(jobs in proptest::collection::vec(0..100u64, 1..40)) {
            let mut world = World::new(LONG);
            for (n, jobs) in jobs.iter().enumerate() {
                world.read(100 * n as u64, *jobs, false, None);
            }
            let now = 100 * (jobs.len() as u64 - 1);
            prop_assert!(world.falls.held.len() <= FALLS);
            // All of it is younger than the gap, so the highest still stands.
            let last = verdict(*jobs.last().unwrap());
            let told = world.falls.told(last, world.at(now)).value.get();
            prop_assert_eq!(told, verdict_of(*jobs.iter().max().unwrap()));
        }
    }
}
