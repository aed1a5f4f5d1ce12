//! The workers that jobs need, and how full they are: computed of the counts, at zero workers and without history too.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::{
    harness::{
        Kind, Mode, PATIENCE, Proxy, Server, Service, Setup, eventually, eventually_is, seconds,
    },
    on_both_servers,
    streams::Pushes,
    wire::{Keda, Trigger, trigger},
};

on_both_servers!(
    the_workers_that_are_needed_follow_each_job,
    what_comes_is_kept_up_with_and_until_it_is_known_every_job_has_a_slot,
    two_replicas_of_penstock_tell_the_same,
    how_long_a_job_runs_is_measured_and_kept_through_an_outage,
    a_field_of_a_hash_counts_what_is_finished,
);

/// Of a worker with two slots, with more keys.
fn of_two(signal: &str, more: &[(&str, &str)]) -> Trigger {
    let pairs =
        [("signal", signal), ("queue", "q"), ("inFlight", "p"), ("gap", "0"), ("slots", "2")];
    trigger(pairs.into_iter().chain(more.iter().copied()))
}

/// Half a minute a job, and two minutes to wait.
fn slo() -> Trigger {
    of_two("replicas", &[("taskTime", "30s"), ("maxWait", "2m")])
}

async fn is_soon(keda: &Keda, asked: &Trigger, value: f64) {
    eventually_is(PATIENCE, value, async || keda.value(asked).await.unwrap()).await;
}

async fn the_workers_that_are_needed_follow_each_job(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let (slo, all, load) = (slo(), of_two("replicas", &[]), of_two("load", &[("target", "80")]));
    let mut pushes = Pushes::of(&keda, &slo).await;
    assert!(!pushes.next(PATIENCE).await);
    for asked in [&slo, &all, &load] {
        assert_eq!(keda.value(asked).await.unwrap(), 0.0);
        assert!(!keda.is_active(asked).await.unwrap());
    }
    let spec = keda.get_metric_spec(&slo).await.unwrap();
    assert_eq!(spec.specs[0].target_size_float, 1.0, "a replica for each");
    let jobs: Vec<String> = (1..=40).map(|number| number.to_string()).collect();
    server.run(&format!("RPUSH q {}", jobs.join(" ")));
    assert!(pushes.next(PATIENCE).await, "the first of them wakes");
    is_soon(&keda, &slo, 5.0).await;
    assert_eq!(keda.value(&all).await.unwrap(), 20.0, "a slot for every job");
    assert_eq!(keda.value(&load).await.unwrap(), 2_000.0);
    for _ in 0..10 {
        server.run("LMOVE q p LEFT RIGHT");
    }
    is_soon(&keda, &slo, 5.0).await;
    assert_eq!(keda.value(&all).await.unwrap(), 20.0);
    // What runs keeps its workers, and that is all there is to be done.
    server.run("DEL q");
    is_soon(&keda, &slo, 5.0).await;
    is_soon(&keda, &load, 500.0).await;
    server.run("LTRIM p 0 2");
    is_soon(&keda, &slo, 1.5).await;
    assert!(keda.is_active(&slo).await.unwrap());
    server.run("DEL p");
    is_soon(&keda, &slo, 0.0).await;
    assert!(!keda.is_active(&slo).await.unwrap());
    server.run("SET q many");
    let told = async || keda.value(&slo).await.map_err(|status| status.code()).err();
    eventually_is(PATIENCE, Some(Code::FailedPrecondition), told).await;
}

async fn what_comes_is_kept_up_with_and_until_it_is_known_every_job_has_a_slot(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let keys = [("counter", "c"), ("keepUp", "true"), ("window", "5s"), ("taskTime", "30s")];
    let asked = of_two("replicas", &[keys.as_slice(), &[("maxWait", "2m")]].concat());
    server.run("SET c 100\nRPUSH q 1 2 3 4 5 6 7 8");
    assert_eq!(keda.value(&asked).await.unwrap(), 4.0, "nobody knows yet how much comes");
    is_soon_after(&keda, &asked, 1.0).await;
    // Twenty in five seconds are four a second, and keep 120 seconds of two slots busy.
    server.run("INCRBY c 20");
    is_soon(&keda, &asked, 60.0).await;
    server.run("DEL q");
    is_soon(&keda, &asked, 60.0).await;
    is_soon_after(&keda, &asked, 0.0).await;
}

/// The same once a window is over.
async fn is_soon_after(keda: &Keda, asked: &Trigger, value: f64) {
    let within = seconds(5) + PATIENCE;
    eventually_is(within, value, async || keda.value(asked).await.unwrap()).await;
}

async fn two_replicas_of_penstock_tell_the_same(kind: Kind) {
    let server = Server::start(kind);
    let services = [Service::of(&server).await, Service::of(&server).await];
    server.run("RPUSH q 1 2 3 4 5 6 7 8\nRPUSH p 9");
    let load = of_two("load", &[("target", "80")]);
    for asked in [&slo(), &load] {
        let [one, other] = [services[0].keda().await, services[1].keda().await];
        let (one, other) = (one.value(asked).await, other.value(asked).await);
        assert!(one.as_ref().is_ok_and(|value| *value > 0.0), "{one:?}");
        assert_eq!(one.unwrap(), other.unwrap());
    }
}

/// So long a job of these tests runs, at least.
const RUNS: Duration = Duration::from_millis(400);

/// Two jobs at a time run and are counted, as often as this. Gives how long one ran, on average.
async fn work(server: &Server, done: &str, times: u32) -> f64 {
    let mut ran = Duration::ZERO;
    for _ in 0..times {
        server.run("RPUSH p 1 2");
        let start = Instant::now();
        sleep(RUNS).await;
        server.run(&format!("DEL p\n{done} 2"));
        ran += start.elapsed();
        // They are not all the time at work.
        sleep(RUNS / 4).await;
    }
    (ran / times).as_secs_f64()
}

/// What is told of twenty jobs that wait, at two slots and two seconds.
fn drain(task_time: f64) -> f64 {
    20.0 * task_time / (2.0 * 2.0)
}

/// At most twice and at least half of what it should be: a machine that is held up sees jobs late. The arithmetic
/// itself is held to its numbers where time is an argument.
async fn is_about(keda: &Keda, asked: &Trigger, wanted: f64) {
    let range = wanted / 2.0..=2.0 * wanted;
    let near = async || {
        let value = keda.value(asked).await.unwrap();
        if range.contains(&value) { Ok(()) } else { Err(format!("{value}, not {wanted}")) }
    };
    eventually(PATIENCE, near).await;
}

async fn how_long_a_job_runs_is_measured_and_kept_through_an_outage(kind: Kind) {
    let server = Server::start(kind);
    let proxy = Proxy::to(server.port()).await;
    let config = format!("[redis.default]\nurl = \"{}\"\nhold_stale = \"0s\"\n", proxy.url());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let keys = |task_time: &'static str| {
        of_two("replicas", &[("taskTime", task_time), ("finished", "done"), ("maxWait", "2s")])
    };
    let (measured, first) = (keys("measured"), keys("measured,100ms"));
    let jobs: Vec<String> = (1..=20).map(|number| number.to_string()).collect();
    let pushed = format!("RPUSH q {}", jobs.join(" "));
    server.run(&format!("SET done 1000000\n{pushed}"));
    assert_eq!(keda.value(&measured).await.unwrap(), 10.0, "a slot for every job");
    assert_eq!(keda.value(&first).await.unwrap(), drain(0.1), "what it was said to be at first");
    server.run("DEL q");
    let ran = work(&server, "INCRBY done", 8).await;
    server.run(&pushed);
    for asked in [&measured, &first] {
        is_about(&keda, asked, drain(ran)).await;
    }
    // Nobody sees what is done meanwhile, and what is known stays known.
    proxy.set(Mode::Cut);
    let told = async || keda.value(&measured).await.map_err(|status| status.code()).err();
    eventually_is(PATIENCE, Some(Code::Unavailable), told).await;
    server.run("INCRBY done 1000000");
    proxy.set(Mode::Pass);
    eventually_is(PATIENCE, true, async || keda.value(&measured).await.is_ok()).await;
    is_about(&keda, &measured, drain(ran)).await;
    server.run("SET done many");
    let told = async || keda.value(&measured).await.map_err(|status| status.code()).err();
    eventually_is(PATIENCE, Some(Code::FailedPrecondition), told).await;
    assert!(keda.is_active(&measured).await.unwrap(), "there are jobs, whatever they take");
}

/// As BullMQ's workers count, in two hashes: what went well and what did not.
async fn a_field_of_a_hash_counts_what_is_finished(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let keys = [("layout", "bullmq"), ("queue", "b"), ("signal", "replicas"), ("slots", "2")];
    let asked = trigger(keys.into_iter().chain([("maxWait", "2s"), ("taskTime", "measured")]));
    let jobs: Vec<String> = (1..=20).map(|number| number.to_string()).collect();
    server.run(&format!("LPUSH bull:b:wait {}", jobs.join(" ")));
    assert_eq!(keda.value(&asked).await.unwrap(), 10.0, "nobody counts what is done");
    server.run("HSET bull:b:metrics:completed count 7 prevTS 1");
    let mut ran = 0.0;
    for outcome in ["completed", "failed", "completed", "completed"] {
        server.run("LPUSH bull:b:active x y");
        let start = Instant::now();
        sleep(RUNS).await;
        let counted = format!("HINCRBY bull:b:metrics:{outcome} count 2");
        server.run(&format!("DEL bull:b:active\n{counted}"));
        ran += start.elapsed().as_secs_f64() / 4.0;
        sleep(RUNS / 4).await;
    }
    is_about(&keda, &asked, drain(ran)).await;
    for odd in ["many", "-1", &"1".repeat(100)] {
        server.run(&format!("HSET bull:b:metrics:failed count {odd}"));
        let told = async || keda.value(&asked).await.map_err(|status| status.code()).err();
        eventually_is(PATIENCE, Some(Code::FailedPrecondition), told).await;
    }
    server.run("DEL bull:b:metrics:failed\nHSET bull:b:metrics:completed other 1");
    eventually_is(PATIENCE, true, async || keda.value(&asked).await.is_ok()).await;
    is_about(&keda, &asked, drain(ran)).await;
    server.run("DEL bull:b:metrics:completed\nLPUSH bull:b:metrics:completed 1");
    let told = async || keda.value(&asked).await.map_err(|status| status.code()).err();
    eventually_is(PATIENCE, Some(Code::FailedPrecondition), told).await;
}
