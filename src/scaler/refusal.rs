//! Why a call is not answered with a value, and by which code that is told and counted.

use crate::{
    config::Denied,
    layouts::LayoutMismatch,
    sampling::{Subject, TooMany, Why},
    telemetry::Code,
    trigger::Problems,
};

use super::routes::NoRoute;

/// Whose call it is, as the call says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Object {
    pub namespace: String,
    pub name: String,
}

/// A call that is not answered with a value: why, and of whose object, for the log.
#[derive(Debug)]
pub struct Refused {
    pub(super) object: Option<Object>,
    pub why: Refusal,
}

impl Refused {
    pub(super) fn to(subject: &Subject, why: Refusal) -> Self {
        let (namespace, name) = (subject.namespace.clone(), subject.name.clone());
        Self { object: Some(Object { namespace, name }), why }
    }

    /// A refusal that names no object.
    #[must_use]
    pub fn of_no_object(why: Refusal) -> Self {
        Self { object: None, why }
    }
}

/// A namespace has as much of something as it may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "namespace `{namespace}` is at its limit of {most} {what} (setting limits.{what}_per_namespace)"
)]
pub struct OverQuota {
    pub(super) namespace: String,
    pub(super) what: &'static str,
    pub(super) most: usize,
}

/// Why a call is not answered with a value. Its text is the message.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The metadata is wrong.
    #[error("{0}")]
    Metadata(Problems),
    /// A rule of a connection forbids it.
    #[error("connection `{0}`: {1}")]
    Denied(String, Denied),
    /// What Redis holds is not what the layout says.
    #[error("{0}")]
    LayoutMismatch(LayoutMismatch),
    /// Redis cannot be read, beyond the stale budget.
    #[error("{0}")]
    Unavailable(Why),
    /// The connection remembers as many triggers as it may.
    #[error("{0}")]
    Triggers(TooMany),
    /// A namespace has as much of something as it may.
    #[error("{0}")]
    Namespace(#[from] OverQuota),
    /// As many streams are open as may be: this many.
    #[error("{0} streams are open, the limit of this server")]
    Streams(usize),
    /// The spec changes with the metadata alone, so that there is nothing to stream.
    #[error(
        "the spec of this trigger changes with its metadata alone, so that nothing is streamed; GetMetricSpec tells it"
    )]
    FixedSpec,
}

impl From<NoRoute> for Refusal {
    fn from(no_route: NoRoute) -> Self {
        match no_route {
            NoRoute::UnknownConnection(what) => {
                let mut problems = Problems::default();
                problems.add("redis", what);
                Self::Metadata(problems)
            }
            NoRoute::Denied(connection, denied) => Self::Denied(connection, denied),
        }
    }
}

impl Refusal {
    /// The code of the call. INTERNAL and UNKNOWN are not among them: they would be bugs.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Metadata(_) => Code::InvalidArgument,
            Self::Denied(..) => Code::PermissionDenied,
            Self::LayoutMismatch(LayoutMismatch::TooManyKeys { .. }) => Code::ResourceExhausted,
            Self::LayoutMismatch(_) => Code::FailedPrecondition,
            Self::Unavailable(_) => Code::Unavailable,
            Self::Triggers(_) | Self::Namespace(_) | Self::Streams(_) => Code::ResourceExhausted,
            Self::FixedSpec => Code::Unimplemented,
        }
    }
}
