//! Requests of KEDA's protocol as the scaler takes them.

use crate::{
    scaler::{Refusal, Refused, Request},
    trigger::Problems,
};

use super::proto::{GetMetricsRequest, ScaledObjectRef};

/// The trigger that is asked about.
pub(super) fn request(reference: ScaledObjectRef) -> Request {
    let ScaledObjectRef { name, namespace, scaler_metadata } = reference;
    Request { namespace, name, metadata: scaler_metadata }
}

/// The trigger of a request for a metric, and the name by which the metric is asked for.
pub(super) fn metric(request: GetMetricsRequest) -> Result<(Request, String), Refused> {
    let Some(reference) = request.scaled_object_ref else {
        let mut problems = Problems::default();
        problems.add("scaledObjectRef", "is required");
        return Err(Refused::of_no_object(Refusal::Metadata(problems)));
    };
    Ok((self::request(reference), request.metric_name))
}
