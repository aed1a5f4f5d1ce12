//! Nodes that are lost, hang or hand over: their queues are held and never taken for empty, and those of
//! the others are read as ever.

use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{CALM, beside, service, settles, watch};
use crate::{
    harness::{Cluster, Kind, STEP, Server, eventually_is, millis, seconds, shares, wait_for},
    on_both_servers,
    streams::Pushes,
    wire::{Trigger, queue},
};

on_both_servers!(
    a_master_that_is_killed_is_held_until_its_replica_answers,
    a_planned_failover_loses_nothing,
    a_node_that_hangs_leaves_the_others_alone,
    the_whole_cluster_may_end_and_come_back,
);

async fn a_master_that_is_killed_is_held_until_its_replica_answers(kind: Kind) {
    let cluster = Cluster::start(kind, 3, true);
    let keys: Vec<String> = shares(3)
        .into_iter()
        .enumerate()
        .map(|(place, (first, last))| cluster.key_in(&format!("of-{place}-"), first..last))
        .collect();
    keys.iter().for_each(|key| cluster.run(&format!("RPUSH {key} a b")));
    let empty = cluster.key_in("empty-", 0..shares(3)[0].1);
    let service = service(&cluster, &[0, 1, 2]).await;
    let keda = service.keda().await;
    for key in &keys {
        settles(&keda, &queue(key), 2.0).await;
    }
    let mut pushes = Pushes::of(&keda, &queue(&empty)).await;
    assert!(!pushes.next(CALM).await);
    wait_for("the replica has it all", || cluster.nodes[3].ask::<u64>("DBSIZE") >= 1);
    let stop = AtomicBool::new(false);
    let triggers: Vec<Trigger> = keys.iter().map(|key| queue(key)).collect();
    let watches = triggers.iter().map(|trigger| watch(&keda, trigger, &[2.0], &stop));
    let (_, mut cluster) = tokio::join!(join_all(watches), async {
        sleep(millis(200)).await;
        let kill = |cluster: &mut Cluster| {
            cluster.nodes[0].kill();
            wait_for("the replica is elected", || cluster.is_master(3));
            wait_for("the cluster is well", || {
                cluster.nodes[1].ask::<String>("CLUSTER INFO").contains("cluster_state:ok")
            });
        };
        let cluster = beside(cluster, kill).await;
        stop.store(true, Ordering::SeqCst);
        cluster
    });
    cluster.run(&format!("RPUSH {empty} a"));
    assert!(pushes.next(CALM).await);
    cluster.run(&format!("RPUSH {} c", keys[0]));
    settles(&keda, &triggers[0], 3.0).await;
    // The old master comes back as a replica, and is not asked.
    cluster.nodes[0].run_again();
    cluster.settle();
    cluster.run(&format!("RPUSH {} d", keys[0]));
    settles(&keda, &triggers[0], 4.0).await;
}

async fn a_planned_failover_loses_nothing(kind: Kind) {
    let cluster = Cluster::start(kind, 3, true);
    let key = cluster.key_in("of-0-", 0..shares(3)[0].1);
    let empty = cluster.key_in("empty-", 0..shares(3)[0].1);
    cluster.run(&format!("RPUSH {key} a b"));
    let service = service(&cluster, &[1]).await;
    let keda = service.keda().await;
    let trigger = queue(&key);
    settles(&keda, &trigger, 2.0).await;
    let mut pushes = Pushes::of(&keda, &queue(&empty)).await;
    assert!(!pushes.next(CALM).await);
    let stop = AtomicBool::new(false);
    let (_, cluster) = tokio::join!(watch(&keda, &trigger, &[2.0], &stop), async {
        let failovers = |cluster: &mut Cluster| {
            for (new, old) in [(3, 0), (0, 3)] {
                // Redis gives a failover up after five seconds and does not begin another by itself.
                let node = &cluster.nodes[new];
                let is_over = || cluster.is_master(new) && !cluster.is_master(old);
                let asked_at = Cell::new(None::<Instant>);
                wait_for("the replica took over", || {
                    let replication: String = node.ask("INFO replication");
                    let is_due = asked_at.get().is_none_or(|at| at.elapsed() > millis(6_000));
                    if is_due && replication.contains("master_link_status:up") {
                        node.run("CLUSTER FAILOVER");
                        asked_at.set(Some(Instant::now()));
                    }
                    is_over()
                });
                std::thread::sleep(millis(500));
            }
        };
        let cluster = beside(cluster, failovers).await;
        stop.store(true, Ordering::SeqCst);
        cluster
    });
    cluster.run(&format!("RPUSH {empty} a"));
    assert!(pushes.next(CALM).await);
}

async fn a_node_that_hangs_leaves_the_others_alone(kind: Kind) {
    let arguments = ["--cluster-require-full-coverage", "no"];
    let cluster = Cluster::with_arguments(kind, (3, false), &arguments);
    let keys: Vec<String> = shares(3)
        .into_iter()
        .enumerate()
        .map(|(place, (first, last))| cluster.key_in(&format!("of-{place}-"), first..last))
        .collect();
    keys.iter().for_each(|key| cluster.run(&format!("RPUSH {key} a")));
    let service = service(&cluster, &[0, 1, 2]).await;
    let keda = service.keda().await;
    for key in &keys {
        settles(&keda, &queue(key), 1.0).await;
    }
    cluster.nodes[1].signal("STOP");
    let mut slow = 0;
    let start = Instant::now();
    let mut jobs = 1.0;
    while start.elapsed() < seconds(4) {
        assert_eq!(keda.value(&queue(&keys[1])).await.unwrap(), 1.0, "held");
        for place in [0, 2] {
            let key = &keys[place];
            let write = format!("RPUSH {key} b");
            cluster.nodes[place].run(&write);
            let written = Instant::now();
            let look = async || keda.value(&queue(key)).await.map_err(|status| status.code());
            eventually_is(CALM, Ok(jobs + 1.0), look).await;
            slow += usize::from(written.elapsed() > millis(300));
        }
        jobs += 1.0;
        sleep(STEP).await;
    }
    assert!(slow <= 3, "the node that hangs held up {slow} reads of the others");
    cluster.nodes[1].signal("CONT");
    let key = &keys[1];
    wait_for("the node is back", || {
        cluster.nodes[1].ask::<String>("CLUSTER INFO").contains("cluster_state:ok")
    });
    cluster.nodes[1].run(&format!("RPUSH {key} b"));
    settles(&keda, &queue(key), 2.0).await;
}

async fn the_whole_cluster_may_end_and_come_back(kind: Kind) {
    let cluster = Cluster::start(kind, 3, false);
    let key = cluster.key_in("q-", 0..5000);
    cluster.run(&format!("RPUSH {key} a b"));
    let service = service(&cluster, &[0, 1, 2]).await;
    let keda = service.keda().await;
    let trigger = queue(&key);
    settles(&keda, &trigger, 2.0).await;
    let stop = AtomicBool::new(false);
    let (_, cluster) = tokio::join!(watch(&keda, &trigger, &[2.0], &stop), async {
        let restart = |cluster: &mut Cluster| {
            cluster.nodes.iter_mut().for_each(Server::kill);
            std::thread::sleep(millis(1500));
            cluster.nodes.iter_mut().for_each(Server::run_again);
            cluster.settle();
        };
        let cluster = beside(cluster, restart).await;
        sleep(millis(300)).await;
        stop.store(true, Ordering::SeqCst);
        cluster
    });
    cluster.run(&format!("RPUSH {key} c"));
    settles(&keda, &trigger, 3.0).await;
}
