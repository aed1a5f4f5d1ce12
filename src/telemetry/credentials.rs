//! What happened to the credentials of each connection: read anew, unreadable, taken, refused.
//!
//! It is apart from the other metrics because a connection has one set of credentials, however many
//! databases are read with it.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::labels::CredentialEvent;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    connection: String,
    event: CredentialEvent,
}

/// Those of every connection.
#[derive(Clone, Default)]
pub(super) struct Credentials(Family<Labels, Counter>);

impl Credentials {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let credentials = Self::default();
        registry.register(
            "redis_credentials",
            "What happened to the credentials for Redis, by connection and event",
            credentials.0.clone(),
        );
        credentials
    }

    pub(super) fn of(&self, connection: &str) -> CredentialMetrics {
        CredentialMetrics(Some(CredentialEvent::ALL.map(|event| {
            let connection = connection.to_owned();
            self.0.get_or_create_owned(&Labels { connection, event })
        })))
    }
}

/// Those of one connection.
#[derive(Clone, Default)]
pub struct CredentialMetrics(Option<[Counter; CredentialEvent::ALL.len()]>);

impl CredentialMetrics {
    /// Counts for nobody, as where a command asks Redis once.
    #[must_use]
    pub fn unseen() -> Self {
        Self(None)
    }

    /// Counts an event.
    pub fn count(&self, event: CredentialEvent) {
        if let Some(counters) = &self.0 {
            counters[event as usize].inc();
        }
    }
}
