//! What a look at the workload led to, and why, in the words a display shows.
//! Apart because callers read decisions and never make them. Must not know how they are reached.

use std::fmt;
use std::time::Duration;

/// The outcome of one look of KEDA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    /// Set when the activity of the `ScaledObject` (its condition `Active`) has changed.
    pub activity: Option<Activity>,
    /// What became of the replicas.
    pub verdict: Verdict,
}

/// A change of activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Some trigger has become active.
    Activated,
    /// No trigger is active any more; the cooldown runs.
    Deactivated,
}

/// What became of `spec.replicas`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// They changed.
    Scaled {
        /// Before.
        from: u32,
        /// After; never equal to `from`.
        to: u32,
        /// Why.
        reason: ScaleReason,
    },
    /// They stayed.
    Kept {
        /// The count that stays.
        replicas: u32,
        /// Why.
        reason: KeepReason,
    },
}

/// Why the replicas changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleReason {
    /// KEDA: active, and nothing ran.
    FromZero,
    /// KEDA: active, and fewer than `minReplicaCount` ran.
    FromIdle,
    /// KEDA: inactive, and fewer than `minReplicaCount` ran without an `idleReplicaCount`.
    ToMinimum,
    /// KEDA: inactive for the cooldown period; to `idleReplicaCount` or `minReplicaCount` in one step.
    CooledDown,
    /// HPA: more than `maxReplicaCount` ran.
    AboveMaximum,
    /// HPA: fewer than its minimum ran.
    BelowMinimum,
    /// HPA: a metric asks for more.
    AboveTarget {
        /// The trigger (by index) that asked for the most.
        trigger: usize,
        /// What it asked for.
        wanted: u32,
        /// What kept the HPA from going there at once.
        limit: Option<Limit>,
    },
    /// HPA: all metrics ask for less.
    BelowTarget {
        /// The most that any asked for.
        wanted: u32,
        /// What kept the HPA from going there at once.
        limit: Option<Limit>,
    },
    /// HPA: no metric asks for more now, but one did within the stabilization window of scale down.
    EarlierRecommendation {
        /// The most that any metric asks for now.
        wanted: u32,
    },
}

/// Why the replicas stayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepReason {
    /// KEDA: active; the count is the HPA's business.
    Active,
    /// KEDA: inactive, and already as low as KEDA takes it.
    Inactive,
    /// KEDA: inactive, waiting for the cooldown period.
    CoolingDown {
        /// When it ends, on the caller's clock.
        until: Duration,
    },
    /// KEDA: some trigger failed and none is active: an error freezes, it never scales to zero.
    TriggerError,
    /// KEDA: some trigger is active, another failed. The cooldown is not restarted.
    PartialTriggerError,
    /// KEDA: some trigger failed, and the fallback's failure threshold is not yet passed.
    AwaitingFallback,
    /// HPA: it switches itself off at zero replicas.
    ScalingDisabled,
    /// HPA: no metric could be read.
    MetricsUnavailable,
    /// HPA: some metric could not be read, and the others ask for less; it may be the one that asks for more.
    MetricsIncomplete {
        /// The most that the readable ones asked for.
        wanted: u32,
    },
    /// HPA: the count is right, or within tolerance.
    OnTarget,
    /// HPA: it wants another count and may not go there now.
    Limited {
        /// The most that any metric asked for.
        wanted: u32,
        /// What forbids it.
        limit: Limit,
    },
}

/// What bounds a move of the HPA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Recommendations of the stabilization window differ.
    Stabilization,
    /// The policies, or without a behavior max(2 × current, 4) in one step.
    ScaleUpRate,
    /// The policies.
    ScaleDownRate,
    /// `maxReplicaCount`.
    Maximum,
    /// max(1, `minReplicaCount`).
    Minimum,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stabilization => "stabilization window",
            Self::ScaleUpRate => "scale-up rate",
            Self::ScaleDownRate => "scale-down rate",
            Self::Maximum => "maximum",
            Self::Minimum => "minimum",
        })
    }
}

impl fmt::Display for ScaleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, wanted, limit) = match *self {
            Self::FromZero => return f.write_str("KEDA: activated from zero"),
            Self::FromIdle => return f.write_str("KEDA: activated from idle"),
            Self::ToMinimum => return f.write_str("KEDA: raised to the minimum"),
            Self::CooledDown => return f.write_str("KEDA: the cooldown period has passed"),
            Self::AboveMaximum => return f.write_str("HPA: above the maximum"),
            Self::BelowMinimum => return f.write_str("HPA: below the minimum"),
            Self::EarlierRecommendation { wanted } => {
                return write!(
                    f,
                    "HPA: an earlier recommendation still stands, now wanted {wanted}"
                );
            }
            Self::AboveTarget { trigger, wanted, limit } => {
                (format!("trigger {trigger} above target"), wanted, limit)
            }
            Self::BelowTarget { wanted, limit } => ("below target".to_owned(), wanted, limit),
        };
        write!(f, "HPA: {text}, wanted {wanted}")?;
        limit.map_or(Ok(()), |limit| write!(f, ", limited by the {limit}"))
    }
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Active => f.write_str("KEDA: active, the HPA decides"),
            Self::Inactive => f.write_str("KEDA: inactive"),
            Self::CoolingDown { until } => {
                write!(f, "KEDA: cooling down until {} s", until.as_secs())
            }
            Self::TriggerError => f.write_str("KEDA: a trigger failed, nothing is scaled"),
            Self::PartialTriggerError => f.write_str("KEDA: active, but a trigger failed"),
            Self::AwaitingFallback => {
                f.write_str("KEDA: a trigger failed, the fallback is not yet due")
            }
            Self::ScalingDisabled => f.write_str("HPA: off at zero replicas"),
            Self::MetricsUnavailable => f.write_str("HPA: no metric could be read"),
            Self::MetricsIncomplete { wanted } => {
                write!(f, "HPA: a metric could not be read, the others want {wanted}")
            }
            Self::OnTarget => f.write_str("HPA: on target"),
            Self::Limited { wanted, limit } => {
                write!(f, "HPA: wanted {wanted}, held by the {limit}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_reads_as_a_sentence() {
        let limited =
            ScaleReason::AboveTarget { trigger: 0, wanted: 20, limit: Some(Limit::ScaleUpRate) };
        assert_eq!(
            limited.to_string(),
            "HPA: trigger 0 above target, wanted 20, limited by the scale-up rate"
        );
        let free = ScaleReason::BelowTarget { wanted: 3, limit: None };
        assert_eq!(free.to_string(), "HPA: below target, wanted 3");
        let held = KeepReason::Limited { wanted: 3, limit: Limit::Stabilization };
        assert_eq!(held.to_string(), "HPA: wanted 3, held by the stabilization window");
    }
}
