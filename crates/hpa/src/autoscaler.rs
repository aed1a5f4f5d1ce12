//! One workload under KEDA and its HPA: the two halves over one replica count.
//! Apart because it is the door for callers. Must not know a clock, a wire, or who asks.

use std::time::Duration;

use crate::behavior::HpaFlags;
use crate::controller::{Hpa, Metric, Scale};
use crate::decision::{Decision, Verdict};
use crate::fallback::{Failures, Outcome};
use crate::keda::{Keda, Observed};
use crate::proposal::StatusReplicas;
use crate::restraint::{Bounds, Restraint};
use crate::spec::{InvalidSpec, Reading, ScaledObject, Trigger};

/// What KEDA 2.20 and the HPA controller of kube 1.36 do to one workload.
///
/// The caller keeps time and asks the triggers: [`poll`](Self::poll) every
/// [`polling_interval`](ScaledObject::polling_interval), the first at once; [`hpa_sync`](Self::hpa_sync) every
/// [`sync_period`](HpaFlags::sync_period), whose phase is the cluster's; [`push`](Self::push) whenever a scaler sends
/// `true`. Times count from the creation of the `ScaledObject` and do not go back. Readings stand in the order of the
/// triggers; one that is not there has failed, one too many is ignored.
#[derive(Clone, Debug)]
pub struct Autoscaler {
    triggers: Vec<Trigger>,
    failures: Failures,
    keda: Keda,
    hpa: Hpa,
    replicas: u32,
}

impl Autoscaler {
    /// A workload that has `replicas` when its `ScaledObject` is created.
    ///
    /// # Errors
    /// All reasons for which KEDA or the API server would refuse the spec.
    pub fn new(spec: ScaledObject, flags: HpaFlags, replicas: u32) -> Result<Self, InvalidSpec> {
        let problems = spec.problems();
        if !problems.is_empty() {
            return Err(InvalidSpec(problems));
        }
        let bounds = Bounds { min: spec.hpa_minimum(), max: spec.max_replica_count };
        Ok(Self {
            failures: Failures::new(spec.fallback, &spec.triggers),
            keda: Keda::new(&spec),
            hpa: Hpa::new(Restraint::new(bounds, spec.behavior, flags)),
            triggers: spec.triggers,
            replicas,
        })
    }

    /// KEDA's look at the triggers (`pkg/scaling/scale_handler.go`, `getScaledObjectState`): active if any is, in
    /// error if any failed.
    pub fn poll(&mut self, now: Duration, readings: &[Reading]) -> Decision {
        let outcomes = self.failures.judge(&self.triggers, readings, self.replicas);
        let observed = Observed {
            active: outcomes.iter().any(|outcome| match *outcome {
                Outcome::Measured { active, .. } => active,
                Outcome::Substituted(_) => true,
                Outcome::Missing => false,
            }),
            error: outcomes.contains(&Outcome::Missing),
        };
        self.look(now, observed)
    }

    /// A `true` on some trigger's `StreamIsActive`: as a poll that finds it active and no error. Since KEDA 2.18 a
    /// `false` does nothing, so there is no method for it.
    pub fn push(&mut self, now: Duration) -> Decision {
        self.look(now, Observed { active: true, error: false })
    }

    /// The HPA's look at the metrics, given how many pods exist by now.
    pub fn hpa_sync(
        &mut self,
        now: Duration,
        status: StatusReplicas,
        readings: &[Reading],
    ) -> Verdict {
        let (triggers, failures, replicas) = (&self.triggers, &mut self.failures, self.replicas);
        let scale = Scale { spec: replicas, status };
        let verdict = self.hpa.sync(now, scale, || {
            metrics(triggers, readings, &failures.judge(triggers, readings, replicas))
        });
        self.apply(verdict);
        verdict
    }

    /// `spec.replicas` of the scale target.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        self.replicas
    }

    /// Somebody else sets `spec.replicas`, say `kubectl scale`; neither KEDA nor the HPA takes note of it.
    pub fn set_replicas(&mut self, replicas: u32) {
        self.replicas = replicas;
    }

    /// `status.desiredReplicas` of the HPA; 0 before its first sync.
    #[must_use]
    pub fn hpa_desired(&self) -> u32 {
        self.hpa.desired()
    }

    /// The condition `Active` of the `ScaledObject`; `None` before the first poll or push.
    #[must_use]
    pub fn active(&self) -> Option<bool> {
        self.keda.active()
    }

    fn look(&mut self, now: Duration, observed: Observed) -> Decision {
        let decision = self.keda.request_scale(now, self.replicas, observed);
        self.apply(decision.verdict);
        decision
    }

    fn apply(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Scaled { to, .. } => self.replicas = to,
            Verdict::Kept { .. } => {}
        }
    }
}

/// What KEDA's metrics server answers the HPA (`pkg/scaling/scale_handler.go`, `GetScaledObjectMetrics`). It asks every
/// trigger's metric spec for each metric, so one that fails hides the values of all others, but not a fallback's.
fn metrics(triggers: &[Trigger], readings: &[Reading], outcomes: &[Outcome]) -> Vec<Metric> {
    let hidden =
        readings.iter().take(triggers.len()).any(|reading| *reading == Reading::SpecFailed);
    let metric = |(trigger, outcome): (&Trigger, &Outcome)| {
        let value = match *outcome {
            Outcome::Measured { value, .. } => Some(value).filter(|_| !hidden),
            Outcome::Substituted(value) => Some(value),
            Outcome::Missing => None,
        };
        Metric { value, target: trigger.target }
    };
    triggers.iter().zip(outcomes).map(metric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{Activity, KeepReason, Limit, ScaleReason};
    use crate::spec::SpecProblem;
    use crate::spec::{Fallback, FallbackBehavior};

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn spec(triggers: usize) -> ScaledObject {
        let trigger = Trigger { target: 5.0.try_into().unwrap(), activation: 0.0 };
        ScaledObject {
            triggers: vec![trigger; triggers],
            cooldown_period: s(30),
            ..ScaledObject::default()
        }
    }

    fn autoscaler(spec: ScaledObject, replicas: u32) -> Autoscaler {
        Autoscaler::new(spec, HpaFlags::default(), replicas).unwrap()
    }

    fn known(value: f64, active: bool) -> Reading {
        Reading::Known { value: value.into(), active }
    }

    fn scaled([from, to]: [u32; 2], reason: ScaleReason) -> Verdict {
        Verdict::Scaled { from, to, reason }
    }

    fn kept(replicas: u32, reason: KeepReason) -> Verdict {
        Verdict::Kept { replicas, reason }
    }

    fn sync(autoscaler: &mut Autoscaler, at: u64, readings: &[Reading]) -> Verdict {
        autoscaler.hpa_sync(s(at), StatusReplicas(autoscaler.replicas()), readings)
    }

    #[test]
    fn one_active_trigger_is_enough_and_the_busiest_sets_the_count() {
        let mut autoscaler = autoscaler(spec(3), 0);
        let readings = [known(0.0, false), known(20.0, true), known(15.0, true)];
        let decision = autoscaler.poll(s(0), &readings);
        assert_eq!(decision.activity, Some(Activity::Activated));
        assert_eq!(decision.verdict, scaled([0, 1], ScaleReason::FromZero));
        let reason = ScaleReason::AboveTarget { trigger: 1, wanted: 4, limit: None };
        assert_eq!(sync(&mut autoscaler, 1, &readings), scaled([1, 4], reason));
        assert_eq!(
            (autoscaler.replicas(), autoscaler.hpa_desired(), autoscaler.active()),
            (4, 4, Some(true))
        );
    }

    #[test]
    fn a_push_wakes_at_once_and_later_restarts_the_cooldown() {
        let mut autoscaler = autoscaler(spec(1), 0);
        let woken = autoscaler.push(s(3)).verdict;
        assert_eq!(woken, scaled([0, 1], ScaleReason::FromZero));
        assert_eq!(autoscaler.push(s(20)).verdict, kept(1, KeepReason::Active));
        let cooling = kept(1, KeepReason::CoolingDown { until: s(50) });
        assert_eq!(autoscaler.poll(s(40), &[known(0.0, false)]).verdict, cooling);
    }

    #[test]
    fn activity_and_value_need_not_agree() {
        let mut autoscaler = autoscaler(spec(1), 4);
        let active_at_zero = autoscaler.poll(s(900), &[known(0.0, true)]).verdict;
        assert_eq!(active_at_zero, kept(4, KeepReason::Active));
        let inactive_at_work = autoscaler.poll(s(930), &[known(90.0, false)]).verdict;
        assert_eq!(inactive_at_work, scaled([4, 0], ScaleReason::CooledDown));
    }

    #[test]
    fn a_failing_metric_spec_hides_the_values_of_its_siblings() {
        let mut autoscaler = autoscaler(spec(2), 2);
        let hidden = kept(2, KeepReason::MetricsUnavailable);
        assert_eq!(sync(&mut autoscaler, 0, &[Reading::SpecFailed, known(40.0, true)]), hidden);
        let verdict = sync(&mut autoscaler, 15, &[Reading::Failed, known(20.0, true)]);
        assert!(matches!(verdict, Verdict::Scaled { from: 2, to: 4, .. }), "{verdict:?}");
    }

    #[test]
    fn polls_and_syncs_both_count_towards_the_fallback() {
        let fallback =
            Fallback { failure_threshold: 3, replicas: 4, behavior: FallbackBehavior::Static };
        let mut autoscaler = autoscaler(ScaledObject { fallback: Some(fallback), ..spec(1) }, 1);
        let frozen = kept(1, KeepReason::AwaitingFallback);
        assert_eq!(autoscaler.poll(s(0), &[Reading::Failed]).verdict, frozen);
        assert!(matches!(sync(&mut autoscaler, 5, &[Reading::Failed]), Verdict::Kept { .. }));
        assert_eq!(autoscaler.poll(s(30), &[Reading::Failed]).verdict, frozen);
        assert!(matches!(
            sync(&mut autoscaler, 35, &[Reading::Failed]),
            Verdict::Scaled { from: 1, to: 4, .. }
        ));
        assert_eq!(autoscaler.poll(s(60), &[Reading::Failed]).activity, Some(Activity::Activated));
    }

    #[test]
    fn the_hpa_remembers_the_load_from_before_a_scale_to_zero() {
        let mut autoscaler = autoscaler(spec(1), 10);
        let busy = kept(10, KeepReason::OnTarget);
        assert_eq!(sync(&mut autoscaler, 0, &[known(50.0, true)]), busy);
        autoscaler.set_replicas(0);
        let woken = autoscaler.poll(s(100), &[known(1.0, true)]).verdict;
        assert_eq!(woken, scaled([0, 1], ScaleReason::FromZero));
        let reason = ScaleReason::EarlierRecommendation { wanted: 1 };
        assert_eq!(sync(&mut autoscaler, 105, &[known(1.0, true)]), scaled([1, 4], reason));
    }

    #[test]
    fn without_behavior_the_count_may_double_at_every_sync() {
        let mut autoscaler = autoscaler(spec(1), 1);
        for (at, from, to) in [(0, 1, 4), (15, 4, 8), (30, 8, 16)] {
            let reason = ScaleReason::AboveTarget {
                trigger: 0,
                wanted: 20,
                limit: Some(Limit::ScaleUpRate),
            };
            assert_eq!(
                sync(&mut autoscaler, at, &[known(100.0, true)]),
                scaled([from, to], reason)
            );
        }
    }

    #[test]
    fn a_spec_tells_all_its_problems_at_once() {
        let wrong = ScaledObject {
            min_replica_count: 5,
            max_replica_count: 0,
            idle_replica_count: Some(5),
            ..ScaledObject::default()
        };
        let problems = Autoscaler::new(wrong, HpaFlags::default(), 0).unwrap_err().0;
        let expected = [
            SpecProblem::NoTrigger,
            SpecProblem::NoMaximum,
            SpecProblem::MinimumAboveMaximum,
            SpecProblem::IdleNotBelowMinimum,
        ];
        assert_eq!(problems, expected);
    }
}
