//! Which reads go into one pipeline, and in which order.
//!
//! Pure. A trigger's reads go together and along the flow (scheduled, waiting, in flight), so that
//! a job which moves meanwhile is counted twice rather than missed. It does not know commands.

use std::collections::{BTreeSet, HashMap};

use crate::{limits, time::Instant};

use super::{
    cache::{Cache, ReadId},
    ids::SubscriptionId,
    quarantine::Quarantine,
    schedule::Schedule,
    source::{Flow, FlowRead},
    step::Due,
    subscriptions::Subscriptions,
};

/// What is taken out of the schedule.
#[derive(Debug, Default, PartialEq)]
pub struct Taken {
    /// What is to be sent, in this order.
    pub reads: Vec<ReadId>,
    /// What is due and is not to be sent now, since it ended links.
    pub put_off: BTreeSet<ReadId>,
}

/// Takes what is due out of the schedule and orders it. A due read brings along the other reads of
/// the triggers that want it, except those that are known not to have changed. A
/// quarantined read brings nothing along, and is sent alone.
pub fn take(
    schedule: &mut Schedule,
    cache: &Cache,
    subscriptions: &Subscriptions,
    quarantine: &mut Quarantine,
    tracked: bool,
    now: Instant,
) -> Taken {
    let mut members = BTreeSet::new();
    for id in schedule.take_due(now, limits::BATCH_READS) {
        if members.len() >= limits::BATCH_READS {
            schedule.plan(id, now);
            continue;
        }
        let is_quarantined = quarantine.has(&cache.slot(id).read);
        for user in subscriptions.users(id) {
            let subscription = subscriptions.get(user);
            if !subscription.is_wanted() || members.len() >= limits::BATCH_READS {
                continue;
            }
            if is_quarantined {
                members.insert(id);
                continue;
            }
            // Without that one, nothing is known of this trigger anyway.
            let others = subscription.reads.iter().filter(|other| **other != id);
            if let Some(until) =
                others.filter_map(|other| cache.slot(*other).rests_until(now)).max()
            {
                schedule.plan(id, until);
                continue;
            }
            let all = !tracked || subscription.scattered;
            let stale = |read: &&ReadId| {
                let slot = cache.slot(**read);
                **read == id || all || slot.changes_silently() || !slot.is_fresh(now)
            };
            members.extend(subscription.reads.iter().filter(stale));
        }
    }
    for id in &members {
        schedule.cancel(*id);
    }
    let (members, put_off) = without_quarantined(members, schedule, cache, quarantine, now);
    Taken { reads: along_the_flow(&members, subscriptions), put_off }
}

/// The reads that are sent now: all that are not quarantined, or one question of the quarantined ones, while
/// all others stay due. And the quarantined reads that are put off.
fn without_quarantined(
    members: BTreeSet<ReadId>,
    schedule: &mut Schedule,
    cache: &Cache,
    quarantine: &mut Quarantine,
    now: Instant,
) -> (BTreeSet<ReadId>, BTreeSet<ReadId>) {
    let read = |id: &ReadId| &cache.slot(*id).read;
    let (due, mut others): (BTreeSet<_>, BTreeSet<_>) =
        members.into_iter().partition(|id| quarantine.has(read(id)));
    let is_put_off = |id: &ReadId| quarantine.put_off(read(id), now).is_some();
    let (put_off, mut due): (BTreeSet<_>, BTreeSet<_>) = due.into_iter().partition(is_put_off);
    if due.is_empty() {
        quarantine.none_is_due();
        return (others, put_off);
    }
    let mut sent = BTreeSet::new();
    if quarantine.take_turn(!others.is_empty(), now) {
        let ready: Vec<_> = due.iter().map(|id| (*id, read(id))).collect();
        sent.extend(quarantine.choose(&ready));
        due.append(&mut others);
    } else {
        sent.append(&mut others);
    }
    due.difference(&sent).for_each(|id| schedule.plan(*id, now));
    (sent, put_off)
}

/// The flows of the triggers that some reads of a batch are for, those that are only one read left out.
pub fn flows(batch: &[Due], cache: &Cache, subscriptions: &Subscriptions) -> Vec<Flow> {
    let places: HashMap<ReadId, usize> =
        batch.iter().enumerate().map(|(place, due)| (due.id, place)).collect();
    let users: BTreeSet<_> = batch.iter().flat_map(|due| subscriptions.users(due.id)).collect();
    let along = |id: &ReadId| match places.get(id) {
        Some(place) => FlowRead::Sent(*place),
        None => {
            let key = cache.slot(*id).read.key();
            FlowRead::Kept(key.clone())
        }
    };
    let reads = users.into_iter().map(|user| &subscriptions.get(user).reads);
    let flows = reads.filter(|reads| reads.len() > 1);
    flows.map(|reads| reads.iter().map(along).collect()).collect()
}

/// Orders reads so that each comes after those before it in the plan of any trigger that uses it.
/// Triggers that contradict each other get one of their orders.
fn along_the_flow(members: &BTreeSet<ReadId>, subscriptions: &Subscriptions) -> Vec<ReadId> {
    let (seen, placed, reads) = (BTreeSet::new(), HashMap::new(), Vec::new());
    let mut order = Order { members, subscriptions, seen, placed, reads };
    members.iter().for_each(|id| order.place(*id));
    order.reads
}

struct Order<'a> {
    members: &'a BTreeSet<ReadId>,
    subscriptions: &'a Subscriptions,
    seen: BTreeSet<ReadId>,
    /// How many reads of each trigger were placed, so that a trigger with thousands of them is gone
    /// through once.
    placed: HashMap<SubscriptionId, usize>,
    reads: Vec<ReadId>,
}

impl Order<'_> {
    /// Places what comes before a read, then the read. A chain of triggers that contradict each other may
    /// be as long as the batch, so that what is still to be placed is kept on the heap.
    fn place(&mut self, id: ReadId) {
        let mut open = Vec::new();
        open.extend(self.enter(id));
        while let Some((id, users)) = open.last_mut() {
            match self.before(*id, users) {
                Some(first) => open.push(first),
                None => {
                    self.reads.push(*id);
                    open.pop();
                }
            }
        }
    }

    /// A read and who uses it, the first of them last, unless it is no member or was entered before.
    fn enter(&mut self, id: ReadId) -> Option<(ReadId, Vec<SubscriptionId>)> {
        let is_new = self.members.contains(&id) && self.seen.insert(id);
        is_new.then(|| {
            let mut users: Vec<_> = self.subscriptions.users(id).collect();
            users.reverse();
            (id, users)
        })
    }

    /// The next read that is to be placed before this one, for one of these users; those that need no
    /// other any more are taken away.
    fn before(
        &mut self,
        id: ReadId,
        users: &mut Vec<SubscriptionId>,
    ) -> Option<(ReadId, Vec<SubscriptionId>)> {
        while let Some(user) = users.last() {
            let reads = &self.subscriptions.get(*user).reads;
            let placed = self.placed.get(user).copied().unwrap_or(0);
            match reads.get(placed).filter(|read| **read != id) {
                None => {
                    users.pop();
                }
                Some(read) => match self.enter(*read) {
                    Some(first) => return Some(first),
                    // It is placed, or is being placed by a trigger with another order.
                    None => {
                        self.placed.insert(*user, placed + 1);
                    }
                },
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        layouts::{Registry, SizeAnswer},
        sampling::{Reply, Subject, Validity},
        trigger::Trigger,
    };

    struct World {
        cache: Cache,
        subscriptions: Subscriptions,
        schedule: Schedule,
        quarantine: Quarantine,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            Self {
                cache: Cache::default(),
                subscriptions: Subscriptions::default(),
                schedule: Schedule::default(),
                quarantine: Quarantine::default(),
                now: Instant::now(),
            }
        }

        fn subscribe(&mut self, waiting: &str, in_flight: &str) -> SubscriptionId {
            let pairs = [("waiting", waiting), ("inFlight", in_flight)];
            let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let trigger = Arc::new(Trigger::parse(pairs, Registry::builtin()).unwrap());
            let reads = trigger.plan.reads().iter().map(|read| self.cache.acquire(read)).collect();
            let name = format!("{waiting}-{in_flight}");
            let subject = Subject::new("ns".to_owned(), name, trigger);
            let id = self.subscriptions.add(subject, reads, self.now).unwrap();
            self.subscriptions.get_mut(id).streams = 1;
            id
        }

        fn take(&mut self, tracked: bool) -> Vec<ReadId> {
            take(
                &mut self.schedule,
                &self.cache,
                &self.subscriptions,
                &mut self.quarantine,
                tracked,
                self.now,
            )
            .reads
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
    fn a_batch_follows_the_flow_of_every_trigger_that_shares_its_reads() {
        let mut world = World::new();
        let flows = [("c", "d"), ("b", "c"), ("a", "c"), ("a", "b"), ("b", "d")];
        let ids = flows.map(|(waiting, in_flight)| world.subscribe(waiting, in_flight));
        world.subscriptions.get_mut(ids[4]).streams = 0;
        for due in [[0, 1], [1, 0], [2, 3], [3, 2], [0, 3]] {
            for (subscription, read) in due.iter().flat_map(|n| [(*n, 1), (*n, 0)]) {
                let read = world.subscriptions.get(ids[subscription]).reads[read];
                world.schedule.plan(read, world.now);
            }
            let batch = world.take(true);
            let place = |read: &ReadId| batch.iter().position(|id| id == read);
            for id in ids {
                let places: Vec<_> =
                    world.subscriptions.get(id).reads.iter().filter_map(place).collect();
                assert!(places.is_sorted(), "{places:?} of {batch:?}");
            }
        }
    }

    #[test]
    fn triggers_that_contradict_each_other_are_all_read() {
        let mut world = World::new();
        let ids = [world.subscribe("a", "b"), world.subscribe("b", "a")];
        let reads = world.subscriptions.get(ids[0]).reads.clone();
        world.schedule.plan(reads[0], world.now);
        assert_eq!(world.take(true).len(), 2);
    }

    #[test]
    fn contradictions_as_long_as_a_batch_can_be_need_no_deep_stack() {
        let mut world = World::new();
        // Each read comes after the next one.
        for n in 0..limits::READS_FOUND {
            world.subscribe(&format!("k{}", n + 1), &format!("k{n}"));
        }
        let members: BTreeSet<ReadId> = (0..limits::READS_FOUND)
            .flat_map(|id| world.subscriptions.get(id).reads.to_vec())
            .collect();
        let place = move || {
            let reads = along_the_flow(&members, &world.subscriptions);
            let first = world.cache.slot(reads[0]).read.key().clone();
            (reads.len(), first)
        };
        let thread = std::thread::Builder::new().stack_size(128 * 1024).spawn(place).unwrap();
        let (length, first) = thread.join().unwrap();
        assert_eq!(length, limits::READS_FOUND + 1);
        assert_eq!(first, format!("k{}", limits::READS_FOUND).as_str().into());
    }

    #[test]
    fn what_is_known_to_be_unchanged_stays_behind_only_where_changes_are_announced() {
        let mut world = World::new();
        let id = world.subscribe("waiting", "doing");
        let reads = world.subscriptions.get(id).reads.clone();
        let waiting = world.cache.slot(reads[0]).read.clone();
        let answer = crate::layouts::Answer::Size(SizeAnswer::Members(1));
        let reply = Reply { answer, lasts: Validity::UntilAnnounced, moment: None, clock: None };
        world.cache.begin(reads[0], world.now);
        world.cache.finish(reads[0], &waiting, Ok(reply), world.now);
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
