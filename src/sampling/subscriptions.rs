//! Who wants to know about which trigger: calls that wait, streams that are open, and triggers
//! that were asked for lately.
//!
//! Pure but for the channel ends it keeps, which never block. It does not know what is true.

use std::{collections::HashMap, sync::Arc};

use slab::Slab;
use tokio::sync::{oneshot, watch};

use crate::{limits, time::Instant, trigger::Trigger};

use super::{
    cache::ReadId,
    observation::{Held, Observation},
};

/// A trigger of one ScaledObject or ScaledJob.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The trigger.
    pub trigger: Arc<Trigger>,
}

/// A subscription by its place.
pub type SubscriptionId = usize;

/// Somebody's interest in one subject.
#[derive(Debug)]
pub struct Subscription {
    /// Whom it is about.
    pub subject: Arc<Subject>,
    /// The reads of its plan, in the order of the flow.
    pub reads: Box<[ReadId]>,
    /// Streams that are open on it.
    pub streams: usize,
    /// When it was last asked for.
    pub last_asked: Instant,
    /// The last value that was known.
    pub held: Option<Held>,
    /// Where open streams learn of changes.
    pub news: Option<watch::Sender<Observation>>,
    waiters: Vec<oneshot::Sender<()>>,
}

impl Subscription {
    /// Whether anybody wants its reads done now: a stream, or a call that waits.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.streams > 0 || !self.waiters.is_empty()
    }

    /// Whether a call waits for it.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// A signal that comes when there is something new about it.
    pub fn wait(&mut self) -> oneshot::Receiver<()> {
        self.waiters.retain(|waiter| !waiter.is_closed());
        let (sender, receiver) = oneshot::channel();
        self.waiters.push(sender);
        receiver
    }

    /// Lets every waiting call look again.
    pub fn wake(&mut self) {
        for waiter in self.waiters.drain(..) {
            // A caller that went away needs no waking.
            waiter.send(()).unwrap_or(());
        }
    }
}

/// Everybody's interests.
#[derive(Debug, Default)]
pub struct Subscriptions {
    all: Slab<Subscription>,
    ids: HashMap<Arc<Subject>, SubscriptionId>,
    users: HashMap<ReadId, Vec<SubscriptionId>>,
}

/// The connection remembers as many triggers as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection already remembers {} triggers, its limit", limits::TRIGGERS)]
pub struct TooManyTriggers;

impl Subscriptions {
    /// The subscription of a subject, if there is one.
    #[must_use]
    pub fn find(&self, subject: &Subject) -> Option<SubscriptionId> {
        self.ids.get(subject).copied()
    }

    /// A new subscription with these reads.
    ///
    /// # Errors
    /// [`TooManyTriggers`] at the limit.
    pub fn add(
        &mut self,
        subject: Arc<Subject>,
        reads: Box<[ReadId]>,
        now: Instant,
    ) -> Result<SubscriptionId, TooManyTriggers> {
        if self.is_full() {
            return Err(TooManyTriggers);
        }
        let id = self.all.insert(Subscription {
            subject: Arc::clone(&subject),
            reads: reads.clone(),
            streams: 0,
            last_asked: now,
            held: None,
            news: None,
            waiters: Vec::new(),
        });
        for read in reads {
            self.users.entry(read).or_default().push(id);
        }
        self.ids.insert(subject, id);
        Ok(id)
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

    /// Forgets a subscription and gives back its reads.
    pub fn remove(&mut self, id: SubscriptionId) -> Box<[ReadId]> {
        let gone = self.all.remove(id);
        self.ids.remove(&gone.subject);
        for read in &gone.reads {
            if let Some(users) = self.users.get_mut(read) {
                users.retain(|user| *user != id);
                if users.is_empty() {
                    self.users.remove(read);
                }
            }
        }
        gone.reads
    }

    /// One subscription.
    #[must_use]
    pub fn get(&self, id: SubscriptionId) -> &Subscription {
        &self.all[id]
    }

    /// One subscription, to change.
    pub fn get_mut(&mut self, id: SubscriptionId) -> &mut Subscription {
        &mut self.all[id]
    }

    /// Those that use a read.
    #[must_use]
    pub fn users(&self, read: ReadId) -> &[SubscriptionId] {
        self.users.get(&read).map_or(&[], Vec::as_slice)
    }

    /// Every subscription.
    pub fn ids(&self) -> Vec<SubscriptionId> {
        self.all.iter().map(|(id, _)| id).collect()
    }

    /// Those without a stream that nobody has asked for in [`limits::TRIGGER_MEMORY`].
    #[must_use]
    pub fn forgotten(&self, now: Instant) -> Vec<SubscriptionId> {
        let is_old = |subscription: &Subscription| {
            !subscription.is_wanted() && now >= subscription.last_asked + limits::TRIGGER_MEMORY
        };
        self.all.iter().filter(|(_, subscription)| is_old(subscription)).map(|(id, _)| id).collect()
    }
}
