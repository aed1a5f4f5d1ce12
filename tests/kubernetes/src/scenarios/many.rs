//! A thousand ScaledObjects: how long from a job to `spec.replicas`, and what it takes. Times are told (of a debug build) and not
//! asserted, beside those of KEDA's own trigger in the same run; that every workload wakes is asserted.

use std::{collections::BTreeSet, time::Duration};

use futures_util::StreamExt;
use penstock_testkit::{Service, eventually_is};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    api::Change,
    stage::{Stage, deployment, pushed, scaled_object},
};

const OBJECTS: u32 = 1000;
/// Of KEDA's own trigger, which looks every five seconds.
const THEIRS: usize = 100;
/// How many wake at once.
const BURSTS: [u32; 4] = [1, 100, 500, 399];
const RECONCILED: Duration = Duration::from_secs(240);
/// Between two looks at all of them.
const LOOK: Duration = Duration::from_secs(5);
const AWAKE: Duration = Duration::from_secs(120);

pub async fn a_thousand_objects_wake_by_push(stage: &Stage<'_>) {
    let penstock = Service::of(&stage.redis).await;
    let start = Instant::now();
    let ours = (0..OBJECTS).map(|number| {
        let name = format!("ours-{number}");
        let trigger = pushed(penstock.grpc(), &format!("queue: {name}, target: '5'"));
        manifest(&name, "pollingInterval: 600", &trigger)
    });
    stage.apply_all(&ours.collect::<Vec<_>>()).await;
    let created = start.elapsed();
    let streams = async || penstock.metric("penstock_streams_open{method=\"StreamIsActive\"").await;
    eventually_is(RECONCILED, f64::from(OBJECTS), streams).await;
    let reconciled = start.elapsed();
    stage.all_are_ready(OBJECTS as usize, LOOK, RECONCILED).await;
    println!(
        "| {} | {OBJECTS} objects | created in {created:.0?}, streams after {reconciled:.0?} | \
         operator {} MB, penstock {} MB, {} descriptors |",
        stage.keda(),
        stage.cluster.keda.memory().unwrap() / 1024,
        penstock.memory() / 1024,
        penstock.descriptors()
    );
    let mut first = 0;
    for burst in BURSTS {
        let names = (first..first + burst).map(|number| format!("ours-{number}")).collect();
        first += burst;
        wake(stage, "penstock", names).await;
    }
    let theirs = (0..THEIRS).map(|number| {
        let name = format!("theirs-{number}");
        let trigger = format!(
            "{{type: redis, metadata: {{address: '{}', listName: {name}, listLength: '5'}}}}",
            stage.redis.address()
        );
        manifest(&name, "pollingInterval: 5", &trigger)
    });
    stage.apply_all(&theirs.collect::<Vec<_>>()).await;
    let names: Vec<String> = (0..THEIRS).map(|number| format!("theirs-{number}")).collect();
    for name in &names {
        stage.is_ready(name).await;
    }
    wake(stage, "KEDA's redis every 5 s", names).await;
}

fn manifest(name: &str, fields: &str, trigger: &str) -> String {
    let fields = format!("{fields}, cooldownPeriod: 600, maxReplicaCount: 1");
    let object = scaled_object(name, &fields, &[trigger.to_owned()]);
    deployment(name, 0, "{name: worker, image: worker}") + "---" + &object
}

/// Gives each of them a job in the same moment, and sees when its Deployment is to have a replica.
async fn wake(stage: &Stage<'_>, whose: &str, names: Vec<String>) {
    let watch = stage.cluster.kubernetes.watch("Deployment", &stage.namespace);
    let mut deployments = std::pin::pin!(watch);
    // What is there comes first, and takes its time.
    let all_seen = Instant::now() + AWAKE;
    let mut unseen: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    while !unseen.is_empty() {
        let change = timeout_at(all_seen, deployments.next()).await.expect("all Deployments");
        let Some(Change::Is(deployment)) = change else { continue };
        unseen.remove(deployment["metadata"]["name"].as_str().unwrap());
    }
    let script = "for _, key in ipairs(KEYS) do redis.call('RPUSH', key, 'job') end";
    let count = names.len().to_string();
    let mut words = vec!["EVAL", script, &count];
    words.extend(names.iter().map(String::as_str));
    let start = Instant::now();
    stage.redis.ask_words::<()>(&words);
    let mut asleep: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let mut awake = vec![];
    let all = timeout(AWAKE, async {
        while !asleep.is_empty() {
            let Change::Is(deployment) = deployments.next().await.unwrap() else { continue };
            let name = deployment["metadata"]["name"].as_str().unwrap();
            let is_awake = deployment["spec"]["replicas"] != 0;
            if is_awake && asleep.remove(name) {
                awake.push(start.elapsed());
            }
        }
    });
    assert!(all.await.is_ok(), "{whose}: {} of {count} do not wake", asleep.len());
    awake.sort_unstable();
    let at = |part: usize| awake[(awake.len() - 1) * part / 100];
    println!(
        "| {} | {whose}: {count} at once | p50 {:.1?}, p95 {:.1?}, last {:.1?} |",
        stage.keda(),
        at(50),
        at(95),
        at(100)
    );
}
