//! The shape of every answer: one spec and one value, both numbers filled, names as KEDA wants
//! them, and a spec that needs no Redis.

use tokio::time::Instant;
use tonic::Code;

use crate::{
    harness::{Kind, Mode, PATIENCE, Proxy, Server, Service, Setup, Silent, eventually_is, millis},
    on_both_servers,
    wire::{Keda, MetricsRequest, Spec, queue, trigger},
};

on_both_servers!(
    a_number_beyond_what_keda_can_count_is_clamped,
    a_fraction_is_never_a_zero_in_either_field,
    after_a_storm_of_writes_every_value_is_right,
    equal_triggers_of_many_objects_agree,
);

async fn specs_are_quick(keda: &Keda) {
    // The first call also pays for what a connection costs.
    keda.get_metric_spec(&queue("first")).await.unwrap();
    let mut times = Vec::new();
    for number in 0..51 {
        let start = Instant::now();
        let specs = keda.get_metric_spec(&queue(&format!("q{number}"))).await.unwrap();
        assert_eq!(specs.specs.len(), 1);
        times.push(start.elapsed());
    }
    // Any wait for Redis would be at least one of its deadlines of 500 ms. The median, since on a
    // machine that is busy with other tests a single call may take as long.
    times.sort_unstable();
    assert!(times[25] < millis(100), "the median of 51 specs is {:?}", times[25]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spec_never_waits_for_redis() {
    specs_are_quick(&Service::alone().await.keda().await).await;
    let silent = Silent::start().await;
    let service = Setup::default().redis(silent.url()).start().await;
    specs_are_quick(&service.keda().await).await;
    let server = Server::start(Kind::Redis);
    let proxy = Proxy::to(server.port()).await;
    let service = Setup::default().redis(proxy.url()).start().await;
    let keda = service.keda().await;
    keda.value(&queue("first")).await.unwrap();
    specs_are_quick(&keda).await;
    proxy.set(Mode::Stall);
    // While calls wait for what does not come, specs are as quick as ever.
    let other = queue("other");
    let (asked, ()) = tokio::join!(keda.value(&other), specs_are_quick(&keda));
    assert_eq!(asked.unwrap_err().code(), Code::Unavailable);
    server.signal("STOP");
    proxy.set(Mode::Pass);
    specs_are_quick(&keda).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spec_has_one_metric_and_an_integer_target_that_is_rounded_up() {
    let service = Service::alone().await;
    let keda = service.keda().await;
    for (target, whole, exact) in
        [("5", 5, 5.0), ("2.5", 3, 2.5), ("0.001", 1, 0.001), ("1000000", 1_000_000, 1e6)]
    {
        let asked = trigger([("queue", "a:b/c%d"), ("target", target)]);
        let specs = keda.get_metric_spec(&asked).await.unwrap();
        let [Spec { metric_name, target_size, target_size_float }] = specs.specs.as_slice() else {
            panic!("not one spec: {specs:?}")
        };
        assert_eq!((*target_size, *target_size_float), (whole, exact));
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        assert!(!metric_name.is_empty() && metric_name.chars().all(legal), "{metric_name}");
        assert_eq!(keda.get_metric_spec(&asked).await.unwrap(), specs, "it is always the same");
    }
    for target in ["0", "-1", "0.0001", "1e3", "inf", "nan", "", "five"] {
        let asked = trigger([("queue", "q"), ("target", target)]);
        let [status, ..] = keda.refusals(&asked).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{target}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_that_is_asked_for_is_echoed_and_the_value_is_the_triggers() {
    let server = Server::start(Kind::Redis);
    server.run("RPUSH q a b");
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let own_name = keda.get_metric_spec(&queue("q")).await.unwrap().specs[0].metric_name.clone();
    for metric_name in [own_name, String::new(), "s0-anything".to_owned()] {
        let request = MetricsRequest { trigger: Some(queue("q")), metric_name };
        let answer = keda.get_metrics(request.clone()).await.unwrap();
        let [value] = answer.values.as_slice() else { panic!("not one value: {answer:?}") };
        assert_eq!(value.metric_name, request.metric_name);
        assert_eq!((value.value, value.value_float), (2, 2.0));
    }
}

async fn a_number_beyond_what_keda_can_count_is_clamped(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    for digits in
        ["1000000000000", "1000000000000001", "9223372036854775807", "99999999999999999999"]
    {
        server.run(&format!("SET n {digits}"));
        eventually_is(PATIENCE, 1e12, async || keda.value(&queue("n")).await.unwrap()).await;
        server.run("SET n 999999999999");
        let below = 999_999_999_999.0;
        eventually_is(PATIENCE, below, async || keda.value(&queue("n")).await.unwrap()).await;
    }
    // Also the sum of several.
    server.run("SET n 1000000000000\nSET m 1000000000000");
    eventually_is(PATIENCE, 1e12, async || keda.value(&queue("n,m")).await.unwrap()).await;
}

async fn a_fraction_is_never_a_zero_in_either_field(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    for (text, seen) in [("2.5", 2.5), ("0.4", 0.4), ("0.0000001", 0.001), ("0", 0.0)] {
        server.run(&format!("SET n {text}"));
        eventually_is(PATIENCE, seen, async || keda.value(&queue("n")).await.unwrap()).await;
    }
}

/// Writes to many keys while they are polled and streamed on, then compares every value with
/// Redis: a change that is lost would stay wrong, since nothing announces it again.
async fn after_a_storm_of_writes_every_value_is_right(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let keys: Vec<String> = (0..40).map(|number| format!("q{number}")).collect();
    let mut streams = Vec::new();
    for key in keys.iter().step_by(2) {
        streams.push(keda.stream_is_active(&queue(key)).await.unwrap());
    }
    let polls = async {
        for round in 0..300 {
            keda.value(&queue(&keys[round % keys.len()])).await.unwrap();
        }
    };
    let writes = tokio::task::spawn_blocking({
        let (mut link, keys) = (server.connect(), keys.clone());
        move || {
            for round in 0..100_usize {
                let mut pipeline = deadpool_redis::redis::pipe();
                for (number, key) in keys.iter().enumerate() {
                    match (round * 7 + number * 3) % 5 {
                        0 => pipeline.del(key),
                        1 => pipeline.cmd("LPOP").arg(key),
                        _ => pipeline.rpush(key, "job"),
                    };
                }
                pipeline.query::<()>(&mut link).unwrap();
            }
        }
    });
    let (written, ()) = tokio::join!(writes, polls);
    written.unwrap();
    for key in &keys {
        let length: f64 = server.ask(&format!("LLEN {key}"));
        eventually_is(millis(1000), length, async || keda.value(&queue(key)).await.unwrap()).await;
    }
}

async fn equal_triggers_of_many_objects_agree(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH q a b c");
    let (one, other) = (Service::of(&server).await, Service::of(&server).await);
    // Two replicas: KEDA asks one for the value and the other for the activity.
    let (one, other) = (one.keda().await, other.keda().await);
    for number in 0..50 {
        let mut asked = queue("q");
        asked.name = format!("worker-{number}");
        asked.namespace = format!("team-{}", number % 5);
        assert_eq!(one.value(&asked).await.unwrap(), 3.0);
        assert_eq!(other.value(&asked).await.unwrap(), 3.0);
        assert!(one.is_active(&asked).await.unwrap());
    }
}
