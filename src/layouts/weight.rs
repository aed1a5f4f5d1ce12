//! How much of a job one job counts.

use std::fmt;

/// How much of a job one job counts, in thousandths: `reports=3` makes each job three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Weight(u32);

impl Weight {
    /// A job counts as one.
    pub const ONE: Self = Self(1_000);
    /// The largest: a job counts as 1,000.
    const MOST: f64 = 1_000.0;

    /// A weight of this many jobs, to three decimals; `None` outside [0.001, 1000].
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked before: at most 1e6 thousandths"
    )]
    pub fn new(jobs: f64) -> Option<Self> {
        let thousandths = (jobs * 1_000.0).round();
        (1.0..=Self::MOST * 1_000.0).contains(&thousandths).then_some(Self(thousandths as u32))
    }

    /// As many jobs as one job counts.
    #[must_use]
    pub fn get(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }

    /// A weight of a weight, within the bounds of both.
    #[must_use]
    pub(super) fn of(self, other: Self) -> Self {
        Self::new(self.get() * other.get()).unwrap_or(self.max(other))
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_has_three_decimals_and_bounds() {
        assert_eq!(Weight::new(1.0), Some(Weight::ONE));
        assert_eq!(Weight::new(0.001).map(Weight::get), Some(0.001));
        for jobs in [0.0, -1.0, 0.0001, 1000.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Weight::new(jobs), None, "{jobs}");
        }
    }
}
