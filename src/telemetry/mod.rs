//! What penstock tells about itself: metrics, and how its log is written.
//!
//! It is apart so that every metric is declared in one file and no label can grow without bound.

mod credentials;
mod labels;
mod logging;
mod metrics;

pub use credentials::CredentialMetrics;
pub use labels::{
    Code, ConnectOutcome, CredentialEvent, Method, ObservationState, PushKind, ReadCause,
    ReadResult,
};
pub use logging::{LogFormat, LoggingError, init_logging};
pub use metrics::{Link, LinkMetrics, Metrics, Remembered};
