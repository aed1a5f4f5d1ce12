//! The metrics of the sockets that peers connect to, and of TLS.
//!
//! They are apart because no call is behind them: they tell of peers that may never come to make one.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::labels::{Certificate, Door, Handshake, Reload, Turned, Unread};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfDoor {
    listener: Door,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTurned {
    listener: Door,
    why: Turned,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfUnread {
    why: Unread,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfHandshake {
    result: Handshake,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReload {
    result: Reload,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCertificate {
    certificate: Certificate,
}

/// What is counted of connections and certificates.
#[derive(Debug)]
pub struct Edge {
    open: Family<OfDoor, Gauge>,
    turned: Family<OfTurned, Counter>,
    unread: [Counter; Unread::ALL.len()],
    handshakes: Family<OfHandshake, Counter>,
    reloads: Family<OfReload, Counter>,
    not_after: Family<OfCertificate, Gauge>,
}

impl Edge {
    pub(super) fn register(r: &mut Registry) -> Self {
        let unread = Family::<OfUnread, Counter>::default();
        let edge = Self {
            open: Family::default(),
            turned: Family::default(),
            unread: Unread::ALL.map(|why| unread.get_or_create_owned(&OfUnread { why })),
            handshakes: Family::default(),
            reloads: Family::default(),
            not_after: Family::default(),
        };
        r.register("connections_open", "Connections of peers that are open", edge.open.clone());
        r.register(
            "connections_turned_away",
            "Connections of peers that were refused or ended by us, by why",
            edge.turned.clone(),
        );
        r.register(
            "requests_unread",
            "Requests that were refused before they were whole or looked at, by why",
            unread,
        );
        r.register("tls_handshakes", "TLS handshakes, by how they ended", edge.handshakes.clone());
        r.register(
            "tls_reloads",
            "Changes of certificate files, by whether they could be used",
            edge.reloads.clone(),
        );
        r.register(
            "tls_certificate_not_after_seconds",
            "When the certificate in use ends, Unix time",
            edge.not_after.clone(),
        );
        edge
    }

    /// Counts a connection that opened (+1) or ended (−1).
    pub fn open(&self, listener: Door, change: i64) {
        self.open.get_or_create(&OfDoor { listener }).inc_by(change);
    }

    /// Counts a connection that was refused or ended by us.
    pub fn turned(&self, listener: Door, why: Turned) {
        self.turned.get_or_create(&OfTurned { listener, why }).inc();
    }

    /// Counts a request that was refused before it was whole or looked at.
    pub fn unread(&self, why: Unread) {
        self.unread[why as usize].inc();
    }

    /// Counts a TLS handshake.
    pub fn handshake(&self, result: Handshake) {
        self.handshakes.get_or_create(&OfHandshake { result }).inc();
    }

    /// Counts a change of certificate files.
    pub fn reload(&self, result: Reload) {
        self.reloads.get_or_create(&OfReload { result }).inc();
    }

    /// Notes when a certificate in use ends, since the Unix epoch.
    pub fn not_after(&self, certificate: Certificate, at: Duration) {
        let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
        self.not_after.get_or_create(&OfCertificate { certificate }).set(seconds);
    }
}
