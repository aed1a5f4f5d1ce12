//! Patterns in queue names: which keys are looked for, and what a key that was found is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    layouts::{Allowed, Filter, Glob, Layout, Name, Read, Registry, Search, Wanted},
    limits,
    trigger::Trigger,
};

/// The trigger of `key=value` pairs with a space between them.
fn trigger(metadata: &str) -> Trigger {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap();
        (key.to_owned(), value.to_owned())
    };
    let pairs: BTreeMap<_, _> = metadata.split(' ').map(pair).collect();
    Trigger::parse(pairs, Registry::builtin()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn search(metadata: &str) -> Arc<Search> {
    trigger(metadata).search.unwrap()
}

fn queue(search: &Search, key: &str) -> Option<String> {
    search.queue_of(&Name::new(key)).map(|found| found.name.to_string())
}

#[test]
fn a_key_is_of_the_queue_that_the_narrowest_form_says() {
    for (metadata, key, wanted) in [
        ("layout=rq queue=*", "rq:queue:a", Some("a")),
        ("layout=rq queue=*", "rq:queue:a:intermediate", Some("a")),
        ("layout=rq queue=*ate", "rq:queue:a:intermediate", None),
        ("layout=rq queue=*", "rq:wip:a:b", Some("a:b")),
        ("layout=rq queue=a*", "rq:wip:b", None),
        ("layout=rq queue=a*,ab", "rq:wip:ab", None),
        ("layout=celery queue=a*", "a\u{6}\u{16}3", Some("a")),
        ("layout=celery queue=a* prioritySteps=9", "a\u{6}\u{16}3", None),
        ("layout=celery queue=a* sep=:", "a:3", Some("a")),
        ("layout=celery queue=a* sep=:", "a:4", Some("a:4")),
        ("layout=celery queue=a* sep=:", "a\u{6}\u{16}3", None),
        ("layout=celery queue=a* sep=", "a6", Some("a")),
        ("layout=celery queue=a*", "a.reply.celery.pidbox", None),
        ("layout=dramatiq queue=*", "dramatiq:a.msgs", Some("a")),
        ("layout=dramatiq queue=*", "dramatiq:a.DQ.msgs", None),
        ("layout=dramatiq queue=* delayed=count", "dramatiq:a.DQ.msgs", Some("a")),
        ("layout=laravel prefix=l- queue=*", "l-queues:a:notify", None),
        ("layout=laravel prefix=l- queue=*", "l-queues:a:reserved", Some("a")),
        ("layout=lease queue=*", "penstock:inflight:a", Some("a")),
        ("layout=sidekiq queue=* fetch=reliable", "working:queue:a:b:host:1:2", Some("a:b")),
        ("layout=sidekiq queue=*", "queue:sq|h:1:2|a", None),
        ("layout=sidekiq queue=* namespace=n", "n:queue:a", Some("a")),
        ("layout=sidekiq queue=a fetch=lists lists=*", "working:queue:a:h:1:2", Some("h:1:2")),
        ("layout=sidekiq queue=a fetch=lists lists=*", "working:queue:b:h:1:2", None),
        ("layout=asynq queue=*", "asynq:{a}:lease", None),
        ("layout=asynq queue=* orphans=wake", "asynq:{a}:lease", Some("a")),
        ("waiting=w:* inFlight=w:*:doing", "w:a:doing", Some("w:a:doing")),
        ("waiting=w:* inFlight=w:x", "w:x", None),
    ] {
        assert_eq!(queue(&search(metadata), key).as_deref(), wanted, "{metadata} {key}");
    }
}

#[test]
fn a_trigger_with_more_searches_than_it_may_have_is_told_what_makes_them() {
    let wilds = |patterns: usize, steps: usize, more: &str| {
        let patterns: Vec<String> = (0..patterns).map(|number| format!("*{number}")).collect();
        let steps: Vec<String> = (1..=steps).map(|step| step.to_string()).collect();
        let (queue, steps) = (patterns.join(","), steps.join(","));
        let metadata = format!("layout=celery queue={queue} prioritySteps={steps}{more}");
        let pairs = metadata.split(' ').filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let trigger = Trigger::parse(pairs.collect::<Vec<_>>(), Registry::builtin());
        trigger
            .map(|trigger| trigger.search.unwrap().wilds().len())
            .map_err(|told| told.to_string())
    };
    assert_eq!(wilds(8, 10, " leases=penstock"), Ok(96));
    assert_eq!(wilds(8, 15, ""), Ok(limits::SEARCHES_PER_TRIGGER));
    for (patterns, steps, searches) in [(8, 16, 136), (2, 64, 130), (8, 64, 520)] {
        let told = format!(
            "queue: has patterns that make {searches} searches with each value of `prioritySteps`, \
             at most 128 are allowed"
        );
        assert_eq!(wilds(patterns, steps, ""), Err(told));
    }
}

#[test]
fn one_search_finds_what_another_one_would() {
    let wilds = |metadata: &str| -> Vec<String> {
        search(metadata).wilds().iter().map(|wild| wild.glob.to_string()).collect()
    };
    assert_eq!(wilds("layout=celery queue=a*"), ["a*"]);
    assert_eq!(wilds("layout=celery queue=*a prioritySteps=3").len(), 2);
    assert_eq!(wilds("layout=rq queue=a*"), ["rq:queue:a*", "rq:wip:a*"]);
    assert_eq!(wilds("queue=a*,ab*,b"), ["a*"]);
    assert_eq!(wilds("queue=a**,a*,a***"), ["a*"], "of those that find the same one stays");
    assert_eq!(wilds("layout=sidekiq queue=a*"), ["queue:a*"]);
    assert_eq!(wilds("layout=reliable-list queue=a* processing=[p]"), ["a*"]);
    assert_eq!(wilds("layout=reliable-list queue=*a processing=[p]"), ["*a", r"*a\[p\]"]);
}

#[test]
fn every_layout_looks_for_some_key_of_its_queues() {
    for layout in Registry::builtin().layouts() {
        let mut metadata = format!("layout={} queue=a*", layout.name());
        for (name, parameter) in layout.parameters().filter(|(_, parameter)| parameter.required) {
            if name != "queue" {
                metadata += &format!(" {name}={}", parameter.example);
            }
        }
        let search = search(&metadata);
        assert!(!search.wilds().is_empty(), "{metadata}");
        assert!(!search.in_words().reads().is_empty(), "{metadata}");
    }
}

#[test]
fn messages_of_matching_queues_count_although_no_key_of_the_queue_is_left() {
    let celery = trigger("layout=celery queue=mail-*=2,mail-x acks=late");
    let reads = celery.plan.reads();
    let filters: Vec<&Filter> = (reads.iter())
        .filter_map(|read| match read {
            Read::PerMember(each) => each.filter.as_ref(),
            Read::Size(_)
            | Read::Group(_)
            | Read::Flag(_)
            | Read::Idle(_)
            | Read::Number(_)
            | Read::Oldest(_)
            | Read::Heartbeats(_) => None,
        })
        .collect();
    let [own, matching] = filters[..] else { panic!("{filters:?}") };
    assert_eq!(own.is, Wanted::Name("mail-x".into()));
    assert!(matching.is_met(b"mail-a") && !matching.is_met(b"mail-x") && !matching.is_met(b"a"));
    let search = celery.search.unwrap();
    let found = search.queue_of(&"mail-a".into()).unwrap();
    let allowed = Allowed::new(vec![Glob::parse("mail-[a-m]*").unwrap()]);
    let plan = search.plan([&found].into_iter(), &allowed);
    assert_eq!(plan.reads().len(), reads.len() + 4, "the list and its three priorities");
    let is_met = |name: &[u8]| {
        plan.reads().iter().any(|read| match read {
            Read::PerMember(each) => each.filter.as_ref().is_some_and(|filter| filter.is_met(name)),
            Read::Size(_)
            | Read::Group(_)
            | Read::Flag(_)
            | Read::Idle(_)
            | Read::Number(_)
            | Read::Oldest(_)
            | Read::Heartbeats(_) => false,
        })
    };
    assert!(is_met(b"mail-b") && !is_met(b"mail-z"), "a queue of others is not counted");
}

#[test]
fn what_a_trigger_is_called_does_not_depend_on_what_is_found() {
    let trigger = trigger("queue=mail-*,b");
    assert_eq!(trigger.metric_name, "penstock-keys-b-mail---backlog");
    assert_eq!(trigger.to_string(), "backlog of size of `b`, size of `mail-*` on default");
}

#[test]
fn what_is_read_in_any_case_is_told_apart() {
    let search = search("layout=rq queue=a*,b");
    let keys: Vec<String> = search.fixed().iter().map(|read| read.key().to_string()).collect();
    for key in ["rq:suspended", "rq:queue:b", "rq:wip:b"] {
        assert!(keys.iter().any(|own| own == key), "{key} is not in {keys:?}");
    }
    assert!(keys.iter().all(|key| !key.contains('*')), "{keys:?}");
}

#[test]
fn two_parts_of_one_key_cannot_both_be_patterns() {
    let pairs = [("layout", "sidekiq"), ("queue", "a*"), ("fetch", "lists"), ("lists", "*")];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let told = Trigger::parse(pairs, Registry::builtin()).unwrap_err().to_string();
    assert!(told.contains("queue: is a pattern, and so is `lists`"), "{told}");
}

#[test]
fn two_patterns_that_meet_in_one_read_are_refused_wherever_they_meet() {
    let keys = |name: &str| format!("[params.{name}]\ntype = 'keys'\ndoc = 'D.'\nexample = 'e'\n");
    let of = |question: &str, metadata: &str| {
        let params = [keys("a"), keys("b")].concat();
        let own =
            "[[waiting]]\nread = 'size'\nkey = '{a}'\n[[waiting]]\nread = 'size'\nkey = '{b}'";
        let toml = format!("doc = 'x'\n{params}{own}\n[[in_flight]]\n{question}");
        let mut registry = Registry::builtin().clone();
        registry.add(Layout::parse("acme", &toml).unwrap());
        let pairs = [("layout", "acme")].into_iter();
        let pairs = pairs.chain(metadata.split(' ').filter_map(|pair| pair.split_once('=')));
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Trigger::parse(pairs.collect::<Vec<_>>(), &registry).map_err(|told| told.to_string())
    };
    let each = "read = 'each'\ntype = 'set'\n";
    let hash = "read = 'each'\ntype = 'hash'\nask = 'field'\n";
    let told = Err("a: is a pattern, and so is `b`; one read may have only one".to_owned());
    for question in [
        format!("{each}collection = '{{a}}'\nask = {{ length = '{{b}}:{{member}}' }}"),
        format!("{each}collection = 'all'\nask = {{ exists = '{{a}}:{{member}}:{{b}}' }}"),
        format!("{hash}collection = '{{a}}'\nfilter = {{ pointer = '/q', is = '{{b}}' }}"),
        "read = 'size'\nkey = '{a}:{b}'".to_owned(),
    ] {
        assert_eq!(of(&question, "a=t:[x] b=t:[y]").map(drop), told, "{question}");
        // One pattern beside a name is held against the rule with each key that is found.
        let search = of(&question, "a=t:[x] b=t:y").unwrap().search.unwrap();
        let narrow = Allowed::new(vec![Glob::parse("t:?").unwrap()]);
        let (found, refused) =
            search.queues([&"t:x".into()].into_iter(), &BTreeSet::new(), &narrow);
        let is_read_of_both = !question.contains("filter");
        assert_eq!(
            (found.is_empty(), refused.is_some()),
            (is_read_of_both, is_read_of_both),
            "{question}"
        );
    }
    assert!(of("read = 'size'\nkey = '{a}:x'", "a=t:[x] b=t:[y]").is_ok());
}
