//! The answers of all three: since when the oldest job is ready, or why that is not said.

use std::time::Duration;

use crate::layouts::{Answer, OldestAnswer, ReadyAt};

use super::super::super::progress::Progress;

pub(super) fn answered(ready: ReadyAt, bytes: u64) -> Progress {
    Progress::done(Answer::Oldest(OldestAnswer { ready, bytes }))
}

/// The answer where one job decides, which says its time or does not.
pub(super) fn said(at: Option<Duration>, bytes: u64) -> Progress {
    answered(at.map_or(ReadyAt::Unsaid, ReadyAt::Time), bytes)
}
