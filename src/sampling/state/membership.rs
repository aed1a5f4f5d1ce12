//! Which subjects are remembered and which are forgotten: one comes with its first call, and goes some time
//! after the last. It is pure.

use std::{sync::Arc, time::Duration};

use crate::{limits, time::Instant};

use super::{
    super::{
        cache::ReadId, ids::SubscriptionId, note::Note, queues::Queues, searches::TooManySearches,
        subject::Subject, subscriptions::TooMany,
    },
    SWEEP_INTERVAL, State,
};

/// The shortest time between two such looks, for calls that are refused meanwhile.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

impl State {
    /// Begins to remember a subject that is not remembered.
    ///
    /// # Errors
    /// [`TooMany`] when the limit is reached.
    pub(in crate::sampling) fn subscribe(
        &mut self,
        subject: &Arc<Subject>,
        now: Instant,
    ) -> Result<SubscriptionId, TooMany> {
        if self.subscriptions.is_full() && now >= self.sweep_at - SWEEP_INTERVAL + SWEEP_PAUSE {
            self.forget(now);
        }
        let queues = self.searches_of(subject, now)?;
        let plan = queues.as_ref().map_or(&subject.trigger.plan, |queues| &queues.plan);
        let reads: Box<[ReadId]> =
            plan.reads().iter().map(|read| self.cache.acquire(read)).collect();
        match self.subscriptions.add(Arc::clone(subject), reads.clone(), now) {
            Ok(id) => {
                if subject.trigger.invisible.is_some() || subject.trigger.hint.is_some() {
                    self.notes.push(Note::Advice(Arc::clone(subject)));
                }
                if let Some(queues) = queues {
                    self.searches.use_by(&queues.searches, id);
                    self.subscriptions.get_mut(id).queues = Some(queues);
                    // Another subject may have had the same looked for.
                    self.find(id, now);
                }
                Ok(id)
            }
            Err(full) => {
                self.release(&reads);
                queues.iter().for_each(|queues| self.searches.release(&queues.searches, None));
                Err(full)
            }
        }
    }

    /// The searches for the queues of a subject, if it has patterns.
    fn searches_of(
        &mut self,
        subject: &Subject,
        now: Instant,
    ) -> Result<Option<Box<Queues>>, TooMany> {
        let Some(search) = &subject.trigger.search else { return Ok(None) };
        let searches = self.searches.acquire(search.wilds(), &subject.namespace, now);
        let searches = searches.map_err(|TooManySearches| TooMany::Searches)?;
        Ok(Some(Box::new(Queues::new(search, searches, &self.searches.allowed))))
    }

    /// Looks again at the subjects whose activity window has ended.
    pub(in crate::sampling) fn lapse(&mut self, now: Instant) {
        for id in self.lapses.take_due(now, limits::BATCH_READS) {
            // Otherwise a read is due or under way, and its answer will say.
            if self.is_settled(id, now, now) {
                self.settle(id, now);
            }
        }
    }

    pub(in crate::sampling) fn sweep(&mut self, now: Instant) {
        if now >= self.sweep_at {
            self.forget(now);
            self.note_all_keys(now);
            self.note_exact_again(now);
        }
    }

    fn forget(&mut self, now: Instant) {
        self.sweep_at = now + SWEEP_INTERVAL;
        for id in self.subscriptions.forgotten(now) {
            let subscription = self.subscriptions.get_mut(id);
            if let Some(queues) = subscription.queues.take() {
                self.keys.give_back(&subscription.subject.namespace, queues.keys);
                self.searches.release(&queues.searches, Some(id));
                self.remembered.queues -= queues.count();
                self.remembered.left_out -= usize::from(queues.leaves_out());
            }
            let reads = self.subscriptions.remove(id);
            self.lapses.cancel(id);
            self.release(&reads);
        }
    }

    pub(in crate::sampling) fn release(&mut self, reads: &[ReadId]) {
        for read in reads {
            if self.cache.release(*read) {
                self.schedule.cancel(*read);
            }
        }
    }
}
