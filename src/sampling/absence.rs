//! Whether any key of a subject was ever there, as far as it was looked at.
//!
//! A key that does not exist holds nothing, since Redis deletes a collection with its last member; so a
//! queue that is empty and one whose name is wrong answer alike, and only time tells them apart. No answer
//! depends on it: it is for the log and a metric.

use std::sync::Arc;

use crate::{layouts::Read, limits, time::Instant};

use super::{
    cache::Slot,
    source::Validity,
    state::{LinkState, Note, State},
    subscriptions::SubscriptionId,
};

/// What is known of the keys of one subject.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Absence {
    /// Since when every look found no key, if it did.
    since: Option<Instant>,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Standing {
    /// Nobody knows yet.
    #[default]
    Open,
    /// No key was seen for long enough to be told of.
    Never,
    /// A key was there once.
    Seen,
}

impl Absence {
    /// Takes in what a look at all keys found. Says whether it is to be told now that none was ever there.
    fn look(&mut self, is_there: bool, now: Instant) -> bool {
        if is_there {
            self.standing = Standing::Seen;
        }
        let since = *self.since.get_or_insert(now);
        let is_due = self.standing == Standing::Open && now >= since + limits::NEVER_SEEN;
        if is_due {
            self.standing = Standing::Never;
        }
        is_due
    }

    /// Whether it was told that no key was ever there, and none has come since.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.standing == Standing::Never
    }
}

impl State {
    /// Takes note of whether a key of a subject is there, or was when a change of it was announced.
    pub(super) fn note_keys(&mut self, id: SubscriptionId, now: Instant) {
        let subscription = self.subscriptions.get(id);
        let mut absence = subscription.absence;
        if absence.standing == Standing::Seen {
            return;
        }
        let slots = subscription.reads.iter().map(|read| self.cache.slot(*read));
        let is_found = subscription.queues.as_ref().is_none_or(|queues| queues.known_at.is_some());
        // What nobody could read tells nothing, however long it lasts.
        let is_known = slots.clone().all(|slot| slot.known.is_some() && slot.fault.is_none());
        let is_there = slots.clone().any(shows_a_key);
        let is_up = matches!(self.link, LinkState::Up { .. });
        if !(is_there || is_known && is_found && is_up) {
            return;
        }
        let was_told = absence.is_told();
        if absence.look(is_there, now) {
            self.notes.push(Note::NeverSeen(Arc::clone(&subscription.subject)));
        }
        match (was_told, absence.is_told()) {
            (false, true) => self.subscriptions.never_seen += 1,
            (true, false) => self.subscriptions.never_seen -= 1,
            (true, true) | (false, false) => {}
        }
        self.subscriptions.get_mut(id).absence = absence;
    }

    /// Looks at all subjects, for those whose keys are read seldom since nothing changes.
    pub(super) fn note_all_keys(&mut self, now: Instant) {
        for id in self.subscriptions.ids() {
            self.note_keys(id, now);
        }
    }
}

/// Whether an answer shows a key, or that a change of one was announced: a worker that waits takes a job
/// before anybody can count it.
fn shows_a_key(slot: &Slot) -> bool {
    let Some(known) = &slot.known else { return false };
    let is_changed = slot.announced_at.is_some() || known.announced_at.is_some();
    let is_of_a_queue =
        matches!(slot.read, Read::Size { .. } | Read::Group { .. } | Read::Idle { .. });
    // A member whose time is still to come is there, too.
    let comes = matches!(known.lasts, Validity::For(_));
    known.answer.shows_a_key() || is_of_a_queue && (is_changed || comes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_key_that_never_came_is_told_once_and_one_that_comes_ends_it() {
        let (start, mut absence) = (Instant::now(), Absence::default());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert!(!absence.look(false, at(0)) && !absence.look(false, at(599)));
        assert!(absence.look(false, at(600)) && absence.is_told());
        assert!(!absence.look(false, at(601)) && absence.is_told(), "once");
        assert!(!absence.look(true, at(602)) && !absence.is_told());
        assert!(!absence.look(false, at(9_000)) && !absence.is_told(), "an empty queue has no key");
    }

    #[test]
    fn a_key_that_was_there_once_is_never_told_of() {
        let (start, mut absence) = (Instant::now(), Absence::default());
        assert!(!absence.look(true, start));
        assert!(!absence.look(false, start + limits::NEVER_SEEN * 3) && !absence.is_told());
    }
}
