//! The targets of a trigger whose target follows what is measured: the one that was told last first, then each other one.

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
    limits,
    sampling::{Sampler, Subject, Watch},
    time::Instant,
    trigger::{Target, Trigger},
};

use super::{
    lease::Lease,
    target::{MovingTarget, Pace},
};

/// The metric of a trigger as KEDA is told it.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The trigger, which has the name.
    pub trigger: Arc<Trigger>,
    /// What one replica takes.
    pub target: Target,
}

/// A trigger that is read while the stream is open, whoever else asks for it.
pub(super) struct Watched {
    pub(super) subject: Arc<Subject>,
    pub(super) sampler: Sampler,
    pub(super) _watch: Watch,
}

/// One open stream of a trigger's specs.
pub struct SpecStream {
    lease: Lease,
    of: Watched,
    target: Arc<Mutex<MovingTarget>>,
    pace: Arc<Mutex<Pace>>,
    /// What it sent last.
    sent: Option<Target>,
    /// Rings when what was measured is looked at again.
    timer: Pin<Box<Sleep>>,
    drained: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl SpecStream {
    pub(super) fn new(
        lease: Lease,
        of: Watched,
        target: Arc<Mutex<MovingTarget>>,
        pace: Arc<Mutex<Pace>>,
    ) -> Self {
        let now = Instant::now();
        target.lock().opened(now);
        let drained = Box::pin(lease.drain.clone().cancelled_owned());
        let timer = Box::pin(sleep_until(now + limits::TARGET_LOOK));
        Self { lease, of, target, pace, sent: None, timer, drained }
    }

    /// What it is to have sent by now.
    fn wanted(&self, now: Instant) -> Target {
        if self.sent.is_none() {
            return self.target.lock().told();
        }
        let measured = measured(&self.of.subject, &self.of.sampler);
        self.target.lock().followed(measured, now, &mut self.pace.lock())
    }
}

/// The target by what is measured now.
pub(super) fn measured(subject: &Subject, sampler: &Sampler) -> Target {
    let look = sampler.look(subject);
    subject
        .trigger
        .target_for(look.map_or(subject.trigger.settings.task_time, |look| look.task_time))
}

impl Stream for SpecStream {
    type Item = Spec;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Spec>> {
        loop {
            let now = Instant::now();
            if now >= self.lease.ends_at || self.drained.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            let target = self.wanted(now);
            if self.sent.replace(target) != Some(target) {
                let trigger = Arc::clone(&self.of.subject.trigger);
                return Poll::Ready(Some(Spec { trigger, target }));
            }
            if self.timer.is_elapsed() {
                let next = (now + limits::TARGET_LOOK).min(self.lease.ends_at);
                self.timer.as_mut().reset(next);
            }
            if self.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for SpecStream {
    fn drop(&mut self) {
        self.target.lock().closed();
    }
}
