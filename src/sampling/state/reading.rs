//! What was read of a subject, and whether it is believed: whether it was true at one moment, and whether
//! anything has changed since.
//!
//! It is pure. `falls.rs` decides whether a lower count than before may be told.

use std::time::Duration;

use crate::{
    layouts::{Answer, KeyRole, Plan},
    time::Instant,
    trigger::Verdict,
};

use super::{
    super::{cache::Slot, falls::Reading, ids::SubscriptionId, source::Validity},
    State,
    judgement::read_at,
};

impl State {
    /// The last answers of all reads of a subject, if each has one.
    pub(in crate::sampling) fn answers(&self, id: SubscriptionId) -> Option<Vec<&Answer>> {
        self.slots(id).map(|slot| slot.known.as_ref().map(|known| &known.answer)).collect()
    }

    /// What they are answers to, with the queues that were found.
    pub(in crate::sampling) fn plan(&self, id: SubscriptionId) -> &Plan {
        let subscription = self.subscriptions.get(id);
        let found = subscription.queues.as_ref().map(|queues| &queues.plan);
        found.unwrap_or(&subscription.subject.trigger.plan)
    }

    /// Takes note of what was counted. A fall has to be confirmed before it is told.
    pub(in crate::sampling) fn note_reading(
        &mut self,
        id: SubscriptionId,
        verdict: Option<&Verdict>,
        now: Instant,
    ) {
        let (Some(verdict), Some(read_at)) = (verdict, self.newest(id)) else {
            return self.subscriptions.get_mut(id).falls.give_up();
        };
        let reading = Reading {
            verdict: *verdict,
            read_at,
            happened_at: self.announced_at(id).unwrap_or(now),
            confirmed_until: self.confirmed_until_of(id).unwrap_or(read_at),
            whole: self.is_whole(id),
            quiet: self.is_quiet(id),
        };
        let gap = self.gap(id);
        self.subscriptions.get_mut(id).falls.note(&reading, gap, now);
    }

    /// How long a job of a subject may be in none of its keys. Where it counts one key only, no job
    /// moves between two of them.
    fn gap(&self, id: SubscriptionId) -> Duration {
        let gap = self.subscriptions.get(id).subject.trigger.gap;
        if self.counting(id).nth(1).is_some() { gap } else { Duration::ZERO }
    }

    /// The answers that count jobs: all but flags and numbers, which no job moves through.
    fn counting(&self, id: SubscriptionId) -> impl Iterator<Item = &Slot> {
        self.slots(id).filter(|slot| match slot.read.role() {
            KeyRole::OfQueue | KeyRole::Shared => true,
            KeyRole::Sign | KeyRole::Number => false,
        })
    }

    /// Whether all answers were true at one moment, so that no job that moved, in whatever direction, is
    /// missing from all of them: all are true still, or those of the newest batch were given together.
    fn is_whole(&self, id: SubscriptionId) -> bool {
        let newest = self.newest(id);
        if self.counting(id).all(|slot| slot.is_valid() && !slot.changes_silently()) {
            return true;
        }
        let newest = self.counting(id).filter(|slot| read_at(slot) == newest);
        let mut moments = newest.map(|slot| slot.known.as_ref()?.moment);
        moments.next().is_some_and(|first| first.is_some() && moments.all(|other| other == first))
    }

    /// Until when all changes of what a subject counts are known, where some of it was not read just now.
    fn confirmed_until_of(&self, id: SubscriptionId) -> Option<Instant> {
        let newest = self.newest(id);
        let is_kept = |slot: &Slot| read_at(slot) != newest;
        self.counting(id).any(is_kept).then(|| self.announced_until()).flatten()
    }

    /// Whether nothing was announced since the reading before this one was asked for; `None` where Redis
    /// announces nothing. What never is announced moves only together with what is.
    fn is_quiet(&self, id: SubscriptionId) -> Option<bool> {
        let before = self.subscriptions.get(id).falls.noted_at();
        let mut is_quiet = true;
        for slot in self.counting(id) {
            let Some(known) = &slot.known else { return Some(false) };
            if known.lasts == Validity::Unknown {
                if !known.answer.changes_silently() {
                    return None;
                }
            } else {
                let is_new = Some(known.read_at) > before;
                is_quiet &= !slot.dirty && (known.unprompted || !is_new);
            }
        }
        Some(is_quiet)
    }
}
