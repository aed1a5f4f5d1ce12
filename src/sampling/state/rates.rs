//! What is told of numbers that are no counts of jobs, and above all of those that time alone changes: a rate, and how
//! long a job has waited. It is pure.
//!
//! `arrivals.rs` knows what the counters of a rate did, and `task_time.rs` how long a job runs.

use std::time::Duration;

use crate::{
    layouts::{Answer, Count, Measure},
    limits,
    signals::Settings,
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
        let with = |value: Count| {
            let made = trigger.verdict_with(value, believed.counts);
            let active = if trigger.counts_jobs { believed.active } else { made.active };
            self.windowed(id, Verdict { active, ..made }, now)
        };
        let (signal, settings) = (trigger.signal, &self.settings(id));
        if signal.is_made_of(Measure::Oldest, settings) {
            let Some(age) = self.age(id, read.counts[Measure::Oldest], now) else {
                return self.held(id, Why::NotYetRead, now);
            };
            let aged = read.counts.with(Measure::Oldest, age);
            return Observation::Fresh(with(signal.value(&aged, settings)));
        }
        let Some(arrivals) = &subscription.arrivals else {
            let is_of_jobs = signal.meta().made_of.iter().all(|measure| measure.is_of_jobs());
            return Observation::Fresh(if !is_of_jobs {
                with(read.value)
            } else if subscription.task_time.is_some() {
                with(signal.value(&believed.counts, settings))
            } else {
                self.windowed(id, believed, now)
            });
        };
        let of = |rate: Count| believed.counts.with(Measure::Arrived, rate);
        if let Some(rate) = arrivals.rate(now) {
            return Observation::Fresh(with(signal.value(&of(rate), settings)));
        }
        let at_least = of(arrivals.at_least(now));
        if let Some(value) = signal.value_at_least(&at_least, settings) {
            let estimate = arrivals.estimate(now).map(|rate| signal.value(&of(rate), settings));
            return Observation::Fresh(with(estimate.unwrap_or(value)));
        }
        let seen = with(signal.value(&at_least, settings));
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

    /// The settings of its trigger, with what was measured of them.
    pub(in crate::sampling) fn settings(&self, id: SubscriptionId) -> Settings {
        let subscription = self.subscriptions.get(id);
        let given = subscription.subject.trigger.settings;
        let measured = subscription.task_time.as_ref().and_then(|task_time| task_time.mean());
        Settings { task_time: measured.or(given.task_time), ..given }
    }

    /// For how many seconds a job is ready that became so at this time by Redis's clock; none where none waits, or its
    /// time is still to come; `None` if nobody knows what time it is.
    fn age(&self, id: SubscriptionId, since: Count, now: Instant) -> Option<Count> {
        if since.is_positive() {
            self.redis_time(id, now).map(|time| time.less(since))
        } else {
            Some(Count::ZERO)
        }
    }

    /// What Redis's clock says now, by what it said when the newest answer was read that depends on it.
    fn redis_time(&self, id: SubscriptionId, now: Instant) -> Option<Count> {
        let known = self.slots(id).filter_map(|slot| slot.known.as_ref());
        let times = known.filter_map(|known| {
            Some(Count::of_time(known.clock? + now.saturating_duration_since(known.read_at)))
        });
        times.reduce(Count::most)
    }

    /// When the age of the oldest job will be more than this.
    pub(in crate::sampling) fn age_passes(
        &self,
        id: SubscriptionId,
        activation: f64,
        now: Instant,
    ) -> Option<Instant> {
        let since = self.subscriptions.get(id).judged?.1.counts[Measure::Oldest];
        let seconds = since.get() + activation - self.redis_time(id, now)?.get();
        let is_to_come = since.is_positive() && seconds >= 0.0;
        let wait = Duration::try_from_secs_f64(seconds).ok().filter(|_| is_to_come)?;
        now.checked_add(wait + limits::AGE_STEP)
    }

    /// Whether what was read of jobs is reason to run, by itself.
    pub(in crate::sampling) fn has_jobs(&self, id: SubscriptionId) -> bool {
        let trigger = &self.subscriptions.get(id).subject.trigger;
        let of_jobs = |answers: Vec<&Answer>| self.plan(id).counts_of_jobs(&answers).ok();
        let counts = self.answers(id).and_then(of_jobs);
        trigger.counts_jobs && counts.is_some_and(|counts| trigger.verdict_of(counts).active)
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

    /// Takes note of what the counters say, and of how many jobs run. Where they say nothing, nobody knows what they do
    /// meanwhile.
    pub(in crate::sampling) fn note_past(
        &mut self,
        id: SubscriptionId,
        read: Option<Verdict>,
        now: Instant,
    ) {
        let subscription = self.subscriptions.get(id);
        if subscription.arrivals.is_none() && subscription.task_time.is_none() {
            return;
        }
        let (plan, read_at) = (self.plan(id), self.newest(id));
        let each = |measure| {
            let each = plan.each(measure, &self.answers(id)?).ok()?;
            Some((each, read_at?))
        };
        let (arrived, finished) = (each(Measure::Arrived), each(Measure::Finished).zip(read));
        let tells_running = plan.reads_for(Measure::Running);
        let running = if tells_running { Measure::Running } else { Measure::InFlight };
        let subscription = self.subscriptions.get_mut(id);
        match (&mut subscription.arrivals, arrived) {
            (Some(arrivals), Some((each, at))) => arrivals.note(&each, at),
            (Some(arrivals), None) => arrivals.forget(now),
            (None, _) => {}
        }
        match (&mut subscription.task_time, finished) {
            (Some(task_time), Some(((each, at), read))) => {
                task_time.note(read.counts[running], &each, at);
            }
            (Some(task_time), None) => task_time.pause(),
            (None, _) => {}
        }
    }

    /// Has the past watched anew: nobody saw what counters did, or whether they are the same.
    pub(in crate::sampling) fn lose_sight(&mut self, id: SubscriptionId, now: Instant) {
        let subscription = self.subscriptions.get_mut(id);
        if let Some(arrivals) = &mut subscription.arrivals {
            arrivals.forget(now);
        }
        if let Some(task_time) = &mut subscription.task_time {
            task_time.pause();
        }
    }

    /// The same for all that are made of a read.
    pub(in crate::sampling) fn lose_sight_of(&mut self, read: ReadId, now: Instant) {
        let users: Vec<_> = self.subscriptions.users(read).collect();
        users.into_iter().for_each(|id| self.lose_sight(id, now));
    }
}
