//! Who wants to know about which trigger: calls that wait, streams that are open, and triggers
//! that were asked for lately.
//!
//! Pure but for the channel ends it keeps, which never block. It does not know what is true.

use std::{collections::HashMap, sync::Arc, time::Duration};

use slab::Slab;
use tokio::sync::oneshot;

use crate::{limits, telemetry::LogThrottle, time::Instant, trigger::Verdict};

use super::{
    absence::Absence,
    arrivals::Arrivals,
    cache::ReadId,
    exactness::Exactness,
    falls::{Falls, is_long},
    ids::{Ids, SubscriptionId},
    news::Board,
    observation::{HeldVerdict, Observation},
    queues::Queues,
    subject::Subject,
    task_time::TaskTime,
};

/// Somebody's interest in one subject.
#[derive(Debug)]
pub struct Subscription {
    /// What it is about.
    pub subject: Arc<Subject>,
    /// The reads of its plan, in the order of the flow.
    pub reads: Box<[ReadId]>,
    /// What is known of its queues, if it has patterns.
    pub queues: Option<Box<Queues>>,
    /// Streams that are open on it.
    pub streams: usize,
    /// Whether a job could hide between its answers as the last batch left them. The next batch
    /// then reads all of them: keys that change by turns would keep it so for ever.
    pub scattered: bool,
    /// Since when it is known. Batches that were sent before did not follow its flow.
    pub since: Instant,
    /// When it was last asked for.
    pub last_asked: Instant,
    /// When a change of one of its keys was last announced, if it has an activity window.
    pub last_change: Option<Instant>,
    /// What was counted lately, and whether it is believed.
    pub falls: Falls,
    /// What its counters did lately, where it tells a rate.
    pub arrivals: Option<Box<Arrivals>>,
    /// How long its jobs run, where that is measured.
    pub task_time: Option<Box<TaskTime>>,
    /// What the last reading came to, and when its newest answer was asked for.
    pub judged: Option<(Instant, Verdict)>,
    /// Whether that was taken note of when it was told.
    pub noted: bool,
    /// The last value that was known.
    pub held: Option<HeldVerdict>,
    /// Whether any key of it was ever there.
    pub absence: Absence,
    /// What the log says of its activations.
    pub log: LogThrottle,
    /// Whether what it is told is exact.
    pub exactness: Exactness,
    /// Where open streams look.
    pub board: Option<Arc<Board>>,
    waiters: Vec<Waiter>,
}

/// A call that waits for an answer.
#[derive(Debug)]
struct Waiter {
    asked_at: Instant,
    answer: oneshot::Sender<Observation>,
}

impl Subscription {
    /// Whether its reads are to be done as soon as they change: for a stream, for a call that
    /// waits, so that the next change is announced too, to know when a fall happened that a long gap
    /// holds, or when a counter rose.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        let is_followed = self.activity_window().is_some() || is_long(self.subject.trigger.gap);
        let has_past = self.arrivals.is_some() || self.task_time.is_some();
        self.streams > 0 || self.is_awaited() || is_followed || has_past
    }

    /// Until when the last change keeps it active, whatever the counts say.
    #[must_use]
    pub fn active_until(&self) -> Option<Instant> {
        Some(self.last_change? + self.activity_window()?)
    }

    fn activity_window(&self) -> Option<Duration> {
        self.subject.trigger.activity_window
    }

    /// Whether a call waits for it.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// What a call that came at `asked_at` gets once it can be answered.
    pub fn wait(&mut self, asked_at: Instant) -> oneshot::Receiver<Observation> {
        self.waiters.retain(|waiter| !waiter.answer.is_closed());
        let (answer, receiver) = oneshot::channel();
        self.waiters.push(Waiter { asked_at, answer });
        receiver
    }

    /// Answers the calls that came at `asked_until` or before.
    pub fn answer(&mut self, observation: &Observation, asked_until: Instant) {
        for waiter in self.waiters.extract_if(.., |waiter| waiter.asked_at <= asked_until) {
            // A caller that went away needs no answer.
            waiter.answer.send(observation.clone()).unwrap_or(());
        }
    }
}

#[derive(Debug, Default)]
pub struct Subscriptions {
    all: Slab<Subscription>,
    ids: HashMap<Arc<Subject>, SubscriptionId>,
    /// Who uses each read, by its place.
    users: Vec<Ids>,
    invisible: usize,
    /// How many there are of which it was told that no key was ever there.
    pub never_seen: usize,
    bounds: usize,
}

/// The connection remembers as much as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// As many triggers.
    #[error("the connection already remembers {} triggers, its limit", limits::TRIGGERS)]
    Triggers,
    /// As many searches for the queues of patterns.
    #[error("the connection already looks for {} patterns of keys, its limit", limits::SEARCHES)]
    Searches,
}

impl Subscriptions {
    /// The subscription of a subject, if there is one.
    #[must_use]
    pub fn find(&self, subject: &Subject) -> Option<SubscriptionId> {
        self.ids.get(subject).copied()
    }

    /// A new subscription with these reads.
    ///
    /// # Errors
    /// [`TooMany::Triggers`] at the limit.
    pub fn add(
        &mut self,
        subject: Arc<Subject>,
        reads: Box<[ReadId]>,
        now: Instant,
    ) -> Result<SubscriptionId, TooMany> {
        if self.is_full() {
            return Err(TooMany::Triggers);
        }
        let id = self.all.insert(Subscription {
            subject: Arc::clone(&subject),
            reads: reads.clone(),
            queues: None,
            streams: 0,
            scattered: false,
            since: now,
            last_asked: now,
            last_change: None,
            falls: Falls::default(),
            arrivals: subject.trigger.settings.window.map(|window| Box::new(Arrivals::new(window))),
            task_time: subject.trigger.settings.measures_task_time.then(Box::default),
            judged: None,
            noted: false,
            held: None,
            absence: Absence::default(),
            log: LogThrottle::default(),
            exactness: Exactness::default(),
            board: None,
            waiters: Vec::new(),
        });
        self.add_user(&reads, id);
        self.invisible += usize::from(subject.trigger.invisible.is_some());
        self.ids.insert(subject, id);
        Ok(id)
    }

    /// Gives a subscription other reads, and gives back those that it had.
    pub fn replace_reads(
        &mut self,
        id: SubscriptionId,
        reads: Box<[ReadId]>,
        now: Instant,
    ) -> Box<[ReadId]> {
        let subscription = &mut self.all[id];
        (subscription.since, subscription.judged) = (now, None);
        subscription.arrivals.iter_mut().for_each(|arrivals| arrivals.rebase());
        subscription.task_time.iter_mut().for_each(|task_time| task_time.pause());
        let old = std::mem::replace(&mut subscription.reads, reads.clone());
        old.iter().for_each(|read| self.users[*read].remove(id));
        self.add_user(&reads, id);
        old
    }

    fn add_user(&mut self, reads: &[ReadId], id: SubscriptionId) {
        for read in reads {
            if self.users.len() <= *read {
                self.users.resize_with(read + 1, Ids::default);
            }
            self.users[*read].insert(id);
        }
    }

    /// Whether no more can be added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.all.len() >= limits::TRIGGERS
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// How many there are whose work in flight is in no key.
    #[must_use]
    pub fn invisible(&self) -> usize {
        self.invisible
    }

    /// How many there are that are told no more than a bound.
    #[must_use]
    pub fn bounds(&self) -> usize {
        self.bounds
    }

    /// Does something with what is noted of whether a subscription is told what is exact.
    pub fn note_exactness<T>(
        &mut self,
        id: SubscriptionId,
        note: impl FnOnce(&mut Exactness) -> T,
    ) -> T {
        let exactness = &mut self.all[id].exactness;
        self.bounds -= usize::from(exactness.is_bound());
        let result = note(exactness);
        self.bounds += usize::from(exactness.is_bound());
        result
    }

    /// Forgets a subscription and gives back its reads.
    pub fn remove(&mut self, id: SubscriptionId) -> Box<[ReadId]> {
        let gone = self.all.remove(id);
        self.invisible -= usize::from(gone.subject.trigger.invisible.is_some());
        self.never_seen -= usize::from(gone.absence.is_told());
        self.bounds -= usize::from(gone.exactness.is_bound());
        self.ids.remove(&gone.subject);
        for read in &gone.reads {
            self.users[*read].remove(id);
        }
        gone.reads
    }

    #[must_use]
    pub fn get(&self, id: SubscriptionId) -> &Subscription {
        &self.all[id]
    }

    /// One subscription, to change.
    pub fn get_mut(&mut self, id: SubscriptionId) -> &mut Subscription {
        &mut self.all[id]
    }

    /// Those that use a read.
    pub fn users(&self, read: ReadId) -> impl Iterator<Item = SubscriptionId> {
        self.users.get(read).into_iter().flat_map(Ids::iter)
    }

    pub fn ids(&self) -> Vec<SubscriptionId> {
        self.all.iter().map(|(id, _)| id).collect()
    }

    /// Those without a stream that were not asked for in [`limits::TRIGGER_MEMORY`].
    #[must_use]
    pub fn forgotten(&self, now: Instant) -> Vec<SubscriptionId> {
        let is_old = |subscription: &Subscription| {
            let is_in_use = subscription.streams > 0 || subscription.is_awaited();
            !is_in_use && now >= subscription.last_asked + limits::TRIGGER_MEMORY
        };
        self.all.iter().filter(|(_, subscription)| is_old(subscription)).map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{layouts::Registry, trigger::Trigger};

    #[test]
    fn callers_that_went_away_do_not_pile_up() {
        let now = Instant::now();
        let trigger = Trigger::parse([("queue".to_owned(), "q".to_owned())], Registry::builtin());
        let (namespace, name) = ("ns".to_owned(), "object".to_owned());
        let subject = Subject::new(namespace, name, Arc::new(trigger.unwrap()));
        let mut subscriptions = Subscriptions::default();
        let id = subscriptions.add(subject, [0].into(), now).unwrap();
        let subscription = subscriptions.get_mut(id);
        let waiting = subscription.wait(now);
        (0..1000).for_each(|_| drop(subscription.wait(now)));
        assert!(subscription.waiters.len() <= 2);
        drop(waiting);
        let _last = subscription.wait(now);
        assert_eq!(subscription.waiters.len(), 1);
    }
}
