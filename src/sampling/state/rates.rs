//! What is told of a trigger whose signal is a rate. It is pure.
//!
//! `arrivals.rs` knows what its counters did.

use crate::{
    layouts::{Answer, Measure},
    time::Instant,
    trigger::Verdict,
};

use super::{
    super::{
        ids::SubscriptionId,
        observation::{Observation, Why},
    },
    State,
};

impl State {
    /// What is told of a verdict now: of a counter, how much it rose within the window.
    pub(in crate::sampling) fn over_time(
        &self,
        id: SubscriptionId,
        verdict: Verdict,
        now: Instant,
    ) -> Observation {
        let subscription = self.subscriptions.get(id);
        let Some(arrivals) = &subscription.arrivals else {
            return Observation::Fresh(self.windowed(id, verdict, now));
        };
        let trigger = &subscription.subject.trigger;
        let with = |value| self.windowed(id, trigger.verdict_with(value, verdict.counts), now);
        if let Some(rate) = arrivals.rate(now) {
            return Observation::Fresh(with(rate));
        }
        let seen = with(arrivals.at_least(now));
        let held = self.held(id, Why::NotWatched, now);
        if let Observation::Stale { verdict, age, why } = held {
            let active = verdict.active || seen.active;
            return Observation::Stale { verdict: Verdict { active, ..verdict }, age, why };
        }
        // What came already is reason enough to wake, and where jobs are counted they say it either way.
        let is_known = seen.active || trigger.counts_jobs;
        if is_known {
            return Observation::ActivityOnly { active: seen.active, why: Why::NotWatched };
        }
        held
    }

    /// Takes note of what the counters of a rate say.
    pub(in crate::sampling) fn note_arrivals(&mut self, id: SubscriptionId) {
        let subscription = self.subscriptions.get(id);
        if subscription.arrivals.is_none() {
            return;
        }
        let answers: Option<Vec<&Answer>> =
            self.slots(id).map(|slot| slot.known.as_ref().map(|known| &known.answer)).collect();
        let queues = subscription.queues.as_ref();
        let plan = queues.map_or(&subscription.subject.trigger.plan, |queues| &queues.plan);
        let each = answers.and_then(|answers| plan.each(Measure::Arrived, &answers).ok());
        let read_at = self.newest(id);
        let arrivals = &mut self.subscriptions.get_mut(id).arrivals;
        if let (Some(arrivals), Some(each), Some(read_at)) = (arrivals, each, read_at) {
            arrivals.note(&each, read_at);
        }
    }

    /// Has all rates watched anew: it may be another server, or an older state of the same one.
    pub(in crate::sampling) fn forget_arrivals(&mut self) {
        for id in self.subscriptions.ids() {
            if let Some(arrivals) = &mut self.subscriptions.get_mut(id).arrivals {
                arrivals.forget();
            }
        }
    }
}
