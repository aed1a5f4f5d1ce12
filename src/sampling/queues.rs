//! Which queues the patterns of one subject stand for, as far as searches have found them. It is pure.
//!
//! Until every search has ended once nothing is known of the subject. A count is never 0 for want of looking.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    layouts::{Allowed, FoundQueue, LayoutMismatch, Name, Plan, Search},
    limits,
    time::Instant,
    trigger::shown,
};

use super::{
    cache::{Cache, ReadId},
    observation::Why,
    searches::{Failing, KnownKeys, Scan, SearchId},
    source::{Fault, KeyPage},
    state::{Note, State},
    subscriptions::SubscriptionId,
};

/// What is known of the queues of one subject.
#[derive(Debug)]
pub struct Queues {
    search: Arc<Search>,
    /// The searches that find them.
    pub searches: Box<[SearchId]>,
    found: BTreeSet<FoundQueue>,
    /// What is read of them.
    pub plan: Plan,
    /// For how many keys that counts beyond those that the trigger names itself, of what its namespace
    /// may have.
    pub keys: usize,
    /// When the last of the searches ended that tell what is known; `None` before each ended once.
    pub known_at: Option<Instant>,
    /// Why nothing can be counted although all searches ended.
    pub mismatch: Option<LayoutMismatch>,
    /// The editions of what the searches found, as it was last looked at; `None` if that is to be
    /// looked at again in any case.
    seen: Option<u64>,
    /// A key of a queue that is not counted since it may not be read, if there is one.
    left_out: Option<Name>,
}

/// What a look at the searches gives.
struct Look {
    found: BTreeSet<FoundQueue>,
    left_out: Option<Name>,
    known_at: Instant,
    is_crowded: bool,
    /// The editions of what was looked at, unless a queue stays that is found no more.
    seen: Option<u64>,
}

impl Queues {
    /// Nothing found yet.
    pub fn new(search: &Arc<Search>, searches: Box<[SearchId]>, allowed: &Allowed) -> Self {
        Self {
            plan: search.plan([].into_iter(), allowed),
            search: Arc::clone(search),
            searches,
            found: BTreeSet::new(),
            keys: 0,
            known_at: None,
            mismatch: None,
            seen: None,
            left_out: None,
        }
    }

    /// How many queues were found.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// Whether a queue is left out.
    pub fn leaves_out(&self) -> bool {
        self.left_out.is_some()
    }

    /// What these searches found. A queue that is found no more stays while it may have work.
    fn look(&self, known: &[&KnownKeys], allowed: &Allowed, cache: &Cache, now: Instant) -> Look {
        let keys = known.iter().flat_map(|known| known.keys());
        let (mut found, refused) = self.search.queues(keys, (&self.found, allowed));
        let left_out = known.iter().find_map(|known| known.left_out.clone()).or(refused);
        let gone = self.found.difference(&found).cloned().collect::<Vec<_>>();
        let number = found.len();
        found.extend(gone.into_iter().filter(|queue| self.may_have_work(queue, cache)));
        let editions = known.iter().map(|known| known.edition).sum();
        let ended = known.iter().map(|known| known.ended_at).min();
        Look {
            seen: (found.len() == number).then_some(editions),
            found,
            left_out,
            known_at: ended.unwrap_or(now),
            is_crowded: known.iter().any(|known| known.is_crowded),
        }
    }

    /// Whether a queue whose keys are gone was not read as empty since.
    fn may_have_work(&self, queue: &FoundQueue, cache: &Cache) -> bool {
        let fixed = self.search.fixed();
        let reads = self.search.reads_of(queue);
        let own = reads.iter().filter(|read| !fixed.contains(read));
        let mut slots = own.map(|read| cache.find(read));
        slots.any(|slot| {
            let known = slot.filter(|slot| slot.is_valid()).and_then(|slot| slot.known.as_ref());
            !known.is_some_and(|known| known.answer.counts_nothing())
        })
    }
}

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
    pub(super) fn find(&mut self, id: SubscriptionId, now: Instant) -> bool {
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
    pub(super) fn why_not_found(&self, id: SubscriptionId, now: Instant) -> Option<Why> {
        let queues = self.subscriptions.get(id).queues.as_ref()?;
        let is_known = queues.known_at.is_some();
        let is_long = |failing: &&Failing| !is_known || now >= failing.since + limits::SEARCH_GRACE;
        if let Some(failing) = self.failing(id).filter(is_long) {
            return Some(Why::Fault(failing.fault.clone()));
        }
        (!is_known).then(|| Why::Searching(queues.search.describe()))
    }

    /// A search of a subject that does not go on: the one that has not for the longest time.
    pub(super) fn failing(&self, id: SubscriptionId) -> Option<&Failing> {
        let queues = self.subscriptions.get(id).queues.as_ref()?;
        let failing =
            queues.searches.iter().filter_map(|search| self.searches.get(*search).failing());
        failing.min_by_key(|failing| failing.since)
    }
}
