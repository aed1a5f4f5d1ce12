//! What is known of each read, and whether it may have changed since.
//!
//! Pure: time and events are arguments. The order rule of the whole service lives here: a read is
//! marked clean *before* it is sent; an announced change, a failure and a lost link mark it dirty;
//! a successful reply never clears the mark. Then no order of replies and announcements can lose a
//! change. The cache does not know who wants a read, or when it is due.

mod invalidation;
mod known_answer;
mod pace;

use std::{collections::HashMap, time::Duration};

use slab::Slab;

use crate::{
    layouts::{Name, Read},
    limits,
    telemetry::ReadCause,
    time::Instant,
};

use super::{
    ids::Ids,
    source::{Fault, Reply, Validity},
};

pub use known_answer::KnownAnswer;

/// A read by its place in the cache.
pub type ReadId = usize;

/// What is known of one read.
#[derive(Debug)]
pub struct Slot {
    pub read: Read,
    /// Whether the answer may have changed since the last read was sent.
    pub dirty: bool,
    /// When the first change since the last read was sent was announced.
    pub announced_at: Option<Instant>,
    /// When the last read was sent.
    pub asked_at: Option<Instant>,
    pub known: Option<KnownAnswer>,
    /// Why the last read failed, and when; gone with the next answer.
    pub fault: Option<Box<(Fault, Instant)>>,
    /// When the change was announced that the last read was sent for.
    sent_for: Option<Instant>,
    /// Whether no change was known when it was sent.
    unprompted: bool,
    users: usize,
}

impl Slot {
    /// When the read has to be done again although nothing was announced.
    #[must_use]
    pub fn expires_at(&self) -> Option<Instant> {
        self.known.as_ref().map(|known| known.fresh_until)
    }

    /// Whether no change of the answer is known. A read on its way vouches for no older answer.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        !self.dirty && self.known.as_ref().is_some_and(|known| !known.superseded)
    }

    /// Whether it may have changed without an announcement since it was read.
    #[must_use]
    pub fn changes_silently(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.lasts == Validity::Unknown)
    }

    /// Whether the answer may be given as it is.
    #[must_use]
    pub fn is_fresh(&self, now: Instant) -> bool {
        let is_young = self.expires_at().is_some_and(|expiry| now < expiry);
        self.is_valid() && self.fault.is_none() && is_young
    }

    fn cause(&self, now: Instant) -> ReadCause {
        let Some(known) = &self.known else { return ReadCause::First };
        match known.lasts {
            _ if self.fault.is_some() => ReadCause::Retry,
            _ if self.dirty => ReadCause::Changed,
            Validity::UntilAnnounced if now >= known.fresh_until => ReadCause::Safety,
            Validity::For(_) if now >= known.fresh_until => ReadCause::Time,
            Validity::UntilAnnounced | Validity::For(_) | Validity::Unknown => ReadCause::Cadence,
        }
    }

    /// Marks it dirty. What was known was true until `confirmed_at`, if that is known.
    fn invalidate(&mut self, confirmed_at: Option<Instant>) {
        if let Some(confirmed_at) = confirmed_at
            && self.is_valid()
            && let Some(known) = &mut self.known
        {
            known.valid_until = known.valid_until(confirmed_at);
        }
        self.dirty = true;
    }
}

/// What is known of every read that somebody uses.
#[derive(Debug, Default)]
pub struct Cache {
    slots: Slab<Slot>,
    ids: HashMap<Read, ReadId>,
    by_key: HashMap<Name, Ids>,
    /// How many reads depend on Redis's clock.
    timed: usize,
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
            announced_at: None,
            asked_at: None,
            known: None,
            fault: None,
            sent_for: None,
            unprompted: false,
            users: 1,
        };
        self.timed += usize::from(read.depends_on_time());
        let id = self.slots.insert(slot);
        self.ids.insert(read.clone(), id);
        self.by_key.entry(read.key().clone()).or_default().insert(id);
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
        self.timed -= usize::from(slot.read.depends_on_time());
        self.ids.remove(&slot.read);
        let key = slot.read.key();
        if let Some(ids) = self.by_key.get_mut(key) {
            ids.remove(id);
            if ids.is_empty() {
                self.by_key.remove(key);
            }
        }
        true
    }

    /// How many reads there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// What is known of a read.
    #[must_use]
    pub fn slot(&self, id: ReadId) -> &Slot {
        &self.slots[id]
    }

    /// What is known of this question, if anybody uses it.
    pub fn find(&self, read: &Read) -> Option<&Slot> {
        self.slots.get(*self.ids.get(read)?)
    }

    /// Marks a read clean and tells why it is sent; to be called before it is.
    pub fn begin(&mut self, id: ReadId, now: Instant) -> ReadCause {
        let slot = &mut self.slots[id];
        let cause = slot.cause(now);
        if let Some(known) = &mut slot.known {
            let is_over = match known.lasts {
                Validity::UntilAnnounced => false,
                Validity::For(_) => now >= known.fresh_until,
                Validity::Unknown => true,
            };
            known.superseded |= slot.dirty || is_over;
        }
        slot.unprompted = !slot.dirty;
        slot.dirty = false;
        slot.asked_at = Some(now);
        slot.sent_for = slot.announced_at.take();
        cause
    }

    /// Stores what became of a read that was begun. Nothing happens if it was forgotten meanwhile
    /// and its place given to another: the question tells.
    pub fn finish(&mut self, id: ReadId, read: &Read, reply: Result<Reply, Fault>, now: Instant) {
        let Some(slot) = self.slots.get_mut(id).filter(|slot| slot.read == *read) else { return };
        match (reply, slot.asked_at) {
            (Ok(Reply { answer, lasts, moment, clock }), Some(read_at)) => {
                let known = KnownAnswer {
                    answer,
                    read_at,
                    valid_until: read_at,
                    fresh_until: read_at + max_age(id, lasts),
                    lasts,
                    announced_at: slot.sent_for,
                    unprompted: slot.unprompted,
                    moment,
                    clock,
                    superseded: false,
                };
                (slot.known, slot.fault) = (Some(known), None);
            }
            (Ok(_), None) => {}
            (Err(fault), _) => {
                slot.invalidate(Some(slot.asked_at.unwrap_or(now)));
                slot.fault = Some(Box::new((fault, now)));
            }
        }
    }

    /// Marks every read of a key dirty and tells which those are.
    pub fn changed(
        &mut self,
        key: &Name,
        confirmed_at: Option<Instant>,
        now: Instant,
    ) -> Vec<ReadId> {
        let ids: Vec<ReadId> = self.by_key.get(key).into_iter().flat_map(Ids::iter).collect();
        for id in &ids {
            let slot = &mut self.slots[*id];
            slot.invalidate(confirmed_at);
            slot.announced_at.get_or_insert(now);
        }
        ids
    }

    /// Redis's clock was set: what was counted by that clock is to be read again, also what had no
    /// more to wait for. (A clock that is set back makes jobs that were due not due.)
    pub fn clock_was_set(&mut self, now: Instant) {
        for (_, slot) in &mut self.slots {
            if slot.read.depends_on_time()
                && let Some(known) = &mut slot.known
            {
                known.fresh_until = known.fresh_until.min(now);
            }
        }
    }

    /// Whether any answer depends on Redis's clock.
    #[must_use]
    pub fn needs_clock(&self) -> bool {
        self.timed > 0
    }
}

/// How old an answer may grow at most. The safety re-reads of a fleet are spread by a tenth up and
/// down, so that what was first read together is not read together for ever.
fn max_age(id: ReadId, lasts: Validity) -> Duration {
    let spread = u16::try_from(id.wrapping_mul(40_503) % 1_000).unwrap_or(0);
    let safety = limits::SAFETY_MAX_AGE.mul_f64(0.9 + 0.000_2 * f64::from(spread));
    match lasts {
        Validity::UntilAnnounced => safety,
        Validity::For(time) => time.min(safety),
        Validity::Unknown => limits::SAMPLE_MAX_AGE,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::layouts::Members;
    use crate::layouts::{Answer, Size, SizeAnswer};

    fn size(key: &str) -> Read {
        Read::Size(Size { key: key.into(), members: Members::All })
    }

    fn size_3() -> Reply {
        Reply {
            answer: Answer::Size(SizeAnswer::Members(3)),
            lasts: Validity::UntilAnnounced,
            moment: None,
            clock: None,
        }
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
        cache.begin(id, start);
        assert_eq!(cache.changed(&"q".into(), Some(after(start, 1)), after(start, 1)), [id]);
        cache.finish(id, &size("q"), Ok(size_3()), after(start, 2));
        assert!(cache.slot(id).dirty, "a successful reply never clears the mark");
        assert!(!cache.slot(id).is_fresh(after(start, 3)));
    }

    #[test]
    fn a_failed_read_leaves_its_key_dirty_and_keeps_the_last_answer() {
        let (mut cache, id, start) = cache();
        cache.begin(id, start);
        cache.finish(id, &size("q"), Ok(size_3()), start);
        assert!(cache.slot(id).is_fresh(after(start, 1)));
        cache.begin(id, after(start, 5));
        cache.finish(id, &size("q"), Err(Fault::Timeout), after(start, 9));
        let slot = cache.slot(id);
        assert!(slot.dirty && slot.fault.is_some());
        assert_eq!(slot.known.as_ref().unwrap().answer, Answer::Size(SizeAnswer::Members(3)));
    }

    #[test]
    fn while_a_read_is_on_its_way_an_answer_that_was_dirty_stays_so() {
        let (mut cache, id, start) = cache();
        cache.begin(id, start);
        cache.finish(id, &size("q"), Ok(size_3()), start);
        cache.begin(id, after(start, 2));
        assert!(cache.slot(id).is_fresh(after(start, 3)), "a change would have been announced");
        cache.changed(&"q".into(), Some(after(start, 4)), after(start, 4));
        cache.begin(id, after(start, 5));
        assert!(!cache.slot(id).is_fresh(after(start, 6)));
        cache.changed(&"q".into(), Some(after(start, 7)), after(start, 7));
        cache.finish(id, &size("q"), Err(Fault::Timeout), after(start, 8));
        assert_eq!(cache.slot(id).known.as_ref().unwrap().valid_until, after(start, 4));
    }

    #[test]
    fn an_abandoned_read_is_not_taken_for_an_answer() {
        let (mut cache, id, start) = cache();
        cache.begin(id, start);
        cache.invalidate_all(None);
        assert!(cache.slot(id).dirty && cache.slot(id).known.is_none());
    }

    #[test]
    fn what_was_clean_was_true_until_the_link_was_last_proved() {
        let (mut cache, id, start) = cache();
        cache.begin(id, start);
        cache.finish(id, &size("q"), Ok(size_3()), start);
        cache.invalidate_all(Some(after(start, 700)));
        cache.invalidate_all(Some(after(start, 900)));
        assert_eq!(cache.slot(id).known.as_ref().unwrap().valid_until, after(start, 700));
    }

    #[test]
    fn an_answer_for_a_forgotten_read_goes_nowhere() {
        let (mut cache, id, start) = cache();
        cache.begin(id, start);
        assert!(cache.release(id));
        let other = cache.acquire(&size("other"));
        assert_eq!(other, id, "the place is given again");
        cache.finish(id, &size("q"), Ok(size_3()), start);
        assert!(cache.slot(other).known.is_none());
        let again = cache.acquire(&size("q"));
        cache.finish(again, &size("q"), Ok(size_3()), start);
        assert!(cache.slot(again).known.is_none(), "nothing was sent for this place");
    }

    #[test]
    fn equal_reads_have_one_place_until_the_last_user_leaves() {
        let (mut cache, id, start) = cache();
        assert_eq!(cache.acquire(&size("q")), id);
        assert!(!cache.release(id));
        assert!(cache.release(id));
        assert!(cache.changed(&"q".into(), Some(start), start).is_empty());
    }
}
