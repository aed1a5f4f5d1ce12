//! A number that anyone may set: told as it stands, pushed when it changes, and never a zero that nobody wrote.

use tonic::Code;

use crate::{
    harness::{Kind, PATIENCE, Server, Service, Setup, eventually_is},
    on_both_servers,
    streams::Pushes,
    wire::{Trigger, trigger},
};

on_both_servers!(
    each_spelling_of_a_number_is_told_as_it_stands,
    what_is_no_number_is_refused_and_no_zero,
    a_floor_is_pushed_and_ends_with_its_time_to_live,
    where_jobs_are_counted_they_say_whether_it_is_active,
    a_number_is_that_of_the_last_look_while_jobs_are_held_for_a_gap,
    a_layout_of_ones_own_has_a_gauge_and_a_counter_and_each_signal_reads_its_own,
);

fn gauge(keys: &str) -> Trigger {
    trigger([("signal", "gauge"), ("gauge", keys), ("target", "1")])
}

async fn each_spelling_of_a_number_is_told_as_it_stands(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let told = async |keys: &str| keda.value(&gauge(keys)).await.unwrap();
    for (text, number) in
        [("12", 12.0), ("3.5", 3.5), ("3.0e3", 3000.0), ("1e+17", 1e12), ("0", 0.0)]
    {
        server.ask_words::<()>(&["SET", "g", text]);
        eventually_is(PATIENCE, number, async || told("g").await).await;
    }
    server.run("SET g 3000\nINCRBYFLOAT g 0.5");
    eventually_is(PATIENCE, 3000.5, async || told("g").await).await;
    server.run("SET h 2");
    assert_eq!(told("g,h=10").await, 3020.5, "several add up, with their weights");
}

async fn what_is_no_number_is_refused_and_no_zero(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let unknown =
        trigger([("signal", "gauge"), ("gauge", "g"), ("target", "1"), ("missing", "unknown")]);
    let refused = async |asked: &Trigger| {
        let value = keda.value(asked).await.map(drop);
        for status in [value, keda.is_active(asked).await.map(drop)].map(Result::unwrap_err) {
            assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
            assert!(status.message().contains("`g`"), "{status}");
        }
    };
    refused(&unknown).await;
    assert_eq!(keda.value(&gauge("g")).await.unwrap(), 0.0, "a floor that is over");
    for text in ["twelve", "", "nan", "inf", "-1", "1e999", "1,5", "0x1p4"] {
        server.ask_words::<()>(&["SET", "g", "7"]);
        let value = async || keda.value(&gauge("g")).await.ok();
        eventually_is(PATIENCE, Some(7.0), value).await;
        server.ask_words::<()>(&["SET", "g", text]);
        eventually_is(PATIENCE, None, value).await;
        refused(&gauge("g")).await;
    }
    server.run("DEL g\nRPUSH g a b c");
    eventually_is(PATIENCE, None, async || keda.value(&unknown).await.ok()).await;
    refused(&gauge("g")).await;
    refused(&unknown).await;
}

async fn a_floor_is_pushed_and_ends_with_its_time_to_live(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let mut pushes = Pushes::of(&keda, &gauge("floor")).await;
    assert!(!pushes.next(PATIENCE).await);
    server.run("SET floor 10 EX 600");
    assert!(pushes.next(PATIENCE).await, "that it was set is pushed");
    assert_eq!(keda.value(&gauge("floor")).await.unwrap(), 10.0);
    server.run("PEXPIRE floor 300");
    let ended = async || keda.value(&gauge("floor")).await.unwrap() == 0.0;
    eventually_is(PATIENCE, true, ended).await;
    assert!(!keda.is_active(&gauge("floor")).await.unwrap());
    let high =
        trigger([("signal", "gauge"), ("gauge", "floor"), ("target", "1"), ("activation", "5")]);
    for (number, is_active) in [(5, false), (6, true)] {
        server.run(&format!("SET floor {number}"));
        eventually_is(PATIENCE, is_active, async || keda.is_active(&high).await.unwrap()).await;
    }
}

async fn where_jobs_are_counted_they_say_whether_it_is_active(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let beside = trigger([("signal", "gauge"), ("gauge", "g"), ("queue", "q"), ("target", "1")]);
    let state =
        async || (keda.value(&beside).await.unwrap(), keda.is_active(&beside).await.unwrap());
    server.run("SET g 9");
    eventually_is(PATIENCE, (9.0, false), state).await;
    server.run("RPUSH q job");
    eventually_is(PATIENCE, (9.0, true), state).await;
}

async fn a_number_is_that_of_the_last_look_while_jobs_are_held_for_a_gap(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let beside = trigger([
        ("signal", "gauge"),
        ("gauge", "g"),
        ("queue", "q"),
        ("inFlight", "p"),
        ("target", "1"),
        ("gap", "10m"),
    ]);
    let state =
        async || (keda.value(&beside).await.unwrap(), keda.is_active(&beside).await.unwrap());
    server.run("SET g 10\nRPUSH q job");
    eventually_is(PATIENCE, (10.0, true), state).await;
    // A worker may have it and not have said so yet, which is no reason to hold the number.
    server.run("DEL q\nSET g 2");
    eventually_is(PATIENCE, (2.0, true), state).await;
}

const SHOP: &str = r#"
[layouts.shop]
doc = "A shop."
params.queue = { type = "keys", required = true, doc = "The queue.", example = "orders" }
[[layouts.shop.waiting]]
read = "size"
key = "shop:{queue}"
[[layouts.shop.gauge]]
read = "number"
key = "shop:{queue}:floor"
missing = "zero"
[[layouts.shop.arrived]]
read = "number"
key = "shop:{queue}:sold"
missing = "zero"
"#;

async fn a_layout_of_ones_own_has_a_gauge_and_a_counter_and_each_signal_reads_its_own(kind: Kind) {
    let server = Server::start(kind);
    let config = format!("{SHOP}[redis.default]\nurl = \"{}\"\n", server.url());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let shop = |signal: &str| {
        let pairs = [("layout", "shop"), ("queue", "a"), ("target", "1"), ("signal", signal)];
        trigger(pairs)
    };
    server.run("RPUSH shop:a job job\nSET shop:a:floor 7\nSET shop:a:sold many");
    assert_eq!(keda.value(&shop("backlog")).await.unwrap(), 2.0);
    assert_eq!(keda.value(&shop("gauge")).await.unwrap(), 7.0);
    let refused = keda.value(&shop("rate")).await.unwrap_err();
    assert!(refused.message().contains("`shop:a:sold`"), "{refused}");
    server.run("SET shop:a:sold 5\nSET shop:a:floor many");
    assert_eq!(keda.value(&shop("backlog")).await.unwrap(), 2.0);
    let told = async || keda.value(&shop("rate")).await.unwrap_err().code();
    eventually_is(PATIENCE, Code::Unavailable, told).await;
    // It has jobs, which say that it is active before there is a rate.
    assert!(keda.is_active(&shop("rate")).await.unwrap());
    server.run("DEL shop:a");
    eventually_is(PATIENCE, false, async || keda.is_active(&shop("rate")).await.unwrap()).await;
}
