//! KEDA's `fallback`: the failures of each trigger, and the metric that stands in once there are too many.
//! Apart because polls and HPA queries share the counts. Must not know time, limits or how replicas change.

use crate::quantity::{MetricValue, float, truncated};
use crate::spec::{Fallback, FallbackBehavior, Reading, Trigger};

impl Fallback {
    fn wanted(self, current: u32) -> u32 {
        match self.behavior {
            FallbackBehavior::Static => self.replicas,
            FallbackBehavior::CurrentReplicas => current,
            FallbackBehavior::CurrentReplicasIfHigher => current.max(self.replicas),
            FallbackBehavior::CurrentReplicasIfLower => current.min(self.replicas),
        }
    }
}

/// What KEDA makes of one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The scaler's own answer.
    Measured { value: MetricValue, active: bool },
    /// The fallback's metric; its trigger counts as active.
    Substituted(MetricValue),
    /// No answer.
    Missing,
}

/// Facts: KEDA 2.20 `pkg/fallback/fallback.go`, `GetMetricsWithFallback` and `doFallback`.
#[derive(Clone, Debug)]
pub(crate) struct Failures {
    fallback: Option<Fallback>,
    in_a_row: Vec<u32>,
}

impl Failures {
    pub(crate) fn new(fallback: Option<Fallback>, triggers: &[Trigger]) -> Self {
        Self { fallback, in_a_row: vec![0; triggers.len()] }
    }

    /// One outcome a trigger, in order, and the failures counted. A trigger without a reading has failed: unknown is
    /// not zero.
    pub(crate) fn judge(
        &mut self,
        triggers: &[Trigger],
        readings: &[Reading],
        current: u32,
    ) -> Vec<Outcome> {
        let readings = readings.iter().copied().chain(std::iter::repeat(Reading::Failed));
        let fallback = self.fallback;
        let judged = triggers.iter().zip(&mut self.in_a_row).zip(readings);
        judged
            .map(|((trigger, failures), reading)| {
                outcome(fallback, failures, reading, trigger, current)
            })
            .collect()
    }
}

fn outcome(
    fallback: Option<Fallback>,
    failures: &mut u32,
    reading: Reading,
    trigger: &Trigger,
    current: u32,
) -> Outcome {
    match reading {
        Reading::Known { value, active } => {
            *failures = 0;
            Outcome::Measured { value, active }
        }
        // KEDA never gets as far as its counter here, so a fallback does not help (issue 8056).
        Reading::SpecFailed => Outcome::Missing,
        Reading::Failed => {
            *failures = failures.saturating_add(1);
            match fallback {
                Some(fallback) if *failures > fallback.failure_threshold => {
                    Outcome::Substituted(stand_in(trigger, fallback.wanted(current)))
                }
                Some(_) | None => Outcome::Missing,
            }
        }
    }
}

/// The value that makes the HPA ask for this many replicas.
fn stand_in(trigger: &Trigger, replicas: u32) -> MetricValue {
    let target = float(trigger.target.milli()) / 1000.0;
    MetricValue::from_milli(truncated(target * 1000.0 * f64::from(replicas)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Reading = Reading::Known { value: MetricValue::ZERO, active: false };

    fn triggers() -> [Trigger; 1] {
        [Trigger { target: 5.0.try_into().unwrap(), activation: 0.0 }]
    }

    fn failures(behavior: FallbackBehavior) -> Failures {
        Failures::new(Some(Fallback { failure_threshold: 2, replicas: 4, behavior }), &triggers())
    }

    fn judge(failures: &mut Failures, reading: Reading) -> Outcome {
        failures.judge(&triggers(), &[reading], 7)[0]
    }

    #[test]
    fn it_stands_in_after_more_failures_than_the_threshold() {
        let mut failures = failures(FallbackBehavior::Static);
        assert_eq!(judge(&mut failures, Reading::Failed), Outcome::Missing);
        assert_eq!(judge(&mut failures, Reading::Failed), Outcome::Missing);
        assert_eq!(judge(&mut failures, Reading::Failed), Outcome::Substituted(20.0.into()));
        assert_eq!(
            judge(&mut failures, KNOWN),
            Outcome::Measured { value: 0.0.into(), active: false }
        );
        assert_eq!(judge(&mut failures, Reading::Failed), Outcome::Missing);
    }

    #[test]
    fn the_present_count_matters_where_the_behavior_says_so() {
        for (behavior, value) in [
            (FallbackBehavior::CurrentReplicas, 35.0),
            (FallbackBehavior::CurrentReplicasIfHigher, 35.0),
            (FallbackBehavior::CurrentReplicasIfLower, 20.0),
        ] {
            let mut failures = failures(behavior);
            failures.in_a_row = vec![2];
            assert_eq!(
                judge(&mut failures, Reading::Failed),
                Outcome::Substituted(value.into()),
                "{behavior:?}"
            );
        }
    }

    #[test]
    fn a_failing_metric_spec_never_leads_to_the_fallback() {
        let mut failures = failures(FallbackBehavior::Static);
        for _ in 0..10 {
            assert_eq!(judge(&mut failures, Reading::SpecFailed), Outcome::Missing);
        }
    }

    #[test]
    fn a_trigger_without_a_reading_has_failed() {
        assert_eq!(
            failures(FallbackBehavior::Static).judge(&triggers(), &[], 7),
            [Outcome::Missing]
        );
    }
}
