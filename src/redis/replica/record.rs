//! What became of the replicas so far, and how long they are left alone for it.
//!
//! It is apart because it outlives the links: a replica that is within the bound every now and then must
//! not have everything read anew each time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{limits, sampling::Fault, time::Instant};

/// Losses, each soon after the one before, up to which another replica is tried at once.
const AT_ONCE: u32 = 3;

/// What became of the replicas of one source.
#[derive(Debug, Default)]
pub(super) struct Record(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// Searches that found none, one after another.
    searches: u32,
    /// Links that were lost soon, one after another.
    losses: u32,
    wait_until: Option<Instant>,
    /// Why no replica could be read, as it was last told.
    told: Option<String>,
}

impl Record {
    /// Until when no replica is to be looked for.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        self.entries().wait_until
    }

    /// One was found.
    pub(super) fn found(&self) {
        let mut entries = self.entries();
        (entries.searches, entries.wait_until, entries.told) = (0, None, None);
    }

    /// One may be looked for now.
    pub(super) fn due(&self) {
        self.entries().wait_until = None;
    }

    /// None was found. Tells whether the reason is news.
    pub(super) fn failed(&self, reason: &Fault) -> bool {
        let mut entries = self.entries();
        entries.searches = entries.searches.saturating_add(1);
        entries.pause();
        let reason = reason.to_string();
        let is_news = entries.told.as_ref() != Some(&reason);
        entries.told = Some(reason);
        is_news
    }

    /// The link that was made then is lost.
    pub(super) fn lost(&self, made_at: Instant) {
        let (_, longest) = limits::REPLICA_PAUSES;
        let mut entries = self.entries();
        if made_at.elapsed() >= longest {
            entries.losses = 0;
        }
        entries.losses = entries.losses.saturating_add(1);
        if entries.losses > AT_ONCE {
            entries.pause();
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn pause(&mut self) {
        let (first, longest) = limits::REPLICA_PAUSES;
        let failures = self.searches.max(self.losses.saturating_sub(AT_ONCE));
        let doubled = first * 2u32.saturating_pow(failures.saturating_sub(1).min(16));
        self.wait_until = Some(Instant::now() + doubled.min(longest));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    fn pause(record: &Record) -> Option<Duration> {
        record.wait_until().map(|until| until.saturating_duration_since(Instant::now()))
    }

    #[tokio::test(start_paused = true)]
    async fn searches_that_find_none_are_further_and_further_apart() {
        let (record, reason) = (Record::default(), Fault::Timeout);
        assert_eq!(pause(&record), None);
        for seconds in [2, 4, 8, 16, 32, 60, 60] {
            record.failed(&reason);
            assert_eq!(pause(&record), Some(Duration::from_secs(seconds)));
        }
        assert!(!record.failed(&reason), "it was told before");
        assert!(record.failed(&Fault::NotReady("other".to_owned())));
        record.due();
        assert_eq!(pause(&record), None);
        record.failed(&reason);
        assert_eq!(pause(&record), Some(Duration::from_secs(60)), "they go on growing");
        record.found();
        assert_eq!(pause(&record), None);
        assert!(record.failed(&reason), "it is news again");
        assert_eq!(pause(&record), Some(Duration::from_secs(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn replicas_that_are_lost_again_and_again_are_left_alone_for_a_while() {
        let record = Record::default();
        for seconds in [None, None, None, Some(2), Some(4)] {
            record.found();
            record.lost(Instant::now());
            assert_eq!(pause(&record), seconds.map(Duration::from_secs));
        }
        let made_at = Instant::now();
        record.found();
        advance(Duration::from_mins(1)).await;
        record.lost(made_at);
        assert_eq!(pause(&record), None, "this one was kept for long");
    }
}
