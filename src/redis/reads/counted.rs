//! How far the entries of a stream are counted one by one, and in which pages. Entries come with their
//! bodies, so both are bounded.

use crate::limits;

/// How far the entries of a stream are counted.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::redis) struct CountedEntries {
    pub(in crate::redis) entries: u64,
    pub(in crate::redis) bytes: u64,
}

impl CountedEntries {
    /// How many entries to ask for next: one at first, since entries come with their bodies, then
    /// as many as are likely to stay within the bytes. Never more than decide the question.
    pub(in crate::redis) fn next_page(self) -> u64 {
        let Some(average) = self.bytes.checked_div(self.entries) else { return 1 };
        let left = limits::COUNTED_BYTES.saturating_sub(self.bytes);
        let fitting = (left / average.max(1)).clamp(1, limits::COUNTED_PAGE);
        fitting.min((limits::COUNTED_ENTRIES + 1).saturating_sub(self.entries).max(1))
    }

    /// Whether counting on would cost too much.
    pub(in crate::redis) fn is_enough(self) -> bool {
        self.entries > limits::COUNTED_ENTRIES || self.bytes >= limits::COUNTED_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted_one_at_first_and_never_more_than_decide_the_question() {
        let page = |entries, bytes| CountedEntries { entries, bytes }.next_page();
        assert_eq!(page(0, 0), 1);
        assert_eq!(page(1, 100), limits::COUNTED_PAGE);
        assert_eq!(page(1, limits::COUNTED_BYTES / 4), 3);
        assert_eq!(page(1, limits::COUNTED_BYTES), 1);
        assert_eq!(page(limits::COUNTED_ENTRIES - 1, 1000), 2);
        assert_eq!(page(limits::COUNTED_ENTRIES, 1000), 1);
    }

    #[test]
    fn counting_ends_with_the_entries_or_the_bytes() {
        let is_enough = |entries, bytes| CountedEntries { entries, bytes }.is_enough();
        assert!(!is_enough(limits::COUNTED_ENTRIES, 1000));
        assert!(is_enough(limits::COUNTED_ENTRIES + 1, 1000));
        assert!(is_enough(2, limits::COUNTED_BYTES));
    }
}
