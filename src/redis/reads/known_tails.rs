//! Which entries of a stream were counted behind a group's last delivered id, so that those of a busy stream
//! are not fetched again by every read. It outlives a read, and is bounded.
//!
//! It can only be wrong where entries in the middle were deleted and Redis still has a lag, which it has not
//! (streamRangeHasTombstones in t_stream.c) unless somebody set the counters. Then an upper bound is told in
//! place of a number, for [`limits::COUNTED_FOR`].

use std::{collections::HashMap, sync::Arc};

use parking_lot::{Mutex, MutexGuard};

use crate::{layouts::Name, limits, time::Instant};

use super::{decode::Page, stream_id::StreamId};

/// Entries that follow one another, and the bytes of their bodies.
#[derive(Debug, Clone)]
pub(in crate::redis) struct SeenEntries {
    ids: Vec<StreamId>,
    bytes: u64,
    /// When the first of them that were not remembered came.
    at: Instant,
    recalled: bool,
}

impl SeenEntries {
    /// Those of a page.
    pub(in crate::redis) fn of(page: Page) -> Self {
        Self { ids: page.ids, bytes: page.bytes, at: Instant::now(), recalled: false }
    }

    /// And those that follow.
    pub(in crate::redis) fn extend(&mut self, page: Page) {
        self.ids.extend(page.ids);
        self.bytes = self.bytes.saturating_add(page.bytes);
    }

    /// How many there are.
    pub(in crate::redis) fn entries(&self) -> u64 {
        u64::try_from(self.ids.len()).unwrap_or(u64::MAX)
    }

    /// Bytes of their bodies.
    pub(in crate::redis) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The last of them.
    pub(in crate::redis) fn last(&self) -> Option<StreamId> {
        self.ids.last().copied()
    }

    /// Whether some of them came with an earlier read.
    pub(in crate::redis) fn is_recalled(&self) -> bool {
        self.recalled
    }

    /// What is left of them from this one on, if it is among them. Bodies are taken to be of one size.
    fn from(&self, first: StreamId) -> Option<Self> {
        let place = self.ids.binary_search(&first).ok()?;
        let ids = self.ids[place..].to_vec();
        let left = u64::try_from(ids.len()).ok()?;
        let bytes = self.bytes.checked_div(self.entries())?.saturating_mul(left);
        Some(Self { ids, bytes, at: self.at, recalled: true })
    }
}

/// What was counted, by stream and group. Clones share it.
#[derive(Debug, Clone, Default)]
pub(in crate::redis) struct KnownTails(Arc<Mutex<HashMap<(Name, Name), SeenEntries>>>);

impl KnownTails {
    fn known(&self) -> MutexGuard<'_, HashMap<(Name, Name), SeenEntries>> {
        self.0.lock()
    }

    /// What is remembered of a tail that begins with this entry now.
    pub(in crate::redis) fn recall(
        &self,
        key: &Name,
        group: &Name,
        first: StreamId,
    ) -> Option<SeenEntries> {
        let known = self.known();
        let seen = known.get(&(key.clone(), group.clone()))?;
        (seen.at.elapsed() < limits::COUNTED_FOR).then(|| seen.from(first))?
    }

    /// Remembers what was counted. Of the tails that are remembered the oldest makes room.
    pub(in crate::redis) fn learn(&self, key: &Name, group: &Name, seen: SeenEntries) {
        let mut known = self.known();
        known.insert((key.clone(), group.clone()), seen);
        if known.len() > limits::COUNTED_TAILS {
            let oldest = known.iter().min_by_key(|(_, seen)| seen.at);
            if let Some(oldest) = oldest.map(|(tail, _)| tail.clone()) {
                known.remove(&oldest);
            }
        }
    }

    /// Forgets what was counted of one.
    pub(in crate::redis) fn forget(&self, key: &Name, group: &Name) {
        self.known().remove(&(key.clone(), group.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> StreamId {
        StreamId::parse(&format!("{number}-0")).unwrap()
    }

    fn seen(numbers: std::ops::RangeInclusive<usize>) -> SeenEntries {
        let bytes = 10 * u64::try_from(numbers.clone().count()).unwrap();
        SeenEntries::of(Page { ids: numbers.map(id).collect(), bytes })
    }

    #[test]
    fn only_what_begins_with_an_entry_that_was_counted_is_recalled() {
        let known = KnownTails::default();
        known.learn(&"s".into(), &"g".into(), seen(5..=9));
        let left = known.recall(&"s".into(), &"g".into(), id(7)).unwrap();
        assert_eq!((left.entries(), left.bytes(), left.last()), (3, 30, Some(id(9))));
        assert!(left.is_recalled() && !seen(1..=2).is_recalled());
        assert!(known.recall(&"s".into(), &"g".into(), id(4)).is_none());
        assert!(known.recall(&"s".into(), &"g".into(), id(10)).is_none());
        assert!(known.recall(&"s".into(), &"other".into(), id(7)).is_none());
        known.forget(&"s".into(), &"g".into());
        assert!(known.recall(&"s".into(), &"g".into(), id(7)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_counted_is_counted_again_after_a_while() {
        let known = KnownTails::default();
        let recalled = |known: &KnownTails| known.recall(&"s".into(), &"g".into(), id(5));
        known.learn(&"s".into(), &"g".into(), seen(5..=9));
        tokio::time::advance(limits::COUNTED_FOR / 2).await;
        // What is learned on top of it is no younger.
        let mut more = recalled(&known).unwrap();
        more.extend(Page { ids: vec![id(10)], bytes: 10 });
        known.learn(&"s".into(), &"g".into(), more);
        assert_eq!(recalled(&known).unwrap().entries(), 6);
        tokio::time::advance(limits::COUNTED_FOR / 2).await;
        assert!(recalled(&known).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_tails_are_remembered_than_may_be_and_the_oldest_makes_room() {
        let known = KnownTails::default();
        for number in 0..=limits::COUNTED_TAILS {
            known.learn(&Name::from(&*number.to_string()), &"g".into(), seen(1..=2));
            tokio::time::advance(std::time::Duration::from_millis(1)).await;
        }
        assert_eq!(known.known().len(), limits::COUNTED_TAILS);
        assert!(known.recall(&"0".into(), &"g".into(), id(1)).is_none());
        assert!(known.recall(&"1".into(), &"g".into(), id(1)).is_some());
    }
}
