//! Options of frameworks that move their jobs, as triggers mirror them: one rule for all prefixes.

use std::collections::BTreeMap;

use crate::{
    layouts::{BUILTIN, Layout, ParameterKind, Read, Registry},
    trigger::{Problems, Trigger},
};

fn parse(pairs: &[(&str, &str)]) -> Result<Trigger, Problems> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let pairs: BTreeMap<_, _> = pairs.iter().map(owned).collect();
    Trigger::parse(pairs, Registry::builtin())
}

/// The keys that are read with this value of a parameter beside what the layout requires.
fn keys(layout: &Layout, name: &str, value: &str) -> Result<Vec<String>, String> {
    let required = |(name, parameter): &(&str, &crate::layouts::Parameter)| {
        parameter.required.then(|| ((*name).to_owned(), parameter.example.clone()))
    };
    let mut pairs: BTreeMap<String, String> =
        layout.parameters().filter_map(|declared| required(&declared)).collect();
    pairs.insert("layout".to_owned(), layout.name().to_owned());
    pairs.insert(name.to_owned(), value.to_owned());
    let trigger = Trigger::parse(pairs, Registry::builtin()).map_err(|told| told.to_string())?;
    let keys = trigger.plan.reads().iter().map(Read::key);
    Ok(keys.map(ToString::to_string).collect())
}

#[test]
fn the_colon_after_a_prefix_may_be_written_or_left_out_in_every_layout_whose_framework_puts_it() {
    let mut with_colon = vec![];
    for (layout, _) in BUILTIN {
        let layout = Registry::builtin().get(layout).unwrap();
        for (name, parameter) in layout.parameters() {
            let Some(end) = &parameter.ends_with else { continue };
            assert_eq!(end, ":");
            let bare = keys(layout, name, "my").unwrap();
            assert!(bare.iter().any(|key| key.starts_with("my:")), "{bare:?}");
            assert!(!bare.iter().any(|key| key.starts_with("my::")), "{bare:?}");
            assert_eq!(keys(layout, name, "my:").unwrap(), bare, "{}", layout.name());
            // One that ends with a colon of its own has two.
            let doubled = keys(layout, name, "my::").unwrap();
            assert!(doubled.iter().any(|key| key.starts_with("my::")), "{doubled:?}");
            let none = keys(layout, name, ":").unwrap_err();
            assert!(none.contains("has an empty name"), "{none}");
            with_colon.push(format!("{} {name}", layout.name()));
        }
    }
    let wanted = [
        "bee-queue prefix",
        "bull prefix",
        "bullmq prefix",
        "dramatiq namespace",
        "resque namespace",
        "rq prefix",
        "sidekiq namespace",
    ];
    assert_eq!(with_colon, wanted);
}

#[test]
fn a_prefix_after_which_the_framework_puts_nothing_is_taken_to_the_letter() {
    for (layout, name, value, key) in [
        ("celery", "keyPrefix", "my", "mycelery"),
        ("celery", "keyPrefix", "my:", "my:celery"),
        ("laravel", "prefix", "my", "myqueues:default"),
        ("laravel", "prefix", "my:", "my:queues:default"),
    ] {
        let layout = Registry::builtin().get(layout).unwrap();
        let keys = keys(layout, name, value).unwrap();
        assert!(keys.contains(&key.to_owned()), "{name}={value}: {keys:?}");
    }
}

#[test]
fn a_namespace_that_is_empty_is_no_namespace() {
    for layout in ["sidekiq", "resque"] {
        let layout = Registry::builtin().get(layout).unwrap();
        let keys = keys(layout, "namespace", "").unwrap();
        assert!(keys.contains(&"queue:default".to_owned()), "{keys:?}");
    }
}

#[test]
fn a_default_that_nobody_may_write_is_still_a_value_that_holds() {
    let celery = Registry::builtin().get("celery").unwrap();
    let ParameterKind::Name { default: Some(sep) } = &celery.parameter("sep").unwrap().kind else {
        panic!("a name with a default")
    };
    assert_eq!(sep, "\u{6}\u{16}");
    let plain = keys(celery, "queue", "q").unwrap();
    assert!(plain.contains(&"q{0x06}{0x16}3".to_owned()), "{plain:?}");
    let written = parse(&[("layout", "celery"), ("queue", "q"), ("sep", sep)]).unwrap();
    assert_eq!(written.plan, parse(&[("layout", "celery"), ("queue", "q")]).unwrap().plan);
    let told = parse(&[("layout", "celery"), ("queue", "q"), ("sep", "\u{6}")]).unwrap_err();
    assert!(told.to_string().contains("has a control character"), "{told}");
}

#[test]
fn what_cannot_be_counted_is_refused_with_its_reason() {
    for (pairs, wanted) in [
        (
            vec![("layout", "taskiq"), ("queue", "q"), ("broker", "pubsub")],
            "broker: `pubsub` cannot be counted: a PubSubBroker keeps no task in Redis",
        ),
        (
            vec![("layout", "celery"), ("queue", "q"), ("fanoutPatterns", "false")],
            "fanoutPatterns: `false` cannot be counted: with fanout_patterns off",
        ),
        (
            vec![("layout", "taskiq"), ("queue", "q"), ("broker", "pub")],
            "broker: `pub` must be one of list, stream",
        ),
    ] {
        let told = parse(&pairs).unwrap_err().to_string();
        assert!(told.contains(wanted), "{told}");
    }
}

#[test]
fn heartbeats_are_listened_to_where_kombu_publishes_them() {
    let base = [("layout", "celery"), ("queue", "q"), ("running", "heartbeats"), ("pool", "*")];
    for (more, channel) in [
        (vec![], "/3.celeryev/worker.heartbeat"),
        (vec![("keyPrefix", "my:")], "my:/3.celeryev/worker.heartbeat"),
        (vec![("fanoutPrefix", "")], "celeryev/worker.heartbeat"),
        (vec![("fanoutPrefix", "app.")], "app.celeryev/worker.heartbeat"),
        (vec![("fanoutPrefix", "/{db}/{db}.")], "/3/3.celeryev/worker.heartbeat"),
        (vec![("eventExchange", "mine")], "/3.mine/worker.heartbeat"),
    ] {
        let trigger = parse(&[base.as_slice(), &more].concat()).unwrap();
        let formats = trigger.plan.reads().iter().filter_map(|read| match read {
            Read::Heartbeats(heartbeats) => Some(heartbeats.format.alive[0].on(3).to_string()),
            Read::Size(_)
            | Read::Number(_)
            | Read::Oldest(_)
            | Read::Group(_)
            | Read::Idle(_)
            | Read::Flag(_)
            | Read::PerMember(_) => None,
        });
        assert_eq!(formats.collect::<Vec<_>>(), [channel], "{more:?}");
    }
}
