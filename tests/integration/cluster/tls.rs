//! A cluster that is only spoken to by TLS: who it is and who we are may change while nodes are connected,
//! and a node that cannot be trusted leaves the others alone.
//!
//! Only on Redis: the Valkey that the tests install is built without TLS.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use tokio::time::sleep;

use super::{CALM, beside, settles, watch};
use crate::{
    harness::{
        Authority, Cluster, Kind, PATIENCE, Server, Service, Setup, eventually, eventually_is,
        millis, shares, wait_for,
    },
    redis_tls::Files,
    streams::Pushes,
    wire::{Keda, Trigger, queue},
};

const ADDRESS: &[&str] = &["127.0.0.1"];

/// A service that knows the cluster by the TLS ports of these nodes.
async fn service(cluster: &Cluster, files: &Files) -> Service {
    let seeds: Vec<String> =
        cluster.nodes.iter().map(|node| format!("\"{}\"", node.tls_address())).collect();
    let tls = files.settings(&["ca", "cert", "key"]);
    let seeds = seeds.join(", ");
    let config = format!(
        "[redis.default]\ncluster = [{seeds}]\nhold_stale = \"30s\"\n[redis.default.tls]\n{tls}"
    );
    Setup::default().config(config).start().await
}

/// A key of each node.
fn keys(cluster: &Cluster, begin: &str) -> Vec<String> {
    shares(3).into_iter().map(|(first, last)| cluster.key_in(begin, first..last)).collect()
}

async fn settle(keda: &Keda, keys: &[String], value: f64) {
    let look = async |key: &String| {
        let look = async || keda.value(&queue(key)).await.map_err(|status| status.code());
        eventually_is(PATIENCE, Ok(value), look).await;
    };
    join_all(keys.iter().map(look)).await;
}

/// Ends all connections that clients have to these nodes.
fn hang_up(nodes: &[Server]) {
    nodes.iter().for_each(|node| node.run("CLIENT KILL TYPE normal SKIPME yes"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_swapped_under_open_streams_and_a_node_is_killed() {
    let (first, second) = (Authority::new(), Authority::new());
    let cluster = Cluster::with_tls(Kind::Redis, 3, (first.pem(), first.sign(ADDRESS)));
    let (jobs, idle) = (keys(&cluster, "jobs-"), keys(&cluster, "idle-"));
    jobs.iter().for_each(|key| cluster.run(&format!("RPUSH {key} a")));
    let files = Files::new(first.pem(), &first.sign(&["penstock"]));
    let service = service(&cluster, &files).await;
    let keda = service.keda().await;
    settle(&keda, &jobs, 1.0).await;
    let mut streams = Vec::new();
    for key in &idle {
        for number in 0..50 {
            let named = Trigger { name: format!("worker-{number}"), ..queue(key) };
            let mut pushes = Pushes::of(&keda, &named).await;
            assert!(!pushes.next(PATIENCE).await);
            streams.push(pushes);
        }
    }

    // Ours first, then theirs, under open connections.
    let pair = second.sign(&["penstock"]);
    for (name, text) in [("ca", second.pem()), ("cert", &pair.cert), ("key", &pair.key)] {
        files.write(name, text);
    }
    let changed = "the certificates changed; new connections use them";
    eventually_is(PATIENCE, true, async || {
        for key in &jobs {
            assert_eq!(keda.value(&queue(key)).await.unwrap(), 1.0, "no call fails");
        }
        !service.log_with(changed).is_empty()
    })
    .await;
    cluster.nodes.iter().for_each(|node| node.use_tls(second.pem(), &second.sign(ADDRESS)));
    jobs.iter().chain(&idle).for_each(|key| cluster.run(&format!("RPUSH {key} b")));
    for pushes in &mut streams {
        assert!(pushes.next(CALM).await, "the connections are as they were");
    }
    settle(&keda, &jobs, 2.0).await;
    let lost = "a node of the cluster cannot be read; known values of its keys are held for the stale budget";
    assert_eq!(service.log_with(lost).len(), 0);

    // New connections show and trust the new ones only, or there are none.
    hang_up(&cluster.nodes);
    jobs.iter().for_each(|key| cluster.run(&format!("RPUSH {key} c")));
    settle(&keda, &jobs, 3.0).await;

    let stop = AtomicBool::new(false);
    let triggers: Vec<Trigger> = jobs.iter().map(|key| queue(key)).collect();
    let watches = triggers.iter().map(|trigger| watch(&keda, trigger, &[3.0], &stop));
    let (_, cluster) = tokio::join!(join_all(watches), async {
        let kill = |cluster: &mut Cluster| {
            cluster.nodes[0].kill();
            let fails = || cluster.nodes[1].ask::<String>("CLUSTER NODES").contains("fail");
            wait_for("the others miss it", fails);
            cluster.nodes[0].run_again();
            cluster.settle();
        };
        let cluster = beside(cluster, kill).await;
        sleep(millis(300)).await;
        stop.store(true, Ordering::SeqCst);
        cluster
    });
    jobs.iter().for_each(|key| cluster.run(&format!("RPUSH {key} d")));
    settle(&keda, &jobs, 4.0).await;
    for node in &cluster.nodes {
        let clients: String = node.ask("CLIENT LIST");
        assert!(clients.contains("flags=t"), "its changes are not announced:\n{clients}");
    }
    assert!(!service.log().join("\n").contains("PRIVATE"), "{:?}", service.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_be_trusted_is_told_and_the_others_are_read() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let cluster = Cluster::with_tls(Kind::Redis, 3, (ours.pem(), ours.sign(ADDRESS)));
    let jobs = keys(&cluster, "jobs-");
    jobs.iter().for_each(|key| cluster.run(&format!("RPUSH {key} a")));
    let files = Files::new(ours.pem(), &ours.sign(&["penstock"]));
    let service = service(&cluster, &files).await;
    let keda = service.keda().await;
    settle(&keda, &jobs, 1.0).await;
    cluster.nodes[2].use_tls(ours.pem(), &theirs.sign(ADDRESS));
    hang_up(&cluster.nodes[2..]);
    let address = cluster.nodes[2].tls_address();
    let failed = "a read failed; its last value is held for the stale budget";
    eventually(PATIENCE, async || {
        assert_eq!(keda.value(&queue(&jobs[2])).await.unwrap(), 1.0, "held");
        let told = service.log_with(failed).iter().any(|line| {
            let reason = line["reason"].to_string();
            reason.contains(&address) && reason.contains("UnknownIssuer")
        });
        if told { Ok(()) } else { Err(service.log().join("\n")) }
    })
    .await;
    for (place, key) in jobs.iter().enumerate() {
        cluster.run(&format!("RPUSH {key} b"));
        let value = if place == 2 { 1.0 } else { 2.0 };
        settles(&keda, &queue(key), value).await;
    }
    cluster.nodes[2].use_tls(ours.pem(), &ours.sign(ADDRESS));
    settles_later(&keda, &jobs[2], 2.0).await;
}

/// Waits also for the longest pause between two attempts to connect.
async fn settles_later(keda: &Keda, key: &str, value: f64) {
    let look = async || keda.value(&queue(key)).await.map_err(|status| status.code());
    eventually_is(PATIENCE, Ok(value), look).await;
}
