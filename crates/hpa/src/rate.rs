//! How far the policies of a behavior let the count move now, given what the HPA itself moved within their periods.
//! Apart because up and down mirror each other here and nowhere else. Must not know metrics, stabilization or KEDA.

use std::time::Duration;

use crate::behavior::{Change, Policy, ScalingRules, SelectPolicy};
use crate::history::{History, Window};
use crate::quantity::{count, float, truncated};

/// The HPA's own rescales by direction. What KEDA or a person did is not in here, as in the real controller: a scale
/// to zero does not lower the count at the "start of the period".
#[derive(Clone, Debug, Default)]
pub(crate) struct ScaleEvents {
    ups: History,
    downs: History,
}

/// A change of the count that has been made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rescale {
    pub(crate) from: u32,
    pub(crate) to: u32,
}

impl ScaleEvents {
    /// Remembers a rescale as long as the policies of its own direction ask for (kube 1.36 `storeScaleEvent`).
    pub(crate) fn record(&mut self, now: Duration, rescale: Rescale, rules: &ScalingRules) {
        let keep = Window(rules.longest_period());
        if rescale.to > rescale.from {
            self.ups.record(now, rescale.to - rescale.from, keep);
        } else {
            self.downs.record(now, rescale.from - rescale.to, keep);
        }
    }

    /// The highest count that scale up may reach from `current` (kube 1.36 `calculateScaleUpLimitWithScalingRules`).
    pub(crate) fn scale_up_limit(&self, now: Duration, current: u32, rules: &ScalingRules) -> u32 {
        let proposals = rules.policies.iter().map(|policy| {
            let start = self.at_start_of_period(now, current, *policy);
            match policy.change {
                Change::Pods(pods) => start + i64::from(pods),
                // Rounded up, else a small count could never grow.
                Change::Percent(percent) => {
                    truncated((float(start) * (1.0 + fraction(percent))).ceil())
                }
            }
        });
        let limit = match rules.select {
            SelectPolicy::Max => proposals.max(),
            SelectPolicy::Min => proposals.min(),
            SelectPolicy::Disabled => None,
        };
        limit.map_or(current, |limit| count(limit).max(current))
    }

    /// The lowest count that scale down may reach from `current` (kube 1.36 `calculateScaleDownLimitWithBehaviors`).
    pub(crate) fn scale_down_limit(
        &self,
        now: Duration,
        current: u32,
        rules: &ScalingRules,
    ) -> u32 {
        let proposals = rules.policies.iter().map(|policy| {
            let start = self.at_start_of_period(now, current, *policy);
            match policy.change {
                Change::Pods(pods) => start - i64::from(pods),
                Change::Percent(percent) => truncated(float(start) * (1.0 - fraction(percent))),
            }
        });
        let limit = match rules.select {
            SelectPolicy::Max => proposals.min(),
            SelectPolicy::Min => proposals.max(),
            SelectPolicy::Disabled => None,
        };
        limit.map_or(current, |limit| count(limit).min(current))
    }

    /// Can be negative: the HPA grew the count, then KEDA took it to zero.
    fn at_start_of_period(&self, now: Duration, current: u32, policy: Policy) -> i64 {
        let total = |history: &History| {
            history.within(now, Window(policy.period)).map(i64::from).sum::<i64>()
        };
        i64::from(current) - total(&self.ups) + total(&self.downs)
    }
}

fn fraction(percent: u32) -> f64 {
    f64::from(percent) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn rules(select: SelectPolicy, changes: &[Change]) -> ScalingRules {
        let policies = changes.iter().map(|&change| Policy { change, period: s(20) }).collect();
        ScalingRules { policies, select, ..ScalingRules::scale_up_default() }
    }

    #[test]
    fn the_selected_policy_sets_the_limit() {
        let events = ScaleEvents::default();
        let changes = [Change::Pods(4), Change::Percent(100)];
        for (select, current, up, down) in [
            (SelectPolicy::Max, 1, 5, 0),
            (SelectPolicy::Max, 10, 20, 0),
            (SelectPolicy::Min, 1, 2, 0),
            (SelectPolicy::Min, 10, 14, 6),
            (SelectPolicy::Disabled, 10, 10, 10),
        ] {
            let rules = rules(select, &changes);
            assert_eq!(
                events.scale_up_limit(s(0), current, &rules),
                up,
                "up from {current}, {select:?}"
            );
            assert_eq!(
                events.scale_down_limit(s(0), current, &rules),
                down,
                "down from {current}, {select:?}"
            );
        }
    }

    #[test]
    fn a_percentage_is_rounded_in_favour_of_growth() {
        let rules = rules(SelectPolicy::Max, &[Change::Percent(10)]);
        assert_eq!(ScaleEvents::default().scale_up_limit(s(0), 1, &rules), 2);
        assert_eq!(ScaleEvents::default().scale_down_limit(s(0), 1, &rules), 0);
        assert_eq!(ScaleEvents::default().scale_down_limit(s(0), 11, &rules), 9);
    }

    #[test]
    fn what_was_added_in_the_period_is_no_longer_free() {
        let rules = rules(SelectPolicy::Max, &[Change::Pods(2)]);
        let mut events = ScaleEvents::default();
        events.record(s(100), Rescale { from: 1, to: 3 }, &rules);
        assert_eq!(events.scale_up_limit(s(115), 3, &rules), 3);
        assert_eq!(events.scale_up_limit(s(120), 3, &rules), 5);
    }

    #[test]
    fn scale_down_starts_from_the_count_before_the_last_scale_up() {
        // As in the recording pods-policy: 7 → 9 at 119 s, then 9 → 6 at 134 s with one pod per 20 s.
        let rules = rules(SelectPolicy::Min, &[Change::Pods(1), Change::Percent(50)]);
        let mut events = ScaleEvents::default();
        events.record(s(119), Rescale { from: 7, to: 9 }, &rules);
        assert_eq!(events.scale_down_limit(s(134), 9, &rules), 6);
    }

    #[test]
    fn a_scale_to_zero_by_keda_leaves_no_room_to_grow_at_once() {
        let rules = rules(SelectPolicy::Max, &[Change::Pods(4)]);
        let mut events = ScaleEvents::default();
        events.record(s(10), Rescale { from: 1, to: 19 }, &rules);
        assert_eq!(events.scale_up_limit(s(20), 1, &rules), 1);
    }
}
