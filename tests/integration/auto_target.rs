//! A target that is made of how long jobs run: told at once, followed by a stream, and the same by either.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

use crate::{
    harness::{Kind, PATIENCE, Server, Service, Setup},
    on_both_servers,
    wire::{Keda, Specs, Trigger, trigger},
};

on_both_servers!(
    a_target_of_a_given_task_time_stays_and_is_not_streamed,
    a_target_follows_the_measured_task_time_at_most_once_a_minute,
    a_replica_without_the_stream_follows_too,
);

/// Of a worker with two slots, and a minute to wait.
fn of_two(task_time: &str, more: &[(&str, &str)]) -> Trigger {
    let pairs =
        [("queue", "q"), ("inFlight", "p"), ("gap", "0"), ("slots", "2"), ("maxWait", "1m")];
    let own = [("target", "auto"), ("taskTime", task_time)];
    trigger(pairs.into_iter().chain(own).chain(more.iter().copied()))
}

fn measured() -> Trigger {
    of_two("measured,30s", &[("finished", "done")])
}

/// The target of what has one spec, whose number for old KEDAs is the next integer.
fn target(specs: &Specs) -> f64 {
    let [spec] = specs.specs.as_slice() else { panic!("not one spec: {specs:?}") };
    let whole = f64::from(i32::try_from(spec.target_size).unwrap());
    assert_eq!(whole, spec.target_size_float.ceil());
    spec.target_size_float
}

async fn told(keda: &Keda, asked: &Trigger) -> f64 {
    target(&keda.get_metric_spec(asked).await.unwrap())
}

/// Two jobs of half a second at a time, for so long.
async fn work(server: &Server, time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        server.run("RPUSH p 1 2");
        sleep(Duration::from_millis(500)).await;
        server.run("DEL p\nINCRBY done 2");
    }
}

/// What half a second a job comes to: a machine that is held up makes it longer, and never shorter than half.
fn is_of_half_a_second(target: f64) -> bool {
    (60.0..=480.0).contains(&target)
}

async fn a_target_of_a_given_task_time_stays_and_is_not_streamed(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    server.run("RPUSH q 1 2 3");
    for (task_time, wanted) in [("5s", 24.0), ("1m", 2.0), ("1h", 2.0), ("7s", 17.143)] {
        let asked = of_two(task_time, &[]);
        assert_eq!(told(&keda, &asked).await, wanted, "{task_time}");
        assert_eq!(keda.value(&asked).await.unwrap(), 3.0, "the value is as with any target");
        assert_eq!(told(&keda, &asked).await, wanted, "{task_time}");
        let refused = keda.stream_metric_spec(&asked).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented, "{refused}");
    }
    let unknown = of_two("measured", &[("finished", "done")]);
    assert_eq!(told(&keda, &unknown).await, 2.0, "a slot for every job");
}

async fn a_target_follows_the_measured_task_time_at_most_once_a_minute(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let asked = measured();
    let opened = Instant::now();
    let mut stream = keda.stream_metric_spec(&asked).await.unwrap();
    let first = timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(target(&first), 4.0, "what was given");
    work(&server, Duration::from_secs(10)).await;
    assert_eq!(told(&keda, &asked).await, 4.0, "as the stream was told");
    let second = timeout(Duration::from_secs(70) + PATIENCE, stream.message()).await;
    let second = target(&second.unwrap().unwrap().unwrap());
    assert!(opened.elapsed() >= Duration::from_secs(60), "{:?}", opened.elapsed());
    assert!(is_of_half_a_second(second), "{second}");
    assert_eq!(told(&keda, &asked).await, second);
    // One that comes later is told the same, and both end when the service does.
    let mut other = keda.stream_metric_spec(&asked).await.unwrap();
    let same = timeout(PATIENCE, other.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(target(&same), second);
    assert_eq!(service.metric("penstock_streams_open{method=\"StreamMetricSpec\"").await, 2.0);
    service.signal("TERM");
    for stream in [&mut stream, &mut other] {
        let ended = timeout(PATIENCE, stream.message()).await.unwrap().unwrap();
        assert_eq!(ended, None, "it ends with OK");
    }
}

async fn a_replica_without_the_stream_follows_too(kind: Kind) {
    let server = Server::start(kind);
    let config =
        format!("[server]\nshow_triggers = true\n[redis.default]\nurl = \"{}\"\n", server.url());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let asked = measured();
    assert_eq!(keda.value(&asked).await.unwrap(), 0.0);
    work(&server, Duration::from_secs(6)).await;
    let moved = told(&keda, &asked).await;
    assert!(is_of_half_a_second(moved), "{moved}");
    assert_eq!(told(&keda, &asked).await, moved);
    let (code, page) = service.get("/triggers/jobs/worker").await;
    assert_eq!(code, 200);
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    let shown = &page["triggers"][0];
    assert_eq!(shown["metadata"]["target"], moved);
    assert_eq!(shown["metadata"]["targetIsAuto"], true);
    let seconds = shown["taskTimeSeconds"].as_f64().unwrap();
    assert!((0.25..=2.0).contains(&seconds), "{seconds}");
}
