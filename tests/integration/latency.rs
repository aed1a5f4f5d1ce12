//! For how long the oldest job has waited: it grows by itself, and is 0 only where nothing is ready.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::{
    harness::{Kind, Mode, PATIENCE, Proxy, Server, Service, Setup, eventually_is, seconds},
    on_both_servers,
    streams::Pushes,
    wire::{Keda, Trigger, trigger},
};

on_both_servers!(
    it_grows_with_the_time_and_without_a_read,
    a_job_whose_time_is_to_come_has_not_waited,
    two_replicas_tell_the_same,
    an_outage_holds_it_and_then_it_is_unknown,
    a_layout_of_ages_alone_wakes_by_them,
    a_job_without_a_time_wakes_all_the_same,
);

fn latency(queue: &str) -> Trigger {
    trigger([("signal", "latency"), ("queue", queue), ("readyAt", "/at"), ("target", "30")])
}

/// Redis's own time, in seconds.
fn now(server: &Server) -> f64 {
    let [seconds, micros]: [f64; 2] = server.ask_words::<Vec<f64>>(&["TIME"]).try_into().unwrap();
    seconds + micros / 1e6
}

/// Pushes a job that is ready since so many seconds ago.
fn push(server: &Server, queue: &str, ago: f64) -> f64 {
    let at = now(server) - ago;
    server.ask_words::<u64>(&["LPUSH", queue, &format!("{{\"at\":{at}}}")]);
    at
}

/// Whether it is told how long ago this was, give or take what it takes to ask.
async fn assert_since(server: &Server, keda: &Keda, asked: &Trigger, since: f64) {
    let before = now(server) - since;
    let told = keda.value(asked).await.unwrap();
    let after = now(server) - since;
    assert!((before - 0.01..=after + 0.01).contains(&told), "{before} ≤ {told} ≤ {after}");
}

/// How often this command was called.
fn calls(server: &Server, command: &str) -> u64 {
    let told: String = server.ask_words(&["INFO", "commandstats"]);
    let line =
        told.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

async fn it_grows_with_the_time_and_without_a_read(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    assert_eq!(keda.value(&latency("q")).await.unwrap(), 0.0, "nothing waits");
    assert!(!keda.is_active(&latency("q")).await.unwrap());
    let first = push(&server, "q", 12.0);
    eventually_is(PATIENCE, true, async || keda.value(&latency("q")).await.unwrap() > 1.0).await;
    assert!(keda.is_active(&latency("q")).await.unwrap(), "by the job that waits");
    assert_since(&server, &keda, &latency("q"), first).await;
    let read = calls(&server, "lrange");
    assert!(read > 0);
    for _ in 0..5 {
        sleep(Duration::from_millis(200)).await;
        assert_since(&server, &keda, &latency("q"), first).await;
    }
    assert_eq!(calls(&server, "lrange"), read, "no read for it");
    let second = push(&server, "q", 3.0);
    assert_since(&server, &keda, &latency("q"), first).await;
    server.run("RPOP q");
    let is_younger = async || keda.value(&latency("q")).await.unwrap() < 11.0;
    eventually_is(PATIENCE, true, is_younger).await;
    assert_since(&server, &keda, &latency("q"), second).await;
    server.run("RPOP q");
    eventually_is(PATIENCE, 0.0, async || keda.value(&latency("q")).await.unwrap()).await;
    server.run("LPUSH q nothing");
    let told = async || keda.value(&latency("q")).await.map_err(|status| status.code()).err();
    eventually_is(PATIENCE, Some(Code::FailedPrecondition), told).await;
}

async fn a_job_whose_time_is_to_come_has_not_waited(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let at = push(&server, "q", -1.0);
    assert_eq!(keda.value(&latency("q")).await.unwrap(), 0.0);
    eventually_is(PATIENCE, true, async || keda.value(&latency("q")).await.unwrap() > 0.0).await;
    assert_since(&server, &keda, &latency("q"), at).await;
}

async fn two_replicas_tell_the_same(kind: Kind) {
    let server = Server::start(kind);
    let services = [Service::of(&server).await, Service::of(&server).await];
    let since = push(&server, "q", 100.0);
    let _pushes = Pushes::of(&services[0].keda().await, &latency("q")).await;
    for service in &services {
        assert_since(&server, &service.keda().await, &latency("q"), since).await;
    }
}

async fn an_outage_holds_it_and_then_it_is_unknown(kind: Kind) {
    let server = Server::start(kind);
    let proxy = Proxy::to(server.port()).await;
    let config = format!("[redis.default]\nurl = \"{}\"\nhold_stale = \"2s\"\n", proxy.url());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let since = push(&server, "q", 50.0);
    assert_since(&server, &keda, &latency("q"), since).await;
    proxy.set(Mode::Cut);
    let began = Instant::now();
    let told = async || keda.value(&latency("q")).await.map_err(|status| status.code()).err();
    eventually_is(seconds(2) + PATIENCE, Some(Code::Unavailable), told).await;
    assert!(began.elapsed() >= Duration::from_millis(1_500), "it is held first");
    proxy.set(Mode::Pass);
    eventually_is(PATIENCE, None, told).await;
    assert_since(&server, &keda, &latency("q"), since).await;
}

async fn a_layout_of_ages_alone_wakes_by_them(kind: Kind) {
    let server = Server::start(kind);
    let config = format!(
        "[redis.default]\nurl = \"{}\"\n[layouts.acme]\ndoc = 'Acme.'\nparams.queue = {{ type = 'keys', \
         required = true, doc = 'Q.', example = 'q' }}\n[[layouts.acme.oldest]]\nread = 'oldest'\n\
         key = 'acme:{{queue}}'\ntaken = 'right'\ntimes = ['/at']\nremedy = 'write it'\n",
        server.url()
    );
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let asked = trigger([
        ("layout", "acme"),
        ("signal", "latency"),
        ("queue", "q"),
        ("target", "30"),
        ("activation", "3"),
    ]);
    let mut pushes = Pushes::of(&keda, &asked).await;
    assert!(!pushes.next(PATIENCE).await);
    let since = push(&server, "acme:q", 1.0);
    assert!(!keda.is_active(&asked).await.unwrap(), "not yet for longer than three seconds");
    assert!(pushes.next(PATIENCE).await, "time alone makes it active");
    assert!(now(&server) - since >= 2.99);
    assert!(keda.is_active(&asked).await.unwrap());
}

async fn a_job_without_a_time_wakes_all_the_same(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let mut pushes = Pushes::of(&keda, &latency("q")).await;
    assert!(!pushes.next(PATIENCE).await);
    server.run("LPUSH q nothing");
    assert!(pushes.next(PATIENCE).await, "a worker is what takes it away");
    assert!(keda.is_active(&latency("q")).await.unwrap());
    let status = keda.value(&latency("q")).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.message().contains("readyAt says where"), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_no_link_carries_holds_up_its_own_triggers_alone() {
    let server = Server::start(Kind::Redis);
    server.run("CONFIG SET appendonly no");
    let config = format!("[redis.default]\nurl = \"{}\"\nhold_stale = \"5s\"\n", server.url());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let ours = push(&server, "ours", 5.0);
    assert_since(&server, &keda, &latency("ours"), ours).await;
    let since = push(&server, "others", 5.0);
    assert_since(&server, &keda, &latency("others"), since).await;
    let poison = "return redis.call('RPUSH', KEYS[1], string.rep('x', 140 * 1024 * 1024))";
    server.ask_words::<u64>(&["EVAL", poison, "1", "ours"]);
    let told = async || keda.value(&latency("ours")).await.map_err(|status| status.code()).err();
    eventually_is(seconds(20), Some(Code::Unavailable), told).await;
    let is_told = async || keda.value(&latency("others")).await.is_ok();
    for _ in 0..10 {
        server.run("LTRIM others -1 -1");
        push(&server, "others", 1.0);
        eventually_is(seconds(6), true, is_told).await;
        assert_since(&server, &keda, &latency("others"), since).await;
        sleep(Duration::from_millis(500)).await;
    }
    server.run("RPOP ours");
    eventually_is(seconds(60), None, told).await;
    assert_since(&server, &keda, &latency("ours"), ours).await;
}
