//! Which keys are looked for, how far each search is, and what was found.
//!
//! Pure: a search goes in small steps, each of which the worker takes when it has nothing better to
//! do. It does not know what a found key means, or what a SCAN is.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use slab::Slab;

use crate::{
    layouts::{Allowed, KeyPattern, Name},
    limits,
    time::Instant,
};

use super::{
    ids::{Ids, SubscriptionId},
    source::{Fault, KeyPage, Position},
};

/// A search by its place.
pub type SearchId = usize;

/// One step of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    id: SearchId,
    /// What is looked for.
    pub wild: KeyPattern,
    /// Where the last step ended; `None` at the beginning.
    pub from: Option<Position>,
}

/// Everything that is looked for on one link.
#[derive(Debug)]
pub struct Searches {
    all: Slab<Search>,
    ids: HashMap<KeyPattern, SearchId>,
    /// The keys that may be read. Of others no more is remembered than that there are some.
    pub(super) allowed: Allowed,
    /// When the next step may be taken.
    step_at: Option<Instant>,
    /// How many steps were taken.
    steps: u64,
}

/// One search, again and again.
#[derive(Debug)]
pub struct Search {
    wild: KeyPattern,
    /// The namespace that asked first, whose turn it takes.
    namespace: Box<str>,
    /// The number of its last step; zero before the first.
    last_step: u64,
    users: Ids,
    round: Option<SearchRound>,
    due_at: Option<Instant>,
    known: Option<KnownKeys>,
    failing: Option<Failing>,
}

/// What the last whole search found.
#[derive(Debug)]
pub struct KnownKeys {
    /// The keys, and when each was last seen.
    keys: BTreeMap<Name, Instant>,
    /// A key that was left out since it may not be read, if there was one.
    pub left_out: Option<Name>,
    /// Whether there were more than may be remembered.
    pub is_crowded: bool,
    /// How often the keys, or what else is said of them, were others than before.
    pub edition: u64,
    pub ended_at: Instant,
}

/// Why the last steps failed, since when, and when it last did.
#[derive(Debug, Clone, PartialEq)]
pub struct Failing {
    pub fault: Fault,
    pub since: Instant,
    pub last: Instant,
}

/// A search under way.
#[derive(Debug)]
struct SearchRound {
    began_at: Instant,
    from: Option<Position>,
    keys: BTreeSet<Name>,
    bytes: usize,
    left_out: Option<Name>,
    is_crowded: bool,
}

/// The link looks for as much as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManySearches;

impl KnownKeys {
    pub fn keys(&self) -> impl Iterator<Item = &Name> {
        self.keys.keys()
    }
}

impl Search {
    /// What the last whole search found; `None` before the first one ended.
    #[must_use]
    pub fn known(&self) -> Option<&KnownKeys> {
        self.known.as_ref()
    }

    /// Why it does not go on, if it does not.
    #[must_use]
    pub fn failing(&self) -> Option<&Failing> {
        self.failing.as_ref()
    }

    /// When its next step is due, if it is not under way.
    fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// Takes in what a step found; tells whether it was the last one, or found what was not known.
    fn take(&mut self, page: KeyPage, allowed: &Allowed, now: Instant) -> bool {
        self.failing = None;
        let Some(round) = &mut self.round else { return false };
        let mut is_new = false;
        for key in page.keys {
            let bytes = key.as_bytes();
            // Redis is not given all of a pattern with many stars, and may know another syntax one day.
            if !self.wild.glob.matches(bytes) || round.keys.contains(&key) {
                continue;
            }
            if !allowed.includes(bytes) {
                round.left_out.get_or_insert(key);
            } else if round.keys.len() < limits::KEYS_FOUND
                && round.bytes + bytes.len() <= limits::KEYS_FOUND_BYTES
            {
                round.bytes += bytes.len();
                // What is new need not wait for the end, once there was one.
                if let Some(known) = &mut self.known
                    && known.keys.len() < limits::KEYS_FOUND
                    && known.keys.insert(key.clone(), now).is_none()
                {
                    known.edition += u64::from(!is_new);
                    is_new = true;
                }
                round.keys.insert(key);
            } else {
                round.is_crowded = true;
            }
        }
        self.due_at = Some(now);
        match page.next {
            Some(next) => round.from = Some(next),
            None => self.end(now),
        }
        self.round.is_none() || is_new
    }

    fn end(&mut self, now: Instant) {
        let Some(SearchRound { began_at, keys, left_out, is_crowded, .. }) = self.round.take()
        else {
            return;
        };
        let took = now.saturating_duration_since(began_at);
        self.due_at = Some(now + limits::SEARCH_PAUSE.max(took));
        let mut all: BTreeMap<Name, Instant> = keys.into_iter().map(|key| (key, now)).collect();
        // What was not seen any more is remembered for a while, the latest first, as far as there is
        // room.
        let last = self.known.take();
        let (mut gone, mut edition) = (vec![], 0);
        if let Some(KnownKeys { keys, edition: last, .. }) = &last {
            let is_remembered = |(key, seen): &(&Name, &Instant)| {
                now < **seen + limits::FOUND_MEMORY && !all.contains_key(*key)
            };
            gone.extend(keys.iter().filter(is_remembered).map(|(key, at)| (key.clone(), *at)));
            edition = *last;
        }
        gone.sort_by_key(|(_, seen)| std::cmp::Reverse(*seen));
        let mut bytes: usize = all.keys().map(|key| key.as_bytes().len()).sum();
        for (key, seen) in gone {
            bytes += key.as_bytes().len();
            if all.len() >= limits::KEYS_FOUND || bytes > limits::KEYS_FOUND_BYTES {
                break;
            }
            all.insert(key, seen);
        }
        let is_same = last.is_some_and(|last| {
            last.keys().eq(all.keys())
                && (last.left_out.is_some(), last.is_crowded) == (left_out.is_some(), is_crowded)
        });
        edition += u64::from(!is_same);
        self.known = Some(KnownKeys { keys: all, left_out, is_crowded, edition, ended_at: now });
    }
}

impl Searches {
    /// Nothing looked for yet, on a link on which these keys may be read.
    #[must_use]
    pub fn new(allowed: Allowed) -> Self {
        Self { all: Slab::new(), ids: HashMap::new(), allowed, step_at: None, steps: 0 }
    }

    /// The searches for these keys, for one more user, of this namespace. Equal ones are one.
    ///
    /// # Errors
    /// [`TooManySearches`] if there would be more than may be; nothing has changed then.
    pub fn acquire(
        &mut self,
        wilds: &[KeyPattern],
        namespace: &str,
        now: Instant,
    ) -> Result<Box<[SearchId]>, TooManySearches> {
        let new = wilds.iter().filter(|wild| !self.ids.contains_key(wild)).count();
        if self.all.len() + new > limits::SEARCHES {
            return Err(TooManySearches);
        }
        let place = |wild: &KeyPattern| {
            *self.ids.entry(wild.clone()).or_insert_with(|| {
                self.all.insert(Search {
                    wild: wild.clone(),
                    namespace: namespace.into(),
                    last_step: 0,
                    users: Ids::default(),
                    round: None,
                    due_at: Some(now),
                    known: None,
                    failing: None,
                })
            })
        };
        Ok(wilds.iter().map(place).collect())
    }

    /// Notes who uses these searches.
    pub fn use_by(&mut self, searches: &[SearchId], user: SubscriptionId) {
        searches.iter().for_each(|id| self.all[*id].users.insert(user));
    }

    /// Gives up the use of these searches; one without a user is forgotten.
    pub fn release(&mut self, searches: &[SearchId], user: Option<SubscriptionId>) {
        for id in searches {
            let Some(search) = self.all.get_mut(*id) else { continue };
            user.into_iter().for_each(|user| search.users.remove(user));
            if search.users.is_empty() {
                let gone = self.all.remove(*id);
                self.ids.remove(&gone.wild);
            }
        }
    }

    #[must_use]
    pub fn get(&self, id: SearchId) -> &Search {
        &self.all[id]
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Those who use a search.
    #[must_use]
    pub fn users(&self, id: SearchId) -> Vec<SubscriptionId> {
        self.all.get(id).into_iter().flat_map(|search| search.users.iter()).collect()
    }

    /// When the next step is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        let due_at = self.all.iter().filter_map(|(_, search)| search.due_at()).min()?;
        Some(self.step_at.map_or(due_at, |step_at| step_at.max(due_at)))
    }

    /// Begins the next step, if it has been due for this long. All namespaces with a search that is due
    /// take turns, and within one its searches, so that nobody waits for how much others look for.
    pub fn begin(&mut self, overdue: Duration, now: Instant) -> Option<Scan> {
        if self.next_at().is_none_or(|at| now < at + overdue) {
            return None;
        }
        let mut served: HashMap<&str, u64> = HashMap::new();
        for (_, search) in &self.all {
            let last = served.entry(&search.namespace).or_default();
            *last = search.last_step.max(*last);
        }
        let is_due = |search: &Search| search.due_at().is_some_and(|at| at <= now);
        let due = self.all.iter().filter(|(_, search)| is_due(search));
        let turn = |(id, search): &(SearchId, &Search)| {
            (served.get(&*search.namespace).copied(), search.last_step, *id)
        };
        let (id, _) = due.min_by_key(turn)?;
        self.steps += 1;
        let search = self.all.get_mut(id)?;
        (search.due_at, search.last_step) = (None, self.steps);
        let round = search.round.get_or_insert_with(|| SearchRound {
            began_at: now,
            from: None,
            keys: BTreeSet::new(),
            bytes: 0,
            left_out: None,
            is_crowded: false,
        });
        Some(Scan { id, wild: search.wild.clone(), from: round.from.clone() })
    }

    /// Takes in what became of a step. Gives the search if its users have to look: it ended, or
    /// failed. Nothing happens if it was forgotten meanwhile.
    pub fn finish(
        &mut self,
        scan: &Scan,
        page: Result<KeyPage, Fault>,
        now: Instant,
    ) -> Option<SearchId> {
        self.step_at = Some(now + limits::SCAN_PAUSE);
        let allowed = &self.allowed;
        let search = self.all.get_mut(scan.id).filter(|search| search.wild == scan.wild)?;
        match page {
            Ok(page) => search.take(page, allowed, now).then_some(scan.id),
            Err(fault) => {
                let since = search.failing.as_ref().map_or(now, |failing| failing.since);
                search.failing = Some(Failing { fault, since, last: now });
                search.due_at = Some(now + limits::SAMPLE_MAX_AGE);
                Some(scan.id)
            }
        }
    }

    /// Every search begins anew: another link may lead to another server. What was found stands.
    pub fn begin_anew(&mut self, now: Instant) {
        for (_, search) in &mut self.all {
            (search.round, search.failing, search.due_at) = (None, None, Some(now));
        }
    }
}
