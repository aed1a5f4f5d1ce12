//! Whether any key of a subject was ever there, as far as it was looked at.
//!
//! A key that does not exist holds nothing, since Redis deletes a collection with its last member; so a
//! queue that is empty and one whose name is wrong answer alike, and only time tells them apart. No answer
//! depends on it: it is for the log and a metric.

use crate::{limits, time::Instant};

/// What is known of the keys of one subject.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Absence {
    /// Since when every look found no key, if it did.
    since: Option<Instant>,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Open,
    /// No key was seen for long enough to be told of.
    Never,
    /// A key was there once.
    Seen,
}

impl Absence {
    /// Takes in what a look at all keys found. Says whether it is to be told now that none was ever there.
    pub fn look(&mut self, is_there: bool, now: Instant) -> bool {
        if is_there {
            self.standing = Standing::Seen;
        }
        let since = *self.since.get_or_insert(now);
        let is_due = self.standing == Standing::Open && now >= since + limits::NEVER_SEEN;
        if is_due {
            self.standing = Standing::Never;
        }
        is_due
    }

    /// Whether a key was there once.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.standing == Standing::Seen
    }

    /// Whether it was told that no key was ever there, and none has come since.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.standing == Standing::Never
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_key_that_never_came_is_told_once_and_one_that_comes_ends_it() {
        let (start, mut absence) = (Instant::now(), Absence::default());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert!(!absence.look(false, at(0)) && !absence.look(false, at(599)));
        assert!(absence.look(false, at(600)) && absence.is_told());
        assert!(!absence.look(false, at(601)) && absence.is_told(), "once");
        assert!(!absence.look(true, at(602)) && !absence.is_told());
        assert!(!absence.look(false, at(9_000)) && !absence.is_told(), "an empty queue has no key");
    }

    #[test]
    fn a_key_that_was_there_once_is_never_told_of() {
        let (start, mut absence) = (Instant::now(), Absence::default());
        assert!(!absence.look(true, start));
        assert!(!absence.look(false, start + limits::NEVER_SEEN * 3) && !absence.is_told());
    }
}
