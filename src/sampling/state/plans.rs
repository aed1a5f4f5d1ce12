//! When a subject is read or looked at next: what its streams and calls want, and no sooner than the floor
//! of a read allows. It is pure.

use std::time::Duration;

use crate::{limits, time::Instant};

use super::{
    super::{
        cache::{ReadId, Slot},
        ids::SubscriptionId,
    },
    State,
};

impl State {
    /// Plans the look at a subject whose activity window, or the window of a fall of its counts, ends
    /// while a stream is open on it, or whose rate changes with time alone.
    pub(in crate::sampling) fn plan_lapse(&mut self, id: SubscriptionId, now: Instant) {
        let subscription = self.subscriptions.get(id);
        let active_until = subscription.active_until().filter(|until| *until > now);
        let held_until = subscription.falls.until(now);
        let activation = subscription.subject.trigger.activation.get();
        let arrivals = subscription.arrivals.as_ref();
        let rate_until = arrivals.and_then(|arrivals| arrivals.changes_at(activation, now));
        // Where jobs are counted, they say whether the workload should run.
        let is_of_age = !subscription.subject.trigger.counts_jobs;
        let age_until = is_of_age.then(|| self.age_passes(id, activation, now)).flatten();
        let ends = active_until.into_iter().chain(held_until).chain(rate_until).chain(age_until);
        if let Some(until) = ends.min()
            && subscription.streams > 0
        {
            self.lapses.plan(id, until);
        }
    }

    /// Plans the reads of a subject that are not fresh, each no sooner than its floor allows; for a
    /// call, also those that are fresh one by one and hide a job between them; and all after a reading that
    /// was taken for another.
    pub(in crate::sampling) fn plan_reads(&mut self, id: SubscriptionId, now: Instant) {
        let subscription = self.subscriptions.get(id);
        let (awaited, falls) = (subscription.is_awaited(), &subscription.falls);
        let again_at = falls.again_at().or(falls.is_provisional().then_some(now));
        if let Some(at) = again_at.filter(|_| !self.has_fault(id)) {
            return self.plan_again(id, at, now);
        }
        let anew = awaited && !self.is_coherent(id);
        for read in self.subscriptions.get(id).reads.clone() {
            let slot = self.cache.slot(read);
            if slot.fault.is_some() && !awaited {
                let again = slot.asked_at.map_or(now, |asked_at| asked_at + limits::SAMPLE_MAX_AGE);
                self.schedule.plan(read, again.max(now));
            } else if anew || !slot.is_fresh(now) {
                self.schedule.plan(read, self.floor(slot, now));
            } else if let Some(expiry) = slot.expires_at() {
                self.schedule.plan(read, expiry.max(self.floor(slot, now)));
            }
        }
    }

    /// Plans a read that changed, if a stream or a call wants it.
    pub(in crate::sampling) fn plan_if_wanted(&mut self, read: ReadId, now: Instant) -> bool {
        let mut users = self.subscriptions.users(read);
        let wanted = users.any(|user| self.subscriptions.get(user).is_wanted());
        if wanted {
            let at = self.floor(self.cache.slot(read), now);
            self.schedule.plan(read, at);
        }
        wanted
    }

    /// When a read may be sent again at the earliest: at the next line of a grid, one
    /// [`limits::REFRESH_FLOOR`] wide, which is the same for all reads. So those of one trigger that
    /// change all the time are due together, however many triggers share them. A read of many members
    /// leaves out lines.
    fn floor(&self, slot: &Slot, now: Instant) -> Instant {
        let Some(asked_at) = slot.asked_at else { return now };
        let width = slot.pace().as_micros();
        let since = asked_at.saturating_duration_since(self.started_at).as_micros();
        let next = (since / width + 1) * width;
        now.max(self.started_at + Duration::from_micros(u64::try_from(next).unwrap_or(u64::MAX)))
    }

    /// Plans the next reading that is to confirm a fall. Where much is read, only what may have changed is
    /// read again, and something in any case, so that it is known that nothing else did.
    fn plan_again(&mut self, id: SubscriptionId, at: Instant, now: Instant) {
        let reads = self.subscriptions.get(id).reads.clone();
        let is_large = reads.len() > limits::TRANSACTION_READS;
        let pause = limits::READ_AGAIN_PAUSE * u32::try_from(reads.len()).unwrap_or(u32::MAX);
        let at =
            if is_large && self.announced_until().is_none() { at.max(now + pause) } else { at };
        for (place, read) in reads.iter().enumerate() {
            let slot = self.cache.slot(*read);
            if !is_large || place == 0 || slot.changes_silently() || !slot.is_fresh(now) {
                let at = at.max(self.floor(slot, now));
                self.schedule.plan(*read, at);
            }
        }
    }
}
