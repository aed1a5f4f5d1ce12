//! Which of many events the log has a line for: the first one after a quiet time, and of those that follow
//! soon one now and then, which says how many went without.
//!
//! Lines are written by the tasks that do the work, and a peer or a busy queue can make any number of them.

use std::time::Duration;

use crate::time::Instant;

/// The lines of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogThrottle {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogThrottle {
    /// Takes in an event of this time. Gives how many went without a line before it; `None` if it goes
    /// without one, too, since the last line is younger than the pause.
    pub fn tell(&mut self, at: Instant, pause: Duration) -> Option<u64> {
        if self.last.is_some_and(|last| at < last + pause) {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.last = Some(at);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_after_a_quiet_time_is_told_at_once_and_those_between_by_their_number() {
        let (start, mut log) = (Instant::now(), LogThrottle::default());
        let pause = Duration::from_secs(5);
        let mut at = |ms: u64| log.tell(start + Duration::from_millis(ms), pause);
        assert_eq!(at(0), Some(0));
        for activation in 1..40 {
            assert_eq!(at(activation * 100), None);
        }
        assert_eq!((at(4_999), at(5_000), at(5_001)), (None, Some(40), None));
        assert_eq!((at(10_000), at(60_000), at(600_000)), (Some(1), Some(0), Some(0)));
    }
}
