//! The recent maximum of a subject whose jobs are in no key for a moment while they move.
//!
//! Pure. A framework that takes a job out of one key before it notes it in another makes a count fall
//! that has not fallen. So a fall is believed only when the layout's blind window has passed since it
//! was seen; until then the highest of the recent counts stands. It is this replica's memory alone.

use std::{collections::VecDeque, time::Duration};

use crate::{layouts::Count, time::Instant, trigger::Verdict};

/// Falls that are kept apart; more are taken together, and held longer rather than shorter.
const FALLS: usize = 8;

/// What was counted lately.
#[derive(Debug, Clone, Default)]
pub struct Peaks {
    last: Option<Verdict>,
    /// What was counted before each fall and until when it stands: each less than the one before it,
    /// and for longer.
    fallen: VecDeque<(Verdict, Instant)>,
}

impl Peaks {
    /// Takes in what was counted.
    pub fn note(&mut self, verdict: Verdict, window: Duration, now: Instant) {
        self.fallen.retain(|(_, until)| *until > now);
        if let Some(last) = self.last.replace(verdict)
            && total(&verdict) < total(&last)
        {
            let (mut last, until) = (last, now + window);
            while self.fallen.len() == FALLS
                || self.fallen.back().is_some_and(|(fallen, _)| total(fallen) <= total(&last))
            {
                let before = self.fallen.pop_back().map(|(fallen, _)| fallen);
                last = before.map_or(last, |before| most(last, before));
            }
            self.fallen.push_back((last, until));
        }
    }

    /// The most of what was counted within the window and what is counted now: the highest value,
    /// and active if any of it was.
    #[must_use]
    pub fn highest(&self, verdict: Verdict, now: Instant) -> Verdict {
        self.standing(now).map(|(fallen, _)| *fallen).fold(verdict, most)
    }

    /// When the next of the counts that still stand no longer does.
    #[must_use]
    pub fn until(&self, now: Instant) -> Option<Instant> {
        self.standing(now).map(|(_, until)| *until).min()
    }

    fn standing(&self, now: Instant) -> impl Iterator<Item = &(Verdict, Instant)> {
        self.fallen.iter().filter(move |(_, until)| *until > now)
    }
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
    use super::*;
    use crate::layouts::Counts;
    use proptest::prelude::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn verdict(jobs: u64) -> Verdict {
        let counts = Counts { waiting: jobs.into(), ..Counts::default() };
        Verdict { value: jobs.into(), active: jobs > 0, counts }
    }

    fn second(start: Instant, second: u64) -> Instant {
        start + Duration::from_secs(second)
    }

    #[test]
    fn a_fall_is_believed_when_the_window_has_passed_and_a_rise_at_once() {
        let start = Instant::now();
        let mut peaks = Peaks::default();
        peaks.note(verdict(5), WINDOW, start);
        peaks.note(verdict(4), WINDOW, second(start, 60));
        assert_eq!(peaks.highest(verdict(4), second(start, 69)), verdict(5));
        assert_eq!(peaks.until(second(start, 69)), Some(second(start, 70)));
        assert_eq!(peaks.highest(verdict(4), second(start, 70)), verdict(4));
        assert_eq!(peaks.highest(verdict(6), second(start, 65)), verdict(6));
    }

    #[test]
    fn a_step_on_the_way_down_stands_for_its_own_window() {
        let start = Instant::now();
        let mut peaks = Peaks::default();
        for (at, jobs) in [(0, 10), (1, 8), (9, 0)] {
            peaks.note(verdict(jobs), WINDOW, second(start, at));
        }
        let highest = |at| peaks.highest(verdict(0), second(start, at));
        assert_eq!((highest(10), highest(11), highest(18)), (verdict(10), verdict(8), verdict(8)));
        assert_eq!(highest(19), verdict(0));
    }

    #[test]
    fn a_fall_of_the_total_hides_no_rise_of_the_value_or_of_activity() {
        let start = Instant::now();
        let counts = |waiting: u64, in_flight: u64| {
            let counts = Counts {
                waiting: waiting.into(),
                in_flight: in_flight.into(),
                ..Counts::default()
            };
            // The signal `in-flight`, of a trigger that waiting jobs alone do not wake.
            Verdict { value: in_flight.into(), active: in_flight > 0, counts }
        };
        let mut peaks = Peaks::default();
        for (at, verdict) in [(0, counts(10, 0)), (1, counts(3, 3)), (2, counts(1, 1))] {
            peaks.note(verdict, WINDOW, second(start, at));
        }
        let highest = peaks.highest(counts(1, 1), second(start, 3));
        assert_eq!((highest.value, highest.active), (3.into(), true));
    }

    proptest! {
        #[test]
        fn nothing_that_was_counted_within_the_window_is_forgotten(
            steps in prop::collection::vec((0u64..5, 0u64..20), 1..60),
        ) {
            let start = Instant::now();
            let (mut peaks, mut at) = (Peaks::default(), 0);
            let mut seen: Vec<(u64, u64)> = vec![];
            for (pause, jobs) in steps {
                at += pause;
                peaks.note(verdict(jobs), WINDOW, second(start, at));
                seen.push((at, jobs));
                let highest = peaks.highest(verdict(jobs), second(start, at));
                // A count stood until the next one was seen.
                let stood_until = seen.iter().skip(1).map(|(at, _)| *at).chain([at]);
                let recent = seen.iter().zip(stood_until).filter(|(_, until)| until + 10 > at);
                let most = recent.map(|((_, jobs), _)| *jobs).max().unwrap();
                prop_assert!(total(&highest) >= Count::from(most));
                let ever = seen.iter().map(|(_, jobs)| *jobs).max().unwrap();
                prop_assert!(total(&highest) <= Count::from(ever));
                prop_assert!(peaks.fallen.len() <= FALLS);
            }
        }
    }
}
