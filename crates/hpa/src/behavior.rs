//! The HPA's `behavior` as a user writes it: rules per direction, with Kubernetes' defaults.
//! Apart because it is data that several steps read. Must not know history, time or KEDA.

use std::time::Duration;

/// `spec.behavior` of an HPA (KEDA: `advanced.horizontalPodAutoscalerConfig.behavior`).
///
/// A direction that the user leaves out has its default rules. An HPA *without* any behavior is something else: see
/// [`ScaledObject::behavior`](crate::ScaledObject::behavior).
/// Source: kube 1.36 `pkg/apis/autoscaling/v2/defaults.go`.
#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    /// Rules for more replicas.
    pub scale_up: ScalingRules,
    /// Rules for fewer replicas.
    pub scale_down: ScalingRules,
}

impl Default for Behavior {
    fn default() -> Self {
        Self {
            scale_up: ScalingRules::scale_up_default(),
            scale_down: ScalingRules::scale_down_default(),
        }
    }
}

/// How fast and how nervously the count may move in one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalingRules {
    /// 0 to 3600 s: of the recommendations of this time the lowest (up) or the highest (down) counts.
    /// `None` is 0 for scale up and, for scale down, [`HpaFlags::downscale_stabilization`].
    pub stabilization_window: Option<Duration>,
    /// At least one.
    pub policies: Vec<Policy>,
    /// Which policy wins where several apply.
    pub select: SelectPolicy,
    /// A fraction, at least 0; `None` is [`HpaFlags::tolerance`].
    pub tolerance: Option<f64>,
}

impl ScalingRules {
    /// No window; the larger of 4 pods and 100 % within 15 s.
    #[must_use]
    pub fn scale_up_default() -> Self {
        Self {
            stabilization_window: None,
            policies: vec![
                Policy { change: Change::Pods(4), period: Duration::from_secs(15) },
                Policy { change: Change::Percent(100), period: Duration::from_secs(15) },
            ],
            select: SelectPolicy::Max,
            tolerance: None,
        }
    }

    /// The cluster's window (300 s unless set); 100 % within 15 s.
    #[must_use]
    pub fn scale_down_default() -> Self {
        Self {
            stabilization_window: None,
            policies: vec![Policy {
                change: Change::Percent(100),
                period: Duration::from_secs(15),
            }],
            select: SelectPolicy::Max,
            tolerance: None,
        }
    }

    pub(crate) fn longest_period(&self) -> Duration {
        self.policies.iter().map(|policy| policy.period).max().unwrap_or_default()
    }
}

/// At most this change within this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How much.
    pub change: Change,
    /// 1 to 1800 s.
    pub period: Duration,
}

/// The size of a change; at least 1 of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A number of pods.
    Pods(u32),
    /// A percentage of the count at the start of the period.
    Percent(u32),
}

/// Which of several policies counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SelectPolicy {
    /// The one that allows the largest change.
    #[default]
    Max,
    /// The one that allows the smallest change.
    Min,
    /// None: this direction is switched off.
    Disabled,
}

/// What an administrator sets for the whole cluster, as flags of kube-controller-manager.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HpaFlags {
    /// `--horizontal-pod-autoscaler-sync-period`; for the caller, who keeps time.
    pub sync_period: Duration,
    /// `--horizontal-pod-autoscaler-tolerance`, a fraction.
    pub tolerance: f64,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`.
    pub downscale_stabilization: Duration,
}

impl Default for HpaFlags {
    fn default() -> Self {
        Self {
            sync_period: Duration::from_secs(15),
            tolerance: 0.1,
            downscale_stabilization: Duration::from_secs(300),
        }
    }
}
