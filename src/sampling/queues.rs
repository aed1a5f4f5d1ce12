//! Which queues the patterns of one subject stand for, as far as searches have found them. It is pure.
//!
//! Until every search has ended once nothing is known of the subject. A count is never 0 for want of looking.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    layouts::{Allowed, FoundQueue, LayoutMismatch, Name, Plan, Search},
    time::Instant,
};

use super::{
    cache::Cache,
    searches::{KnownKeys, SearchId},
};

/// What is known of the queues of one subject.
#[derive(Debug)]
pub struct Queues {
    pub search: Arc<Search>,
    /// The searches that find them.
    pub searches: Box<[SearchId]>,
    pub found: BTreeSet<FoundQueue>,
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
    pub seen: Option<u64>,
    /// A key of a queue that is not counted since it may not be read, if there is one.
    pub left_out: Option<Name>,
}

/// What a look at the searches gives.
pub struct Look {
    pub found: BTreeSet<FoundQueue>,
    pub left_out: Option<Name>,
    pub known_at: Instant,
    pub is_crowded: bool,
    /// The editions of what was looked at, unless a queue stays that is found no more.
    pub seen: Option<u64>,
}

impl Queues {
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
    pub fn look(
        &self,
        known: &[&KnownKeys],
        allowed: &Allowed,
        cache: &Cache,
        now: Instant,
    ) -> Look {
        let keys = known.iter().flat_map(|known| known.keys());
        let (mut found, refused) = self.search.queues(keys, &self.found, allowed);
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
