//! Triggers and verdicts as messages, in the shape that every KEDA reads rightly.
//!
//! The rules of the wire are here: one spec and one value, both number fields filled, no positive number that
//! KEDA would round to zero (it keeps three decimals: KEDA 2.20, `pkg/scalers/scaler.go`).

use crate::{
    limits,
    scaler::Spec,
    trigger::{REFUSED_METRIC, Verdict},
};

use super::proto::{
    GetMetricSpecResponse, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
};

/// The target of what is no trigger. It meets no value, since none is ever told; where an object has a
/// `fallback`, KEDA multiplies its replicas with the target, and the HPA divides by it again.
const REFUSED_TARGET: f64 = 1.0;

/// The one spec of a trigger.
pub(super) fn spec(Spec { trigger, target }: &Spec) -> GetMetricSpecResponse {
    one_spec(&trigger.metric_name, target.get())
}

/// The one spec of whatever is no trigger, since KEDA shows nobody why a spec is missing (2.21,
/// `pkg/scalers/external_scaler.go` logs it, and the trigger drops out of the HPA).
pub(super) fn refused_spec() -> GetMetricSpecResponse {
    one_spec(REFUSED_METRIC, REFUSED_TARGET)
}

fn one_spec(name: &str, target: f64) -> GetMetricSpecResponse {
    let spec = MetricSpec {
        metric_name: name.to_owned(),
        target_size: rounded_up(target),
        target_size_float: target,
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
    use crate::{
        layouts::{Count, Counts, Measure, Registry},
        trigger::Trigger,
    };
    use proptest::prelude::*;

    fn trigger(target: &str) -> Trigger {
        let pairs = [("queue", "q"), ("target", target)];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Trigger::parse(pairs, Registry::builtin()).unwrap()
    }

    #[test]
    fn an_integer_target_is_never_zero() {
        let spec = |target: &str| {
            let trigger = std::sync::Arc::new(trigger(target));
            spec(&Spec { target: trigger.target, trigger })
        };
        let large = spec("2.5");
        let spec = &spec("0.001").metric_specs[0];
        assert_eq!((spec.target_size, spec.target_size_float), (1, 0.001));
        assert_eq!(large.metric_specs[0].target_size, 3);
    }

    proptest! {
        #[test]
        fn both_number_fields_agree_and_a_job_is_never_a_zero(number in 0.0f64..1e13) {
            let waiting = Count::new(number).unwrap();
            let counts = Counts::default().with(Measure::Waiting, waiting);
            let response = value(&trigger("5").verdict_of(counts), "n".to_owned());
            let value = &response.metric_values[0];
            prop_assert_eq!(value.metric_value > 0, number > 0.0);
            prop_assert_eq!(value.metric_value_float >= 0.001, number > 0.0);
            prop_assert!(value.metric_value_float <= limits::QUANTITY_MAX);
        }
    }
}
