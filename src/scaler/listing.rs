//! What is told of a trigger to people: how it was read, what is known of it, and who asked.

use std::{sync::Arc, time::Duration};

use crate::{
    sampling::{Look, Subject},
    telemetry::Method,
    time::Instant,
    trigger::Target,
};

use super::registry::KnownTrigger;

/// One trigger that is remembered.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The trigger and its object.
    pub subject: Arc<Subject>,
    /// The connection and database that it is read from, as the log calls them.
    pub link: String,
    /// What may be said of it now; `None` where its sampler does not know it yet, or any more.
    pub look: Option<Look>,
    /// What one replica takes, as KEDA was told last.
    pub target: Target,
    /// Streams that are open on it.
    pub streams: usize,
    /// How long ago each method asked for it, for those that did.
    pub asked: Vec<(Method, Duration)>,
}

impl Listing {
    pub(super) fn of(known: KnownTrigger, now: Instant) -> Self {
        let KnownTrigger { subject, sampler, asked, streams, target, .. } = known;
        let ago = |at: Instant| now.saturating_duration_since(at);
        let asked = Method::ALL.iter().zip(asked);
        Self {
            link: sampler.name().to_owned(),
            look: sampler.look(&subject),
            target: target.map_or(subject.trigger.target, |moving| moving.lock().told()),
            asked: asked.filter_map(|(method, at)| Some((*method, ago(at?)))).collect(),
            subject,
            streams,
        }
    }
}
