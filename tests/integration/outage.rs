//! No outage reads as zero: what calls answer while Redis hangs, is gone, or was never there.
//!
//! Activity and value are sampled all the time, since a single zero would end running jobs.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::{
    harness::{
        CALL, Kind, Mode, PATIENCE, Proxy, RECOVERY, STEP, Server, Service, Setup, Silent,
        eventually, eventually_is, millis, seconds,
    },
    on_both_servers,
    wire::{Keda, Trigger, queue, trigger},
};

on_both_servers!(
    a_killed_redis_is_held_then_unavailable_and_right_again_after_its_return,
    a_hanging_redis_is_held_then_unavailable_and_right_again_when_it_goes_on,
    a_network_that_drops_packets_is_held_then_unavailable_and_right_again,
    a_redis_that_was_never_there_is_unavailable_and_right_once_it_starts,
    a_trigger_may_shorten_the_hold_and_not_lengthen_it,
    a_failover_to_an_empty_redis_is_believed,
);

/// A service that holds the last value for this long.
async fn holding(url: &str, hold: &str) -> Service {
    let config = format!("[redis.default]\nurl = \"{url}\"\nhold_stale = \"{hold}\"\n");
    Setup::default().config(config).start().await
}

/// What was answered over a while, one entry for each change.
type Answers = Vec<Result<f64, Code>>;

/// Asks for value and activity again and again; every answer must come in time, be one of
/// `allowed`, and value and activity must agree.
async fn sample(keda: &Keda, trigger: &Trigger, during: Duration, allowed: &[f64]) -> Answers {
    let mut answers = Answers::new();
    let start = Instant::now();
    while start.elapsed() < during {
        let asked = Instant::now();
        let (value, active) = tokio::join!(keda.value(trigger), keda.is_active(trigger));
        assert!(asked.elapsed() < CALL, "an answer took {:?}", asked.elapsed());
        for status in [value.as_ref().err(), active.as_ref().err()].into_iter().flatten() {
            assert_eq!(status.code(), Code::Unavailable, "{status}");
            assert!(!status.message().is_empty(), "it says no reason");
        }
        if let Ok(value) = value {
            assert!(allowed.contains(&value), "{value} is none of {allowed:?}: {answers:?}");
        }
        assert!(active.unwrap_or(true), "inactive, and the last thing known was active");
        let answer = value.map_err(|status| status.code());
        if answers.last() != Some(&answer) {
            answers.push(answer);
        }
        sleep(STEP).await;
    }
    answers
}

/// Waits until the value is this, within the time that the recovery from an outage may take.
async fn recovers(keda: &Keda, trigger: &Trigger, value: f64) {
    eventually_is(RECOVERY, Ok(value), async || keda.value(trigger).await.map_err(|s| s.code()))
        .await;
}

async fn a_killed_redis_is_held_then_unavailable_and_right_again_after_its_return(kind: Kind) {
    let mut server = Server::start(kind);
    server.run("RPUSH q a b c");
    let service = holding(&server.url(), "2s").await;
    let keda = service.keda().await;
    assert_eq!(sample(&keda, &queue("q"), millis(200), &[3.0]).await, [Ok(3.0)]);
    server.kill();
    let held = sample(&keda, &queue("q"), millis(1200), &[3.0]).await;
    assert_eq!(held, [Ok(3.0)], "held for the budget of 2 s");
    let after = sample(&keda, &queue("q"), millis(3000), &[3.0]).await;
    assert_eq!(after.last(), Some(&Err(Code::Unavailable)), "{after:?}");
    assert!(after.len() <= 2, "it wavered: {after:?}");
    // The data is in its file, so that nothing but 3 is right also while it comes back.
    server.run_again();
    recovers(&keda, &queue("q"), 3.0).await;
    server.run("RPUSH q d");
    recovers(&keda, &queue("q"), 4.0).await;
    let outage = "Redis cannot be read; known values are held for the stale budget";
    service.says(outage).await;
    let outages = service.log_with(outage);
    assert!((1..=6).contains(&outages.len()), "one outage makes {} lines", outages.len());
}

async fn a_hanging_redis_is_held_then_unavailable_and_right_again_when_it_goes_on(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH q a b c");
    let service = holding(&server.url(), "2s").await;
    let keda = service.keda().await;
    assert_eq!(sample(&keda, &queue("q"), millis(200), &[3.0]).await, [Ok(3.0)]);
    server.signal("STOP");
    let held = sample(&keda, &queue("q"), millis(1200), &[3.0]).await;
    assert_eq!(held, [Ok(3.0)], "held for the budget of 2 s");
    let after = sample(&keda, &queue("q"), millis(3500), &[3.0]).await;
    assert_eq!(after.last(), Some(&Err(Code::Unavailable)), "{after:?}");
    assert!(after.len() <= 2, "it wavered: {after:?}");
    server.signal("CONT");
    server.run("RPUSH q d");
    recovers(&keda, &queue("q"), 4.0).await;
}

async fn a_network_that_drops_packets_is_held_then_unavailable_and_right_again(kind: Kind) {
    let server = Server::start(kind);
    let proxy = Proxy::to(server.port()).await;
    let service = holding(&proxy.url(), "2s").await;
    let keda = service.keda().await;
    server.run("RPUSH q a b c");
    recovers(&keda, &queue("q"), 3.0).await;
    for mode in [Mode::Stall, Mode::Cut] {
        proxy.set(mode);
        // What is written now is not announced to anybody.
        server.run("RPUSH q d");
        let length = server.ask::<f64>("LLEN q");
        let held = sample(&keda, &queue("q"), millis(1200), &[length - 1.0]).await;
        assert_eq!(held, [Ok(length - 1.0)], "held for the budget of 2 s");
        let after = sample(&keda, &queue("q"), millis(3500), &[length - 1.0]).await;
        assert_eq!(after.last(), Some(&Err(Code::Unavailable)), "{mode:?}: {after:?}");
        proxy.set(Mode::Pass);
        recovers(&keda, &queue("q"), length).await;
    }
}

async fn a_redis_that_was_never_there_is_unavailable_and_right_once_it_starts(kind: Kind) {
    let mut server = Server::absent(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let answers = sample(&keda, &queue("q"), millis(1500), &[]).await;
    assert_eq!(answers, [Err(Code::Unavailable)]);
    server.run_again();
    recovers(&keda, &queue("q"), 0.0).await;
    server.run("RPUSH q a b c");
    recovers(&keda, &queue("q"), 3.0).await;
    assert!(keda.is_active(&queue("q")).await.unwrap());
}

async fn a_trigger_may_shorten_the_hold_and_not_lengthen_it(kind: Kind) {
    let mut server = Server::start(kind);
    server.run("RPUSH q a");
    let service = holding(&server.url(), "4s").await;
    let keda = service.keda().await;
    let with = |stale_for: &str| trigger([("queue", "q"), ("staleFor", stale_for)]);
    let (none, short, long) = (with("0"), with("1500ms"), with("1h"));
    for trigger in [&none, &short, &long] {
        assert_eq!(keda.value(trigger).await.unwrap(), 1.0);
    }
    server.kill();
    let start = Instant::now();
    let unavailable = async |trigger: &Trigger| {
        eventually(PATIENCE, async || match keda.value(trigger).await {
            Ok(value) => Err(value),
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status}");
                Ok(start.elapsed())
            }
        })
        .await
    };
    assert!(unavailable(&none).await < seconds(1), "nothing is held for 0 s");
    let after = unavailable(&short).await;
    assert!((millis(1000)..millis(3000)).contains(&after), "1.5 s were {after:?}");
    let after = unavailable(&long).await;
    assert!((millis(3500)..millis(6000)).contains(&after), "4 s were {after:?}");
}

async fn a_failover_to_an_empty_redis_is_believed(kind: Kind) {
    let mut server = Server::start(kind);
    server.run("RPUSH q a b c");
    let service = holding(&server.url(), "30s").await;
    let keda = service.keda().await;
    assert_eq!(keda.value(&queue("q")).await.unwrap(), 3.0);
    server.kill();
    server.forget();
    assert_eq!(sample(&keda, &queue("q"), millis(500), &[3.0]).await, [Ok(3.0)]);
    server.run_again();
    recovers(&keda, &queue("q"), 0.0).await;
    assert!(!keda.is_active(&queue("q")).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_answers_is_unavailable_within_the_deadline_of_a_call() {
    let silent = Silent::start().await;
    let service = Setup::default().redis(silent.url()).start().await;
    let keda = service.keda().await;
    let answers = sample(&keda, &queue("q"), millis(2500), &[]).await;
    assert_eq!(answers, [Err(Code::Unavailable)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_from_the_start_is_unavailable_and_right_when_it_goes_on() {
    let server = Server::start(Kind::Redis);
    server.run("RPUSH q a b c");
    server.signal("STOP");
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    assert_eq!(sample(&keda, &queue("q"), millis(2000), &[]).await, [Err(Code::Unavailable)]);
    server.signal("CONT");
    recovers(&keda, &queue("q"), 3.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_whose_name_cannot_be_resolved_is_unavailable() {
    let service = Setup::default().redis("redis://nowhere.invalid:6379").start().await;
    let keda = service.keda().await;
    assert_eq!(sample(&keda, &queue("q"), millis(1500), &[]).await, [Err(Code::Unavailable)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_no_redis_is_unavailable() {
    let server = Server::start(Kind::Redis);
    let other = Service::of(&server).await;
    // penstock's own gRPC port stands for any wrong port.
    let service = Setup::default().redis(format!("redis://{}", other.grpc())).start().await;
    let keda = service.keda().await;
    assert_eq!(sample(&keda, &queue("q"), millis(1500), &[]).await, [Err(Code::Unavailable)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_in_an_outage_leaves_the_other_alone() {
    let (well, mut ill) = (Server::start(Kind::Redis), Server::start(Kind::Valkey));
    well.run("RPUSH q a b");
    let setup = Setup::default().redis(well.url()).redis(format!("ill={}", ill.url()));
    let service = setup.start().await;
    let keda = service.keda().await;
    let of_ill = trigger([("queue", "q"), ("redis", "ill")]);
    assert_eq!(keda.value(&of_ill).await.unwrap(), 0.0);
    ill.kill();
    for _ in 0..20 {
        let asked = Instant::now();
        assert_eq!(keda.value(&queue("q")).await.unwrap(), 2.0);
        assert!(asked.elapsed() < seconds(1), "the other connection's outage held it up");
        sleep(STEP).await;
    }
}
