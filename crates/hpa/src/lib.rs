//! What KEDA and Kubernetes do with the numbers an external scaler returns: a pure model of the KEDA 2.20 operator and
//! the HPA v2 controller of kube 1.36. Apart because `demo` and `probe` need the same brain, and recordings of the real two
//! can be held against it. Must not know Redis, gRPC, a clock, or anything else of penstock.
//!
//! [`Autoscaler`] is the machine over time, [`desired_replicas`] and [`Load::proposal`] the HPA's division alone,
//! [`ScaledJob::jobs_to_create`] the arithmetic of Jobs.

mod autoscaler;
mod behavior;
mod controller;
mod decision;
mod fallback;
mod history;
mod job;
mod keda;
mod proposal;
mod quantity;
mod rate;
mod restraint;
mod spec;

pub use crate::autoscaler::Autoscaler;
pub use crate::behavior::{Behavior, Change, HpaFlags, Policy, ScalingRules, SelectPolicy};
pub use crate::decision::{Activity, Decision, KeepReason, Limit, ScaleReason, Verdict};
pub use crate::job::{JobLoad, JobStrategy, ScaledJob};
pub use crate::proposal::{Load, Proposal, StatusReplicas, Tolerances, desired_replicas};
pub use crate::quantity::{MetricValue, Target, TargetTooSmall};
pub use crate::spec::{
    Fallback, FallbackBehavior, InvalidSpec, Reading, ScaledObject, SpecProblem, Trigger,
};
