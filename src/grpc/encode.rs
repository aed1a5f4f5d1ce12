//! Triggers and verdicts as messages, in the shape that every KEDA reads rightly.
//!
//! It is apart because these few lines hold the rules of the wire: one spec and one value, both
//! number fields filled, no positive number that KEDA would round to zero (it keeps three
//! decimals: KEDA 2.20, `pkg/scalers/scaler.go`).

use crate::{
    limits,
    trigger::{Trigger, Verdict},
};

use super::proto::{
    GetMetricSpecResponse, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
};

/// The one spec of a trigger.
pub(super) fn spec(trigger: &Trigger) -> GetMetricSpecResponse {
    let spec = MetricSpec {
        metric_name: trigger.metric_name.clone(),
        target_size: rounded_up(trigger.target.get()),
        target_size_float: trigger.target.get(),
    };
    GetMetricSpecResponse { metric_specs: vec![spec] }
}

/// The one value of a trigger, under the name by which it was asked for.
pub(super) fn value(verdict: &Verdict, metric_name: String) -> GetMetricsResponse {
    let value = verdict.value.get();
    let visible = if value > 0.0 { value.max(limits::TARGET_MIN) } else { 0.0 };
    let value =
        MetricValue { metric_name, metric_value: rounded_up(visible), metric_value_float: visible };
    GetMetricsResponse { metric_values: vec![value] }
}

/// The activity of a workload.
pub(super) fn activity(active: bool) -> IsActiveResponse {
    IsActiveResponse { result: active }
}

/// The next integer above, so that KEDA ≤ 2.16, which reads only integers, sees no zero either.
#[expect(clippy::cast_possible_truncation, reason = "quantities are within [0, 1e12]")]
fn rounded_up(quantity: f64) -> i64 {
    quantity.clamp(0.0, limits::QUANTITY_MAX).ceil() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layouts::{Count, Counts, Registry};
    use proptest::prelude::*;

    fn trigger(target: &str) -> Trigger {
        let pairs = [("queue", "q"), ("target", target)];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Trigger::parse(pairs, Registry::builtin()).unwrap()
    }

    #[test]
    fn an_integer_target_is_never_zero() {
        let spec = &spec(&trigger("0.001")).metric_specs[0];
        assert_eq!((spec.target_size, spec.target_size_float), (1, 0.001));
        assert_eq!(super::spec(&trigger("2.5")).metric_specs[0].target_size, 3);
    }

    proptest! {
        #[test]
        fn both_number_fields_agree_and_a_job_is_never_a_zero(number in 0.0f64..1e13) {
            let waiting = Count::new(number).unwrap();
            let counts = Counts { waiting, ..Counts::default() };
            let response = value(&trigger("5").weigh(counts), "n".to_owned());
            let value = &response.metric_values[0];
            prop_assert_eq!(value.metric_value > 0, number > 0.0);
            prop_assert_eq!(value.metric_value_float >= 0.001, number > 0.0);
            prop_assert!(value.metric_value_float <= limits::QUANTITY_MAX);
        }
    }
}
