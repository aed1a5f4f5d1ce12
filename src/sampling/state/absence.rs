//! Which subjects show a key, and which never did.

use std::sync::Arc;

use crate::{layouts::KeyRole, time::Instant};

use super::{
    super::{cache::Slot, ids::SubscriptionId, note::Note, source::Validity},
    LinkState, State,
};

impl State {
    /// Takes note of whether a key of a subject is there, or was when a change of it was announced.
    pub(in crate::sampling) fn note_keys(&mut self, id: SubscriptionId, now: Instant) {
        let subscription = self.subscriptions.get(id);
        let mut absence = subscription.absence;
        if absence.is_over() {
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
    pub(in crate::sampling) fn note_all_keys(&mut self, now: Instant) {
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
    let is_of_a_queue = slot.read.role() == KeyRole::OfQueue;
    // A member whose time is still to come is there, too.
    let comes = matches!(known.lasts, Validity::For(_));
    known.answer.shows_a_key() || is_of_a_queue && (is_changed || comes)
}
