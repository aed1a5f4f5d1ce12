//! What people write, and what they are told.

mod options;
mod patterns;

use proptest::prelude::*;

use super::*;
use crate::{
    layouts::{Group, Measure, Members, Read, Registry, Size, Unit},
    limits,
};

fn named(signal: &str) -> Signal {
    Signal::named(signal).unwrap()
}

fn parse(pairs: &[(&str, &str)]) -> Result<Trigger, Problems> {
    let pairs: Vec<_> =
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Trigger::parse(pairs, Registry::builtin())
}

fn told(pairs: &[(&str, &str)]) -> String {
    parse(pairs).unwrap_err().to_string()
}

fn size(key: &str, members: Members) -> Read {
    Read::Size(Size { key: key.into(), members })
}

#[test]
fn a_queue_is_enough() {
    let trigger = parse(&[("scalerAddress", "penstock:9090"), ("queue", "emails")]).unwrap();
    assert_eq!(trigger.connection, "default");
    assert_eq!(trigger.plan.reads(), [size("emails", Members::All)]);
    assert_eq!((trigger.signal, trigger.target.get()), (named("backlog"), 5.0));
    assert_eq!(trigger.metric_name, "penstock-keys-emails-backlog");
}

#[test]
fn no_more_keys_are_guessed_at_than_an_answer_lists() {
    let pairs: Vec<(String, String)> =
        (0..64).map(|n| (format!("queue{n}"), String::new())).collect();
    let problems = Trigger::parse(pairs, Registry::builtin()).unwrap_err();
    let guesses = problems.iter().filter(|problem| problem.what.contains("did you mean"));
    assert_eq!(guesses.count(), limits::PROBLEMS_LISTED);
    let unknown = problems.iter().filter(|problem| problem.what.starts_with("is unknown; "));
    assert_eq!(unknown.count(), 64);
}

#[test]
fn every_state_and_setting_is_read() {
    let trigger = parse(&[
        ("redis", "jobs"),
        ("waiting", "a,b"),
        ("scheduled", "later"),
        ("inFlight", "leases"),
        ("orphans", "ignore"),
        ("unit", "ms"),
        ("targetFromEnv", "2.5"),
        ("activation", "3"),
        ("databaseIndex", "4"),
        ("staleFor", "5s"),
        ("activityWindow", "5m"),
        ("signal", "waiting"),
    ])
    .unwrap();
    let ms = Unit::Milliseconds.into();
    let reads = [
        size("later", Members::Due(ms)),
        size("a", Members::All),
        size("b", Members::All),
        size("leases", Members::Leased(ms)),
    ];
    assert_eq!(trigger.plan.reads(), reads);
    assert_eq!((trigger.target.get(), trigger.activation.get()), (2.5, 3.0));
    assert_eq!((trigger.database, trigger.stale_for), (Some(4), Some(Duration::from_secs(5))));
    assert_eq!(trigger.activity_window, Some(Duration::from_mins(5)));
}

#[test]
fn activity_is_in_flight_or_more_ready_than_the_activation_for_every_signal() {
    for signal in ["backlog", "waiting", "in-flight"] {
        let trigger = parse(&[("queue", "q"), ("signal", signal), ("activation", "2")]).unwrap();
        let active = |waiting: u64, due: u64, in_flight: u64| {
            let counts = Counts::default().with(Measure::Waiting, waiting).with(Measure::Due, due);
            trigger.verdict_of(counts.with(Measure::InFlight, in_flight)).active
        };
        assert!(!active(2, 0, 0) && !active(1, 1, 0) && active(2, 1, 0) && active(0, 0, 1));
    }
}

#[test]
fn kedas_redis_trigger_is_understood_as_it_is() {
    let trigger = parse(&[
        ("scalerAddress", "penstock:9090"),
        ("listName", "a,b*"),
        ("listLength", "7"),
        ("activationListLength", "2"),
        ("databaseIndex", "3"),
        ("enableTLS", "false"),
    ])
    .unwrap();
    assert_eq!(trigger.plan.reads(), [size("a,b*", Members::All)]);
    assert_eq!((trigger.target.get(), trigger.activation.get()), (7.0, 2.0));
    assert_eq!((trigger.family, trigger.signal), (Family::Redis, named("backlog")));
    assert!(trigger.search.is_none(), "KEDA takes the name as it is");
    assert_eq!(parse(&[("listName", "q")]).unwrap().target.get(), 5.0);
}

#[test]
fn kedas_streams_trigger_gives_the_number_that_keda_gives() {
    let group = [("stream", "s"), ("consumerGroup", "g")];
    let group_read = Read::Group(Group { key: "s".into(), group: "g".into() });
    let pending = parse(&[&group[..], &[("pendingEntriesCount", "9")]].concat()).unwrap();
    assert_eq!(pending.plan.reads(), [group_read]);
    assert_eq!((pending.signal, pending.target.get()), (named("in-flight"), 9.0));
    let lag = [("lagCount", "4"), ("activationLagCount", "3"), ("pendingEntriesCount", "9")];
    let lag = parse(&[&group[..], &lag].concat()).unwrap();
    assert_eq!((lag.signal, lag.target.get()), (named("waiting"), 4.0));
    assert_eq!(lag.activation.get(), 3.0);
    let length = parse(&[("stream", "s"), ("streamLength", "8")]).unwrap();
    assert_eq!(length.plan.reads(), [size("s", Members::All)]);
    assert_eq!(length.target.get(), 8.0);
    assert_eq!(parse(&group).unwrap().target.get(), 5.0);
}

#[test]
fn what_kedas_keys_lack_is_told_once_and_in_their_words() {
    let redis = told(&[("listLength", "5")]);
    assert_eq!(redis, "listName: is required by the keys of KEDA's redis trigger");
    let streams = told(&[("consumerGroup", "g"), ("pendingEntriesCount", "many")]);
    assert!(streams.starts_with("stream: is required by the keys"), "{streams}");
    assert!(!streams.contains("queue") && streams.contains("pendingEntriesCount"), "{streams}");
    let beside = told(&[
        ("stream", "s"),
        ("consumerGroup", "g"),
        ("lagCount", "3"),
        ("pendingEntriesCount", "junk"),
    ]);
    assert_eq!(beside, "pendingEntriesCount: `junk` must be a whole number, as for KEDA");
}

#[test]
fn keys_of_two_families_are_a_problem() {
    let told = told(&[("listName", "q"), ("queue", "q"), ("stream", "s")]);
    assert!(told.contains("listName: belongs to KEDA's redis trigger"), "{told}");
    assert!(told.contains("stream: belongs to KEDA's redis-streams trigger"), "{told}");
}

#[test]
fn a_misspelled_key_is_told_with_the_nearest_one() {
    for (wrong, near) in [
        ("tagret", "target"),
        ("listLenght", "listLength"),
        ("in_flight", "inFlight"),
        ("consumergroup", "consumerGroup"),
        ("activatonFromEnv", "activation"),
    ] {
        let told = told(&[("queue", "q"), (wrong, "secret")]);
        assert!(told.contains(&format!("{wrong}: is unknown; did you mean `{near}`?")), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
    assert!(told(&[("Queue", "q")]).contains("Queue: is unknown; did you mean `queue`?"));
    assert!(told(&[("queue", "q"), ("zzz", "1")]).contains("zzz: is unknown; docs/"));
}

#[test]
fn no_key_is_suggested_that_is_far_off_or_given_already_under_any_name() {
    for (given, wrong) in [
        (&[("layout", "stream"), ("queue", "s"), ("group", "g")][..], "masterName"),
        (&[("stream", "s"), ("consumerGroup", "g")], "createConsumerGroup"),
        (&[("stream", "s"), ("consumerGroup", "g")], "consumerGroups"),
        (&[("queue", "q")], "waitng"),
        (&[("queue", "q"), ("database", "0")], "databaseIndx"),
    ] {
        let told = told(&[given, &[(wrong, "x")]].concat());
        assert_eq!(told, format!("{wrong}: is unknown; docs/triggers.md lists every key"));
    }
}

#[test]
fn a_key_with_the_bytes_of_a_framework_is_sent_to_its_layout() {
    let hint = "`celery{0x06}{0x16}3` has a control character, which no name may have; it is a key of \
                the layout `celery`, which makes it itself: write `layout: celery` and `queue: celery`";
    for key in ["listName", "queue", "inFlight", "stream"] {
        assert_eq!(told(&[(key, "celery\x06\x163")]), format!("{key}: {hint}"));
    }
    let other = told(&[("queue", "a\x06b")]);
    assert_eq!(other, "queue: `a{0x06}b` has a control character, which no name may have");
}

#[test]
fn what_belongs_to_the_connection_is_refused_by_name_and_never_shown() {
    for key in ["address", "hosts", "passwordFromEnv", "username", "sentinelPassword", "sentinelX"]
    {
        let told = told(&[("queue", "q"), (key, "hunter2")]);
        assert!(told.contains(&format!("{key}: belongs to the connection")), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn all_problems_come_at_once() {
    let told = told(&[
        ("target", "0"),
        ("activation", "many"),
        ("signal", "backlogg"),
        ("staleFor", "soon"),
        ("database", "-1"),
        ("orphans", "wake"),
        ("group", "g"),
    ]);
    for part in [
        "target: `0` must be a plain decimal number from 0.001",
        "activation: `many` must be",
        "signal: `backlogg` must be one of backlog, waiting, in-flight, load, replicas, latency, gauge, rate; did you mean `backlog`?",
        "staleFor: `soon` must be a duration",
        "database: `-1` is no database",
        "orphans: `wake` must be one of count, ignore",
        "group: is no key of the layout `keys`",
        "queue: is required, unless one of `waiting`, `scheduled`, `inFlight`, `gauge`, `counter` is given",
    ] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
}

#[test]
fn a_key_that_would_count_twice_is_told() {
    let told = told(&[("waiting", "a"), ("inFlight", "b,a")]);
    assert!(told.contains("names `a`, which `inFlight` names too"), "{told}");
    assert!(self::told(&[("queue", "a"), ("waiting", "b")]).contains("is the same key as"));
}

#[test]
fn bounds_are_told() {
    let keys = (0..65).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    assert!(told(&[("queue", &keys)]).contains("names 65 keys, at most 64 are allowed"));
    assert!(told(&[("queue", "a\0b")]).contains("control character"));
    assert!(told(&[("layout", "celry"), ("queue", "q")]).contains("must be one of arq, asynq"));
}

#[test]
fn what_would_make_thousands_of_names_makes_none() {
    let many = |most: usize| (0..most).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let told = |queues: usize, steps: usize| {
        told(&[("layout", "celery"), ("queue", &many(queues)), ("prioritySteps", &many(steps))])
    };
    assert!(told(11_000, 64).contains("names 11000 keys, at most 64 are allowed"));
    assert!(told(64, 65).contains("lists more than 64 words"));
    assert!(told(64, 64).contains("makes more than 64 reads"));
    assert!(told(16, 4).contains("makes more than 64 reads"));
    assert!(parse(&[("layout", "celery"), ("queue", &many(12))]).is_ok());
}

#[test]
fn a_name_of_which_nothing_is_kept_is_told() {
    let told = told(&[("layout", "huey"), ("queue", "---")]);
    assert!(told.contains("without any letter, digit or `_`"), "{told}");
}

#[test]
fn an_activity_window_is_bounded_and_zero_is_none() {
    let window = |text| parse(&[("queue", "q"), ("activityWindow", text)]).unwrap().activity_window;
    assert_eq!(window("24h"), Some(limits::ACTIVITY_WINDOW_MAX));
    assert_eq!(window("0"), None);
    let longer = told(&[("queue", "q"), ("activityWindow", "86401")]);
    assert!(longer.contains("activityWindow: is longer than 24h"), "{longer}");
}

#[test]
fn a_name_that_looks_like_a_key_gets_a_hint_and_any_other_gets_none() {
    let hint = |pairs: &[(&str, &str)]| parse(pairs).unwrap().hint.map(|hint| hint.to_string());
    let own = hint(&[("layout", "bull"), ("queue", "bull:jobs:wait")]).unwrap();
    let wanted = "queue: `bull:jobs:wait` is written as a key of the layout `bull`, which makes its keys \
                  itself of the queue's own name: write `jobs` if that is it";
    assert_eq!(own, wanted);
    let theirs = hint(&[("listName", "bull:jobs:wait")]).unwrap();
    let wanted = "listName: `bull:jobs:wait` looks like a key of the layout `bull` or `bullmq`: \
                  `layout: bull` with `queue: jobs` counts all states of that queue";
    assert_eq!(theirs, wanted);
    let huey = hint(&[("layout", "huey"), ("queue", "huey.redis.app")]).unwrap();
    assert!(huey.contains("write `app`"), "{huey}");
    assert!(hint(&[("queue", "a,queue:default=2")]).unwrap().contains("layout `sidekiq`"));
    for pairs in [
        &[("queue", "emails"), ("inFlight", "emails:processing")][..],
        &[("layout", "bull"), ("queue", "jobs")],
        &[("layout", "bull"), ("queue", "bull:*")],
        &[("stream", "bull:jobs:events"), ("consumerGroup", "g")],
        &[("layout", "sidekiq"), ("queue", "default"), ("scheduled", "count")],
    ] {
        assert_eq!(hint(pairs), None, "{pairs:?}");
    }
}

#[test]
fn globs_are_noted_for_the_connection_to_judge() {
    let trigger = parse(&[("queue", r"jobs:*,plain,a\*")]).unwrap();
    let search = trigger.search.unwrap();
    let globs: Vec<_> = search.patterns().iter().map(|pattern| pattern.glob.to_string()).collect();
    assert_eq!(globs, ["jobs:*"]);
    assert_eq!(trigger.plan.reads(), [size("plain", Members::All), size("a*", Members::All)]);
}

proptest! {
    #[test]
    fn no_metadata_makes_the_parser_panic_or_show_an_unknown_value(
        map in prop::collection::btree_map("[a-zA-Z]{1,12}|queue|target|listName|stream|layout", "\\PC{0,20}", 0..8),
    ) {
        let secret = "S3CR3T-VALUE";
        let pairs: Vec<_> = map.into_iter().chain([("passwordx".to_owned(), secret.to_owned())]).collect();
        let problems = Trigger::parse(pairs, Registry::builtin()).unwrap_err();
        prop_assert!(!problems.to_string().contains(secret));
        prop_assert!(!problems.is_empty());
    }
}
