//! The sampler's state: cache, schedule and subscriptions joined, and the state of the link.
//!
//! Pure: every method takes the time. It decides what is read next, what a call may be answered with, and
//! what is news to a stream. It does not wait.

mod absence;
mod announcement;
mod exactness;
mod judgement;
mod membership;
mod plans;
mod queues;
mod rates;
mod reading;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::{
    layouts::{Allowed, Read},
    limits,
    telemetry::Remembered,
    time::Instant,
};

use super::{
    batch,
    cache::{Cache, ReadId},
    clock::Clock,
    ids::SubscriptionId,
    news::{Board, Reader},
    note::Note,
    observation::{Observation, Why},
    quarantine::Quarantine,
    schedule::Schedule,
    searches::Searches,
    shares::KeyShares,
    source::{Fault, Reply, Validity},
    step::{Ask, Due, Step},
    subject::Subject,
    subscriptions::{Subscriptions, TooMany},
};

/// How often subscriptions are looked through for those to forget.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// The link to Redis as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// The first attempt to connect is under way.
    Connecting,
    /// Reads can be sent.
    Up {
        /// Whether changes are announced.
        tracked: bool,
        /// When what the link last answered was sent: earlier changes are announced.
        confirmed_at: Instant,
        /// Whether it broke without the worker having noticed yet.
        broken: bool,
    },
    /// No link; the worker tries again.
    Down(Fault),
}

/// How much the searches of all subjects found.
#[derive(Debug, Clone, Copy, Default)]
pub struct FoundCounts {
    pub queues: usize,
    /// Subjects with a queue that is left out.
    pub left_out: usize,
}

/// Everything that the sampler of one link knows.
#[derive(Debug)]
pub struct State {
    pub(super) cache: Cache,
    pub(super) schedule: Schedule,
    pub(super) subscriptions: Subscriptions,
    pub(super) link: LinkState,
    pub(super) hold_stale: Duration,
    pub(super) notes: Vec<Note>,
    /// When each activity window or held fall ends that a stream is told of.
    pub(super) lapses: Schedule,
    /// Where the grid of refreshes begins.
    pub(super) started_at: Instant,
    /// When the last step was sent.
    pub(super) sent_at: Instant,
    /// Until when the link says that all changes were announced; else `sent_at`.
    pub(super) confirmed_until: Option<Instant>,
    clock: Clock,
    pub(super) sweep_at: Instant,
    /// Reads that may have ended a link.
    pub(super) quarantine: Quarantine,
    /// What is looked for because of patterns.
    pub(super) searches: Searches,
    /// How much was found of it.
    pub(super) remembered: FoundCounts,
    /// How many keys each namespace may have.
    pub(super) keys: KeyShares,
}

impl State {
    /// Nothing known, no subject, no link; with the connection's stale budget.
    #[must_use]
    pub fn new(hold_stale: Duration, now: Instant) -> Self {
        Self {
            cache: Cache::default(),
            schedule: Schedule::default(),
            subscriptions: Subscriptions::default(),
            link: LinkState::Connecting,
            hold_stale,
            notes: Vec::new(),
            lapses: Schedule::default(),
            started_at: now,
            clock: Clock::default(),
            sent_at: now,
            confirmed_until: None,
            sweep_at: now + SWEEP_INTERVAL,
            quarantine: Quarantine::default(),
            searches: Searches::new(Allowed::all()),
            remembered: FoundCounts::default(),
            keys: KeyShares::new(usize::MAX),
        }
    }

    /// How much is remembered.
    #[must_use]
    pub fn remembered(&self) -> Remembered {
        Remembered {
            triggers: self.subscriptions.count(),
            not_visible: self.subscriptions.invisible(),
            not_exact: self.subscriptions.bounds(),
            questions: self.cache.count(),
            searches: self.searches.count(),
            queues_found: self.remembered.queues,
            leaving_out: self.remembered.left_out,
            never_seen: self.subscriptions.never_seen,
        }
    }

    /// What a call that came at `asked_at` is to do now.
    ///
    /// # Errors
    /// [`TooMany`] when the subject is new and the limit is reached.
    pub fn ask(
        &mut self,
        subject: &Arc<Subject>,
        asked_at: Instant,
        now: Instant,
    ) -> Result<Ask, TooMany> {
        let id = self.found_or_subscribed(subject, now)?;
        self.subscriptions.get_mut(id).last_asked = now;
        if self.is_settled(id, asked_at, now)
            && let Some(observation) = self.conclude(id, now)
        {
            self.remember(id, &observation);
            return Ok(Ask::Ready(observation));
        }
        let subscription = self.subscriptions.get_mut(id);
        let coalesced = subscription.is_wanted();
        let answer = subscription.wait(asked_at);
        self.plan_reads(id, now);
        Ok(Ask::Wait { answer, coalesced })
    }

    fn found_or_subscribed(
        &mut self,
        subject: &Arc<Subject>,
        now: Instant,
    ) -> Result<SubscriptionId, TooMany> {
        self.subscriptions.find(subject).map_or_else(|| self.subscribe(subject, now), Ok)
    }

    /// Opens a stream on a subject.
    ///
    /// # Errors
    /// [`TooMany`] when the subject is new and the limit is reached.
    pub fn open(
        &mut self,
        subject: &Arc<Subject>,
        now: Instant,
    ) -> Result<(SubscriptionId, Reader), TooMany> {
        let id = self.found_or_subscribed(subject, now)?;
        let is_settled = self.is_settled(id, now, now);
        let current = if is_settled { self.conclude(id, now) } else { None };
        current.iter().for_each(|current| self.remember(id, current));
        let current = current.map(|current| self.for_streams(id, &current, now));
        let current = current.unwrap_or(Observation::Unavailable(Why::NotYetRead));
        let subscription = self.subscriptions.get_mut(id);
        subscription.streams += 1;
        let reader = Reader::of(subscription.board.get_or_insert_with(|| Board::new(current)));
        self.plan_lapse(id, now);
        self.plan_reads(id, now);
        Ok((id, reader))
    }

    /// Notes that a stream ended.
    pub fn close(&mut self, id: SubscriptionId, now: Instant) {
        let subscription = self.subscriptions.get_mut(id);
        subscription.streams -= 1;
        subscription.last_asked = now;
        if subscription.streams == 0 {
            subscription.board = None;
            self.lapses.cancel(id);
        }
    }

    /// What the worker is to do next.
    pub fn next(&mut self, now: Instant) -> Step {
        self.sweep(now);
        self.lapse(now);
        let closed = || Fault::Unreachable("the connection was closed".to_owned());
        let (tracked, confirmed_at) = match &self.link {
            LinkState::Up { broken: true, .. } => return Step::Reconnect(closed()),
            LinkState::Up { tracked, confirmed_at, .. } => (*tracked, *confirmed_at),
            LinkState::Connecting | LinkState::Down(_) => return Step::Wait(self.sweep_at),
        };
        // Batches prove the link, but not what time it is there.
        let clock = self.cache.needs_clock();
        let clock_at = self.clock.due_at(now);
        if clock && now >= clock_at {
            self.sent_at = now;
            return Step::Prove { clock };
        }
        let prove_at = confirmed_at + limits::PROOF_INTERVAL;
        // A link of several servers may answer all the time, and one of them never.
        if now >= prove_at + limits::PROOF_INTERVAL {
            self.sent_at = now;
            return Step::Prove { clock };
        }
        // Reads come before searches, unless they would never let them go on.
        if let Some(scan) = self.searches.begin(limits::SCAN_PATIENCE, now) {
            self.sent_at = now;
            return Step::Scan(scan);
        }
        let taken = batch::take(
            &mut self.schedule,
            &self.cache,
            &self.subscriptions,
            &mut self.quarantine,
            tracked,
            now,
        );
        self.refuse(&taken.put_off, now);
        if !taken.reads.is_empty() {
            self.sent_at = now;
            let begin = |id: ReadId| {
                let cause = self.cache.begin(id, now);
                Due { id, read: self.cache.slot(id).read.clone(), cause }
            };
            let batch: Vec<Due> = taken.reads.into_iter().map(begin).collect();
            self.quarantine.sent(batch.iter().map(|due| &due.read));
            return Step::Read(batch);
        }
        if let Some(scan) = self.searches.begin(Duration::ZERO, now) {
            self.sent_at = now;
            return Step::Scan(scan);
        }
        if now >= prove_at {
            self.sent_at = now;
            return Step::Prove { clock };
        }
        let prove_at = if clock { prove_at.min(clock_at) } else { prove_at };
        let searches = self.searches.next_at();
        let others = [self.schedule.next(), self.lapses.next(), Some(self.sweep_at), searches];
        Step::Wait(others.into_iter().flatten().fold(prove_at, Instant::min))
    }

    /// Stores what became of a batch and tells the streams what is news to them.
    pub fn finish(&mut self, batch: Vec<Due>, replies: Vec<Result<Reply, Fault>>, now: Instant) {
        self.answered();
        self.quarantine.answered();
        let tracked = self.announced_until().is_some();
        let lasting = |reply: Reply| Reply {
            lasts: if tracked { reply.lasts } else { Validity::Unknown },
            ..reply
        };
        let mut touched = Vec::new();
        for (Due { id, read, .. }, reply) in batch.into_iter().zip(replies) {
            self.cache.finish(id, &read, reply.map(lasting), now);
            touched.extend(self.subscriptions.users(id));
        }
        self.settle_all(touched, now);
    }

    /// Answers reads that are not to be sent with the reason.
    fn refuse(&mut self, put_off: &BTreeSet<ReadId>, now: Instant) {
        let mut touched = Vec::new();
        for id in put_off {
            let read = self.cache.slot(*id).read.clone();
            let Some(fault) = self.quarantine.put_off(&read, now).cloned() else { continue };
            self.cache.begin(*id, now);
            self.cache.finish(*id, &read, Err(fault), now);
            touched.extend(self.subscriptions.users(*id));
        }
        self.settle_all(touched, now);
    }

    fn settle_all(&mut self, mut touched: Vec<SubscriptionId>, now: Instant) {
        touched.sort_unstable();
        touched.dedup();
        for id in touched {
            self.note_keys(id, now);
            self.settle(id, now);
        }
    }

    /// Takes what came up since the last time.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Notes that the link was proved, and with it what Redis's clock said, if it was asked.
    pub fn proved(&mut self, clock: Option<Duration>, now: Instant) {
        self.answered();
        if self.clock.was_set(clock, self.sent_at, now) {
            self.cache.clock_was_set(now);
            self.look_again(now);
        }
    }

    /// Notes that the link answered what the last step sent.
    pub(super) fn answered(&mut self) {
        let confirmed_until = self.confirmed_until.take().unwrap_or(self.sent_at);
        if let LinkState::Up { confirmed_at, .. } = &mut self.link {
            *confirmed_at = confirmed_until;
        }
    }

    /// Notes a new link. It invalidates everything, since nothing was announced in between.
    pub fn link_up(&mut self, tracked: bool, now: Instant) {
        self.invalidate_all(None);
        self.subscriptions.ids().into_iter().for_each(|id| self.lose_sight(id, now));
        self.clock = Clock::default();
        self.link = LinkState::Up { tracked, confirmed_at: now, broken: false };
        self.searches.begin_anew(now);
        self.look_again(now);
    }

    /// Notes that there is no link, and why.
    pub fn link_down(&mut self, fault: Fault, now: Instant) {
        self.invalidate_all(self.announced_until());
        let is_used = |read: &Read| self.cache.find(read).is_some();
        let put_off = self.quarantine.link_ended(&fault, is_used, now);
        self.notes.extend(put_off.into_iter().map(|read| Note::PutOff(read, fault.clone())));
        self.link = LinkState::Down(fault);
        self.sweep(now);
        self.look_again(now);
    }
}
