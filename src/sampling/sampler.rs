//! The handle by which calls and streams ask about one link, and what they see.

use std::{
    fmt,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::Notify, task::yield_now, time::timeout_at};
use tracing::{info, warn};

use crate::{
    layouts::{Allowed, Measure},
    limits,
    telemetry::{LinkMetrics, ObservationState},
    time::Instant,
    trigger::{Problem, Verdict, cut, shown},
};

use super::{
    ids::SubscriptionId,
    news::{News, Reader},
    note::Note,
    observation::{Look, Observation, Why},
    shares::KeyShares,
    source::Change,
    state::State,
    step::Ask,
    subject::Subject,
    subscriptions::TooMany,
};

/// What a call gets of its deadline for waiting; the rest is for answering.
const WAIT: Duration = limits::CALL_DEADLINE.saturating_sub(Duration::from_millis(50));

/// The handle by which calls and streams ask about one link. Cheap to clone.
#[derive(Clone)]
pub struct Sampler(Arc<SamplerState>);

struct SamplerState {
    name: String,
    state: Mutex<State>,
    wake: Notify,
    epoch: AtomicU64,
    metrics: LinkMetrics,
}

impl Sampler {
    /// A sampler that knows nothing yet. `name` is how the log calls the link.
    #[must_use]
    pub fn new(name: String, hold_stale: Duration, metrics: LinkMetrics) -> Self {
        Self(Arc::new(SamplerState {
            name,
            state: Mutex::new(State::new(hold_stale, Instant::now())),
            wake: Notify::new(),
            epoch: AtomicU64::new(0),
            metrics,
        }))
    }

    /// The same for a connection on which no other keys may be read: of the queues that a pattern finds,
    /// those with another key are left out. To be said before it is used.
    #[must_use]
    pub fn reading(self, allowed: Allowed) -> Self {
        self.lock().searches.allowed = allowed;
        self
    }

    /// The same where each namespace may have so many keys, over all that share them. To be said before
    /// it is used.
    #[must_use]
    pub fn sharing(self, keys: KeyShares) -> Self {
        self.lock().keys = keys;
        self
    }

    /// How the log calls the link, which has this name alone.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What may be said about a subject now, within [`limits::CALL_DEADLINE`] whatever Redis does.
    ///
    /// # Errors
    /// [`TooMany`] when the subject is new and the limit is reached.
    pub async fn current(&self, subject: &Arc<Subject>) -> Result<Observation, TooMany> {
        let asked_at = Instant::now();
        let observation = match self.with_state(|state, now| state.ask(subject, asked_at, now))? {
            Ask::Ready(observation) => {
                self.0.metrics.from_memory();
                observation
            }
            Ask::Wait { answer, coalesced } => {
                self.0.wake.notify_one();
                if coalesced {
                    self.0.metrics.coalesced();
                }
                match timeout_at(asked_at + WAIT, answer).await {
                    Ok(Ok(observation)) => observation,
                    Ok(Err(_)) | Err(_) => {
                        self.with_state(|state, now| state.observe_late(subject, now))
                    }
                }
            }
        };
        self.0.metrics.observation(kind(&observation));
        if let Observation::Stale { age, .. } = &observation {
            self.0.metrics.stale(*age);
        }
        Ok(observation)
    }

    /// What may be said about a subject now, without its being asked for: nothing is read, and it is
    /// remembered no longer. `None` for one that is not remembered.
    #[must_use]
    pub fn look(&self, subject: &Subject) -> Option<Look> {
        self.with_state(|state, now| state.look(subject, now))
    }

    /// Opens a stream of observations of a subject; it ends when the [`Watch`] is dropped.
    ///
    /// # Errors
    /// [`TooMany`] when the subject is new and the limit is reached.
    pub fn watch(&self, subject: &Arc<Subject>) -> Result<Watch, TooMany> {
        let (id, reader) = self.with_state(|state, now| state.open(subject, now))?;
        self.0.wake.notify_one();
        Ok(Watch { sampler: self.clone(), id, reader })
    }

    /// Begins a new link; what older links still report is not heard any more.
    pub(super) fn begin_epoch(&self) -> u64 {
        self.0.epoch.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Notes what a link reports.
    pub(super) fn changed(&self, epoch: u64, change: &Change) {
        // Under the lock, so that no newer link comes up between the question and what follows.
        let wakes = self.with_state(|state, now| {
            let is_heard = epoch == self.0.epoch.load(Ordering::SeqCst);
            is_heard.then(|| state.changed(change, now))
        });
        if wakes.is_some() && *change != Change::LinkLost {
            self.0.metrics.invalidation();
        }
        if wakes == Some(true) {
            self.0.wake.notify_one();
        }
    }

    /// Does something short with the state, then logs what came up.
    pub(super) fn with_state<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let (result, notes) = self.change(act);
        notes.iter().for_each(|note| self.log(note));
        result
    }

    /// As [`Sampler::with_state`], but streams are told before the log is written.
    pub(super) async fn with_state_pushing<T>(
        &self,
        act: impl FnOnce(&mut State, Instant) -> T,
    ) -> T {
        let (result, notes) = self.change(act);
        if !notes.is_empty() {
            yield_now().await;
        }
        notes.iter().for_each(|note| self.log(note));
        result
    }

    fn change<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> (T, Vec<Note>) {
        let mut state = self.lock();
        let result = act(&mut state, Instant::now());
        (result, state.take_notes())
    }

    fn log(&self, note: &Note) {
        match note {
            Note::Active(subject, verdict, suppressed) => {
                self.0.metrics.activation();
                if let Some(suppressed) = suppressed {
                    log_active(subject, verdict, *suppressed);
                }
            }
            Note::LeftOut(subject, key) => warn!(
                namespace = subject.namespace,
                name = subject.name,
                trigger = trigger(subject),
                key = shown(&key.to_string()),
                "queue skipped: the connection's rule `keys` does not allow one of its keys"
            ),
            Note::PutOff(read, fault) => warn!(
                connection = %self,
                %read,
                reason = %fault,
                "a read that ends the link is put off; its last value is held for the stale budget"
            ),
            Note::NotExact(subject, why) => warn!(
                namespace = subject.namespace,
                name = subject.name,
                trigger = trigger(subject),
                reason = why,
                "a count is not exact"
            ),
            Note::ExactAgain(subject) => info!(
                namespace = subject.namespace,
                name = subject.name,
                trigger = trigger(subject),
                "all counts are exact again"
            ),
            Note::NeverSeen(subject) => warn!(
                namespace = subject.namespace,
                name = subject.name,
                connection = %self,
                trigger = trigger(subject),
                "no key of this trigger was ever there in ten minutes; an empty queue has none either, but a wrong name, prefix or database looks the same: penstock probe says what is near"
            ),
            Note::Advice(subject) => log_new(subject),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere must not take every call with it: the state's methods leave nothing
        // half done that an answer could be made of.
        self.0.state.lock()
    }

    pub(super) fn metrics(&self) -> &LinkMetrics {
        &self.0.metrics
    }

    pub(super) async fn woken(&self) {
        self.0.wake.notified().await;
    }
}

impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name)
    }
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sampler({})", self.0.name)
    }
}

/// What people should know of a trigger before anything is read.
fn log_new(subject: &Subject) {
    let Subject { namespace, name, trigger, .. } = subject;
    if let Some(advice) = &trigger.invisible {
        warn!(namespace, name, layout = trigger.layout, advice, "work in flight is not visible");
    }
    if let Some(Problem { key, what }) = &trigger.hint {
        warn!(namespace, name, key, advice = what, "a name looks like a key of a framework");
    }
}

fn log_active(subject: &Subject, verdict: &Verdict, suppressed: u64) {
    info!(
        namespace = subject.namespace,
        name = subject.name,
        trigger = trigger(subject),
        waiting = verdict.counts[Measure::Waiting].get(),
        due = verdict.counts[Measure::Due].get(),
        in_flight = verdict.counts[Measure::InFlight].get(),
        value = verdict.value.get(),
        activation = subject.trigger.activation.get(),
        suppressed = (suppressed > 0).then_some(suppressed),
        "became active"
    );
}

/// A trigger as a line of the log has it: it may name much.
fn trigger(subject: &Subject) -> String {
    cut(&subject.trigger.to_string(), limits::TRIGGER_CHARS_SHOWN)
}

fn kind(observation: &Observation) -> ObservationState {
    match observation {
        Observation::Fresh(_) => ObservationState::Fresh,
        Observation::Stale { .. } => ObservationState::Stale,
        Observation::ActivityOnly { why: Why::Mismatch(_), .. }
        | Observation::LayoutMismatch(_) => ObservationState::LayoutMismatch,
        Observation::ActivityOnly { .. } | Observation::Unavailable(_) => {
            ObservationState::Unavailable
        }
    }
}

/// A stream's view of one subject.
#[derive(Debug)]
pub struct Watch {
    sampler: Sampler,
    id: SubscriptionId,
    reader: Reader,
}

impl Watch {
    /// The latest news; the next [`Watch::changed`] comes only for something newer.
    pub fn news(&mut self) -> News {
        self.reader.look()
    }

    /// What may be said now, as [`Watch::news`] has it.
    pub fn observation(&mut self) -> Observation {
        self.news().observation
    }

    /// Ready when there is something newer than the last look, or than the opening.
    pub fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.reader.poll_changed(context)
    }

    /// Comes when [`Watch::poll_changed`] is ready.
    pub async fn changed(&mut self) {
        poll_fn(|context| self.poll_changed(context)).await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.sampler.with_state(|state, now| state.close(self.id, now));
    }
}
