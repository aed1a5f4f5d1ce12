//! Numbers that are known: finite, at least 0.
//!
//! A number that is not known cannot be written as one.

use std::{fmt, iter::Sum, ops::Add, time::Duration};

use crate::{limits, time};

use super::{
    measure::{Measure, Measures},
    weight::Weight,
};

/// A known number, of jobs or of what a gauge says: finite and within [0, [`limits::QUANTITY_MAX`]].
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Count(f64);

impl Count {
    /// None, and known to be so.
    pub const ZERO: Self = Self(0.0);

    /// A count of this number, clamped to the largest quantity; `None` if it is negative or no
    /// finite number.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        let known = number.is_finite() && number >= 0.0;
        known.then(|| Self(number.min(limits::QUANTITY_MAX) + 0.0))
    }

    /// The seconds of a time.
    #[must_use]
    pub fn of_time(time: Duration) -> Self {
        Self(time.as_secs_f64().min(limits::QUANTITY_MAX))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// What is left of it without the other; never below zero.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self((self.0 - other.0).max(0.0))
    }

    /// So many times as many.
    #[must_use]
    pub fn times(self, weight: Weight) -> Self {
        Self((self.0 * weight.get()).min(limits::QUANTITY_MAX))
    }

    /// So many times as many, of a factor that is no negative and no infinite number.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self((self.0 * factor.max(0.0)).min(limits::QUANTITY_MAX))
    }

    /// The earlier of two times, of which zero is none.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        if self.is_positive() && other.is_positive() { self.least(other) } else { self.most(other) }
    }

    /// The larger of the two.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }

    /// The smaller of the two.
    #[must_use]
    pub fn least(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// Whether there is anything at all.
    #[must_use]
    pub fn is_positive(self) -> bool {
        self.0 > 0.0
    }
}

impl From<u64> for Count {
    #[expect(
        clippy::cast_precision_loss,
        reason = "above 2^53 the number is clamped to 1e12 anyway, below it is exact"
    )]
    fn from(number: u64) -> Self {
        Self((number as f64).min(limits::QUANTITY_MAX))
    }
}

impl Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self((self.0 + other.0).min(limits::QUANTITY_MAX))
    }
}

impl Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many jobs each measure counts.
pub type Counts = Measures<Count>;

impl Counts {
    /// The jobs of several measures together.
    #[must_use]
    pub fn sum(&self, of: &[Measure]) -> Count {
        of.iter().map(|measure| self[*measure]).sum()
    }

    /// What a worker could take now: waiting + due.
    #[must_use]
    pub fn ready(&self) -> Count {
        self.sum(&[Measure::Waiting, Measure::Due])
    }

    /// Everything that is not finished: waiting + due + in flight.
    #[must_use]
    pub fn backlog(&self) -> Count {
        self.ready() + self[Measure::InFlight]
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [due, waiting] = [self[Measure::Due], self[Measure::Waiting]];
        write!(f, "waiting {waiting}, due {due}, in flight {}", self[Measure::InFlight])?;
        if self[Measure::Orphaned].is_positive() {
            write!(f, ", orphaned {}", self[Measure::Orphaned])?;
        }
        for (measure, number) in self.iter().filter(|(measure, _)| !measure.is_of_jobs()) {
            if number.is_positive() && measure.is_time() {
                write!(f, ", {} since {}", measure.words(), time::written_date(number.get()))?;
            } else if number.is_positive() {
                write!(f, ", {} {number}", measure.words())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_number_is_no_count() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -0.001] {
            assert_eq!(Count::new(number), None, "{number}");
        }
    }

    #[test]
    fn a_negative_zero_is_a_plain_zero() {
        assert!(Count::new(-0.0).unwrap().get().is_sign_positive());
    }

    proptest! {
        #[test]
        fn sums_stay_within_their_bounds(numbers in prop::collection::vec(any::<u64>(), 0..20)) {
            let sum: Count = numbers.iter().map(|number| Count::from(*number)).sum();
            prop_assert!((0.0..=limits::QUANTITY_MAX).contains(&sum.get()));
            prop_assert_eq!(sum.is_positive(), numbers.iter().any(|number| *number > 0));
        }
    }
}
