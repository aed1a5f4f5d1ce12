//! What became of the replicas so far, and how long they are left alone for it.
//!
//! It is apart because it outlives the links: a replica that is within the bound every now and then must
//! not have everything read anew each time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{limits, sampling::Fault, time::Instant};

/// Losses at once after which no other replica is tried at once.
const AT_ONCE: u32 = 1;

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
        let failures = self.searches.max(self.losses);
        let doubled = first * 2u32.saturating_pow(failures.saturating_sub(1).min(16));
        self.wait_until = Some(Instant::now() + doubled.min(longest));
    }
}
