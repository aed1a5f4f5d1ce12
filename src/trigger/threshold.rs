//! The two numbers of a trigger: what one replica takes, and what wakes the workload.
//!
//! Their ranges come from what KEDA and the HPA can hold. They are two types, so that they cannot be mixed up.

use std::{
    hash::{Hash, Hasher},
    time::Duration,
};

use crate::{limits, signals::Settings, time};

/// Jobs per replica: within [[`limits::TARGET_MIN`], [`limits::QUANTITY_MAX`]]. A smaller target
/// would reach the API server as 0, which it refuses (KEDA keeps three decimals).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target(f64);

/// The workload wakes when more than this waits: within [0, [`limits::QUANTITY_MAX`]].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Activation(f64);

/// Why a text is no threshold; the text says what is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// No target.
    #[error("must be a plain decimal number from 0.001 to 1000000000000")]
    Target,
    /// No activation.
    #[error("must be a plain decimal number from 0 to 1000000000000")]
    Activation,
}

impl Target {
    /// Reads a target.
    ///
    /// # Errors
    /// [`ThresholdError::Target`] for anything but a plain decimal within the range.
    pub fn parse(text: &str) -> Result<Self, ThresholdError> {
        let number = time::parse_decimal(text.trim()).ok_or(ThresholdError::Target)?;
        Self::new(number).ok_or(ThresholdError::Target)
    }

    /// A target of this number, if it is within the range.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        (limits::TARGET_MIN..=limits::QUANTITY_MAX).contains(&number).then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Activation {
    /// Reads an activation.
    ///
    /// # Errors
    /// [`ThresholdError::Activation`] for anything but a plain decimal within the range.
    pub fn parse(text: &str) -> Result<Self, ThresholdError> {
        time::parse_decimal(text.trim())
            .filter(|number| *number <= limits::QUANTITY_MAX)
            .map(Self)
            .ok_or(ThresholdError::Activation)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

// Both hold finite numbers only, so equality of numbers is an equivalence.
impl Eq for Target {}
impl Eq for Activation {}

impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl Hash for Activation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// The target that is made of these settings where a job runs for so long.
pub(super) fn auto_target(settings: &Settings, task_time: Option<Duration>) -> Option<Target> {
    let jobs = settings.jobs_per_replica(task_time);
    // As many decimals as KEDA keeps.
    Target::new(((jobs * 1_000.0).round() / 1_000.0).min(limits::QUANTITY_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_the_api_server_would_refuse_is_refused_here() {
        for text in ["0", "0.0004", "-1", "NaN", "inf", "1e3", "", "five", "+5", "1000000000001"] {
            assert_eq!(Target::parse(text), Err(ThresholdError::Target), "{text}");
        }
        assert_eq!(Target::parse(" 2.5 ").map(Target::get), Ok(2.5));
    }

    #[test]
    fn an_activation_may_be_zero() {
        assert_eq!(Activation::parse("0"), Ok(Activation::default()));
        assert_eq!(Activation::parse("-0"), Err(ThresholdError::Activation));
    }
}
