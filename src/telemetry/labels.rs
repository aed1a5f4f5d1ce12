//! The labels of the metrics: enums, so that their number is bounded.

use std::fmt::Write;

use prometheus_client::{
    encoding::{EncodeLabelValue, LabelValueEncoder},
    registry::{Metric, Registry},
};

/// Declares an enum whose variants are label values.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every variant, each at the place of its number.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            /// The label value.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
                encoder.write_str(self.text())
            }
        }
    };
}

label! {
    /// A method of the protocol.
    Method {
        /// `IsActive`.
        IsActive = "IsActive",
        /// `StreamIsActive`.
        StreamIsActive = "StreamIsActive",
        /// `GetMetricSpec`.
        GetMetricSpec = "GetMetricSpec",
        /// `GetMetrics`.
        GetMetrics = "GetMetrics",
        /// `StreamMetricSpec`.
        StreamMetricSpec = "StreamMetricSpec",
    }
}

label! {
    /// How a call was answered.
    Code {
        /// OK.
        Ok = "OK",
        /// The metadata is wrong.
        InvalidArgument = "INVALID_ARGUMENT",
        /// A rule forbids it.
        PermissionDenied = "PERMISSION_DENIED",
        /// Redis holds something else than the layout says.
        FailedPrecondition = "FAILED_PRECONDITION",
        /// Redis cannot be read.
        Unavailable = "UNAVAILABLE",
        /// A limit is reached.
        ResourceExhausted = "RESOURCE_EXHAUSTED",
        /// The request was not whole in time.
        DeadlineExceeded = "DEADLINE_EXCEEDED",
        /// There is nothing to stream.
        Unimplemented = "UNIMPLEMENTED",
    }
}

label! {
    /// Why `true` or `false` was pushed.
    PushKind {
        /// The state at the start of a stream.
        First = "first",
        /// The workload became active.
        Activated = "activated",
        /// The activation once more.
        Repeat = "repeat",
        /// The workload became inactive.
        Deactivated = "deactivated",
    }
}

label! {
    /// What became of one read.
    ReadResult {
        /// It was answered.
        Ok = "ok",
        /// It failed.
        Failed = "failed",
    }
}

label! {
    /// Why a read was sent.
    ReadCause {
        /// Nothing was known yet.
        First = "first",
        /// A change was announced, or everything was invalidated.
        Changed = "changed",
        /// A job fell due, or a lease ran out.
        Time = "time",
        /// Changes of it are not announced.
        Cadence = "cadence",
        /// The last read failed.
        Retry = "retry",
        /// Nothing happened for long.
        Safety = "safety",
    }
}

label! {
    /// What became of one attempt to connect.
    ConnectOutcome {
        /// The link is up.
        Ok = "ok",
        /// It failed.
        Failed = "failed",
    }
}

label! {
    /// What happened to the credentials of a connection.
    CredentialEvent {
        /// Another password was read, or printed by the command.
        Renewed = "renewed",
        /// The file or the command gave none; the last one stays in use.
        Unreadable = "unreadable",
        /// Redis took another password on a link that was up.
        Reauthenticated = "reauthenticated",
        /// Redis refused the password, at connecting or on a link that was up.
        Refused = "refused",
        /// Other certificates were read; new connections use them.
        CertificatesRenewed = "certificates_renewed",
        /// The certificates could not be used; the last ones stay in use.
        CertificatesUnusable = "certificates_unusable",
    }
}

label! {
    /// The kind of observation that a call was answered with.
    ObservationState {
        /// Read after the call, or known to be unchanged.
        Fresh = "fresh",
        /// The last known value, within the stale budget.
        Stale = "stale",
        /// Nothing may be said.
        Unavailable = "unavailable",
        /// Redis holds something else than the layout says.
        LayoutMismatch = "mismatch",
    }
}

label! {
    /// A socket that peers connect to.
    Door {
        /// Where KEDA calls.
        Grpc = "grpc",
        /// Where probes and metrics are served.
        Admin = "admin",
    }
}

label! {
    /// Why a connection was refused or ended by us.
    Turned {
        /// There were as many connections as may be.
        Full = "full",
        /// Its peer alone had as many as one may have.
        PeerFull = "peer_full",
        /// It did not say what it wants in time.
        Silent = "silent",
        /// It was older than a connection may get.
        Old = "old",
        /// It was the oldest, and a new one needed its place.
        CrowdedOut = "crowded_out",
    }
}

label! {
    /// Why a request was given up before it was whole, or before it was looked at.
    Unread {
        /// Requests that were not whole held as many bytes as they may.
        Incomplete = "incomplete",
        /// It was not whole in time.
        Slow = "slow",
        /// It said that it was larger than a request may be.
        TooLarge = "too_large",
        /// As many calls of the peer's address were open as may be.
        Calls = "calls",
        /// As many calls of health and reflection were open as may be.
        SideCalls = "side_calls",
    }
}

label! {
    /// What a sentinel said when it was last asked.
    SentinelWord {
        /// The master that is followed.
        Master = "master",
        /// Another master.
        Another = "another",
        /// That it knows no master of that name.
        Unknown = "unknown",
        /// Nothing: it cannot be asked.
        Nothing = "nothing",
    }
}

label! {
    /// How a TLS handshake ended.
    Handshake {
        /// The connection is up.
        Ok = "ok",
        /// The peer has no certificate, and needs one.
        NoCertificate = "no_certificate",
        /// The peer's certificate is not of our authority, or not in its time.
        BadCertificate = "bad_certificate",
        /// The peer's certificate is good, and its name is not allowed.
        NameNotAllowed = "name_not_allowed",
        /// The peer refused us, or what it sent is no TLS that we speak.
        Failed = "failed",
        /// It took too long.
        TimedOut = "timed_out",
        /// It was the oldest of too many.
        CrowdedOut = "crowded_out",
    }
}

label! {
    /// What became of looking at changed certificate files.
    Reload {
        /// They are in use.
        Ok = "ok",
        /// They cannot be used, and the ones before stay.
        Failed = "failed",
    }
}

label! {
    /// Which certificate is meant.
    Certificate {
        /// The one that we show.
        Own = "own",
        /// The first to end of the clients' authorities.
        ClientCa = "client_ca",
    }
}

label! {
    /// Which certificate of a connection to Redis is meant.
    RedisCertificate {
        /// The one that we show.
        Own = "own",
        /// The first to end of the given authorities.
        Ca = "ca",
    }
}

label! {
    /// What kind of server a connection to Redis is to.
    RedisPeer {
        /// Redis itself.
        Server = "server",
        /// The sentinels that name it.
        Sentinels = "sentinels",
    }
}

/// Declares a set of labels.
macro_rules! labels {
    ($name:ident { $($field:ident: $type:ty),+ }) => {
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name { $($field: $type),+ }
    };
}
pub(super) use labels;

/// A new metric under its name in the registry, which adds the prefix and a counter's `_total`.
pub(super) fn registered<M>(registry: &mut Registry, name: &str, help: &str) -> M
where
    M: Metric + Clone + Default,
{
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}
