//! The only place that builds a gRPC status: every refusal there is, and its code, in one total
//! match.
//!
//! It is apart so that the rule "which code means what" can be read in one look. INTERNAL and
//! UNKNOWN are not in it: they would be bugs.

use std::time::Duration;

use tonic::{Code as GrpcCode, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    config::Denied,
    layouts::Misfit,
    limits,
    sampling::{TooMany, Why},
    telemetry::Code,
    trigger::Problems,
};

use super::{routes::NoRoute, tenants::OverQuota};

/// Why a call is not answered with a value.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The metadata is wrong.
    Metadata(Problems),
    /// A rule of a connection forbids it.
    Denied(String, Denied),
    /// What Redis holds is not what the layout says.
    Misfit(Misfit),
    /// Redis cannot be read, beyond the stale budget.
    Unavailable(Why),
    /// The connection remembers as many triggers as it may.
    Triggers(TooMany),
    /// A namespace has as much of something as it may.
    Namespace(OverQuota),
    /// As many streams are open as may be: this many.
    Streams(usize),
    /// Requests that are not whole hold as many bytes as they may: this many.
    Incomplete(usize),
    /// As many calls of other services are open as may be: this many.
    SideCalls(usize),
    /// The request was not whole within this.
    Slow(Duration),
    /// The spec changes with the metadata alone, so that there is nothing to stream.
    FixedSpec,
}

impl From<Problems> for Refusal {
    fn from(problems: Problems) -> Self {
        Self::Metadata(problems)
    }
}

impl From<TooMany> for Refusal {
    fn from(limit: TooMany) -> Self {
        Self::Triggers(limit)
    }
}

impl From<OverQuota> for Refusal {
    fn from(limit: OverQuota) -> Self {
        Self::Namespace(limit)
    }
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
    /// The label by which the metrics count it.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Metadata(_) => Code::InvalidArgument,
            Self::Denied(..) => Code::PermissionDenied,
            Self::Misfit(Misfit::TooManyKeys { .. }) => Code::ResourceExhausted,
            Self::Misfit(_) => Code::FailedPrecondition,
            Self::Unavailable(_) => Code::Unavailable,
            Self::Triggers(_)
            | Self::Namespace(_)
            | Self::Streams(_)
            | Self::Incomplete(_)
            | Self::SideCalls(_) => Code::ResourceExhausted,
            Self::Slow(_) => Code::DeadlineExceeded,
            Self::FixedSpec => Code::Unimplemented,
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Metadata(problems) => invalid_argument(&problems),
            Refusal::Denied(connection, denied) => {
                let message = format!("connection `{connection}`: {denied}");
                Self::permission_denied(cut(message))
            }
            Refusal::Misfit(limit @ Misfit::TooManyKeys { .. }) => {
                Self::resource_exhausted(cut(limit.to_string()))
            }
            Refusal::Misfit(misfit) => Self::failed_precondition(cut(misfit.to_string())),
            Refusal::Unavailable(why) => Self::unavailable(cut(why.to_string())),
            Refusal::Triggers(limit) => Self::resource_exhausted(limit.to_string()),
            Refusal::Namespace(limit) => Self::resource_exhausted(limit.to_string()),
            Refusal::Streams(most) => Self::resource_exhausted(format!(
                "{most} streams are open, the limit of this server"
            )),
            Refusal::Incomplete(most) => Self::resource_exhausted(format!(
                "requests that are not whole hold {most} bytes, the limit of this server"
            )),
            Refusal::SideCalls(most) => Self::resource_exhausted(format!(
                "{most} calls of health and reflection are open, the limit of this server"
            )),
            Refusal::Slow(within) => {
                Self::deadline_exceeded(format!("the request was not whole within {within:?}"))
            }
            Refusal::FixedSpec => Self::unimplemented(
                "the spec of this trigger changes with its metadata alone, so that nothing is \
                 streamed; GetMetricSpec tells it",
            ),
        }
    }
}

/// All problems in the message, and again as field violations: as many in full as fit into
/// [`limits::STATUS_BYTES`], the next ones by key alone.
fn invalid_argument(problems: &Problems) -> Status {
    let most = problems.iter().len().min(limits::PROBLEMS_LISTED);
    let by_detail = (0..=most).rev().map(|in_full| (in_full, most));
    let by_number = (1..most).rev().map(|listed| (0, listed));
    let candidates = by_detail.chain(by_number);
    let mut statuses = candidates.map(|(in_full, listed)| status_of(problems, in_full, listed));
    statuses.find(fits).unwrap_or_else(|| Status::invalid_argument("the metadata is wrong"))
}

fn status_of(problems: &Problems, in_full: usize, listed: usize) -> Status {
    let mut details = ErrorDetails::new();
    for (index, problem) in problems.iter().take(listed).enumerate() {
        let what = if index < in_full { problem.what.as_str() } else { "is wrong" };
        details.add_bad_request_violation(&problem.key, what);
    }
    let message = problems.summary(in_full, listed);
    Status::with_error_details(GrpcCode::InvalidArgument, message, details)
}

fn fits(status: &Status) -> bool {
    status.message().len() + status.details().len() <= limits::STATUS_BYTES
}

fn cut(mut message: String) -> String {
    let longest = limits::STATUS_BYTES / 2;
    if message.len() > longest {
        let end = (0..=longest).rev().find(|end| message.is_char_boundary(*end));
        message.truncate(end.unwrap_or(0));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(number: usize, length: usize) -> Problems {
        let mut problems = Problems::default();
        for n in 0..number {
            problems.add(&format!("{n}{}", "é".repeat(60)), "x".repeat(length));
        }
        problems
    }

    #[test]
    fn a_status_stays_within_its_bytes_and_lists_all_it_can() {
        for (number, length) in [(1, 10), (20, 10), (64, 200), (3, 3000), (64, 5)] {
            let status = Status::from(Refusal::from(problems(number, length)));
            assert!(fits(&status), "{number} problems of {length}");
            assert_eq!(status.code(), GrpcCode::InvalidArgument);
            let violations = status.get_details_bad_request().unwrap().field_violations;
            assert!(!violations.is_empty() && status.message().contains(&violations[0].field));
        }
    }

    #[test]
    fn twenty_short_problems_are_all_told_in_full() {
        let mut problems = Problems::default();
        for n in 0..20 {
            problems.add(&format!("key{n}"), "is unknown; did you mean `queue`?");
        }
        let status = Status::from(Refusal::from(problems));
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations.len(), 20);
        assert!(violations.iter().all(|violation| violation.description.starts_with("is unknown")));
    }
}
