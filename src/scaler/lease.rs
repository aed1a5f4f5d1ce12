//! What an open stream holds of what there is a limit for, and when it ends.

use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use crate::{
    telemetry::{Method, Metrics},
    time::Instant,
};

use super::registry::StreamSlot;

/// What every open stream holds until it ends.
pub(super) struct Lease {
    pub(super) metrics: Arc<Metrics>,
    method: Method,
    /// Holds the drain until the stream has ended.
    _call: TaskTrackerToken,
    /// Counts against the limit of streams.
    _open: Arc<()>,
    /// Counts against the limit of streams of its namespace.
    _place: StreamSlot,
    pub(super) drain: CancellationToken,
    /// When the stream ends by itself.
    pub(super) ends_at: Instant,
}

impl Lease {
    pub(super) fn new(
        (metrics, method): (Arc<Metrics>, Method),
        call: TaskTrackerToken,
        open: Arc<()>,
        place: StreamSlot,
        drain: CancellationToken,
        ends_at: Instant,
    ) -> Self {
        metrics.streams(method, 1);
        Self { metrics, method, _call: call, _open: open, _place: place, drain, ends_at }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.metrics.streams(self.method, -1);
    }
}
