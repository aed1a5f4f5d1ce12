//! Which activations of a subject the log has a line for: the first one after a quiet time, and of those
//! that follow soon one now and then, which says how many went without.
//!
//! A queue that is filled and emptied all the time activates its workload as often as it is read, and the
//! task that reads also writes the lines.

use crate::{limits, time::Instant};

/// The lines of one subject.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogThrottle {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogThrottle {
    /// Takes in an activation that was read at this time. Gives how many went without a line before it;
    /// `None` if it goes without one, too.
    pub fn tell(&mut self, at: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| at < last + limits::ACTIVATION_LOG_PAUSE) {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.last = Some(at);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_after_a_quiet_time_is_told_at_once_and_those_between_by_their_number() {
        let (start, mut told) = (Instant::now(), LogThrottle::default());
        let mut at = |ms: u64| told.tell(start + Duration::from_millis(ms));
        assert_eq!(at(0), Some(0));
        for activation in 1..40 {
            assert_eq!(at(activation * 100), None);
        }
        assert_eq!((at(4_999), at(5_000), at(5_001)), (None, Some(40), None));
        assert_eq!((at(10_000), at(60_000), at(600_000)), (Some(1), Some(0), Some(0)));
    }
}
