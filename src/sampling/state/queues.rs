//! Which queues the subjects with patterns count now.

use crate::{
    layouts::{LayoutMismatch, Plan},
    limits,
    time::Instant,
    trigger::shown,
};

use super::{
    super::{
        cache::ReadId,
        ids::SubscriptionId,
        note::Note,
        observation::Why,
        queues::Look,
        searches::{Failing, KnownKeys, Scan},
        source::{Fault, KeyPage},
    },
    State,
};

impl State {
    /// Takes in what became of a step of a search.
    pub fn scanned(&mut self, scan: &Scan, page: Result<KeyPage, Fault>, now: Instant) {
        self.answered();
        let Some(search) = self.searches.finish(scan, page, now) else { return };
        for user in self.searches.users(search) {
            if self.find(user, now) || self.failing(user).is_some() {
                self.settle(user, now);
            }
        }
    }

    /// Looks which queues a subject has now, and counts those from now on. Until the new ones are
    /// read, the last value stands. Tells whether there is anything new.
    pub(in crate::sampling) fn find(&mut self, id: SubscriptionId, now: Instant) -> bool {
        let subscription = self.subscriptions.get(id);
        let Some(queues) = &subscription.queues else { return false };
        let known: Option<Vec<&KnownKeys>> =
            queues.searches.iter().map(|search| self.searches.get(*search).known()).collect();
        let Some(known) = known else { return false };
        let editions = known.iter().map(|known| known.edition).sum();
        if queues.seen == Some(editions) {
            let ended = known.iter().map(|known| known.ended_at).min();
            if let Some(queues) = &mut self.subscriptions.get_mut(id).queues {
                queues.known_at = ended.or(queues.known_at);
            }
            return false;
        }
        let allowed = &self.searches.allowed;
        let Look { found, left_out, known_at, is_crowded, seen } =
            queues.look(&known, allowed, &self.cache, now);
        let pattern = queues.search.describe();
        let most = if is_crowded { limits::KEYS_FOUND } else { limits::QUEUES_FOUND };
        let (is_new, before) = (found != queues.found, queues.keys);
        let mut mismatch = (is_crowded || found.len() > limits::QUEUES_FOUND)
            .then(|| LayoutMismatch::TooManyQueues { pattern: pattern.clone(), most });
        let (mut plan, mut keys, mut seen) = (None, before, seen);
        if is_new && mismatch.is_none() {
            let subject = &subscription.subject;
            let new = queues.search.plan(found.iter(), allowed);
            keys = new.share().saturating_sub(subject.trigger.plan.share());
            if new.reads().len() > limits::READS_FOUND {
                mismatch = Some(LayoutMismatch::TooManyQueues { pattern, most });
            } else if self.keys.take(&subject.namespace, keys.saturating_sub(before)) {
                self.keys.give_back(&subject.namespace, before.saturating_sub(keys));
                plan = Some(new);
            } else {
                let (namespace, most) = (shown(&subject.namespace), self.keys.most());
                mismatch = Some(LayoutMismatch::TooManyKeys { pattern, namespace, most });
                // What others of the namespace give back is told by no search.
                seen = None;
            }
        }
        let is_first = left_out.is_some() && queues.left_out.is_none();
        if let Some(key) = left_out.clone().filter(|_| is_first) {
            self.notes.push(Note::LeftOut(subscription.subject.clone(), key));
        }
        let Some(queues) = &mut self.subscriptions.get_mut(id).queues else { return false };
        queues.seen = seen;
        self.remembered.left_out += usize::from(left_out.is_some());
        self.remembered.left_out -= usize::from(queues.left_out.is_some());
        (queues.left_out, queues.known_at, queues.mismatch) = (left_out, Some(known_at), mismatch);
        if let Some(plan) = plan {
            self.remembered.queues += found.len();
            self.remembered.queues -= queues.found.len();
            (queues.found, queues.plan, queues.keys) = (found, plan.clone(), keys);
            self.replace_reads(id, &plan, now);
        }
        true
    }

    fn replace_reads(&mut self, id: SubscriptionId, plan: &Plan, now: Instant) {
        let reads: Box<[ReadId]> =
            plan.reads().iter().map(|read| self.cache.acquire(read)).collect();
        let old = self.subscriptions.replace_reads(id, reads, now);
        self.release(&old);
    }

    /// Why nothing fresh can be said for want of a search, if so.
    pub(in crate::sampling) fn why_not_found(
        &self,
        id: SubscriptionId,
        now: Instant,
    ) -> Option<Why> {
        let queues = self.subscriptions.get(id).queues.as_ref()?;
        let is_known = queues.known_at.is_some();
        let is_long = |failing: &&Failing| !is_known || now >= failing.since + limits::SEARCH_GRACE;
        if let Some(failing) = self.failing(id).filter(is_long) {
            return Some(Why::Fault(failing.fault.clone()));
        }
        (!is_known).then(|| Why::Searching(queues.search.describe()))
    }

    /// A search of a subject that does not go on: the one that has not for the longest time.
    pub(in crate::sampling) fn failing(&self, id: SubscriptionId) -> Option<&Failing> {
        let queues = self.subscriptions.get(id).queues.as_ref()?;
        let failing =
            queues.searches.iter().filter_map(|search| self.searches.get(*search).failing());
        failing.min_by_key(|failing| failing.since)
    }
}
