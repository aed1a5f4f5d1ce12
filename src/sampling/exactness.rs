//! Whether a subject is told counts that are knowingly not exact, and when the log says so: when it begins, and
//! when it has been over for a while. It is pure, and no value depends on it.

use crate::{limits, time::Instant};

/// Whether what one subject is told is exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exactness {
    /// When it was not for the last time.
    last: Option<Instant>,
    /// Whether the log said that it is not.
    told: bool,
    /// Whether it is a bound now.
    is_bound: bool,
}

impl Exactness {
    /// Whether what was told last is no more than a bound.
    #[must_use]
    pub fn is_bound(self) -> bool {
        self.is_bound
    }

    /// Takes in whether what is told now is no more than a bound, and tells whether that is to be said: once,
    /// until it was exact for a while.
    pub fn note(&mut self, is_bound: bool, at: Instant) -> bool {
        self.is_bound = is_bound;
        if is_bound {
            self.last = Some(at);
        }
        is_bound && !std::mem::replace(&mut self.told, true)
    }

    /// Whether it has been exact for so long that this is to be said.
    pub fn take_over(&mut self, now: Instant) -> bool {
        let is_calm = self.last.is_none_or(|last| now >= last + limits::EXACT_AGAIN);
        let is_over = self.told && !self.is_bound && is_calm;
        self.told &= !is_over;
        is_over
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bound_is_told_when_it_begins_and_when_it_was_over_for_a_while() {
        let (start, mut exactness) = (Instant::now(), Exactness::default());
        let second = |second| start + Duration::from_secs(second);
        assert!(!exactness.note(false, second(0)) && !exactness.take_over(second(0)));
        assert!(exactness.note(true, second(1)) && exactness.is_bound());
        assert!(!exactness.note(true, second(2)), "it was told");
        assert!(!exactness.take_over(second(600)), "it is one still");
        assert!(!exactness.note(false, second(601)) && !exactness.is_bound());
        assert!(!exactness.note(true, second(602)) && !exactness.note(false, second(603)));
        let calm = second(602) + limits::EXACT_AGAIN;
        assert!(!exactness.take_over(calm - Duration::from_secs(1)));
        assert!(exactness.take_over(calm) && !exactness.take_over(calm));
        assert!(exactness.note(true, calm), "it begins again");
    }
}
