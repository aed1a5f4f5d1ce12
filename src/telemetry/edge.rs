//! The metrics of the sockets that peers connect to, and of TLS.
//!
//! No call is behind them: they tell of peers that may never come to make one.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::labels::{Certificate, Door, Handshake, Reload, Turned, Unread, labels, registered};

labels!(OfDoor { listener: Door });
labels!(OfTurned { listener: Door, why: Turned });
labels!(OfUnread { why: Unread });
labels!(OfHandshake { result: Handshake });
labels!(OfReload { result: Reload });
labels!(OfCertificate { certificate: Certificate });

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
        let why = "Requests that were refused before they were whole or looked at, by why";
        let unread: Family<OfUnread, Counter> = registered(r, "requests_unread", why);
        Self {
            open: registered(r, "connections_open", "Connections of peers that are open"),
            turned: registered(
                r,
                "connections_turned_away",
                "Connections of peers that were refused or ended by us, by why",
            ),
            unread: Unread::ALL.map(|why| unread.get_or_create_owned(&OfUnread { why })),
            handshakes: registered(r, "tls_handshakes", "TLS handshakes, by how they ended"),
            reloads: registered(
                r,
                "tls_reloads",
                "Changes of certificate files, by whether they could be used",
            ),
            not_after: registered(
                r,
                "tls_certificate_not_after_seconds",
                "When the certificate in use ends, Unix time",
            ),
        }
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
