//! One sync of the HPA controller: from metrics to a new `spec.replicas`.
//! Apart because it is Kubernetes' half of the machine. Must not know KEDA, activity, or how metrics are read.

use std::time::Duration;

use crate::decision::{KeepReason, ScaleReason, Verdict};
use crate::proposal::{Load, StatusReplicas, Tolerances};
use crate::quantity::{MetricValue, Target};
use crate::rate::Rescale;
use crate::restraint::{Bounds, Restraint, Settled};

/// Facts: kube 1.36 `pkg/controller/podautoscaler/horizontal.go`, `reconcileAutoscaler`.
#[derive(Clone, Debug)]
pub(crate) struct Hpa {
    restraint: Restraint,
    desired: u32,
}

/// The scale subresource at the moment of the sync.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) spec: u32,
    pub(crate) status: StatusReplicas,
}

/// One metric of the HPA; no value where it could not be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    pub(crate) value: Option<MetricValue>,
    pub(crate) target: Target,
}

/// The most that any metric asks for.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    trigger: usize,
    replicas: u32,
}

impl Hpa {
    pub(crate) fn new(restraint: Restraint) -> Self {
        Self { restraint, desired: 0 }
    }

    /// `status.desiredReplicas`: 0 before the first sync, and left alone by a sync that failed.
    pub(crate) fn desired(&self) -> u32 {
        self.desired
    }

    /// `metrics` is asked only where the controller reads metrics, because reading has effects on KEDA's side.
    pub(crate) fn sync(
        &mut self,
        now: Duration,
        scale: Scale,
        metrics: impl FnOnce() -> Vec<Metric>,
    ) -> Verdict {
        let (current, Bounds { min, max }) = (scale.spec, self.restraint.bounds());
        self.restraint.observe(now, current);
        let verdict = if current == 0 {
            Verdict::Kept { replicas: 0, reason: KeepReason::ScalingDisabled }
        } else if current > max {
            Verdict::Scaled { from: current, to: max, reason: ScaleReason::AboveMaximum }
        } else if current < min {
            Verdict::Scaled { from: current, to: min, reason: ScaleReason::BelowMinimum }
        } else {
            match wanted(&metrics(), scale, self.restraint.tolerances()) {
                Ok(wanted) => self.settle(now, current, wanted),
                Err(reason) => {
                    return Verdict::Kept { replicas: current, reason };
                }
            }
        };
        match verdict {
            Verdict::Kept { replicas, .. } => self.desired = replicas,
            Verdict::Scaled { from, to, .. } => {
                self.desired = to;
                self.restraint.remember(now, Rescale { from, to });
            }
        }
        verdict
    }

    fn settle(&mut self, now: Duration, current: u32, most: Wanted) -> Verdict {
        let wanted = most.replicas;
        let Settled { replicas: to, limit } =
            self.restraint.settle(now, Rescale { from: current, to: wanted });
        if to == current {
            let reason = match limit {
                Some(limit) if wanted != current => KeepReason::Limited { wanted, limit },
                Some(_) | None => KeepReason::OnTarget,
            };
            return Verdict::Kept { replicas: current, reason };
        }
        let reason = if wanted > current {
            ScaleReason::AboveTarget { trigger: most.trigger, wanted, limit }
        } else if to < current {
            ScaleReason::BelowTarget { wanted, limit }
        } else {
            ScaleReason::EarlierRecommendation { wanted }
        };
        Verdict::Scaled { from: current, to, reason }
    }
}

/// Kube 1.36 `computeReplicasForMetrics`: the maximum; with a metric missing only if that is no scale down.
fn wanted(metrics: &[Metric], scale: Scale, tolerances: Tolerances) -> Result<Wanted, KeepReason> {
    let proposals = metrics.iter().enumerate().filter_map(|(trigger, metric)| {
        let load = Load { value: metric.value?, target: metric.target, replicas: scale.status };
        Some(Wanted { trigger, replicas: load.proposal(tolerances).replicas })
    });
    // Of equal ones the first counts, as in the controller.
    let most =
        proposals.reduce(|most, next| if next.replicas > most.replicas { next } else { most });
    let missing = metrics.iter().any(|metric| metric.value.is_none());
    match most {
        None => Err(KeepReason::MetricsUnavailable),
        Some(most) if missing && most.replicas < scale.spec => {
            Err(KeepReason::MetricsIncomplete { wanted: most.replicas })
        }
        Some(most) => Ok(most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behavior::HpaFlags;
    use crate::decision::Limit;

    const NOW: Duration = Duration::from_secs(60);

    fn hpa() -> Hpa {
        let flags = HpaFlags { downscale_stabilization: Duration::ZERO, ..HpaFlags::default() };
        Hpa::new(Restraint::new(Bounds { min: 2, max: 10 }, None, flags))
    }

    fn at(replicas: u32) -> Scale {
        Scale { spec: replicas, status: StatusReplicas(replicas) }
    }

    fn metric(value: impl Into<Option<f64>>) -> Metric {
        Metric { value: value.into().map(Into::into), target: 5.0.try_into().unwrap() }
    }

    fn kept(replicas: u32, reason: KeepReason) -> Verdict {
        Verdict::Kept { replicas, reason }
    }

    #[test]
    fn at_zero_it_is_off_and_asks_no_metric() {
        let verdict = hpa().sync(NOW, at(0), || panic!("asked for metrics"));
        assert_eq!(verdict, kept(0, KeepReason::ScalingDisabled));
    }

    #[test]
    fn outside_the_bounds_it_moves_there_without_asking_a_metric() {
        for (from, to, reason) in
            [(12, 10, ScaleReason::AboveMaximum), (1, 2, ScaleReason::BelowMinimum)]
        {
            let verdict = hpa().sync(NOW, at(from), || panic!("asked for metrics"));
            assert_eq!(verdict, Verdict::Scaled { from, to, reason });
        }
    }

    #[test]
    fn the_first_metric_that_asks_for_the_most_wins() {
        let verdict = hpa().sync(NOW, at(4), || vec![metric(10.0), metric(30.0), metric(30.0)]);
        let reason = ScaleReason::AboveTarget { trigger: 1, wanted: 6, limit: None };
        assert_eq!(verdict, Verdict::Scaled { from: 4, to: 6, reason });
    }

    #[test]
    fn without_any_metric_the_count_and_the_status_stay() {
        let mut hpa = hpa();
        let scaled = hpa.sync(NOW, at(4), || vec![metric(30.0)]);
        assert!(matches!(scaled, Verdict::Scaled { to: 6, .. }));
        let verdict = hpa.sync(NOW, at(5), || vec![metric(None), metric(None)]);
        assert_eq!(verdict, kept(5, KeepReason::MetricsUnavailable));
        assert_eq!(hpa.desired(), 6);
    }

    #[test]
    fn a_missing_metric_does_not_matter_where_the_count_is_right() {
        let verdict = hpa().sync(NOW, at(4), || vec![metric(None), metric(20.0)]);
        assert_eq!(verdict, kept(4, KeepReason::OnTarget));
    }

    #[test]
    fn a_missing_metric_forbids_less_but_not_more() {
        let less = hpa().sync(NOW, at(4), || vec![metric(None), metric(1.0)]);
        assert_eq!(less, kept(4, KeepReason::MetricsIncomplete { wanted: 1 }));
        let more = hpa().sync(NOW, at(4), || vec![metric(None), metric(30.0)]);
        assert!(matches!(more, Verdict::Scaled { from: 4, to: 6, .. }));
    }

    #[test]
    fn the_load_is_divided_by_the_pods_that_exist() {
        // 27 jobs are within tolerance of 5 pods: the HPA then asks for the 5 that exist, not for the 8 in the spec.
        let scale = Scale { spec: 8, status: StatusReplicas(5) };
        let verdict = hpa().sync(NOW, scale, || vec![metric(27.0)]);
        let reason = ScaleReason::BelowTarget { wanted: 5, limit: None };
        assert_eq!(verdict, Verdict::Scaled { from: 8, to: 5, reason });
    }

    #[test]
    fn at_the_maximum_it_says_so() {
        let verdict = hpa().sync(NOW, at(10), || vec![metric(500.0)]);
        assert_eq!(verdict, kept(10, KeepReason::Limited { wanted: 100, limit: Limit::Maximum }));
    }
}
