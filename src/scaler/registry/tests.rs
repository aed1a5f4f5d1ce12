//! What a namespace may have, and when it may have it again.

use super::*;
use crate::{
    layouts::{Footprint, Registry},
    trigger::Trigger,
};

const QUOTA: Quota = Quota { triggers: 2, keys: 5, streams: 2, searches: 2, heartbeats: 1 };

fn subject(namespace: &str, name: &str, queues: &str) -> Arc<Subject> {
    of(namespace, name, &[("queue", queues)])
}

fn of(namespace: &str, name: &str, pairs: &[(&str, &str)]) -> Arc<Subject> {
    let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let trigger = Trigger::parse(pairs.collect::<Vec<_>>(), Registry::builtin()).unwrap();
    Subject::new(namespace.to_owned(), name.to_owned(), Arc::new(trigger))
}

fn tenants(quota: Quota, now: Instant) -> Arc<Tenants> {
    Tenants::new(quota, KeyShares::new(quota.keys), now)
}

fn told(result: Result<(), OverQuota>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_namespace_at_a_limit_is_told_which_and_no_other_is_disturbed() {
    let now = Instant::now();
    let tenants = tenants(QUOTA, now);
    for name in ["one", "two"] {
        tenants.admit(&subject("a", name, "q"), "r", now).unwrap();
    }
    assert_eq!(
        told(tenants.admit(&subject("a", "three", "q"), "r", now)),
        "namespace `a` is at its limit of 2 triggers (setting limits.triggers_per_namespace)"
    );
    tenants.admit(&subject("a", "one", "q"), "r", now).unwrap();
    tenants.admit(&subject("b", "one", "q,r,s,t"), "r", now).unwrap();
    assert_eq!(
        told(tenants.admit(&subject("b", "two", "q,r"), "r", now)),
        "namespace `b` is at its limit of 5 keys (setting limits.keys_per_namespace)"
    );
    tenants.admit(&subject("b", "two", "q"), "r", now).unwrap();
}

#[test]
fn streams_are_counted_until_they_end() {
    let now = Instant::now();
    let tenants = tenants(QUOTA, now);
    let subject = subject("a", "one", "q");
    tenants.admit(&subject, "r", now).unwrap();
    let (one, _two) = (tenants.open(&subject).unwrap(), tenants.open(&subject).unwrap());
    assert_eq!(
        told(tenants.open(&subject).map(drop)),
        "namespace `a` is at its limit of 2 streams (setting limits.streams_per_namespace)"
    );
    drop(one);
    assert!(tenants.open(&subject).is_ok());
}

#[test]
fn what_was_not_asked_for_in_a_while_counts_no_more_unless_a_stream_is_open() {
    let now = Instant::now();
    let tenants = tenants(QUOTA, now);
    let (watched, asked) = (subject("a", "watched", "q"), subject("a", "asked", "r"));
    tenants.admit(&watched, "r", now).unwrap();
    tenants.admit(&asked, "r", now).unwrap();
    let stream = tenants.open(&watched).unwrap();
    let later = now + limits::TRIGGER_MEMORY;
    tenants.admit(&subject("a", "new", "s"), "r", later).unwrap();
    assert!(tenants.admit(&asked, "r", later).is_err());
    drop(stream);
    let last = later + 2 * limits::TRIGGER_MEMORY;
    tenants.admit(&subject("b", "other", "q"), "r", last).unwrap();
    assert_eq!(tenants.all().tenants.len(), 1, "nothing is left of the namespace `a`");
}

#[test]
fn a_trigger_that_is_not_remembered_after_all_does_not_count() {
    let now = Instant::now();
    let tenants = tenants(QUOTA, now);
    for n in 0..10 {
        let subject = subject("a", &n.to_string(), "q,r,s");
        tenants.admit(&subject, "r", now).unwrap();
        tenants.dismiss(&subject);
    }
    assert!(tenants.all().tenants.is_empty());
}

#[test]
fn a_stream_that_keeps_no_trigger_leaves_those_that_do_alone() {
    let now = Instant::now();
    let tenants = tenants(QUOTA, now);
    let subject = subject("a", "one", "q");
    let specs = tenants.open(&subject).unwrap();
    tenants.admit(&subject, "r", now).unwrap();
    let activity = tenants.open(&subject).unwrap();
    drop(specs);
    let later = now + 3 * limits::TRIGGER_MEMORY;
    tenants.admit(&of("b", "other", &[("queue", "q")]), "r", later).unwrap();
    assert!(tenants.all().tenants["a"].triggers.contains_key(&subject), "its stream is open");
    drop(activity);
}

#[test]
fn what_several_triggers_of_a_namespace_look_for_counts_once_and_for_each_namespace() {
    let now = Instant::now();
    let tenants = tenants(Quota { triggers: 10, keys: 100, ..QUOTA }, now);
    let with = |namespace: &str, name: &str, queues: &str, link: &str| {
        tenants.admit(&subject(namespace, name, queues), link, now)
    };
    with("a", "one", "x*,y*", "r").unwrap();
    with("a", "two", "y*,plain", "r").unwrap();
    let limit = "namespace `a` is at its limit of 2 searches (setting \
                 limits.searches_per_namespace)";
    assert_eq!(told(with("a", "three", "z*", "r")), limit);
    assert_eq!(told(with("a", "three", "x*", "elsewhere")), limit, "it is another search there");
    with("a", "four", "plain", "elsewhere").unwrap();
    with("b", "one", "x*,z*", "r").unwrap();
    tenants.dismiss(&subject("a", "one", "x*,y*"));
    with("a", "three", "z*", "r").unwrap();
    assert_eq!(told(with("a", "one", "x*,y*", "r")), limit, "the second trigger has one of them");
}

#[test]
fn heartbeats_count_by_their_channels_and_not_by_their_queues() {
    let now = Instant::now();
    let tenants = tenants(Quota { triggers: 10, keys: 100, ..QUOTA }, now);
    let with = |namespace: &str, queues: &str, prefix: &str| {
        let pairs = [("layout", "celery"), ("running", "heartbeats"), ("queue", queues)];
        let pairs = [&pairs[..], &[("keyPrefix", prefix)]].concat();
        tenants.admit(&of(namespace, queues, &pairs), "r", now)
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
    let tenants = Tenants::new(QUOTA, keys.clone(), now);
    assert!(keys.take("a", 3), "a sampler found some");
    assert!(tenants.admit(&subject("a", "one", "q,r,s"), "r", now).is_err());
    keys.give_back("a", 1);
    tenants.admit(&subject("a", "one", "q,r,s"), "r", now).unwrap();
    assert!(!keys.take("a", 1) && keys.take("b", 5));
    tenants.admit(&subject("c", "one", "q"), "r", now + 2 * limits::TRIGGER_MEMORY).unwrap();
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
        let tenants = tenants(quota, now);
        let one = |name: usize| of("a", &name.to_string(), pairs);
        let admitted =
            (0..).take_while(|name| tenants.admit(&one(*name), "r", now).is_ok()).count();
        assert!((1..=most).contains(&admitted), "{admitted} of {:?}", pairs[0]);
        let bytes = admitted * one(0).footprint();
        assert!(
            bytes < quota.keys * limits::KEY_FOOTPRINT + quota.triggers * limits::TRIGGER_FOOTPRINT
        );
        for name in 0..admitted {
            tenants.dismiss(&one(name));
        }
        assert!(tenants.keys.take("a", quota.keys), "what was taken is given back");
    }
}
