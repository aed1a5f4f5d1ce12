//! Which reads are due, and when the next one will be.
//!
//! Pure: a heap of moments, one per read at most. It does not know why a read is due.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use crate::time::Instant;

use super::cache::ReadId;

/// When each read that anybody wants is to be done.
#[derive(Debug, Default)]
pub struct Schedule {
    due: HashMap<ReadId, Instant>,
    heap: BinaryHeap<Reverse<(Instant, ReadId)>>,
}

impl Schedule {
    /// Plans a read for this moment, unless it is planned for an earlier one.
    pub fn plan(&mut self, id: ReadId, at: Instant) {
        let due = self.due.entry(id).or_insert(at);
        if *due > at {
            *due = at;
        } else if *due < at {
            return;
        }
        self.heap.push(Reverse((at, id)));
        self.shrink();
    }

    /// Plans nothing for a read any more.
    pub fn cancel(&mut self, id: ReadId) {
        self.due.remove(&id);
    }

    /// The next moment at which a read is due.
    pub fn next(&mut self) -> Option<Instant> {
        while let Some(Reverse((at, id))) = self.heap.peek() {
            if self.due.get(id) == Some(at) {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes the reads that are due, the longest overdue first, at most this many.
    pub fn take_due(&mut self, now: Instant, most: usize) -> Vec<ReadId> {
        let mut taken = Vec::new();
        while taken.len() < most && self.next().is_some_and(|at| at <= now) {
            if let Some(Reverse((_, id))) = self.heap.pop() {
                self.due.remove(&id);
                taken.push(id);
            }
        }
        taken
    }

    /// Drops moments that no longer hold before they outnumber those that do.
    fn shrink(&mut self) {
        if self.heap.len() > 2 * self.due.len() + 64 {
            self.heap = self.due.iter().map(|(id, at)| Reverse((*at, *id))).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_earlier_of_two_plans_holds() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut schedule = Schedule::default();
        schedule.plan(1, at(50));
        schedule.plan(1, at(20));
        schedule.plan(1, at(90));
        assert_eq!(schedule.next(), Some(at(20)));
        assert_eq!(schedule.take_due(at(19), 9), [] as [ReadId; 0]);
        assert_eq!(schedule.take_due(at(20), 9), [1]);
        assert_eq!(schedule.next(), None);
    }

    proptest! {
        #[test]
        fn every_read_is_taken_once_at_its_earliest_moment_and_the_heap_stays_small(
            plans in prop::collection::vec((0usize..8, 0u64..100), 0..400),
            cancelled in 0usize..8,
        ) {
            let start = Instant::now();
            let mut schedule = Schedule::default();
            let mut wanted: HashMap<ReadId, u64> = HashMap::new();
            for (id, ms) in plans {
                schedule.plan(id, start + Duration::from_millis(ms));
                let earliest = wanted.entry(id).or_insert(ms);
                *earliest = ms.min(*earliest);
            }
            prop_assert!(schedule.heap.len() <= 2 * 8 + 64);
            schedule.cancel(cancelled);
            wanted.remove(&cancelled);
            let mut got = HashMap::new();
            for ms in 0..100 {
                for id in schedule.take_due(start + Duration::from_millis(ms), 3) {
                    prop_assert!(got.insert(id, ms).is_none());
                }
                let rest = schedule.take_due(start + Duration::from_millis(ms), 99);
                for id in rest {
                    prop_assert!(got.insert(id, ms).is_none());
                }
            }
            prop_assert_eq!(got, wanted);
        }
    }
}
