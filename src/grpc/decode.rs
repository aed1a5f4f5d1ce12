//! Requests as subjects: which trigger of which object is asked about.
//!
//! It is apart from the service because everything a peer sends is untrusted until it is a subject.

use std::sync::Arc;

use crate::{
    layouts::Registry,
    limits,
    sampling::Subject,
    trigger::{Problems, Trigger},
};

use super::proto::{GetMetricsRequest, ScaledObjectRef};

/// The subject of a request.
pub(super) fn subject(
    reference: ScaledObjectRef,
    registry: &Registry,
) -> Result<Arc<Subject>, Problems> {
    let ScaledObjectRef { name, namespace, scaler_metadata } = reference;
    let mut problems = Problems::default();
    for (key, value) in [("name", &name), ("namespace", &namespace)] {
        if value.len() > limits::OBJECT_NAME_BYTES {
            let most = limits::OBJECT_NAME_BYTES;
            problems.add(key, format!("of the object is longer than {most} bytes"));
        } else if value.chars().any(char::is_control) {
            problems.add(key, "of the object has a control character");
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let trigger = Trigger::parse(scaler_metadata, registry)?;
    Ok(Subject::new(namespace, name, Arc::new(trigger)))
}

/// The object of a request for a metric, and the name by which the metric is asked for.
pub(super) fn metric(request: GetMetricsRequest) -> Result<(ScaledObjectRef, String), Problems> {
    let Some(reference) = request.scaled_object_ref else {
        let mut problems = Problems::default();
        problems.add("scaledObjectRef", "is required");
        return Err(problems);
    };
    Ok((reference, request.metric_name))
}
