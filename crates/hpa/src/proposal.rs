//! The one division at the heart of the HPA: how many replicas a value asks for, given the target and what runs now.
//! Apart because `probe` shows exactly this step. Must not know limits, policies, history or time.

use crate::quantity::{MetricValue, Target, count, float, truncated};

/// `status.replicas` of the scale target: the pods that exist, which follows `spec.replicas` with a delay.
/// The HPA divides by this count, not by the wanted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusReplicas(pub u32);

/// How far the ratio of load to capacity may be from 1 before anything happens, as a fraction.
///
/// Default 0.1 both ways: kube-controller-manager's `--horizontal-pod-autoscaler-tolerance`. Since kube 1.35 a
/// behavior may set its own per direction (`HPAConfigurableTolerance` is on by default).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerances {
    /// Above 1.
    pub up: f64,
    /// Below 1.
    pub down: f64,
}

impl Default for Tolerances {
    fn default() -> Self {
        Self { up: 0.1, down: 0.1 }
    }
}

impl Tolerances {
    /// NaN (nothing to do and nobody to do it) is outside.
    fn contain(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

/// One metric as the HPA sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// What the scaler returned.
    pub value: MetricValue,
    /// What one replica is meant to carry.
    pub target: Target,
    /// What exists now.
    pub replicas: StatusReplicas,
}

/// What a [`Load`] asks for, before limits, policies and stabilization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proposal {
    /// The replica count asked for; may be 0 and may exceed any maximum.
    pub replicas: u32,
    /// Value / (target × replicas); infinite or NaN at 0 replicas.
    pub ratio: f64,
    /// Whether the ratio was close enough to 1 that the present count stays.
    pub within_tolerance: bool,
}

impl Load {
    /// The present count within tolerance, else `ceil(value / target)`, at most `i32::MAX`.
    ///
    /// Source: kube 1.36 `pkg/controller/podautoscaler/replica_calculator.go`, `GetExternalPerPodMetricReplicas`.
    #[must_use]
    pub fn proposal(self, tolerances: Tolerances) -> Proposal {
        let (value, target) = (float(self.value.milli()), float(self.target.milli()));
        let ratio = value / (target * f64::from(self.replicas.0));
        let within_tolerance = tolerances.contain(ratio);
        let replicas = if within_tolerance {
            self.replicas.0
        } else {
            count(truncated((value / target).ceil()))
        };
        Proposal { replicas, ratio, within_tolerance }
    }
}

/// What the HPA would ask for with the default tolerance of 10 %, before limits, policies and stabilization.
#[must_use]
pub fn desired_replicas(load: Load) -> u32 {
    load.proposal(Tolerances::default()).replicas
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(value: f64, target: f64, replicas: u32) -> Load {
        Load {
            value: value.into(),
            target: target.try_into().unwrap(),
            replicas: StatusReplicas(replicas),
        }
    }

    #[test]
    fn a_started_replica_is_a_whole_one() {
        assert_eq!(desired_replicas(load(101.0, 5.0, 1)), 21);
        assert_eq!(desired_replicas(load(100.0, 5.0, 1)), 20);
        assert_eq!(desired_replicas(load(0.001, 5.0, 1)), 1);
        assert_eq!(desired_replicas(load(0.0004, 5.0, 1)), 0);
    }

    #[test]
    fn ten_per_cent_off_changes_nothing() {
        for (value, wanted) in
            [(54.0, 5), (55.0, 5), (55.1, 6), (45.0, 5), (44.9, 5), (40.0, 4), (44.0, 5)]
        {
            assert_eq!(desired_replicas(load(value, 10.0, 5)), wanted, "{value}");
        }
        assert!(load(45.0, 10.0, 5).proposal(Tolerances::default()).within_tolerance);
        assert!(!load(44.9, 10.0, 5).proposal(Tolerances::default()).within_tolerance);
    }

    #[test]
    fn tolerances_may_differ_by_direction() {
        let lazy_down = Tolerances { up: 0.0, down: 0.5 };
        assert_eq!(load(50.1, 10.0, 5).proposal(lazy_down).replicas, 6);
        assert_eq!(load(25.0, 10.0, 5).proposal(lazy_down).replicas, 5);
    }

    #[test]
    fn with_no_pod_yet_the_value_alone_decides() {
        assert_eq!(desired_replicas(load(100.0, 5.0, 0)), 20);
        assert_eq!(desired_replicas(load(0.0, 5.0, 0)), 0);
    }

    #[test]
    fn an_absurd_value_stays_a_count() {
        assert_eq!(desired_replicas(load(f64::MAX, 0.001, 3)), 2_147_483_647);
    }
}
