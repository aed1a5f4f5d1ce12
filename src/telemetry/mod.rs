//! What penstock tells about itself: metrics, and how its log is written.
//!
//! Every metric is declared here, so that no label can grow without bound.

mod credentials;
mod edge;
mod labels;
mod link;
mod log_throttle;
mod logging;
mod metrics;
mod remembered;
mod sentinels;

pub use credentials::CredentialMetrics;
pub use edge::Edge;
pub use labels::{
    Certificate, Code, ConnectOutcome, CredentialEvent, Door, Handshake, Method, ObservationState,
    PushKind, ReadCause, ReadResult, RedisCertificate, RedisPeer, Reload, SentinelWord, Turned,
    Unread,
};
pub use link::{LinkLabels, LinkMetrics};
pub use log_throttle::LogThrottle;
pub use logging::{LogFormat, LoggingError, init_logging};
pub use metrics::Metrics;
pub use remembered::Remembered;
pub use sentinels::SentinelMetrics;
