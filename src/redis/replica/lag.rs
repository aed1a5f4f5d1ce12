//! How far behind its master a replica is at most: what the offsets of both prove, and nothing else.
//!
//! It is apart, and pure, because every answer of a replica hangs on it. The master is at an offset at
//! some moment after it was asked; a replica of the same history that has applied as much later on holds
//! everything that the master held when it was asked. That is a bound in time without trusting
//! any clock but ours, and without knowing how much is written.
//!
//! Offsets of two histories say nothing of each other, and ROLE does not name the history. So a
//! replica counts only while it says that it is connected to the same master as at first, and a history
//! is taken for another one as soon as a replica is ahead of its master or goes back.

use std::{collections::VecDeque, time::Duration};

use crate::time::Instant;

/// Why two offsets are not of one history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum OtherHistory {
    #[error("it is ahead of its master, whose data has another history")]
    Ahead,
    #[error("it went back in its history")]
    Back,
}

/// What is known of a replica's lag.
#[derive(Debug)]
pub(super) struct Lag {
    max: Duration,
    /// When the master was asked and where it was then, of what the replica has not reached yet.
    marks: VecDeque<(Instant, u64)>,
    /// The last of those moments that the replica has reached.
    proved_at: Option<Instant>,
    /// How far the replica is.
    reached: u64,
}

impl Lag {
    /// Nothing known yet; a lag of more than `max` is too much.
    pub(super) fn of_at_most(max: Duration) -> Self {
        Self { max, marks: VecDeque::new(), proved_at: None, reached: 0 }
    }

    /// How far the replica is. What either of them says when it is asked after this was known may not be
    /// less.
    pub(super) fn reached(&self) -> u64 {
        self.reached
    }

    /// The master was asked at `asked_at`, when the replica had `reached` so much, and was at `offset`.
    pub(super) fn master_is_at(
        &mut self,
        (asked_at, reached): (Instant, u64),
        offset: u64,
    ) -> Result<(), OtherHistory> {
        if offset < reached {
            return Err(OtherHistory::Ahead);
        }
        self.marks.push_back((asked_at, offset));
        // What is older proves nothing any more, so that there are no more of them than proofs in that
        // time.
        let too_old = |mark: &(Instant, u64)| mark.0 + self.max < asked_at;
        while self.marks.front().is_some_and(too_old) {
            self.marks.pop_front();
        }
        Ok(())
    }

    /// The replica was asked when it had `reached` so much, and has applied everything up to `offset`.
    pub(super) fn replica_is_at(&mut self, reached: u64, offset: u64) -> Result<(), OtherHistory> {
        if offset < reached {
            return Err(OtherHistory::Back);
        }
        self.reached = self.reached.max(offset);
        while let Some((asked_at, _)) = self.marks.front().filter(|mark| mark.1 <= offset) {
            self.proved_at = self.proved_at.max(Some(*asked_at));
            self.marks.pop_front();
        }
        Ok(())
    }

    /// The replica holds everything that the master held at this moment.
    pub(super) fn proved_at(&self) -> Option<Instant> {
        self.proved_at
    }

    /// Until when what was proved is enough.
    pub(super) fn good_until(&self) -> Option<Instant> {
        self.proved_at.map(|proved_at| proved_at + self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_replica_that_has_what_the_master_had_is_no_older_than_the_question() {
        let start = Instant::now();
        let mut lag = Lag::of_at_most(ms(1000));
        lag.replica_is_at(0, 90).unwrap();
        assert_eq!(lag.good_until(), None, "nothing was proved yet");
        lag.master_is_at((start, 90), 100).unwrap();
        lag.replica_is_at(90, 99).unwrap();
        assert_eq!(lag.proved_at(), None);
        lag.master_is_at((start + ms(250), 99), 120).unwrap();
        lag.replica_is_at(99, 110).unwrap();
        assert_eq!(lag.proved_at(), Some(start), "the older of the two questions is reached");
        lag.replica_is_at(110, 120).unwrap();
        assert_eq!(lag.good_until(), Some(start + ms(1250)));
    }

    #[test]
    fn a_master_at_rest_proves_its_replica_again_and_again() {
        let start = Instant::now();
        let mut lag = Lag::of_at_most(ms(1000));
        for step in 0..5 {
            let asked_at = start + ms(250 * step);
            lag.master_is_at((asked_at, lag.reached()), 100).unwrap();
            lag.replica_is_at(lag.reached(), 100).unwrap();
            assert_eq!(lag.proved_at(), Some(asked_at));
        }
    }

    #[test]
    fn offsets_of_two_histories_prove_nothing() {
        let start = Instant::now();
        let mut lag = Lag::of_at_most(ms(1000));
        lag.master_is_at((start, 0), 100).unwrap();
        lag.replica_is_at(0, 5000).unwrap();
        // A master that started anew is behind a replica that has not noticed.
        let asked = (start + ms(1), lag.reached());
        assert_eq!(lag.master_is_at(asked, 101), Err(OtherHistory::Ahead));
        assert_eq!(lag.replica_is_at(5000, 4999), Err(OtherHistory::Back));
        // Two questions that are under way at once may be answered in any order.
        assert_eq!(lag.replica_is_at(4000, 4999), Ok(()));
        assert_eq!(lag.reached(), 5000);
    }

    #[test]
    fn what_is_too_old_to_prove_anything_is_forgotten() {
        let start = Instant::now();
        let mut lag = Lag::of_at_most(ms(1000));
        for step in 0..10_000 {
            lag.master_is_at((start + ms(25 * step), 0), step + 1).unwrap();
        }
        assert!(lag.marks.len() <= 41, "{}", lag.marks.len());
    }

    proptest! {
        /// A master that writes at any time, and a replica that applies what was written in any
        /// steps: what is proved is never newer than what the replica holds.
        #[test]
        fn no_proof_is_newer_than_what_the_replica_holds(
            steps in prop::collection::vec((0u64..50, 0u64..60, 0u64..40, any::<bool>()), 1..200),
        ) {
            let start = Instant::now();
            let (mut now, mut written, mut applied) = (start, 0, 0);
            // When each byte was written.
            let mut history: Vec<Instant> = vec![];
            let mut lag = Lag::of_at_most(ms(1000));
            for (passes, writes, applies, asks) in steps {
                now += ms(passes);
                let asked = (now, lag.reached());
                // The question travels while the master writes.
                now += ms(1);
                written += writes;
                history.resize(usize::try_from(written).unwrap(), now);
                if asks {
                    lag.master_is_at(asked, written).unwrap();
                }
                applied = written.min(applied + applies);
                lag.replica_is_at(lag.reached(), applied).unwrap();
                let missing = history.get(usize::try_from(applied).unwrap());
                if let (Some(proved_at), Some(missing)) = (lag.proved_at(), missing) {
                    prop_assert!(proved_at <= *missing, "what was written since is missing");
                }
            }
        }
    }
}
