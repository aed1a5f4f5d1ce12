//! Which reads go into one pipeline, and in which order.
//!
//! Pure. A trigger's reads go together and along the flow (scheduled, waiting, in flight), so that
//! a job which moves meanwhile is counted twice rather than missed. It does not know commands.

use crate::{limits, time::Instant};

use super::{
    cache::{Cache, ReadId},
    schedule::Schedule,
    subscriptions::Subscriptions,
};

/// Takes what is due out of the schedule and orders it. A due read brings along the other reads of
/// the triggers that want it, except those that are known not to have changed.
pub fn take(
    schedule: &mut Schedule,
    (cache, subscriptions): (&Cache, &Subscriptions),
    tracked: bool,
    now: Instant,
) -> Vec<ReadId> {
    let mut batch = Batch::default();
    for id in schedule.take_due(now, limits::BATCH_READS) {
        if batch.reads.len() >= limits::BATCH_READS {
            schedule.plan(id, now);
            continue;
        }
        for user in subscriptions.users(id) {
            let subscription = subscriptions.get(*user);
            if !subscription.is_wanted() || batch.reads.len() >= limits::BATCH_READS {
                continue;
            }
            let stale =
                |read: &&ReadId| **read == id || !tracked || !cache.slot(**read).is_fresh(now);
            subscription.reads.iter().filter(stale).for_each(|read| batch.add(*read));
        }
    }
    for id in &batch.reads {
        schedule.cancel(*id);
    }
    batch.reads
}

#[derive(Default)]
struct Batch {
    reads: Vec<ReadId>,
    members: std::collections::HashSet<ReadId>,
}

impl Batch {
    fn add(&mut self, id: ReadId) {
        if self.members.insert(id) {
            self.reads.push(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        layouts::Registry,
        sampling::{Subject, subscriptions::SubscriptionId},
        trigger::Trigger,
    };

    struct World {
        cache: Cache,
        subscriptions: Subscriptions,
        schedule: Schedule,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            Self {
                cache: Cache::default(),
                subscriptions: Subscriptions::default(),
                schedule: Schedule::default(),
                now: Instant::now(),
            }
        }

        fn subscribe(&mut self, waiting: &str, in_flight: &str) -> SubscriptionId {
            let pairs = [("waiting", waiting), ("inFlight", in_flight)];
            let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let trigger = Arc::new(Trigger::parse(pairs, Registry::builtin()).unwrap());
            let reads = trigger.plan.reads().iter().map(|read| self.cache.acquire(read)).collect();
            let name = format!("{waiting}-{in_flight}");
            let subject = Arc::new(Subject { namespace: "ns".to_owned(), name, trigger });
            let id = self.subscriptions.add(subject, reads, self.now).unwrap();
            self.subscriptions.get_mut(id).streams = 1;
            id
        }

        fn take(&mut self, tracked: bool) -> Vec<ReadId> {
            let known = (&self.cache, &self.subscriptions);
            take(&mut self.schedule, known, tracked, self.now)
        }
    }

    #[test]
    fn a_due_read_brings_its_triggers_other_reads_along_in_the_order_of_the_flow() {
        let mut world = World::new();
        let id = world.subscribe("waiting", "doing");
        let reads = world.subscriptions.get(id).reads.clone();
        world.schedule.plan(reads[1], world.now);
        world.schedule.plan(reads[0], world.now + limits::SAMPLE_MAX_AGE);
        assert_eq!(world.take(true), *reads);
        assert_eq!(world.schedule.next(), None, "what went along is no longer due");
    }

    #[test]
    fn what_is_known_to_be_unchanged_stays_behind_only_where_changes_are_announced() {
        let mut world = World::new();
        let id = world.subscribe("waiting", "doing");
        let reads = world.subscriptions.get(id).reads.clone();
        let waiting = world.cache.slot(reads[0]).read.clone();
        world.cache.begin(reads[0], world.now);
        world.cache.finish(reads[0], &waiting, Ok(crate::layouts::Answer::Size(1)), world.now);
        world.schedule.plan(reads[1], world.now);
        assert_eq!(world.take(true), [reads[1]]);
        world.schedule.plan(reads[1], world.now);
        assert_eq!(world.take(false), *reads);
    }

    #[test]
    fn a_batch_is_bounded_and_the_rest_stays_due() {
        let mut world = World::new();
        for n in 0..limits::BATCH_READS {
            let id = world.subscribe(&format!("w{n}"), &format!("d{n}"));
            let first = world.subscriptions.get(id).reads[0];
            world.schedule.plan(first, world.now);
        }
        let mut sizes = vec![];
        loop {
            let batch = world.take(true);
            if batch.is_empty() {
                break;
            }
            assert!(batch.len() <= limits::BATCH_READS + limits::KEYS_PER_TRIGGER);
            sizes.push(batch.len());
        }
        assert_eq!(sizes.iter().sum::<usize>(), 2 * limits::BATCH_READS);
    }
}
