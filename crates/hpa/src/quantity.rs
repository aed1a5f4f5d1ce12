//! Numbers as KEDA and Kubernetes carry them: values and targets in thousandths, floats rounded to counts.
//! Apart so that every conversion between floats and integers has one home. Must not know triggers, replicas or time.

use std::fmt;

/// A metric value as KEDA hands it to the HPA: thousandths, rounded as `%.3f` prints it, never negative.
///
/// NaN, infinite and negative values are 0, and so is all below 0.0005 (KEDA 2.20 `pkg/scalers/scaler.go`,
/// `quantityFromFloat64`). Above about 9.2e15 Kubernetes' own milli-values wrap around; here they stay at the top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricValue(i64);

impl MetricValue {
    /// No work at all.
    pub const ZERO: Self = Self(0);

    /// The value in thousandths; at least 0.
    #[must_use]
    pub fn milli(self) -> i64 {
        self.0
    }

    pub(crate) fn from_milli(milli: i64) -> Self {
        Self(milli.max(0))
    }
}

impl From<f64> for MetricValue {
    fn from(value: f64) -> Self {
        Self(thousandths(value))
    }
}

/// What one replica is meant to carry (the HPA's `AverageValue`): thousandths as for [`MetricValue`], and never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target(i64);

impl Target {
    /// The target in thousandths; at least 1.
    #[must_use]
    pub fn milli(self) -> i64 {
        self.0
    }
}

impl TryFrom<f64> for Target {
    type Error = TargetTooSmall;

    /// # Errors
    /// NaN, infinite, negative, and all that rounds to 0.000: the API server rejects an HPA with a target of zero
    /// (kube 1.36 `pkg/apis/autoscaling/validation`), and the `ScaledObject` is never ready.
    fn try_from(per_replica: f64) -> Result<Self, TargetTooSmall> {
        match thousandths(per_replica) {
            0 => Err(TargetTooSmall { per_replica }),
            milli => Ok(Self(milli)),
        }
    }
}

/// A target that is zero for Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetTooSmall {
    /// What was given.
    pub per_replica: f64,
}

impl fmt::Display for TargetTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "target {} must be a number of at least 0.001", self.per_replica)
    }
}

impl std::error::Error for TargetTooSmall {}

fn thousandths(value: f64) -> i64 {
    if !value.is_finite() || value <= 0.0 {
        return 0;
    }
    // Printing and re-reading is what KEDA does; it also rounds half to even on the exact binary value, as Go does.
    let digits = format!("{value:.3}").replace('.', "");
    digits.parse().unwrap_or(i64::MAX)
}

/// Go's `float64(n)`.
#[expect(
    clippy::cast_precision_loss,
    reason = "the controllers compute in float64 too; exact below 2^53, far above any bounded value"
)]
pub(crate) fn float(n: i64) -> f64 {
    n as f64
}

/// Go's `int(x)`: cut towards zero; out of range stays at the nearest bound and NaN is 0.
#[expect(
    clippy::cast_possible_truncation,
    reason = "cutting is what this function is for; `as` saturates"
)]
pub(crate) fn truncated(x: f64) -> i64 {
    x as i64
}

/// A signed intermediate result as a replica count: 0 to `i32::MAX`, the range of Kubernetes' own counts.
pub(crate) fn count(n: i64) -> u32 {
    u32::try_from(n.clamp(0, i64::from(i32::MAX))).expect("0..=i32::MAX fits in a u32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_rounded_as_three_decimals_are_printed() {
        for (value, milli) in [
            (0.0004, 0),
            (0.0005, 1), // 0.0005 is a little above one half in binary
            (0.0015, 2),
            (0.0625, 62), // an exact half goes to the even neighbour
            (1.0, 1_000),
            (12.3456, 12_346),
            (1e12, 1_000_000_000_000_000),
        ] {
            assert_eq!(MetricValue::from(value).milli(), milli, "{value}");
        }
    }

    #[test]
    fn what_is_no_number_reads_as_zero() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -0.0] {
            assert_eq!(MetricValue::from(value).milli(), 0, "{value}");
        }
    }

    #[test]
    fn a_value_too_big_for_milli_units_stays_at_the_top() {
        assert_eq!(MetricValue::from(1e300).milli(), i64::MAX);
    }

    #[test]
    fn a_target_that_rounds_to_zero_is_refused() {
        for per_replica in [0.0, 0.0004, -5.0, f64::NAN, f64::INFINITY] {
            assert!(Target::try_from(per_replica).is_err(), "{per_replica}");
        }
        assert_eq!(Target::try_from(0.001).map(Target::milli), Ok(1));
    }

    #[test]
    fn counts_stay_in_the_range_of_kubernetes() {
        assert_eq!(count(-3), 0);
        assert_eq!(count(i64::MAX), 2_147_483_647);
        assert_eq!(truncated(-1.9), -1);
        assert_eq!(truncated(f64::NAN), 0);
    }
}
