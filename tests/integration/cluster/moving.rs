//! Slots that move from node to node: what is in them is counted all the time, and what comes into them
//! is seen wherever it comes.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use tokio::time::sleep;

use super::{CALM, beside, service, settles, settles_at, watch};
use crate::{
    harness::{Cluster, Kind, millis, shares},
    on_both_servers,
    streams::Pushes,
    wire::{Trigger, queue},
};

on_both_servers!(
    a_queue_is_counted_and_pushed_while_its_slot_moves,
    a_queue_that_is_empty_while_its_slot_moves_is_not_taken_for_empty_later,
    a_thousand_slots_move_under_load_and_nothing_reads_as_zero,
    a_node_that_is_added_serves_what_moves_to_it,
);

async fn a_queue_is_counted_and_pushed_while_its_slot_moves(kind: Kind) {
    let cluster = Cluster::start(kind, 3, false);
    let key = cluster.key_in("moving-", 0..shares(3)[0].1);
    let slot = cluster.slot(&key);
    cluster.run(&format!("RPUSH {key} a b c"));
    let service = service(&cluster, &[0, 1, 2]).await;
    let keda = service.keda().await;
    let mut pushes = Pushes::of(&keda, &queue(&key)).await;
    assert!(pushes.next(CALM).await);
    let stop = AtomicBool::new(false);
    let trigger = queue(&key);
    let moves = async {
        for (from, to) in [(0, 2), (2, 1), (1, 0)] {
            cluster.begin_move(slot, from, to);
            sleep(millis(300)).await;
            cluster.move_keys(slot, from, to);
            sleep(millis(300)).await;
            cluster.end_move(slot, from, to);
            sleep(millis(300)).await;
        }
        stop.store(true, Ordering::SeqCst);
    };
    let (answers, ()) = tokio::join!(watch(&keda, &trigger, &[3.0], &stop), moves);
    assert!(answers > 50, "only {answers} answers");
    cluster.run(&format!("DEL {key}"));
    settles(&keda, &trigger, 0.0).await;
    cluster.run(&format!("RPUSH {key} again"));
    assert!(pushes.next(CALM).await);
}

async fn a_queue_that_is_empty_while_its_slot_moves_is_not_taken_for_empty_later(kind: Kind) {
    let cluster = Cluster::start(kind, 3, false);
    let service = service(&cluster, &[1]).await;
    let keda = service.keda().await;
    // At each step of the move of an empty slot a job comes, wherever that is by then.
    for step in 0..4 {
        let key = cluster.key_in(&format!("empty-{step}-"), 0..shares(3)[0].1);
        let slot = cluster.slot(&key);
        let mut pushes = Pushes::of(&keda, &queue(&key)).await;
        assert!(!pushes.next(CALM).await);
        if step >= 1 {
            cluster.begin_move(slot, 0, 1);
        }
        if step == 2 {
            // The move is given up again.
            sleep(millis(1500)).await;
            cluster.nodes[0].run(&format!("CLUSTER SETSLOT {slot} STABLE"));
            cluster.nodes[1].run(&format!("CLUSTER SETSLOT {slot} STABLE"));
        }
        if step == 3 {
            cluster.end_move(slot, 0, 1);
        }
        cluster.run(&format!("RPUSH {key} a"));
        assert!(pushes.next(CALM).await, "at step {step}");
        settles(&keda, &queue(&key), 1.0).await;
        cluster.run(&format!("RPUSH {key} b"));
        settles(&keda, &queue(&key), 2.0).await;
        cluster.run(&format!("DEL {key}"));
        settles(&keda, &queue(&key), 0.0).await;
        cluster.run(&format!("RPUSH {key} c"));
        assert!(pushes.next(CALM).await, "at step {step}");
    }
}

async fn a_thousand_slots_move_under_load_and_nothing_reads_as_zero(kind: Kind) {
    let cluster = Cluster::start(kind, 3, false);
    let queues: Vec<String> = (0..200).map(|n| format!("q{n}")).collect();
    for name in &queues {
        cluster.run(&format!("RPUSH {name} a"));
    }
    let service = service(&cluster, &[2]).await;
    let keda = service.keda().await;
    join_all(queues.iter().map(|name| settles_at(&keda, name, 1.0))).await;
    let stop = AtomicBool::new(false);
    let triggers: Vec<Trigger> = queues.iter().map(|name| queue(name)).collect();
    let watches = triggers.iter().map(|trigger| watch(&keda, trigger, &[1.0], &stop));
    let (answers, cluster) = tokio::join!(join_all(watches), async {
        let moves =
            |cluster: &mut Cluster| (0..1000).for_each(|slot| cluster.move_slot(slot, 0, 1));
        let cluster = beside(cluster, moves).await;
        stop.store(true, Ordering::SeqCst);
        cluster
    });
    assert!(answers.iter().all(|answers| *answers > 3), "{answers:?}");
    for name in &queues {
        cluster.run(&format!("RPUSH {name} b"));
    }
    join_all(triggers.iter().map(|trigger| settles(&keda, trigger, 2.0))).await;
}

async fn a_node_that_is_added_serves_what_moves_to_it(kind: Kind) {
    let mut cluster = Cluster::start(kind, 3, false);
    let full = cluster.key_in("full-", 0..100);
    let empty = cluster.key_in("empty-", 0..100);
    cluster.run(&format!("RPUSH {full} a"));
    let service = service(&cluster, &[1]).await;
    let keda = service.keda().await;
    settles(&keda, &queue(&full), 1.0).await;
    let mut pushes = Pushes::of(&keda, &queue(&empty)).await;
    assert!(!pushes.next(CALM).await);
    let added = cluster.add_node();
    cluster.join(added);
    cluster.settle();
    let stop = AtomicBool::new(false);
    let trigger = queue(&full);
    let (_, cluster) = tokio::join!(watch(&keda, &trigger, &[1.0], &stop), async {
        let moves = move |cluster: &mut Cluster| {
            (0..100).for_each(|slot| cluster.move_slot(slot, 0, added))
        };
        let cluster = beside(cluster, moves).await;
        stop.store(true, Ordering::SeqCst);
        cluster
    });
    cluster.run(&format!("RPUSH {empty} a\nRPUSH {full} b"));
    assert!(pushes.next(CALM).await);
    settles(&keda, &trigger, 2.0).await;
    let clients: String = cluster.nodes[added].ask("CLIENT LIST");
    assert!(clients.contains("flags=t"), "{clients}");
}
