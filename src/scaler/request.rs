//! Requests as subjects: which trigger of which object is asked about.
//!
//! Everything that a peer sends is untrusted until it is a subject.

use std::{collections::HashMap, sync::Arc};

use crate::{
    layouts::Registry,
    limits,
    sampling::Subject,
    trigger::{Problems, Trigger},
};

use super::refusal::{Object, Refusal, Refused};

/// A trigger as a transport received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub namespace: String,
    pub name: String,
    pub metadata: HashMap<String, String>,
}

impl Request {
    /// The subject of a request.
    pub(super) fn subject(self, layouts: &Registry) -> Result<Arc<Subject>, Refused> {
        let Self { namespace, name, metadata } = self;
        let mut problems = Problems::default();
        for (key, value) in [("name", &name), ("namespace", &namespace)] {
            if value.len() > limits::OBJECT_NAME_BYTES {
                let most = limits::OBJECT_NAME_BYTES;
                problems.add(key, format!("of the object is longer than {most} bytes"));
            } else if value.chars().any(char::is_control) {
                problems.add(key, "of the object has a control character");
            }
        }
        let parsed =
            if problems.is_empty() { Trigger::parse(metadata, layouts) } else { Err(problems) };
        match parsed {
            Ok(trigger) => Ok(Subject::new(namespace, name, Arc::new(trigger))),
            Err(problems) => Err(Refused {
                object: Some(Object { namespace, name }),
                why: Refusal::Metadata(problems),
            }),
        }
    }
}
