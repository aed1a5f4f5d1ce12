//! The jobs of the model, each by itself: where it was, and when it moved.
//!
//! Counts alone cannot tell a job that was missed from one that ended.

use std::collections::BTreeMap;

use penstock::layouts::Members;

use crate::{clock::Clock, data::grace, transcript::Moment};

/// A job.
pub type JobId = u32;

/// How long ended jobs are remembered: longer than any observation may lag behind.
const MEMORY_MS: u64 = 10_000;

/// Where a job is from a moment on: in a key with a score, or nowhere any more.
#[derive(Debug, Clone, Copy)]
struct Stay {
    from: Moment,
    place: Option<(usize, i64)>,
}

/// Every job that there is, or was lately.
#[derive(Debug, Default)]
pub struct Jobs {
    lives: BTreeMap<JobId, Vec<Stay>>,
    next: JobId,
}

impl Jobs {
    /// A new job in a key.
    pub fn begin(&mut self, now: Moment, key: usize, score: i64) -> JobId {
        self.next += 1;
        self.lives.insert(self.next, vec![Stay { from: now, place: Some((key, score)) }]);
        self.next
    }

    /// Moves a job to another key, or gives it another score.
    pub fn shift(&mut self, job: JobId, now: Moment, key: usize, score: i64) {
        self.lives.get_mut(&job).unwrap().push(Stay { from: now, place: Some((key, score)) });
    }

    /// Ends a job.
    pub fn end(&mut self, job: JobId, now: Moment) {
        self.lives.get_mut(&job).unwrap().push(Stay { from: now, place: None });
        self.lives.retain(|_, stays| {
            let last = stays.last().unwrap();
            last.place.is_some() || last.from.ms + MEMORY_MS > now.ms
        });
    }

    /// How many jobs counted all the time between two moments, each in one after the other of
    /// these keys.
    pub fn throughout(
        &self,
        keys: &[(usize, Members)],
        (from, to): (Moment, Moment),
        clock: &Clock,
    ) -> u64 {
        let readings: Vec<i64> =
            clock.readings(&[], (from.ms, to.ms)).into_iter().map(|(_, reading)| reading).collect();
        let counts = |stays: &Vec<Stay>| {
            let first = stays.partition_point(|stay| stay.from <= from);
            first > 0
                && stays[first - 1..]
                    .iter()
                    .all(|stay| stay.from > to || is_counted(stay.place, keys, &readings))
        };
        self.lives.values().filter(|stays| counts(stays)).count() as u64
    }
}

/// Whether a job counts in its place, whichever of these the clock reads. (A count may have been made
/// by a clock that was set since.)
fn is_counted(place: Option<(usize, i64)>, keys: &[(usize, Members)], readings: &[i64]) -> bool {
    let Some((key, score)) = place else { return false };
    let Some((_, members)) = keys.iter().find(|(known, _)| *known == key) else { return false };
    readings.iter().all(|reading| match members {
        Members::All | Members::AllOf(_) => true,
        Members::Due(_) => score <= reading + grace(),
        Members::Leased(_) => score > reading - grace(),
    })
}
