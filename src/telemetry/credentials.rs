//! What happened to the credentials of each connection: read anew, unreadable, taken, refused; and when
//! its certificates end.
//!
//! A connection has one set of credentials, however many databases are read with it.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::labels::{CredentialEvent, RedisCertificate, RedisPeer, labels, registered};

labels!(OfEvent { connection: String, event: CredentialEvent });
labels!(OfCertificate { connection: String, peer: RedisPeer, certificate: RedisCertificate });

/// Those of every connection.
#[derive(Clone)]
pub(super) struct Credentials {
    events: Family<OfEvent, Counter>,
    not_after: Family<OfCertificate, Gauge>,
}

impl Credentials {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            events: registered(
                registry,
                "redis_credentials",
                "What happened to the credentials for Redis, by connection and event",
            ),
            not_after: registered(
                registry,
                "redis_certificate_not_after_seconds",
                "When the certificate in use for Redis ends, Unix time",
            ),
        }
    }

    pub(super) fn of(&self, connection: &str) -> CredentialMetrics {
        let counters = CredentialEvent::ALL.map(|event| {
            let connection = connection.to_owned();
            self.events.get_or_create_owned(&OfEvent { connection, event })
        });
        let (connection, not_after) = (connection.to_owned(), self.not_after.clone());
        CredentialMetrics(Some(Seen { connection, peer: RedisPeer::Server, counters, not_after }))
    }
}

/// Those of one connection, or of its sentinels.
#[derive(Clone, Default)]
pub struct CredentialMetrics(Option<Seen>);

#[derive(Clone)]
struct Seen {
    connection: String,
    peer: RedisPeer,
    counters: [Counter; CredentialEvent::ALL.len()],
    not_after: Family<OfCertificate, Gauge>,
}

impl CredentialMetrics {
    /// Counts nothing that is exported, for a command that asks Redis once.
    #[must_use]
    pub fn detached() -> Self {
        Self(None)
    }

    /// Those of the connection's sentinels: events count with the connection's own, certificates are
    /// told apart.
    #[must_use]
    pub fn to_sentinels(&self) -> Self {
        Self(self.0.clone().map(|seen| Seen { peer: RedisPeer::Sentinels, ..seen }))
    }

    /// Counts an event.
    pub fn count(&self, event: CredentialEvent) {
        if let Some(seen) = &self.0 {
            seen.counters[event as usize].inc();
        }
    }

    /// Notes when a certificate in use ends, since the Unix epoch.
    pub fn not_after(&self, certificate: RedisCertificate, at: Duration) {
        if let Some(Seen { connection, peer, not_after, .. }) = &self.0 {
            let (connection, peer) = (connection.clone(), *peer);
            let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
            not_after.get_or_create(&OfCertificate { connection, peer, certificate }).set(seconds);
        }
    }
}
