//! What lies between the count the HPA wants and the count it may set: stabilization, rate, bounds.
//! Apart because it holds all the controller's memory. Must not know metrics, targets or KEDA.

use std::cmp::Ordering;
use std::time::Duration;

use crate::behavior::{Behavior, HpaFlags};
use crate::decision::Limit;
use crate::history::{History, Window};
use crate::proposal::Tolerances;
use crate::rate::{Rescale, ScaleEvents};

/// The HPA's own bounds: the minimum is at least 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

/// A count that the HPA may set now, and what made it differ from the wanted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) replicas: u32,
    pub(crate) limit: Option<Limit>,
}

/// Facts: kube 1.36 `pkg/controller/podautoscaler/horizontal.go`, `normalizeDesiredReplicas` and
/// `normalizeDesiredReplicasWithBehaviors`.
#[derive(Clone, Debug)]
pub(crate) struct Restraint {
    bounds: Bounds,
    behavior: Option<Behavior>,
    flags: HpaFlags,
    recommendations: History,
    events: ScaleEvents,
}

impl Restraint {
    pub(crate) fn new(bounds: Bounds, behavior: Option<Behavior>, flags: HpaFlags) -> Self {
        let (recommendations, events) = (History::default(), ScaleEvents::default());
        Self { bounds, behavior, flags, recommendations, events }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Kube 1.36 `tolerancesForHpa`.
    pub(crate) fn tolerances(&self) -> Tolerances {
        let of = |own: Option<f64>| own.unwrap_or(self.flags.tolerance);
        Tolerances {
            up: of(self.behavior.as_ref().and_then(|behavior| behavior.scale_up.tolerance)),
            down: of(self.behavior.as_ref().and_then(|behavior| behavior.scale_down.tolerance)),
        }
    }

    /// The very first sync writes the count it finds down as a recommendation, also if that is zero.
    pub(crate) fn observe(&mut self, now: Duration, current: u32) {
        if self.recommendations.is_empty() {
            self.recommendations.record(now, current, self.down_window());
        }
    }

    /// Remembers a rescale; without a behavior nothing asks for it.
    pub(crate) fn remember(&mut self, now: Duration, made: Rescale) {
        if let Some(behavior) = &self.behavior {
            let rules = if made.to > made.from { &behavior.scale_up } else { &behavior.scale_down };
            self.events.record(now, made, rules);
        }
    }

    /// Where a wish may go now. The wish itself, not the outcome, is remembered as the recommendation.
    pub(crate) fn settle(&mut self, now: Duration, wish: Rescale) -> Settled {
        let stabilized = self.stabilize(now, wish);
        let step = Rescale { to: stabilized, ..wish };
        let settled = match &self.behavior {
            None => self.bound_without_behavior(step),
            Some(behavior) => self.bound(now, step, behavior),
        };
        match settled.limit {
            None if stabilized != wish.to => {
                Settled { limit: Some(Limit::Stabilization), ..settled }
            }
            None | Some(_) => settled,
        }
    }

    fn stabilize(&mut self, now: Duration, wish: Rescale) -> u32 {
        let (up_window, down_window) = (self.up_window(), self.down_window());
        let recent = |window| self.recommendations.within(now, window);
        let highest = recent(down_window).fold(wish.to, u32::max);
        let stabilized = if self.behavior.is_some() {
            // The present count stays unless all of scale up's window is above or all of scale down's below it.
            let lowest = recent(up_window).fold(wish.to, u32::min);
            wish.from.clamp(lowest, highest)
        } else {
            highest
        };
        self.recommendations.record(now, wish.to, Window(up_window.0.max(down_window.0)));
        stabilized
    }

    fn up_window(&self) -> Window {
        let own =
            self.behavior.as_ref().and_then(|behavior| behavior.scale_up.stabilization_window);
        Window(own.unwrap_or_default())
    }

    fn down_window(&self) -> Window {
        let own =
            self.behavior.as_ref().and_then(|behavior| behavior.scale_down.stabilization_window);
        Window(own.unwrap_or(self.flags.downscale_stabilization))
    }

    fn bound_without_behavior(&self, step: Rescale) -> Settled {
        // Not the same as the default behavior: that lets 1 become 5, this 4, and this forgets what it did 15 s ago.
        let rate = step.from.saturating_mul(2).max(4);
        let ceiling = self.ceiling(rate);
        if step.to < self.bounds.min {
            Settled { replicas: self.bounds.min, limit: Some(Limit::Minimum) }
        } else if step.to > ceiling.replicas {
            ceiling
        } else {
            Settled { replicas: step.to, limit: None }
        }
    }

    fn bound(&self, now: Duration, step: Rescale, behavior: &Behavior) -> Settled {
        let ceiling =
            || self.ceiling(self.events.scale_up_limit(now, step.from, &behavior.scale_up));
        let floor =
            || self.floor(self.events.scale_down_limit(now, step.from, &behavior.scale_down));
        let bound = match step.to.cmp(&step.from) {
            Ordering::Greater => Some(ceiling()).filter(|ceiling| step.to > ceiling.replicas),
            Ordering::Less => Some(floor()).filter(|floor| step.to < floor.replicas),
            Ordering::Equal => None,
        };
        bound.unwrap_or(Settled { replicas: step.to, limit: None })
    }

    fn ceiling(&self, rate: u32) -> Settled {
        if self.bounds.max > rate {
            Settled { replicas: rate, limit: Some(Limit::ScaleUpRate) }
        } else {
            Settled { replicas: self.bounds.max, limit: Some(Limit::Maximum) }
        }
    }

    fn floor(&self, rate: u32) -> Settled {
        if self.bounds.min < rate {
            Settled { replicas: rate, limit: Some(Limit::ScaleDownRate) }
        } else {
            Settled { replicas: self.bounds.min, limit: Some(Limit::Minimum) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behavior::ScalingRules;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn restraint(behavior: Option<Behavior>) -> Restraint {
        Restraint::new(Bounds { min: 1, max: 20 }, behavior, HpaFlags::default())
    }

    fn settle(restraint: &mut Restraint, at: u64, [from, to]: [u32; 2]) -> (u32, Option<Limit>) {
        let Settled { replicas, limit } = restraint.settle(s(at), Rescale { from, to });
        (replicas, limit)
    }

    #[test]
    fn no_behavior_and_the_default_behavior_start_differently() {
        assert_eq!(settle(&mut restraint(None), 0, [1, 20]), (4, Some(Limit::ScaleUpRate)));
        let default = Some(Behavior::default());
        assert_eq!(settle(&mut restraint(default), 0, [1, 20]), (5, Some(Limit::ScaleUpRate)));
    }

    #[test]
    fn a_high_recommendation_holds_for_five_minutes() {
        for behavior in [None, Some(Behavior::default())] {
            let mut restraint = restraint(behavior);
            assert_eq!(settle(&mut restraint, 0, [10, 10]), (10, None));
            assert_eq!(settle(&mut restraint, 15, [10, 2]), (10, Some(Limit::Stabilization)));
            assert_eq!(settle(&mut restraint, 285, [10, 2]), (10, Some(Limit::Stabilization)));
            assert_eq!(settle(&mut restraint, 300, [10, 2]), (2, None));
        }
    }

    #[test]
    fn a_window_of_scale_up_waits_for_the_lowest_recommendation_to_pass() {
        let scale_up =
            ScalingRules { stabilization_window: Some(s(60)), ..ScalingRules::scale_up_default() };
        let mut restraint = restraint(Some(Behavior { scale_up, ..Behavior::default() }));
        restraint.observe(s(0), 2);
        assert_eq!(settle(&mut restraint, 15, [2, 5]), (2, Some(Limit::Stabilization)));
        assert_eq!(settle(&mut restraint, 45, [2, 8]), (2, Some(Limit::Stabilization)));
        assert_eq!(settle(&mut restraint, 60, [2, 9]), (5, Some(Limit::Stabilization)));
    }

    #[test]
    fn the_first_count_seen_counts_as_a_recommendation_once() {
        let mut restraint = restraint(None);
        restraint.observe(s(0), 6);
        restraint.observe(s(15), 9);
        assert_eq!(settle(&mut restraint, 30, [6, 1]), (6, Some(Limit::Stabilization)));
        assert_eq!(settle(&mut restraint, 300, [6, 1]), (1, None));
    }

    #[test]
    fn the_bounds_cut_what_is_wanted() {
        for behavior in [None, Some(Behavior::default())] {
            assert_eq!(
                settle(&mut restraint(behavior.clone()), 0, [15, 500]),
                (20, Some(Limit::Maximum))
            );
            assert_eq!(settle(&mut restraint(behavior), 0, [15, 0]), (1, Some(Limit::Minimum)));
        }
    }
}
