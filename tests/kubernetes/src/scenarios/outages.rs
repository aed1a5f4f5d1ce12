//! Redis killed, stopped and failed over below two hundred ScaledObjects: no replica changes because of it, neither
//! while values are held nor when they are unknown.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::StreamExt;
use penstock_testkit::{Kind, MASTER, Server, Setup, Trio};
use tokio::time::{Instant, timeout_at};

use crate::{
    api::{Change, eventually_every},
    stage::{AT_ONCE, Stage, deployment, pushed, scaled_object, set},
};

/// As many ScaledObjects of each Redis, half of which have work.
const EACH: usize = 100;
/// How long a fault lasts: longer than values are held, and than the cooldown from then on.
const FAULT: Duration = Duration::from_secs(35);
/// For a sync of each HPA after a fault.
const AFTERWARDS: Duration = Duration::from_secs(20);
/// Between two looks at all of them.
const LOOK: Duration = Duration::from_secs(2);
const SETTLED: Duration = Duration::from_secs(180);
/// How often KEDA was told so when it asked for a value.
const UNAVAILABLE: &str = "penstock_rpcs_total{method=\"GetMetrics\",code=\"UNAVAILABLE\"}";

pub async fn no_fault_of_redis_changes_a_replica_of_two_hundred_objects(stage: &Stage<'_>) {
    let mut plain = Server::start(Kind::Redis);
    let trio = Trio::start(Kind::Redis);
    let sentinels = format!("{:?}", trio.addresses());
    let config = format!(
        "[redis.plain]\nurl = \"{}\"\nhold_stale = \"10s\"\n[redis.watched]\nhold_stale = \"10s\"\n\
         sentinel = {{ master = \"{}\", nodes = {sentinels} }}\n",
        plain.url(),
        MASTER
    );
    let penstock = Setup::default().config(config).start().await;
    let mut wanted = BTreeMap::new();
    for number in 0..EACH {
        let replicas = if number % 2 == 0 { 3 } else { 0 };
        for (redis, server) in [("plain", &plain), ("watched", &trio.servers[0])] {
            let name = format!("{redis}-{number}");
            set(server, &name, 2 * replicas);
            wanted.insert(name, replicas as u64);
        }
    }
    let manifests = wanted.keys().map(|name| {
        let redis = name.split('-').next().unwrap();
        let metadata = format!("redis: {redis}, queue: {name}, target: '2'");
        let fields =
            format!("pollingInterval: 10, cooldownPeriod: 10, maxReplicaCount: 5, {AT_ONCE}");
        let object = scaled_object(name, &fields, &[pushed(penstock.grpc(), &metadata)]);
        deployment(name, 0, "{name: worker, image: worker}") + "---" + &object
    });
    let manifests: Vec<String> = manifests.collect();
    stage.apply_all(&manifests).await;
    eventually_every(LOOK, SETTLED, "two hundred objects are settled", async || {
        let wrong = differing(&replicas(stage).await, &wanted);
        if wrong.is_empty() { Ok(()) } else { Err(format!("{} are not: {wrong:?}", wrong.len())) }
    })
    .await;
    let unknown = async || penstock.metric(UNAVAILABLE).await;
    plain.kill();
    trio.fail_over();
    unchanged(stage, "killed, and failed over", &wanted, FAULT).await;
    let killed = unknown().await;
    assert!(killed > 0.0, "KEDA was told that nothing is known");
    plain.run_again();
    unchanged(stage, "up again", &wanted, AFTERWARDS).await;
    plain.signal("STOP");
    unchanged(stage, "stopped", &wanted, FAULT).await;
    assert!(unknown().await > killed, "KEDA was told so again");
    plain.signal("CONT");
    unchanged(stage, "going on", &wanted, AFTERWARDS).await;
    println!(
        "| {} | Redis killed, failed over, stopped | {} unchanged |",
        stage.keda(),
        wanted.len()
    );
}

/// Sees each change of a Deployment for this long, and none of its replicas.
async fn unchanged(stage: &Stage<'_>, when: &str, wanted: &BTreeMap<String, u64>, time: Duration) {
    let start = Instant::now();
    let watch = stage.cluster.kubernetes.watch("Deployment", &stage.namespace);
    let mut changes = std::pin::pin!(watch);
    let mut seen = BTreeSet::new();
    while let Ok(change) = timeout_at(start + time, changes.next()).await {
        let Some(Change::Is(found)) = change else { panic!("a Deployment is gone") };
        let name = found["metadata"]["name"].as_str().unwrap();
        let replicas = found["spec"]["replicas"].as_u64().unwrap();
        let after = start.elapsed();
        assert_eq!(replicas, wanted[name], "{name}, Redis {when} for {after:?}");
        seen.insert(name.to_owned());
    }
    assert_eq!(seen.len(), wanted.len(), "each is seen at least once");
}

async fn replicas(stage: &Stage<'_>) -> BTreeMap<String, u64> {
    let deployments = stage.list("Deployment").await;
    let of = |found: &serde_json::Value| {
        let name = found["metadata"]["name"].as_str().unwrap().to_owned();
        (name, found["spec"]["replicas"].as_u64().unwrap())
    };
    deployments.iter().map(of).collect()
}

/// What is not as it should be: name, seen and wanted.
fn differing(seen: &BTreeMap<String, u64>, wanted: &BTreeMap<String, u64>) -> Vec<String> {
    let wrong = wanted.iter().filter(|(name, replicas)| seen.get(*name) != Some(replicas));
    wrong.map(|(name, replicas)| format!("{name}: {:?}, not {replicas}", seen.get(name))).collect()
}
