//! The pushes of a trigger's activity, on edges.
//!
//! A stream lives long: it ends at an age and on a drain, and must cost its reader's pace to nobody else.
//! It is pulled by who reads it, so that one that does not read holds one message and no task.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use parking_lot::Mutex;
use tokio::time::{Sleep, sleep_until};
use tokio_stream::Stream;
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::{
    sampling::{News, Observation, Watch},
    telemetry::PushKind,
    time::Instant,
};

use super::{
    lease::Lease,
    push::{Budget, Pulse},
};

/// One open stream: the state first, then what the pulse says, until the lease is over. It is polled by hand,
/// since a fleet has ten thousand of them and an async block would hold all of it twice.
pub struct ActivityStream {
    lease: Lease,
    watch: Watch,
    /// Whether the state was known for sure at the last look.
    is_known: bool,
    pulse: Pulse,
    budget: Arc<Mutex<Budget>>,
    /// Rings when the lease is over or a repeat is due, whichever is first.
    timer: Pin<Box<Sleep>>,
    drained: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Stream for ActivityStream {
    type Item = bool;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let now = Instant::now();
            if let Some((active, kind)) = self.due(now) {
                self.lease.metrics.push(kind);
                return Poll::Ready(Some(active));
            }
            if now >= self.lease.ends_at || self.drained.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            // What is due while nothing is known waits for the news, not for the clock.
            let due_at = self.pulse.due_at().filter(|_| self.is_known);
            let at = due_at.map_or(self.lease.ends_at, |at| at.min(self.lease.ends_at));
            if self.timer.deadline() != at {
                self.timer.as_mut().reset(at);
            }
            let is_news = self.watch.poll_changed(context).is_ready();
            if !is_news && self.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl ActivityStream {
    pub(super) fn new(
        lease: Lease,
        watch: Watch,
        push_inactive: bool,
        budget: Arc<Mutex<Budget>>,
    ) -> Self {
        let timer = Box::pin(sleep_until(lease.ends_at));
        let drained = Box::pin(lease.drain.clone().cancelled_owned());
        let pulse = Pulse::new(push_inactive);
        Self { lease, watch, is_known: false, pulse, budget, timer, drained }
    }

    /// What is to be sent now, if anything. Only what is known for sure makes an edge or a repeat:
    /// a value held through an outage is no news, and nothing unknown is ever sent.
    fn due(&mut self, now: Instant) -> Option<(bool, PushKind)> {
        let News { observation, announced_at } = self.watch.news();
        let active = match observation {
            Observation::Fresh(verdict) => Some(verdict.active),
            Observation::ActivityOnly { active, .. } => Some(active),
            Observation::Stale { .. }
            | Observation::Unavailable(_)
            | Observation::LayoutMismatch(_) => None,
        };
        self.is_known = active.is_some();
        let active = active?;
        let (jitter, waited) = (fastrand::f64(), self.pulse.owes());
        if let Some((active, kind)) = self.pulse.observe(active, now, jitter) {
            if active {
                self.with_budget(|budget| budget.pay(now));
            }
            if let (PushKind::Activated, Some(announced_at), false) = (kind, announced_at, waited) {
                self.lease.metrics.push_latency(now.saturating_duration_since(announced_at));
            }
            return Some((active, kind));
        }
        if self.pulse.due_at().is_none_or(|at| at > now) {
            return None;
        }
        if !self.pulse.is_booked() {
            let at = self.with_budget(|budget| budget.book(now));
            if at > now {
                self.lease.metrics.push_deferred();
                self.pulse.defer(at);
                return None;
            }
        }
        self.pulse.repeated(now, jitter);
        Some((true, PushKind::Repeat))
    }

    fn with_budget<T>(&self, act: impl FnOnce(&mut Budget) -> T) -> T {
        act(&mut self.budget.lock())
    }
}
