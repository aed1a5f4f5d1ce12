//! The 16,384 slots of a Redis Cluster, and which of them a key is in.
//!
//! Every client and server of a cluster must compute this alike (Redis Cluster specification, "Key
//! distribution model" and "Hash tags").

use std::fmt;

use crc::{CRC_16_XMODEM, Crc};

/// How many slots there are.
pub(super) const SLOTS: u16 = 16_384;

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// A slot, below [`SLOTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct HashSlot(u16);

impl HashSlot {
    /// The slot of this number, if there is one.
    pub(super) fn new(number: u64) -> Option<Self> {
        u16::try_from(number).ok().filter(|number| *number < SLOTS).map(Self)
    }

    /// The slot of a key: that of its hash tag, which is what stands between the first `{` and the
    /// first `}` after it, unless that is nothing; else that of the whole key.
    pub(super) fn of(key: &[u8]) -> Self {
        Self(CRC.checksum(tag(key).unwrap_or(key)) % SLOTS)
    }

    /// Its place in a table of all slots.
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..SLOTS).map(Self)
    }
}

/// Whether one node of a cluster serves both keys, and a transaction may have both.
pub(super) fn is_shared(one: &[u8], other: &[u8]) -> bool {
    HashSlot::of(one) == HashSlot::of(other)
}

impl fmt::Display for HashSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|byte| *byte == b'{')?;
    let after = &key[open + 1..];
    let close = after.iter().position(|byte| *byte == b'}')?;
    (close > 0).then(|| &after[..close])
}

/// Some of the slots.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SlotSet(Box<[u64; SLOTS as usize / 64]>);

impl Default for SlotSet {
    fn default() -> Self {
        Self(Box::new([0; SLOTS as usize / 64]))
    }
}

impl SlotSet {
    /// Adds a slot.
    pub(super) fn insert(&mut self, slot: HashSlot) {
        self.0[slot.index() / 64] |= 1 << (slot.index() % 64);
    }

    /// Takes a slot out.
    pub(super) fn remove(&mut self, slot: HashSlot) {
        self.0[slot.index() / 64] &= !(1 << (slot.index() % 64));
    }

    /// Whether a slot is among them.
    pub(super) fn contains(&self, slot: HashSlot) -> bool {
        self.0[slot.index() / 64] & (1 << (slot.index() % 64)) != 0
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Each of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = HashSlot> {
        HashSlot::all().filter(|slot| self.contains(*slot))
    }
}

impl FromIterator<HashSlot> for SlotSet {
    fn from_iter<I: IntoIterator<Item = HashSlot>>(slots: I) -> Self {
        let mut set = Self::default();
        slots.into_iter().for_each(|slot| set.insert(slot));
        set
    }
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotSet({} slots)", self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(key: &str) -> u16 {
        HashSlot::of(key.as_bytes()).0
    }

    #[test]
    fn slots_are_those_that_redis_computes() {
        // `CLUSTER KEYSLOT` of Redis 7.0.15.
        for (key, slot) in [("123456789", 12_739), ("foo", 12_182), ("", 0), ("somekey", 11_058)] {
            assert_eq!(number(key), slot, "{key}");
        }
    }

    #[test]
    fn only_the_hash_tag_counts_where_there_is_one() {
        let user = number("user1000");
        assert_eq!(number("{user1000}.following"), user);
        assert_eq!(number("a{user1000}b{other}"), user);
        assert_eq!(number("foo{{bar}}zap"), number("{bar"));
        assert_eq!(number("foo{bar}{zap}"), number("bar"));
        for whole in ["foo{}{bar}", "foo{bar", "}{", "{}"] {
            assert_eq!(number(whole), CRC.checksum(whole.as_bytes()) % SLOTS, "{whole}");
        }
    }

    #[test]
    fn there_is_no_slot_after_the_last() {
        assert_eq!(HashSlot::new(16_383).map(HashSlot::index), Some(16_383));
        assert_eq!(HashSlot::new(16_384), None);
        assert_eq!(HashSlot::new(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn a_set_has_what_was_put_in_and_nothing_else(
            numbers in proptest::collection::btree_set(0..u64::from(SLOTS), 0..50)
        ) {
            let set: SlotSet = numbers.iter().filter_map(|n| HashSlot::new(*n)).collect();
            let seen: Vec<u64> = set.iter().map(|slot| slot.index() as u64).collect();
            prop_assert_eq!(&seen, &numbers.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.count() as usize, seen.len());
            prop_assert_eq!(set.is_empty(), seen.is_empty());
        }

        #[test]
        fn every_key_has_a_slot(key in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(HashSlot::of(&key).0 < SLOTS);
        }
    }
}
