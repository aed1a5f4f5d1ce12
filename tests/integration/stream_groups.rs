//! The layout `stream`: what a consumer group still has to be given, and what it has not
//! acknowledged, in every situation of the matrix that was measured on Redis 7 and Valkey 9.

use tonic::Code;

use crate::{
    harness::{Kind, PATIENCE, Server, Service, eventually_is},
    on_both_servers,
    wire::{Keda, Trigger, trigger},
};

on_both_servers!(
    a_group_at_the_start_counts_what_it_was_not_given_and_what_it_did_not_acknowledge,
    entries_that_are_acknowledged_and_deleted_change_nothing_else,
    an_undelivered_entry_that_is_deleted_leaves_no_lag_and_the_rest_is_counted,
    a_group_at_the_end_of_a_stream_counts_what_comes_after_it,
    a_group_that_was_moved_counts_from_where_it_stands,
    trimmed_entries_do_not_wait,
    many_entries_behind_an_unknown_lag_are_never_too_few,
    a_missing_stream_is_nothing,
    a_missing_group_is_what_the_trigger_says,
    another_type_is_refused_by_the_name_of_its_key,
    several_streams_are_summed,
    a_group_that_is_destroyed_and_made_again_is_seen,
    new_entries_are_pushed,
    kedas_own_keys_for_streams_give_kedas_own_numbers,
);

/// The group `g` of the stream `s`, by this signal.
fn group(signal: &str) -> Trigger {
    trigger([("layout", "stream"), ("queue", "s"), ("group", "g"), ("signal", signal)])
}

/// Expects entries that wait and entries in flight, and the backlog of both.
async fn expect(keda: &Keda, waiting: f64, in_flight: f64) {
    let signals =
        [("waiting", waiting), ("in-flight", in_flight), ("backlog", waiting + in_flight)];
    for (signal, value) in signals {
        let trigger = group(signal);
        eventually_is(PATIENCE, (signal, Ok(value)), async || {
            (signal, keda.value(&trigger).await.map_err(|status| status.code()))
        })
        .await;
    }
    let is_active = keda.is_active(&group("waiting")).await.unwrap();
    assert_eq!(is_active, waiting + in_flight > 0.0, "in flight is activity for every signal");
}

/// A stream of ten entries, 1-0 to 10-0, and the service.
async fn ten_entries(kind: Kind) -> (Server, Service, Keda) {
    let server = Server::start(kind);
    for number in 1..=10 {
        server.run(&format!("XADD s {number}-0 job {number}"));
    }
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    (server, service, keda)
}

async fn a_group_at_the_start_counts_what_it_was_not_given_and_what_it_did_not_acknowledge(
    kind: Kind,
) {
    let (server, _service, keda) = ten_entries(kind).await;
    server.run("XGROUP CREATE s g 0");
    expect(&keda, 10.0, 0.0).await;
    server.run("XREADGROUP GROUP g c COUNT 4 STREAMS s >");
    expect(&keda, 6.0, 4.0).await;
    // An acknowledgement is announced by nothing.
    server.run("XACK s g 1-0 2-0");
    expect(&keda, 6.0, 2.0).await;
    server.run("XREADGROUP GROUP g c COUNT 100 STREAMS s >");
    expect(&keda, 0.0, 8.0).await;
    for number in 3..=10 {
        server.run(&format!("XACK s g {number}-0"));
    }
    expect(&keda, 0.0, 0.0).await;
    server.run("XADD s 11-0 job 11");
    expect(&keda, 1.0, 0.0).await;
}

async fn entries_that_are_acknowledged_and_deleted_change_nothing_else(kind: Kind) {
    let (server, _service, keda) = ten_entries(kind).await;
    server.run("XGROUP CREATE s g 0\nXREADGROUP GROUP g c COUNT 4 STREAMS s >");
    server.run("XACK s g 1-0 2-0\nXDEL s 1-0 2-0\nXADD s 11-0 job 11");
    expect(&keda, 7.0, 2.0).await;
}

async fn an_undelivered_entry_that_is_deleted_leaves_no_lag_and_the_rest_is_counted(kind: Kind) {
    let (server, _service, keda) = ten_entries(kind).await;
    server.run("XGROUP CREATE s g 0\nXREADGROUP GROUP g c COUNT 4 STREAMS s >\nXDEL s 7-0");
    expect(&keda, 5.0, 4.0).await;
    server.run("XADD s 11-0 job 11");
    expect(&keda, 6.0, 4.0).await;
    server.run("XREADGROUP GROUP g c COUNT 100 STREAMS s >");
    expect(&keda, 0.0, 10.0).await;
}

async fn a_group_at_the_end_of_a_stream_counts_what_comes_after_it(kind: Kind) {
    let (server, _service, keda) = ten_entries(kind).await;
    server.run("XGROUP CREATE s g $");
    expect(&keda, 0.0, 0.0).await;
    server.run("XADD s 11-0 job 11");
    expect(&keda, 1.0, 0.0).await;
}

async fn a_group_that_was_moved_counts_from_where_it_stands(kind: Kind) {
    let (server, _service, keda) = ten_entries(kind).await;
    server.run("XGROUP CREATE s g $");
    expect(&keda, 0.0, 0.0).await;
    // Nothing announces that an idle group was moved; the next entry does, and what has work is
    // looked at every second.
    server.run("XGROUP SETID s g 5-0\nXADD s 11-0 a 1");
    expect(&keda, 6.0, 0.0).await;
    server.run("XGROUP SETID s g 0");
    expect(&keda, 11.0, 0.0).await;
    // At the last id that there can be nothing can follow.
    server.run("XGROUP SETID s g 18446744073709551615-18446744073709551615");
    expect(&keda, 0.0, 0.0).await;
}

async fn trimmed_entries_do_not_wait(kind: Kind) {
    let (server, _service, keda) = ten_entries(kind).await;
    server.run("XGROUP CREATE s g 0");
    expect(&keda, 10.0, 0.0).await;
    server.run("XTRIM s MAXLEN 3");
    expect(&keda, 3.0, 0.0).await;
    server.run("XREADGROUP GROUP g c COUNT 100 STREAMS s >");
    expect(&keda, 0.0, 3.0).await;
}

async fn many_entries_behind_an_unknown_lag_are_never_too_few(kind: Kind) {
    let (server, _service, keda) = ten_entries(kind).await;
    server.run("XGROUP CREATE s g $");
    let add = |until: u64| {
        let mut pipeline = deadpool_redis::redis::pipe();
        let from: u64 = server.ask("XLEN s");
        for number in from + 1..=until {
            pipeline.cmd("XADD").arg("s").arg(format!("{number}-0")).arg("job").arg(number);
        }
        pipeline.query::<()>(&mut server.connect()).unwrap();
    };
    for entries in [99_u32, 249, 251, 999, 1000] {
        add(u64::from(entries) + 10);
        expect(&keda, f64::from(entries), 0.0).await;
    }
    // Beyond a thousand the length of the stream is the bound: too many, never too few.
    for entries in [1001_u32, 1500] {
        add(u64::from(entries) + 10);
        eventually_is(PATIENCE, true, async || {
            let value = keda.value(&group("waiting")).await.unwrap();
            (f64::from(entries)..=f64::from(entries) + 10.0).contains(&value)
        })
        .await;
    }
}

async fn a_missing_stream_is_nothing(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    expect(&keda, 0.0, 0.0).await;
    server.run("XADD s 1-0 a 1\nXGROUP CREATE s g 0");
    expect(&keda, 1.0, 0.0).await;
    server.run("DEL s");
    expect(&keda, 0.0, 0.0).await;
}

async fn a_missing_group_is_what_the_trigger_says(kind: Kind) {
    let (server, _service, keda) = ten_entries(kind).await;
    let with = |policy: &str| {
        trigger([("layout", "stream"), ("queue", "s"), ("group", "g"), ("missingGroup", policy)])
    };
    assert_eq!(keda.value(&group("backlog")).await.unwrap(), 10.0, "all of them by default");
    assert_eq!(keda.value(&with("all")).await.unwrap(), 10.0);
    assert_eq!(keda.value(&with("none")).await.unwrap(), 0.0);
    assert!(!keda.is_active(&with("none")).await.unwrap());
    let status = keda.value(&with("unknown")).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.message().contains("`s`") && status.message().contains("`g`"), "{status}");
    server.run("XGROUP CREATE s g 5-0");
    for policy in ["all", "none", "unknown"] {
        let trigger = with(policy);
        eventually_is(PATIENCE, Ok(5.0), async || {
            keda.value(&trigger).await.map_err(|status| status.code())
        })
        .await;
    }
}

async fn another_type_is_refused_by_the_name_of_its_key(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    for (command, name) in
        [("LPUSH s a", "list"), ("SET s 5", "string"), ("ZADD s 1 a", "zset"), ("SADD s a", "set")]
    {
        server.run(&format!("DEL s\n{command}"));
        eventually_is(PATIENCE, Some((Code::FailedPrecondition, true)), async || {
            let status = keda.value(&group("backlog")).await.err()?;
            let says_it = status.message().contains("`s`") && status.message().contains(name);
            Some((status.code(), says_it))
        })
        .await;
        assert_eq!(
            keda.is_active(&group("waiting")).await.unwrap_err().code(),
            Code::FailedPrecondition
        );
    }
    server.run("DEL s\nXADD s 1-0 a 1\nXGROUP CREATE s g 0");
    expect(&keda, 1.0, 0.0).await;
}

async fn several_streams_are_summed(kind: Kind) {
    let (server, _service, keda) = ten_entries(kind).await;
    server.run("XGROUP CREATE s g 0\nXADD t 1-0 a 1\nXADD t 2-0 a 1\nXGROUP CREATE t g 0");
    server.run("XREADGROUP GROUP g c COUNT 1 STREAMS t >");
    let both = |signal: &str| {
        let keys = [("layout", "stream"), ("queue", "s,t,nothing"), ("group", "g")];
        trigger(keys.into_iter().chain([("signal", signal)]))
    };
    for (signal, value) in [("waiting", 11.0), ("in-flight", 1.0), ("backlog", 12.0)] {
        assert_eq!(keda.value(&both(signal)).await.unwrap(), value, "{signal}");
    }
}

async fn a_group_that_is_destroyed_and_made_again_is_seen(kind: Kind) {
    let (server, _service, keda) = ten_entries(kind).await;
    server.run("XGROUP CREATE s g 0\nXREADGROUP GROUP g c COUNT 4 STREAMS s >");
    expect(&keda, 6.0, 4.0).await;
    server.run("XGROUP DESTROY s g");
    expect(&keda, 10.0, 0.0).await;
    server.run("XGROUP CREATE s g 8-0");
    expect(&keda, 2.0, 0.0).await;
}

async fn new_entries_are_pushed(kind: Kind) {
    let (server, _service, keda) = ten_entries(kind).await;
    server.run("XGROUP CREATE s g $");
    let mut pushes = crate::streams::Pushes::of(&keda, &group("backlog")).await;
    assert!(!pushes.next(PATIENCE).await);
    server.run("XADD s 11-0 job 11");
    assert!(pushes.next(PATIENCE).await);
}

async fn kedas_own_keys_for_streams_give_kedas_own_numbers(kind: Kind) {
    let (server, _service, keda) = ten_entries(kind).await;
    server.run("XGROUP CREATE s g 0\nXREADGROUP GROUP g c COUNT 4 STREAMS s >");
    for (metadata, value, target) in [
        (vec![("stream", "s"), ("consumerGroup", "g"), ("pendingEntriesCount", "7")], 4.0, 7),
        (vec![("stream", "s"), ("consumerGroup", "g")], 4.0, 5),
        (vec![("stream", "s"), ("consumerGroup", "g"), ("lagCount", "3")], 6.0, 3),
        (vec![("stream", "s"), ("streamLength", "8")], 10.0, 8),
        (vec![("stream", "s")], 10.0, 5),
    ] {
        let keda_native = trigger(metadata.clone());
        assert_eq!(keda.value(&keda_native).await.unwrap(), value, "{metadata:?}");
        let specs = keda.get_metric_spec(&keda_native).await.unwrap();
        assert_eq!(specs.specs[0].target_size, target, "{metadata:?}");
    }
    let lag =
        [("stream", "s"), ("consumerGroup", "g"), ("lagCount", "3"), ("activationLagCount", "6")];
    assert!(keda.is_active(&trigger(lag)).await.unwrap(), "four are in flight");
    server.run("XACK s g 1-0 2-0 3-0 4-0");
    eventually_is(PATIENCE, false, async || keda.is_active(&trigger(lag)).await.unwrap()).await;
}
