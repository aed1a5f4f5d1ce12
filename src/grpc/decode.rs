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

/// A request that has no subject: whose it is, as far as it says, and why it has none.
#[derive(Debug)]
pub(super) struct NoSubject {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) problems: Problems,
}

/// The subject of a request.
pub(super) fn subject(
    reference: ScaledObjectRef,
    registry: &Registry,
) -> Result<Arc<Subject>, NoSubject> {
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
        return Err(NoSubject { namespace, name, problems });
    }
    match Trigger::parse(scaler_metadata, registry) {
        Ok(trigger) => Ok(Subject::new(namespace, name, Arc::new(trigger))),
        Err(problems) => Err(NoSubject { namespace, name, problems }),
    }
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
