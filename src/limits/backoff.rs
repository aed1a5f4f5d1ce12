//! Pauses that double with each failure in a row, up to a longest one.
//!
//! They are with the bounds because each is one. What failed is not known here.

use std::time::Duration;

/// The first and the longest pause between two attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// No pause is longer.
    pub longest: Duration,
}

impl Backoff {
    /// The pause after so many failures.
    #[must_use]
    pub fn after(self, failures: u32) -> Duration {
        let times = 2u32.saturating_pow(failures.saturating_sub(1));
        self.first.saturating_mul(times).min(self.longest)
    }

    /// The same less a random half of itself at most, so that those who failed together do not come
    /// back in step.
    #[must_use]
    pub fn spread_after(self, failures: u32) -> Duration {
        self.after(failures).mul_f64(1.0 - 0.5 * fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_with_each_failure_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
        let pauses =
            [1, 2, 3, 5, 6, 40, u32::MAX].map(|failures| backoff.after(failures).as_secs());
        assert_eq!(pauses, [1, 2, 4, 16, 30, 30, 30]);
        for failures in 1..100 {
            let (spread, whole) = (backoff.spread_after(failures), backoff.after(failures));
            assert!(whole / 2 <= spread && spread <= whole, "{spread:?} of {whole:?}");
        }
    }
}
