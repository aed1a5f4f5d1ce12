//! What a controller remembers: counts with the time they were written down, forgotten when nothing can ask for them.
//! Apart because recommendations and scale events share it. Must not know what the counts mean.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Duration,
    count: u32,
}

/// Counts in the order of their slots. A new one takes the slot of one that has run out, as in the real controller, so
/// the history is bounded by what is written within `keep`.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    entries: Vec<Entry>,
}

impl History {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Writes `count` down; `keep` is how long somebody may ask for an entry.
    pub(crate) fn record(&mut self, now: Duration, count: u32, keep: Window) {
        let entry = Entry { at: now, count };
        match self.entries.iter_mut().rfind(|old| age(**old, now) >= keep.0) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
    }

    /// The counts that are younger than `window`.
    ///
    /// The controller compares clock readings that are never exactly a whole number of syncs apart: an entry of just
    /// the window's age has always run out there, so equality is out here too.
    pub(crate) fn within(&self, now: Duration, window: Window) -> impl Iterator<Item = u32> {
        self.entries
            .iter()
            .filter(move |entry| age(**entry, now) < window.0)
            .map(|entry| entry.count)
    }
}

/// How far back an entry is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window(pub(crate) Duration);

fn age(entry: Entry, now: Duration) -> Duration {
    now.saturating_sub(entry.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn seen(history: &History, now: u64, window: u64) -> Vec<u32> {
        history.within(s(now), Window(s(window))).collect()
    }

    #[test]
    fn an_entry_counts_until_it_is_as_old_as_the_window() {
        let mut history = History::default();
        history.record(s(10), 7, Window(s(30)));
        assert_eq!(seen(&history, 39, 30), [7]);
        assert_eq!(seen(&history, 40, 30), [0; 0]);
    }

    #[test]
    fn a_window_of_nothing_sees_nothing() {
        let mut history = History::default();
        history.record(s(10), 7, Window(s(30)));
        assert_eq!(seen(&history, 10, 0), [0; 0]);
    }

    #[test]
    fn a_long_life_does_not_grow_the_history() {
        let mut history = History::default();
        for sync in 0..10_000 {
            history.record(s(sync * 15), 1, Window(s(300)));
        }
        assert!(history.entries.len() <= 21, "{}", history.entries.len());
    }
}
