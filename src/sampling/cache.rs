//! What is known of each read, and whether it may have changed since.
//!
//! Pure: time and events are arguments. The order rule of the whole service lives here: a read is
//! marked clean *before* it is sent; an announced change, a failure and a lost link mark it dirty;
//! a successful reply never clears the mark. Then no order of replies and announcements can lose a
//! change. The cache does not know who wants a read, or when it is due.

use std::collections::HashMap;

use slab::Slab;

use crate::{
    layouts::{Answer, Name, Read},
    limits,
    time::Instant,
};

use super::source::Fault;

/// A read by its place in the cache.
pub type ReadId = usize;

/// The last answer to a read.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The answer.
    pub answer: Answer,
    /// When its read was sent.
    pub read_at: Instant,
    /// Until when it is known to have been true; never before `read_at`.
    pub true_until: Instant,
    /// Whether the mark of its read no longer speaks for it: it was already dirty, or nothing is
    /// announced, when the read was sent anew. Only the next answer takes its place.
    pub superseded: bool,
}

/// What is known of one read.
#[derive(Debug)]
pub struct Slot {
    /// The question.
    pub read: Read,
    /// Whether the answer may have changed since the last read was sent.
    pub dirty: bool,
    /// When the last read was sent.
    pub asked_at: Option<Instant>,
    /// The last answer.
    pub known: Option<Known>,
    /// Why the last read failed, and when; gone with the next answer.
    pub fault: Option<(Fault, Instant)>,
    users: usize,
}

impl Slot {
    /// When the read has to be done again although nothing was announced.
    #[must_use]
    pub fn expires_at(&self) -> Option<Instant> {
        self.known.as_ref().map(|known| known.read_at + limits::SAMPLE_MAX_AGE)
    }

    /// Whether no change of the answer is known. A read on its way vouches for no older answer.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.dirty && self.known.as_ref().is_some_and(|known| !known.superseded)
    }

    /// Whether the answer may be given as it is.
    #[must_use]
    pub fn is_fresh(&self, now: Instant) -> bool {
        let is_young = self.expires_at().is_some_and(|expiry| now < expiry);
        self.holds() && self.fault.is_none() && is_young
    }

    fn soil(&mut self, true_until: Instant) {
        if self.holds()
            && self.read.is_announced()
            && let Some(known) = &mut self.known
        {
            known.true_until = known.true_until.max(true_until);
        }
        self.dirty = true;
    }
}

/// What is known of every read that somebody uses.
#[derive(Debug, Default)]
pub struct Cache {
    slots: Slab<Slot>,
    ids: HashMap<Read, ReadId>,
    by_key: HashMap<Name, Vec<ReadId>>,
}

impl Cache {
    /// The place of a read for one more user. Equal reads have one place.
    pub fn acquire(&mut self, read: &Read) -> ReadId {
        if let Some(id) = self.ids.get(read) {
            self.slots[*id].users += 1;
            return *id;
        }
        let slot = Slot {
            read: read.clone(),
            dirty: true,
            asked_at: None,
            known: None,
            fault: None,
            users: 1,
        };
        let id = self.slots.insert(slot);
        self.ids.insert(read.clone(), id);
        for key in read.keys() {
            self.by_key.entry(key.clone()).or_default().push(id);
        }
        id
    }

    /// Gives up one use of a read; with the last one it is forgotten, which is told.
    pub fn release(&mut self, id: ReadId) -> bool {
        let slot = &mut self.slots[id];
        slot.users -= 1;
        if slot.users > 0 {
            return false;
        }
        let slot = self.slots.remove(id);
        self.ids.remove(&slot.read);
        for key in slot.read.keys() {
            if let Some(ids) = self.by_key.get_mut(key) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
        true
    }

    /// What is known of a read.
    #[must_use]
    pub fn slot(&self, id: ReadId) -> &Slot {
        &self.slots[id]
    }

    /// Marks a read clean; to be called before it is sent. `announced` tells whether a change of
    /// the last answer would have been announced.
    pub fn begin(&mut self, id: ReadId, announced: bool, now: Instant) {
        let slot = &mut self.slots[id];
        if let Some(known) = &mut slot.known {
            known.superseded |= slot.dirty || !announced;
        }
        slot.dirty = false;
        slot.asked_at = Some(now);
    }

    /// Stores what became of a read that was begun. Nothing happens if it was forgotten meanwhile
    /// and its place given to another: the question tells.
    pub fn finish(&mut self, id: ReadId, read: &Read, reply: Result<Answer, Fault>, now: Instant) {
        let Some(slot) = self.slots.get_mut(id).filter(|slot| slot.read == *read) else { return };
        match (reply, slot.asked_at) {
            (Ok(answer), Some(read_at)) => {
                slot.known =
                    Some(Known { answer, read_at, true_until: read_at, superseded: false });
                slot.fault = None;
            }
            (Ok(_), None) => {}
            (Err(fault), _) => {
                slot.soil(slot.asked_at.unwrap_or(now));
                slot.fault = Some((fault, now));
            }
        }
    }

    /// Marks every read of a key dirty and tells which those are.
    pub fn changed(&mut self, key: &Name, now: Instant) -> Vec<ReadId> {
        let ids = self.by_key.get(key).cloned().unwrap_or_default();
        for id in &ids {
            self.slots[*id].soil(now);
        }
        ids
    }

    /// Marks every read dirty. What was clean was true until `proved_at` at least, if changes were
    /// announced until then.
    pub fn suspect_all(&mut self, proved_at: Option<Instant>) {
        for (_, slot) in &mut self.slots {
            match proved_at {
                Some(proved_at) => slot.soil(proved_at),
                None => slot.dirty = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::layouts::Members;

    fn size(key: &str) -> Read {
        Read::Size { key: key.into(), members: Members::All }
    }

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    fn cache() -> (Cache, ReadId, Instant) {
        let mut cache = Cache::default();
        let id = cache.acquire(&size("q"));
        (cache, id, Instant::now())
    }

    #[test]
    fn a_change_between_the_sending_and_the_reply_leaves_the_read_dirty() {
        let (mut cache, id, start) = cache();
        cache.begin(id, true, start);
        assert_eq!(cache.changed(&"q".into(), after(start, 1)), [id]);
        cache.finish(id, &size("q"), Ok(Answer::Size(3)), after(start, 2));
        assert!(cache.slot(id).dirty, "a successful reply never clears the mark");
        assert!(!cache.slot(id).is_fresh(after(start, 3)));
    }

    #[test]
    fn a_failed_read_leaves_its_key_dirty_and_keeps_the_last_answer() {
        let (mut cache, id, start) = cache();
        cache.begin(id, true, start);
        cache.finish(id, &size("q"), Ok(Answer::Size(3)), start);
        assert!(cache.slot(id).is_fresh(after(start, 1)));
        cache.begin(id, true, after(start, 5));
        cache.finish(id, &size("q"), Err(Fault::Timeout), after(start, 9));
        let slot = cache.slot(id);
        assert!(slot.dirty && slot.fault.is_some());
        assert_eq!(slot.known.as_ref().unwrap().answer, Answer::Size(3));
    }

    #[test]
    fn while_a_read_is_on_its_way_an_answer_that_was_dirty_stays_so() {
        let (mut cache, id, start) = cache();
        cache.begin(id, true, start);
        cache.finish(id, &size("q"), Ok(Answer::Size(3)), start);
        cache.begin(id, true, after(start, 2));
        assert!(cache.slot(id).is_fresh(after(start, 3)), "a change would have been announced");
        cache.changed(&"q".into(), after(start, 4));
        cache.begin(id, true, after(start, 5));
        assert!(!cache.slot(id).is_fresh(after(start, 6)));
        cache.changed(&"q".into(), after(start, 7));
        cache.finish(id, &size("q"), Err(Fault::Timeout), after(start, 8));
        assert_eq!(cache.slot(id).known.as_ref().unwrap().true_until, after(start, 4));
    }

    #[test]
    fn an_abandoned_read_is_not_taken_for_an_answer() {
        let (mut cache, id, start) = cache();
        cache.begin(id, true, start);
        cache.suspect_all(None);
        assert!(cache.slot(id).dirty && cache.slot(id).known.is_none());
    }

    #[test]
    fn what_was_clean_was_true_until_the_link_was_last_proved() {
        let (mut cache, id, start) = cache();
        cache.begin(id, true, start);
        cache.finish(id, &size("q"), Ok(Answer::Size(3)), start);
        cache.suspect_all(Some(after(start, 700)));
        cache.suspect_all(Some(after(start, 900)));
        assert_eq!(cache.slot(id).known.as_ref().unwrap().true_until, after(start, 700));
    }

    #[test]
    fn an_answer_for_a_forgotten_read_goes_nowhere() {
        let (mut cache, id, start) = cache();
        cache.begin(id, true, start);
        assert!(cache.release(id));
        let other = cache.acquire(&size("other"));
        assert_eq!(other, id, "the place is given again");
        cache.finish(id, &size("q"), Ok(Answer::Size(3)), start);
        assert!(cache.slot(other).known.is_none());
        let again = cache.acquire(&size("q"));
        cache.finish(again, &size("q"), Ok(Answer::Size(3)), start);
        assert!(cache.slot(again).known.is_none(), "nothing was sent for this place");
    }

    #[test]
    fn equal_reads_have_one_place_until_the_last_user_leaves() {
        let (mut cache, id, start) = cache();
        assert_eq!(cache.acquire(&size("q")), id);
        assert!(!cache.release(id));
        assert!(cache.release(id));
        assert!(cache.changed(&"q".into(), start).is_empty());
    }
}
