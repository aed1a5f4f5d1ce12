//! What is told of numbers that are no counts of jobs, and above all of a rate. It is pure.
//!
//! `arrivals.rs` knows what the counters of a rate did.

use crate::{
    layouts::{Answer, Count, Measure},
    time::Instant,
    trigger::Verdict,
};

use super::{
    super::{
        cache::ReadId,
        ids::SubscriptionId,
        observation::{Observation, Why},
    },
    State,
};

impl State {
    /// What is told now, where this came of the last reading and that is believed of its jobs. Whether jobs are there may
    /// be held for a gap; a number that is of no jobs is always that of the last reading, and a rate is how much its
    /// counters rose.
    pub(in crate::sampling) fn told(
        &self,
        id: SubscriptionId,
        believed: Verdict,
        read: Verdict,
        now: Instant,
    ) -> Observation {
        let subscription = self.subscriptions.get(id);
        let trigger = &subscription.subject.trigger;
        let is_of_jobs = trigger.signal.meta().sum_of.iter().all(|measure| measure.is_of_jobs());
        if is_of_jobs {
            return Observation::Fresh(self.windowed(id, believed, now));
        }
        let with = |value: Count| {
            let made = trigger.verdict_with(value, believed.counts);
            let active = if trigger.counts_jobs { believed.active } else { made.active };
            self.windowed(id, Verdict { active, ..made }, now)
        };
        let Some(arrivals) = &subscription.arrivals else {
            return Observation::Fresh(with(read.value));
        };
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
        if seen.active || trigger.counts_jobs {
            return Observation::ActivityOnly { active: seen.active, why: Why::NotWatched };
        }
        held
    }

    /// What streams are told of it: a rate that is held is no news to them, and that the workload should run is.
    pub(in crate::sampling) fn for_streams(
        &self,
        id: SubscriptionId,
        observation: &Observation,
        now: Instant,
    ) -> Observation {
        if let Observation::Stale { verdict, why: Why::NotWatched, .. } = observation {
            let subscription = self.subscriptions.get(id);
            let trigger = &subscription.subject.trigger;
            let seen = subscription.arrivals.as_ref().map(|arrivals| arrivals.at_least(now));
            let jobs = subscription.judged.map_or(verdict.counts, |(_, judged)| judged.counts);
            if seen.is_some_and(|seen| trigger.verdict_with(seen, jobs).active) {
                return Observation::ActivityOnly { active: true, why: Why::NotWatched };
            }
        }
        observation.clone()
    }

    /// Takes note of what the counters of a rate say. Where they say nothing, nobody knows what they do meanwhile.
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
        let Some(arrivals) = &mut self.subscriptions.get_mut(id).arrivals else { return };
        match each.zip(read_at) {
            Some((each, read_at)) => arrivals.note(&each, read_at),
            None => arrivals.forget(),
        }
    }

    /// Has a rate watched anew: nobody saw what its counters did, or whether they are the same.
    pub(in crate::sampling) fn forget_arrivals(&mut self, id: SubscriptionId) {
        if let Some(arrivals) = &mut self.subscriptions.get_mut(id).arrivals {
            arrivals.forget();
        }
    }

    /// The same for all rates that are made of a read.
    pub(in crate::sampling) fn forget_arrivals_of(&mut self, read: ReadId) {
        let users: Vec<_> = self.subscriptions.users(read).collect();
        users.into_iter().for_each(|id| self.forget_arrivals(id));
    }
}
