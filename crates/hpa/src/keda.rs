//! KEDA's half: activity, cooldown, and the steps between zero (or idle) and the minimum.
//! Apart because it never looks at a metric's size. Must not know targets, policies or the HPA.

use std::time::Duration;

use crate::decision::{Activity, Decision, KeepReason, ScaleReason, Verdict};
use crate::spec::ScaledObject;

/// Facts: KEDA 2.20 `pkg/scaling/executor/scale_scaledobjects.go`, `RequestScale`.
#[derive(Clone, Debug)]
pub(crate) struct Keda {
    minimum: u32,
    activated: u32,
    idle: Option<u32>,
    cooldown: Duration,
    initial_cooldown: Duration,
    fallback_replicas: Option<u32>,
    last_active: Option<Duration>,
    active: Option<bool>,
}

/// What all triggers of a look said together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed {
    /// Some trigger is active.
    pub(crate) active: bool,
    /// Some trigger failed.
    pub(crate) error: bool,
}

impl Keda {
    pub(crate) fn new(spec: &ScaledObject) -> Self {
        Self {
            minimum: spec.min_replica_count,
            activated: spec.hpa_minimum(),
            idle: spec.idle_replica_count,
            cooldown: spec.cooldown_period,
            initial_cooldown: spec.initial_cooldown_period,
            fallback_replicas: spec.fallback.map(|fallback| fallback.replicas),
            last_active: None,
            active: None,
        }
    }

    /// The condition `Active`; `None` before the first look.
    pub(crate) fn active(&self) -> Option<bool> {
        self.active
    }

    pub(crate) fn request_scale(
        &mut self,
        now: Duration,
        current: u32,
        observed: Observed,
    ) -> Decision {
        let verdict = if observed.active {
            self.while_active(now, current, observed.error)
        } else {
            self.while_inactive(now, current, observed.error)
        };
        let was_active = self.active.replace(observed.active) == Some(true);
        let activity = match (was_active, observed.active) {
            (false, true) => Some(Activity::Activated),
            (true, false) => Some(Activity::Deactivated),
            (true, true) | (false, false) => None,
        };
        Decision { activity, verdict }
    }

    fn while_active(&mut self, now: Duration, current: u32, error: bool) -> Verdict {
        if current == 0 || (self.idle.is_some() && current < self.minimum) {
            self.last_active = Some(whole_seconds(now));
            let reason = if current == 0 { ScaleReason::FromZero } else { ScaleReason::FromIdle };
            return Verdict::Scaled { from: current, to: self.activated, reason };
        }
        if error {
            return Verdict::Kept { replicas: current, reason: KeepReason::PartialTriggerError };
        }
        self.last_active = Some(whole_seconds(now));
        Verdict::Kept { replicas: current, reason: KeepReason::Active }
    }

    fn while_inactive(&mut self, now: Duration, current: u32, error: bool) -> Verdict {
        let kept = |reason| Verdict::Kept { replicas: current, reason };
        if error {
            match self.fallback_replicas {
                None => return kept(KeepReason::TriggerError),
                // A fallback to zero replicas does not freeze: KEDA goes on below as if nothing had failed.
                Some(0) => {}
                Some(_) => return kept(KeepReason::AwaitingFallback),
            }
        }
        let above_idle = self.idle.is_some_and(|idle| current > idle);
        if above_idle || (current > 0 && self.minimum == 0) {
            let until = self.cooldown_end();
            // Both times of the real comparison are whole seconds against a running clock, so equality has passed.
            return if until <= now {
                let to = self.idle.unwrap_or(self.minimum);
                Verdict::Scaled { from: current, to, reason: ScaleReason::CooledDown }
            } else {
                kept(KeepReason::CoolingDown { until })
            };
        }
        if self.idle.is_none() && current < self.minimum {
            return Verdict::Scaled {
                from: current,
                to: self.minimum,
                reason: ScaleReason::ToMinimum,
            };
        }
        kept(KeepReason::Inactive)
    }

    fn cooldown_end(&self) -> Duration {
        match self.last_active {
            None => self.initial_cooldown,
            Some(last) => last.saturating_add(self.cooldown),
        }
    }
}

/// `lastActiveTime` passes through the API, whose times have no fractions of a second.
fn whole_seconds(now: Duration) -> Duration {
    Duration::from_secs(now.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Fallback, FallbackBehavior};

    const ACTIVE: Observed = Observed { active: true, error: false };
    const INACTIVE: Observed = Observed { active: false, error: false };
    const FAILED: Observed = Observed { active: false, error: true };
    const PARTLY_FAILED: Observed = Observed { active: true, error: true };

    fn keda(edit: impl FnOnce(&mut ScaledObject)) -> Keda {
        let mut spec =
            ScaledObject { cooldown_period: Duration::from_secs(30), ..ScaledObject::default() };
        edit(&mut spec);
        Keda::new(&spec)
    }

    fn look(keda: &mut Keda, at: f64, current: u32, observed: Observed) -> Verdict {
        keda.request_scale(Duration::from_secs_f64(at), current, observed).verdict
    }

    fn scaled([from, to]: [u32; 2], reason: ScaleReason) -> Verdict {
        Verdict::Scaled { from, to, reason }
    }

    fn kept(replicas: u32, reason: KeepReason) -> Verdict {
        Verdict::Kept { replicas, reason }
    }

    #[test]
    fn activation_goes_to_one_or_to_the_minimum() {
        assert_eq!(look(&mut keda(|_| ()), 0.0, 0, ACTIVE), scaled([0, 1], ScaleReason::FromZero));
        let mut with_minimum = keda(|spec| spec.min_replica_count = 3);
        assert_eq!(look(&mut with_minimum, 0.0, 0, ACTIVE), scaled([0, 3], ScaleReason::FromZero));
    }

    #[test]
    fn from_idle_it_goes_to_the_minimum_and_back_in_one_step() {
        let mut keda = keda(|spec| {
            spec.min_replica_count = 5;
            spec.idle_replica_count = Some(1);
        });
        assert_eq!(look(&mut keda, 0.0, 1, ACTIVE), scaled([1, 5], ScaleReason::FromIdle));
        let until = Duration::from_secs(30);
        assert_eq!(look(&mut keda, 5.0, 9, INACTIVE), kept(9, KeepReason::CoolingDown { until }));
        assert_eq!(look(&mut keda, 30.0, 9, INACTIVE), scaled([9, 1], ScaleReason::CooledDown));
        assert_eq!(look(&mut keda, 35.0, 1, INACTIVE), kept(1, KeepReason::Inactive));
    }

    #[test]
    fn the_cooldown_counts_from_the_last_active_look_in_whole_seconds() {
        let mut keda = keda(|_| ());
        assert_eq!(look(&mut keda, 10.9, 4, ACTIVE), kept(4, KeepReason::Active));
        let until = Duration::from_secs(40);
        assert_eq!(look(&mut keda, 39.9, 4, INACTIVE), kept(4, KeepReason::CoolingDown { until }));
        assert_eq!(look(&mut keda, 40.1, 4, INACTIVE), scaled([4, 0], ScaleReason::CooledDown));
    }

    #[test]
    fn before_any_activity_the_initial_cooldown_counts() {
        let mut eager = keda(|_| ());
        assert_eq!(look(&mut eager, 0.0, 4, INACTIVE), scaled([4, 0], ScaleReason::CooledDown));
        let until = Duration::from_secs(120);
        let mut patient = keda(|spec| spec.initial_cooldown_period = until);
        assert_eq!(
            look(&mut patient, 60.0, 4, INACTIVE),
            kept(4, KeepReason::CoolingDown { until })
        );
        assert_eq!(look(&mut patient, 121.0, 4, INACTIVE), scaled([4, 0], ScaleReason::CooledDown));
    }

    #[test]
    fn with_a_minimum_it_never_scales_down_and_always_up_to_it() {
        let mut keda = keda(|spec| spec.min_replica_count = 2);
        assert_eq!(look(&mut keda, 900.0, 7, INACTIVE), kept(7, KeepReason::Inactive));
        assert_eq!(look(&mut keda, 905.0, 0, INACTIVE), scaled([0, 2], ScaleReason::ToMinimum));
    }

    #[test]
    fn an_error_freezes_the_replicas() {
        let mut keda = keda(|_| ());
        assert_eq!(look(&mut keda, 900.0, 7, FAILED), kept(7, KeepReason::TriggerError));
        assert_eq!(look(&mut keda, 905.0, 0, FAILED), kept(0, KeepReason::TriggerError));
    }

    #[test]
    fn a_partial_error_wakes_but_does_not_restart_the_cooldown() {
        let mut keda = keda(|_| ());
        assert_eq!(look(&mut keda, 0.0, 0, PARTLY_FAILED), scaled([0, 1], ScaleReason::FromZero));
        assert_eq!(
            look(&mut keda, 20.0, 1, PARTLY_FAILED),
            kept(1, KeepReason::PartialTriggerError)
        );
        assert_eq!(look(&mut keda, 30.0, 1, INACTIVE), scaled([1, 0], ScaleReason::CooledDown));
    }

    #[test]
    fn only_a_fallback_to_zero_lets_an_error_scale_to_zero() {
        let with_fallback = |replicas| {
            keda(|spec| {
                let behavior = FallbackBehavior::Static;
                spec.fallback = Some(Fallback { failure_threshold: 3, replicas, behavior });
            })
        };
        assert_eq!(
            look(&mut with_fallback(2), 900.0, 7, FAILED),
            kept(7, KeepReason::AwaitingFallback)
        );
        assert_eq!(
            look(&mut with_fallback(0), 900.0, 7, FAILED),
            scaled([7, 0], ScaleReason::CooledDown)
        );
    }

    #[test]
    fn a_change_of_activity_is_told_once() {
        let mut keda = keda(|_| ());
        let mut told = |observed| keda.request_scale(Duration::ZERO, 1, observed).activity;
        assert_eq!(told(INACTIVE), None);
        assert_eq!(told(ACTIVE), Some(Activity::Activated));
        assert_eq!(told(ACTIVE), None);
        assert_eq!(told(INACTIVE), Some(Activity::Deactivated));
        assert_eq!(told(INACTIVE), None);
    }
}
