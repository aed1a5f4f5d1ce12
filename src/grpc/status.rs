//! The only place that builds a gRPC status: of what the scaler refuses, and of what a peer may not have.
//! INTERNAL and UNKNOWN are never among them: they would be bugs.

use std::time::Duration;

use tonic::{Code as GrpcCode, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{limits, scaler::Refusal, telemetry::Code, trigger::Problems};

/// What a peer asks of the server and may not have, whatever the trigger.
#[derive(Debug, thiserror::Error)]
pub(super) enum Overload {
    /// Requests that are not whole hold as many bytes as they may: this many.
    #[error("requests that are not whole hold {0} bytes, the limit of this server")]
    Incomplete(usize),
    /// The peer's address has as many calls open as it may: this many.
    #[error(
        "{0} calls of this address are open or their answers not taken, the limit of this server"
    )]
    Calls(usize),
    /// As many calls of other services are open as may be: this many.
    #[error("{0} calls of health and reflection are open, the limit of this server")]
    SideCalls(usize),
    /// The request was not whole within this.
    #[error("the request was not whole within {0:?}")]
    Slow(Duration),
}

impl From<Overload> for Status {
    fn from(overload: Overload) -> Self {
        let code = match overload {
            Overload::Incomplete(_) | Overload::Calls(_) | Overload::SideCalls(_) => {
                Code::ResourceExhausted
            }
            Overload::Slow(_) => Code::DeadlineExceeded,
        };
        Self::new(grpc(code), overload.to_string())
    }
}

/// The status of a refusal.
pub(super) fn of(refusal: &Refusal) -> Status {
    if let Refusal::Metadata(problems) = refusal {
        return invalid_argument(problems);
    }
    Status::new(grpc(refusal.code()), cut(refusal.to_string()))
}

fn grpc(code: Code) -> GrpcCode {
    match code {
        Code::Ok => GrpcCode::Ok,
        Code::InvalidArgument => GrpcCode::InvalidArgument,
        Code::PermissionDenied => GrpcCode::PermissionDenied,
        Code::FailedPrecondition => GrpcCode::FailedPrecondition,
        Code::Unavailable => GrpcCode::Unavailable,
        Code::ResourceExhausted => GrpcCode::ResourceExhausted,
        Code::DeadlineExceeded => GrpcCode::DeadlineExceeded,
        Code::Unimplemented => GrpcCode::Unimplemented,
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
            let status = of(&Refusal::Metadata(problems(number, length)));
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
        let status = of(&Refusal::Metadata(problems));
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations.len(), 20);
        assert!(violations.iter().all(|violation| violation.description.starts_with("is unknown")));
    }
}
