//! What a namespace may have, and when it may have it again.

use std::collections::HashMap as Metadata;

use super::*;
use crate::{
    telemetry::{LinkLabels, Metrics},
    trigger::Trigger,
};

const QUOTA: Quota = Quota { triggers: 2, keys: 5, streams: 2, searches: 2, heartbeats: 1 };

fn subject(namespace: &str, name: &str, queues: &str) -> Arc<Subject> {
    of(namespace, name, &[("queue", queues)])
}

fn of(namespace: &str, name: &str, pairs: &[(&str, &str)]) -> Arc<Subject> {
    let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let trigger = Trigger::parse(pairs.collect::<Vec<_>>(), layouts::Registry::builtin()).unwrap();
    Subject::new(namespace.to_owned(), name.to_owned(), Arc::new(trigger))
}

fn registry_of(quota: Quota, keys: KeyShares, now: Instant) -> Arc<Registry> {
    Registry::new(quota, layouts::Registry::builtin().clone(), keys, now)
}

fn registry(quota: Quota, now: Instant) -> Arc<Registry> {
    registry_of(quota, KeyShares::new(quota.keys), now)
}

/// The sampler of a link of this name, which reads nothing.
fn sampler(link: &str) -> Sampler {
    let labels = LinkLabels { connection: link.to_owned(), database: 0 };
    Sampler::new(link.to_owned(), limits::HOLD_STALE, Metrics::new().link(labels))
}

impl Registry {
    /// Lets a trigger in that was asked for by a request of its own.
    fn let_in(&self, subject: &Arc<Subject>, link: &str, now: Instant) -> Result<(), OverQuota> {
        let known = KnownTrigger::new(Arc::clone(subject), sampler(link), unlike_any_other());
        self.admit(known, Method::IsActive, now)
    }
}

fn unlike_any_other() -> Fingerprint {
    (fastrand::u64(..), fastrand::u64(..))
}

fn told(result: Result<(), OverQuota>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_namespace_at_a_limit_is_told_which_and_no_other_is_disturbed() {
    let now = Instant::now();
    let registry = registry(QUOTA, now);
    for name in ["one", "two"] {
        registry.let_in(&subject("a", name, "q"), "r", now).unwrap();
    }
    assert_eq!(
        told(registry.let_in(&subject("a", "three", "q"), "r", now)),
        "namespace `a` is at its limit of 2 triggers (setting limits.triggers_per_namespace)"
    );
    registry.let_in(&subject("a", "one", "q"), "r", now).unwrap();
    registry.let_in(&subject("b", "one", "q,r,s,t"), "r", now).unwrap();
    assert_eq!(
        told(registry.let_in(&subject("b", "two", "q,r"), "r", now)),
        "namespace `b` is at its limit of 5 keys (setting limits.keys_per_namespace)"
    );
    registry.let_in(&subject("b", "two", "q"), "r", now).unwrap();
}

#[test]
fn streams_are_counted_until_they_end() {
    let now = Instant::now();
    let registry = registry(QUOTA, now);
    let subject = subject("a", "one", "q");
    registry.let_in(&subject, "r", now).unwrap();
    let (one, _two) = (registry.open(&subject).unwrap(), registry.open(&subject).unwrap());
    assert_eq!(
        told(registry.open(&subject).map(drop)),
        "namespace `a` is at its limit of 2 streams (setting limits.streams_per_namespace)"
    );
    drop(one);
    assert!(registry.open(&subject).is_ok());
}

#[test]
fn what_was_not_asked_for_in_a_while_counts_no_more_unless_a_stream_is_open() {
    let now = Instant::now();
    let registry = registry(QUOTA, now);
    let (watched, asked) = (subject("a", "watched", "q"), subject("a", "asked", "r"));
    registry.let_in(&watched, "r", now).unwrap();
    registry.let_in(&asked, "r", now).unwrap();
    let stream = registry.open(&watched).unwrap();
    let later = now + limits::TRIGGER_MEMORY;
    registry.let_in(&subject("a", "new", "s"), "r", later).unwrap();
    assert!(registry.let_in(&asked, "r", later).is_err());
    drop(stream);
    let last = later + 2 * limits::TRIGGER_MEMORY;
    registry.let_in(&subject("b", "other", "q"), "r", last).unwrap();
    assert_eq!(registry.all().tenants.len(), 1, "nothing is left of the namespace `a`");
}

#[test]
fn a_trigger_that_is_not_remembered_after_all_does_not_count() {
    let now = Instant::now();
    let registry = registry(QUOTA, now);
    for n in 0..10 {
        let subject = subject("a", &n.to_string(), "q,r,s");
        registry.let_in(&subject, "r", now).unwrap();
        registry.dismiss(&subject);
    }
    assert!(registry.all().tenants.is_empty());
}

#[test]
fn a_stream_that_keeps_no_trigger_leaves_those_that_do_alone() {
    let now = Instant::now();
    let registry = registry(QUOTA, now);
    let subject = subject("a", "one", "q");
    let specs = registry.open(&subject).unwrap();
    registry.let_in(&subject, "r", now).unwrap();
    let activity = registry.open(&subject).unwrap();
    drop(specs);
    let later = now + 3 * limits::TRIGGER_MEMORY;
    registry.let_in(&of("b", "other", &[("queue", "q")]), "r", later).unwrap();
    assert!(registry.all().tenants["a"].triggers.contains_key(&subject), "its stream is open");
    drop(activity);
}

#[test]
fn what_several_triggers_of_a_namespace_look_for_counts_once_and_for_each_namespace() {
    let now = Instant::now();
    let registry = registry(Quota { triggers: 10, keys: 100, ..QUOTA }, now);
    let with = |namespace: &str, name: &str, queues: &str, link: &str| {
        registry.let_in(&subject(namespace, name, queues), link, now)
    };
    with("a", "one", "x*,y*", "r").unwrap();
    with("a", "two", "y*,plain", "r").unwrap();
    let limit = "namespace `a` is at its limit of 2 searches (setting \
                 limits.searches_per_namespace)";
    assert_eq!(told(with("a", "three", "z*", "r")), limit);
    assert_eq!(told(with("a", "three", "x*", "elsewhere")), limit, "it is another search there");
    with("a", "four", "plain", "elsewhere").unwrap();
    with("b", "one", "x*,z*", "r").unwrap();
    registry.dismiss(&subject("a", "one", "x*,y*"));
    with("a", "three", "z*", "r").unwrap();
    assert_eq!(told(with("a", "one", "x*,y*", "r")), limit, "the second trigger has one of them");
}

#[test]
fn heartbeats_count_by_their_channels_and_not_by_their_queues() {
    let now = Instant::now();
    let registry = registry(Quota { triggers: 10, keys: 100, ..QUOTA }, now);
    let with = |namespace: &str, queues: &str, prefix: &str| {
        let pairs = [("layout", "celery"), ("running", "heartbeats"), ("queue", queues)];
        let pairs = [&pairs[..], &[("keyPrefix", prefix)]].concat();
        registry.let_in(&of(namespace, queues, &pairs), "r", now)
    };
    with("a", "q", "x:").unwrap();
    with("a", "r", "x:").unwrap();
    with("a", "p*", "x:").unwrap();
    assert_eq!(
        told(with("a", "s", "y:")),
        "namespace `a` is at its limit of 1 heartbeats (setting limits.heartbeats_per_namespace)"
    );
    with("b", "s", "y:").unwrap();
}

#[test]
fn the_keys_that_patterns_find_and_those_that_triggers_name_are_of_one_share() {
    let now = Instant::now();
    let keys = KeyShares::new(5);
    let registry = registry_of(QUOTA, keys.clone(), now);
    assert!(keys.take("a", 3), "a sampler found some");
    assert!(registry.let_in(&subject("a", "one", "q,r,s"), "r", now).is_err());
    keys.give_back("a", 1);
    registry.let_in(&subject("a", "one", "q,r,s"), "r", now).unwrap();
    assert!(!keys.take("a", 1) && keys.take("b", 5));
    registry.let_in(&subject("c", "one", "q"), "r", now + 2 * limits::TRIGGER_MEMORY).unwrap();
    assert!(keys.take("a", 3), "the trigger is forgotten");
}

#[test]
fn what_holds_more_memory_than_keys_do_counts_for_more_of_them() {
    let now = Instant::now();
    let quota = Quota { triggers: 1_000, keys: 1_000, searches: 1_000, ..QUOTA };
    let (long, steps) = ("x".repeat(limits::NAME_BYTES), (1..64).map(|step| step.to_string()));
    let steps = steps.collect::<Vec<_>>().join(",");
    let names: Vec<String> = (10..64).map(|number| format!("{number}{}", &long[2..])).collect();
    let names = names.join(",");
    let searches = [
        ("layout", "celery"),
        ("queue", "a*"),
        ("keyPrefix", long.as_str()),
        ("prioritySteps", steps.as_str()),
    ];
    for (pairs, most) in [
        (&[("queue", "emails")][..], 1_000),
        (&[("layout", "bullmq"), ("queue", "emails")][..], 250),
        (&[("queue", names.as_str())][..], 10),
        (&searches[..], 3),
    ] {
        let registry = registry(quota, now);
        let one = |name: usize| of("a", &name.to_string(), pairs);
        let admitted =
            (0..).take_while(|name| registry.let_in(&one(*name), "r", now).is_ok()).count();
        assert!((1..=most).contains(&admitted), "{admitted} of {:?}", pairs[0]);
        let Subject { namespace, name, trigger, .. } = &*one(0);
        let bytes = admitted * (layouts::bytes_of_texts([namespace, name]) + trigger.footprint());
        assert!(
            bytes < quota.keys * limits::KEY_FOOTPRINT + quota.triggers * limits::TRIGGER_FOOTPRINT
        );
        for name in 0..admitted {
            registry.dismiss(&one(name));
        }
        assert!(registry.shares.take("a", quota.keys), "what was taken is given back");
    }
}

#[test]
fn a_request_that_was_let_in_is_known_again_until_its_trigger_is_forgotten() {
    let now = Instant::now();
    let registry = registry(QUOTA, now);
    let request = |target: &str, name: &str| {
        let pairs = [("target", target), ("queue", "q")];
        let metadata: Metadata<_, _> =
            pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Request { namespace: "a".to_owned(), name: name.to_owned(), metadata }
    };
    let fingerprint = |target, name| registry.fingerprint(&request(target, name));
    let asked = |target, at| registry.asked(fingerprint(target, "one"), Method::IsActive, at);
    assert!(asked("5", now).is_none());
    let subject = request("5", "one").subject(registry.layouts()).unwrap();
    let known = KnownTrigger::new(subject, sampler("r"), fingerprint("5", "one"));
    registry.admit(known, Method::IsActive, now).unwrap();
    let (subject, _) = asked("5", now).expect("it is known");
    for other in [fingerprint("4", "one"), fingerprint("5", "two")] {
        assert!(registry.asked(other, Method::IsActive, now).is_none());
    }
    // The same trigger in other words is known by the words that came last, and counts once.
    let again = KnownTrigger::new(Arc::clone(&subject), sampler("r"), fingerprint("05", "one"));
    registry.admit(again, Method::GetMetrics, now).unwrap();
    assert!(asked("5", now).is_none());
    assert!(Arc::ptr_eq(&asked("05", now).unwrap().0, &subject));
    assert_eq!((registry.count(now), registry.all().requests.len()), (1, 1));
    // Who asks for its spec alone does not keep it.
    let later = now + limits::TRIGGER_MEMORY;
    let spec = fingerprint("05", "one");
    assert!(registry.looked_up(spec, Method::GetMetricSpec, later).is_some());
    registry.let_in(&of("b", "other", &[("queue", "q")]), "r", later + SWEEP_INTERVAL).unwrap();
    assert!(registry.looked_up(spec, Method::GetMetricSpec, later).is_none());
    assert_eq!(registry.all().requests.len(), 1, "that of the namespace `b`");
}

#[test]
fn triggers_are_listed_in_order_with_who_asked_and_as_many_as_are_wanted() {
    let now = Instant::now();
    let registry = registry(Quota { triggers: 3, ..QUOTA }, now);
    for (namespace, name, queue) in
        [("b", "one", "q"), ("a", "two", "q"), ("a", "one", "r"), ("a", "one", "q")]
    {
        registry.let_in(&subject(namespace, name, queue), "r", now).unwrap();
    }
    let names = |known: Vec<KnownTrigger>| -> Vec<String> {
        let object =
            |known: KnownTrigger| format!("{}/{}", known.subject.namespace, known.subject.name);
        known.into_iter().map(object).collect()
    };
    assert_eq!(names(registry.known(|_| true, 10, now)), ["a/one", "a/one", "a/two", "b/one"]);
    assert_eq!(names(registry.known(|_| true, 1, now)), ["a/one", "a/one"], "an object is whole");
    assert_eq!(names(registry.known(|object| object > ("a", "one"), 10, now)), ["a/two", "b/one"]);
    let one = &registry.known(|object| object == ("b", "one"), 1, now)[0];
    assert_eq!(one.asked[Method::IsActive as usize], Some(now));
    assert_eq!(one.asked[Method::GetMetrics as usize], None);
    let later = now + limits::TRIGGER_MEMORY + SWEEP_INTERVAL;
    assert!(registry.known(|_| true, 10, later).is_empty(), "nobody has asked for long");
    assert_eq!(registry.count(later), 0);
}
