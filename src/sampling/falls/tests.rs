//! When a fall is believed, and what is told until then.

use proptest::prelude::*;

use super::*;
use crate::layouts::Counts;

const GAP: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(15);

fn verdict(jobs: u64) -> Verdict {
    let counts = Counts::default().with(Measure::Waiting, jobs);
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
            confirmed_until: read_at,
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
fn a_reading_that_is_taken_for_a_higher_one_is_not_the_last_word() {
    let mut world = World::new(GAP);
    assert_eq!(world.read(0, 10, true, Some(true)), Some(10));
    let mut ms = 100;
    while world.read(ms, if ms < 200 { 9 } else { 0 }, true, Some(false)).is_none() {
        ms += 12;
    }
    assert!(world.falls.is_provisional(), "9 stands for 0");
    // Nothing changes any more.
    assert_eq!(world.read(ms + 12, 0, true, Some(true)), None);
    assert_eq!(world.read(ms + 32, 0, true, Some(true)), Some(0));
    assert!(!world.falls.is_provisional());
}

#[test]
fn a_job_that_seems_to_have_lost_its_worker_is_looked_at_again() {
    let mut world = World::new(Duration::ZERO);
    let seen = |in_flight: u64, orphaned: u64| {
        let counts = verdict(in_flight).counts.with(Measure::Orphaned, orphaned);
        Verdict { counts, ..verdict(in_flight) }
    };
    for (ms, verdict, doubtful) in
        [(0, seen(3, 0), false), (9, seen(2, 1), true), (10, seen(3, 0), false)]
    {
        let (read_at, happened_at) = (world.at(ms), world.at(ms));
        let reading = Reading {
            verdict,
            read_at,
            happened_at,
            confirmed_until: read_at,
            whole: false,
            quiet: Some(false),
        };
        world.falls.note(&reading, Duration::ZERO, read_at);
        assert_eq!(world.falls.again_at().is_some(), doubtful, "at {ms} ms");
    }
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
        Counts::default().with(Measure::Waiting, waiting).with(Measure::InFlight, in_flight)
    };
    let (before, after) = (counts(9, 1), counts(0, 8));
    let before = Verdict { value: before[Measure::InFlight], active: false, counts: before };
    let after = Verdict { value: after[Measure::InFlight], active: true, counts: after };
    let mut falls = Falls::default();
    for verdict in [before, after] {
        let read_at = start + Duration::from_secs(u64::from(verdict.active));
        let reading = Reading {
            verdict,
            read_at,
            happened_at: read_at,
            confirmed_until: read_at,
            whole: false,
            quiet: None,
        };
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
