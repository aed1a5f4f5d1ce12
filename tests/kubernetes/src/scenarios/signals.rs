//! Numbers that are no counts of jobs: a floor that somebody sets before a burst, and how many requests come.

use std::{slice, time::Duration};

use penstock_testkit::{Server, Service};
use tokio::time::{interval, sleep};

use crate::{
    api::eventually,
    keda::Version,
    stage::{AT_ONCE, DECISION, Stage, pushed, scaled_object, set, shown},
};

pub async fn a_floor_is_there_in_one_step_and_ends_with_its_time_to_live(stage: &Stage<'_>) {
    let penstock = Service::of(&stage.redis).await;
    let jobs = pushed(penstock.grpc(), "queue: q, target: '5'");
    let floor = pushed(penstock.grpc(), "signal: gauge, gauge: floor, target: '1'");
    stage.deployment("worker", 0).await;
    let fields = format!("pollingInterval: 5, cooldownPeriod: 15, maxReplicaCount: 12, {AT_ONCE}");
    stage.apply(&scaled_object("worker", &fields, &[jobs, floor])).await;
    stage.is_ready("worker").await;
    let play = async {
        stage.redis.run("SET floor 6");
        stage.scales_to("worker", 6, DECISION).await;
        set(&stage.redis, "q", 60);
        stage.scales_to("worker", 12, DECISION).await;
        set(&stage.redis, "q", 0);
        // The jobs are done, and the floor holds until nobody needs it any more.
        stage.scales_to("worker", 6, DECISION).await;
        stage.redis.run("EXPIRE floor 20");
        stage.scales_to("worker", 0, DECISION).await;
    };
    let changes = stage.changes_while("worker", play).await;
    println!("| {} | a floor | {} |", stage.keda(), shown(&changes));
    let seen: Vec<u64> = changes.iter().map(|change| change.1).collect();
    // KEDA wakes one, the HPA all the others; and takes them away but for the one that KEDA takes.
    assert!(matches!(seen[..], [0, 1, 6, 12, 6, 0] | [0, 1, 6, 12, 6, 1, 0]), "{seen:?}");
}

pub async fn replicas_follow_the_requests_of_an_application(stage: &Stage<'_>) {
    let penstock = Service::of(&stage.redis).await;
    let metadata = "signal: rate, counter: requests, window: 20s, target: '2'";
    let trigger = pushed(penstock.grpc(), metadata);
    stage.deployment("app", 0).await;
    let fields = "pollingInterval: 5, cooldownPeriod: 15, idleReplicaCount: 0, minReplicaCount: 1, \
                  maxReplicaCount: 10";
    stage.apply(&scaled_object("app", &format!("{fields}, {AT_ONCE}"), &[trigger])).await;
    // Before the window was watched nothing is known, and the first request wakes all the same.
    let play = async {
        while_requests_come(&stage.redis, 1.0, stage.scales_to("app", 1, DECISION)).await;
        let settled = stage.stays_at("app", 1, Duration::from_secs(40));
        while_requests_come(&stage.redis, 1.0, settled).await;
        while_requests_come(&stage.redis, 3.3, stage.scales_to("app", 2, DECISION)).await;
        stage.scales_to("app", 0, DECISION).await;
    };
    let changes = stage.changes_while("app", play).await;
    println!("| {} | requests of an application | {} |", stage.keda(), shown(&changes));
    let seen: Vec<u64> = changes.iter().map(|change| change.1).collect();
    assert!(matches!(seen[..], [0, 1, 2, 0] | [0, 1, 2, 1, 0]), "{seen:?}");
}

pub async fn replicas_follow_the_age_of_the_oldest_job(stage: &Stage<'_>) {
    let penstock = Service::of(&stage.redis).await;
    let trigger = pushed(penstock.grpc(), "queue: q, readyAt: /at, signal: latency, target: '10'");
    stage.deployment("worker", 0).await;
    let fields = format!("pollingInterval: 5, cooldownPeriod: 15, maxReplicaCount: 4, {AT_ONCE}");
    stage.apply(&scaled_object("worker", &fields, &[trigger])).await;
    stage.is_ready("worker").await;
    let play = async {
        let now = stage.redis.now().as_secs_f64();
        stage.redis.run(&format!("LPUSH q {{\"at\":{now}}}"));
        // Nothing else happens: it grows old by itself.
        stage.scales_to("worker", 4, DECISION).await;
        stage.redis.run("DEL q");
        stage.scales_to("worker", 0, DECISION).await;
    };
    let changes = stage.changes_while("worker", play).await;
    println!("| {} | the age of the oldest job | {} |", stage.keda(), shown(&changes));
    let seen: Vec<u64> = changes.iter().map(|change| change.1).collect();
    let grown = seen.iter().position(|replicas| *replicas == 4).unwrap();
    assert!(seen[..=grown].is_sorted(), "it only grows older: {seen:?}");
    assert!(matches!(seen[grown..], [4, .., 0]), "{seen:?}");
}

/// So many requests a second, each of which is over at once, until the play is.
async fn while_requests_come(redis: &Server, a_second: f64, play: impl Future<Output = ()>) {
    let requests = async {
        // One that is late is made up for.
        let mut due = interval(Duration::from_secs_f64(1.0 / a_second));
        loop {
            due.tick().await;
            redis.run("INCR requests");
        }
    };
    tokio::select! {
        () = play => {}
        () = requests => {}
    }
}

pub async fn a_target_follows_how_long_jobs_run(stage: &Stage<'_>) {
    let penstock = Service::of(&stage.redis).await;
    let metadata = "queue: q, inFlight: p, gap: '0', finished: done, slots: '2', maxWait: 1m, \
                    target: auto, taskTime: 'measured,30s'";
    let trigger = pushed(penstock.grpc(), metadata);
    let object = |polled: u32| {
        let fields = format!("pollingInterval: {polled}, maxReplicaCount: 6, {AT_ONCE}");
        scaled_object("worker", &fields, slice::from_ref(&trigger))
    };
    let target = async || {
        let hpa = stage.hpa("worker").await.unwrap();
        let told = &hpa["spec"]["metrics"][0]["external"]["target"]["averageValue"];
        told.as_str().unwrap().parse::<f64>().unwrap()
    };
    set(&stage.redis, "q", 12);
    stage.deployment("worker", 0).await;
    stage.apply(&object(5)).await;
    stage.is_ready("worker").await;
    stage.scales_to("worker", 3, DECISION).await;
    assert_eq!(target().await, 4.0, "a minute is enough for two of half a minute in two slots");
    // Two seconds a job: sixty in a minute.
    let play = async {
        if stage.cluster.keda.version() == Version::V2_20 {
            // It asks for a target with each change of the object.
            sleep(Duration::from_secs(20)).await;
            assert_eq!(target().await, 4.0);
            stage.apply(&object(6)).await;
        }
        eventually(2 * DECISION, "another target", async || match target().await {
            4.0 => Err("the first one".to_owned()),
            other => Ok(other),
        })
        .await
    };
    let followed = while_jobs_run(&stage.redis, Duration::from_secs(2), play).await;
    println!("| {} | a target of 2 s a job, 30 s before | 4 → {followed} |", stage.keda());
    assert!((30.0..=120.0).contains(&followed), "{followed}");
    stage.scales_to("worker", 1, DECISION).await;
}

/// Two jobs at a time, that run for so long.
async fn while_jobs_run<T>(redis: &Server, runs: Duration, act: impl Future<Output = T>) -> T {
    let work = async {
        loop {
            redis.run("RPUSH p 1 2");
            sleep(runs).await;
            redis.run("DEL p\nINCRBY done 2");
        }
    };
    tokio::select! { () = work => unreachable!("it goes on"), done = act => done }
}
