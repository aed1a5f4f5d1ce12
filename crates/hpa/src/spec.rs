//! What a user writes about one workload: the `ScaledObject`, its triggers, and what a trigger's scaler answers.
//! Apart because it is data that callers build. Must not know how anything is decided.

use std::fmt;
use std::time::Duration;

use crate::behavior::{Behavior, Change, ScalingRules};
use crate::quantity::{MetricValue, Target};

/// The spec of a KEDA `ScaledObject` with external triggers of metric type `AverageValue`.
///
/// Defaults are KEDA 2.20's (`apis/keda/v1alpha1/scaledobject_types.go`, `withtriggers_types.go`,
/// `pkg/scaling/executor/scale_executor.go`), with no trigger. Scaling modifiers, `useCachedMetrics`, paused objects
/// and CPU or memory triggers are not modelled.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaledObject {
    /// At least one.
    pub triggers: Vec<Trigger>,
    /// How often KEDA asks the triggers; for the caller, who keeps time. Default 30 s.
    pub polling_interval: Duration,
    /// How long nothing is active before KEDA scales to zero or idle. Default 300 s.
    pub cooldown_period: Duration,
    /// The same while nothing has been active since the `ScaledObject` was created. Default 0.
    pub initial_cooldown_period: Duration,
    /// What the HPA keeps and KEDA activates to. Default 0, where both take 1.
    pub min_replica_count: u32,
    /// At least 1 and at least the minimum. Default 100.
    pub max_replica_count: u32,
    /// What KEDA scales to while nothing is active; below the minimum. Default none: zero, or the minimum.
    pub idle_replica_count: Option<u32>,
    /// What happens when triggers fail for long. Default none: nothing.
    pub fallback: Option<Fallback>,
    /// The HPA's behavior. Default none, which is *not* [`Behavior::default`]: without a behavior the HPA may go to
    /// max(2 × current, 4) in one sync whatever it did before, and scale down is held by the cluster's window alone.
    pub behavior: Option<Behavior>,
}

impl Default for ScaledObject {
    fn default() -> Self {
        Self {
            triggers: Vec::new(),
            polling_interval: Duration::from_secs(30),
            cooldown_period: Duration::from_secs(300),
            initial_cooldown_period: Duration::ZERO,
            min_replica_count: 0,
            max_replica_count: 100,
            idle_replica_count: None,
            fallback: None,
            behavior: None,
        }
    }
}

/// One trigger.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trigger {
    /// What one replica is meant to carry.
    pub target: Target,
    /// Active is what is above this; only [`Trigger::reading`] uses it, since an external scaler decides for itself.
    pub activation: f64,
}

impl Trigger {
    /// The reading of a scaler that is active above its activation value, as KEDA's own scalers are (KEDA 2.20
    /// `pkg/scalers/redis_scaler.go`, `GetMetricsAndActivity`).
    #[must_use]
    pub fn reading(&self, value: f64) -> Reading {
        Reading::Known { value: value.into(), active: value > self.activation }
    }
}

/// What a trigger's scaler answered when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// `GetMetrics` and `IsActive` answered.
    Known {
        /// The metric value.
        value: MetricValue,
        /// The activity; need not follow from the value.
        active: bool,
    },
    /// `GetMetrics` or `IsActive` failed: KEDA drops both answers.
    Failed,
    /// `GetMetricSpec` failed or was empty: the HPA then gets no metric of any trigger of the object.
    SpecFailed,
}

/// Why a [`ScaledObject`] cannot work; KEDA's webhook or the API server refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecProblem {
    /// `triggers` is empty.
    NoTrigger,
    /// `maxReplicaCount` is 0.
    NoMaximum,
    /// `minReplicaCount` is above `maxReplicaCount`.
    MinimumAboveMaximum,
    /// `idleReplicaCount` is not below `minReplicaCount` (1 if that is 0).
    IdleNotBelowMinimum,
    /// A stabilization window is longer than 3600 s.
    WindowTooLong,
    /// A direction has no policy.
    NoPolicy,
    /// A policy's period is not 1 to 1800 s.
    PeriodOutOfRange,
    /// A policy allows no change.
    EmptyPolicy,
    /// A tolerance is negative or no number.
    NegativeTolerance,
}

impl fmt::Display for SpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoTrigger => "triggers: at least one is needed",
            Self::NoMaximum => "maxReplicaCount: must be at least 1",
            Self::MinimumAboveMaximum => "minReplicaCount: must not be above maxReplicaCount",
            Self::IdleNotBelowMinimum => "idleReplicaCount: must be below minReplicaCount",
            Self::WindowTooLong => "stabilizationWindowSeconds: must be at most 3600",
            Self::NoPolicy => "policies: at least one is needed",
            Self::PeriodOutOfRange => "periodSeconds: must be 1 to 1800",
            Self::EmptyPolicy => "value: must be at least 1",
            Self::NegativeTolerance => "tolerance: must be a number of at least 0",
        })
    }
}

/// All problems of a [`ScaledObject`]; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSpec(pub Vec<SpecProblem>);

impl fmt::Display for InvalidSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems: Vec<String> = self.0.iter().map(SpecProblem::to_string).collect();
        f.write_str(&problems.join("; "))
    }
}

impl std::error::Error for InvalidSpec {}

impl ScaledObject {
    /// The HPA's `minReplicas`, and what KEDA activates to: max(1, `minReplicaCount`).
    pub(crate) fn hpa_minimum(&self) -> u32 {
        self.min_replica_count.max(1)
    }

    pub(crate) fn problems(&self) -> Vec<SpecProblem> {
        let mut found = Vec::new();
        let mut check = |is_wrong: bool, problem| found.extend(is_wrong.then_some(problem));
        check(self.triggers.is_empty(), SpecProblem::NoTrigger);
        check(self.max_replica_count == 0, SpecProblem::NoMaximum);
        check(self.min_replica_count > self.max_replica_count, SpecProblem::MinimumAboveMaximum);
        let idle_too_high = self.idle_replica_count.is_some_and(|idle| idle >= self.hpa_minimum());
        check(idle_too_high, SpecProblem::IdleNotBelowMinimum);
        for rules in
            self.behavior.iter().flat_map(|behavior| [&behavior.scale_up, &behavior.scale_down])
        {
            check_rules(rules, &mut check);
        }
        found
    }
}

/// Ranges: kube 1.36 `pkg/apis/autoscaling/validation/validation.go`.
fn check_rules(rules: &ScalingRules, check: &mut impl FnMut(bool, SpecProblem)) {
    let too_long =
        rules.stabilization_window.is_some_and(|window| window > Duration::from_secs(3600));
    check(too_long, SpecProblem::WindowTooLong);
    check(rules.policies.is_empty(), SpecProblem::NoPolicy);
    for policy in &rules.policies {
        let in_range = Duration::from_secs(1)..=Duration::from_secs(1800);
        check(!in_range.contains(&policy.period), SpecProblem::PeriodOutOfRange);
        check(
            matches!(policy.change, Change::Pods(0) | Change::Percent(0)),
            SpecProblem::EmptyPolicy,
        );
    }
    check(
        rules.tolerance.is_some_and(|tolerance| tolerance.is_nan() || tolerance < 0.0),
        SpecProblem::NegativeTolerance,
    );
}

/// `spec.fallback` of a `ScaledObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The fallback is used after more failures in a row than this. Polls and HPA queries both count.
    pub failure_threshold: u32,
    /// How many replicas to ask for.
    pub replicas: u32,
    /// Whether the present count matters.
    pub behavior: FallbackBehavior,
}

/// `spec.fallback.behavior`; KEDA's `scalingModifiers` is not modelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FallbackBehavior {
    /// [`Fallback::replicas`].
    #[default]
    Static,
    /// What is there.
    CurrentReplicas,
    /// The higher of the two.
    CurrentReplicasIfHigher,
    /// The lower of the two.
    CurrentReplicasIfLower,
}
