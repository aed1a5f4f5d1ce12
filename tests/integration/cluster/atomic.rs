//! Slots that move all at once, as Valkey 9 can: no mark says that they are about to, nobody is sent on by
//! ASK, and the node they come from deletes what it had when they are the other's.
//!
//! Only on Valkey, since Redis moves slots in another way. On a Valkey that cannot these tests fail.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{CALM, beside, service, settles, settles_at, watch};
use crate::{
    harness::{Cluster, Kind, PATIENCE, Setup, eventually_is, millis, seconds, shares, wait_for},
    streams::Pushes,
    wire::{Trigger, queue, trigger},
};

/// Slots that move from node to node, again and again, while somebody writes.
const MOVING: (usize, usize) = (0, 1999);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_at_once_under_load_are_never_taken_for_empty() {
    let cluster = Cluster::start(Kind::Valkey, 3, false);
    let queues: Vec<String> =
        (0..60).map(|n| cluster.key_in(&format!("at-once-{n}-"), 0..MOVING.1 + 1)).collect();
    let others: Vec<String> = (0..60).map(|n| format!("elsewhere-{n}")).collect();
    for name in queues.iter().chain(&others) {
        cluster.run(&format!("RPUSH {name} a"));
    }
    let config = format!("{}scan = true\n", cluster.config(&[2]));
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    join_all(queues.iter().chain(&others).map(|name| settles_at(&keda, name, 1.0))).await;
    // One job more comes and goes in the first twenty queues, never all of them.
    let (busy, calm) = queues.split_at(20);
    let pattern = trigger([("queue", "at-once-*")]);
    eventually_is(2 * PATIENCE, Ok(60.0), async || {
        keda.value(&pattern).await.map_err(|status| status.code())
    })
    .await;
    let any: Vec<f64> = (60..=80).map(f64::from).collect();
    let stop = AtomicBool::new(false);
    let triggers = |names: &[String]| names.iter().map(|name| queue(name)).collect::<Vec<_>>();
    let (busy_triggers, calm_triggers) = (triggers(busy), triggers(calm));
    let other_triggers = triggers(&others);
    let watches = async {
        let busy = busy_triggers.iter().map(|trigger| watch(&keda, trigger, &[1.0, 2.0], &stop));
        let calm = calm_triggers.iter().chain(&other_triggers);
        let calm = calm.map(|trigger| watch(&keda, trigger, &[1.0], &stop));
        tokio::join!(join_all(busy), join_all(calm), watch(&keda, &pattern, &any, &stop))
    };
    let written = busy.to_vec();
    let moves = async {
        let work = move |cluster: &mut Cluster| {
            let (cluster, ended) = (&*cluster, AtomicBool::new(false));
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !ended.load(Ordering::SeqCst) {
                        for name in &written {
                            cluster.run(&format!("RPUSH {name} b\nLPOP {name}"));
                        }
                    }
                });
                let start = Instant::now();
                // Longer than two searches for queues are apart.
                while start.elapsed() < seconds(25) {
                    for (from, to) in [(0, 2), (2, 1), (1, 0)] {
                        cluster.move_at_once(MOVING, from, to);
                    }
                }
                ended.store(true, Ordering::SeqCst);
            });
        };
        let cluster = beside(cluster, work).await;
        stop.store(true, Ordering::SeqCst);
        cluster
    };
    let ((busy_answers, calm_answers, found), cluster) = tokio::join!(watches, moves);
    assert!(busy_answers.iter().chain(&calm_answers).all(|answers| *answers > 10));
    assert!(found > 10, "the pattern was answered {found} times");
    for name in queues.iter().chain(&others) {
        cluster.run(&format!("RPUSH {name} c"));
    }
    let all: Vec<Trigger> = triggers(&queues).into_iter().chain(other_triggers).collect();
    join_all(all.iter().map(|trigger| settles(&keda, trigger, 2.0))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_comes_right_after_its_slot_moved_at_once_is_seen() {
    let cluster = Cluster::start(Kind::Valkey, 3, false);
    let service = service(&cluster, &[1]).await;
    let keda = service.keda().await;
    for round in 0..6 {
        let (from, to) = [(0, 1), (0, 2)][round % 2];
        let key = cluster.key_in(&format!("new-{round}-"), 0..shares(3)[0].1);
        let slot = cluster.slot(&key);
        let mut pushes = Pushes::of(&keda, &queue(&key)).await;
        assert!(!pushes.next(CALM).await);
        settles(&keda, &queue(&key), 0.0).await;
        cluster.begin_atomic_move((slot, slot), from, to);
        // The first moment at which the other node takes it; until then it says who has the slot.
        let mut link = cluster.nodes[to].connect();
        let push = || {
            let mut command = deadpool_redis::redis::cmd("RPUSH");
            command.arg(&key).arg("job").query::<usize>(&mut link).is_ok()
        };
        let push = std::cell::RefCell::new(push);
        wait_for("the other node takes a job", || push.borrow_mut()());
        assert!(pushes.next(CALM).await, "in round {round}");
        settles(&keda, &queue(&key), 1.0).await;
        cluster.run(&format!("DEL {key}"));
        settles(&keda, &queue(&key), 0.0).await;
        cluster.run(&format!("RPUSH {key} again"));
        assert!(pushes.next(CALM).await, "in round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_at_once_that_is_given_up_changes_nothing() {
    let cluster = Cluster::start(Kind::Valkey, 3, false);
    let [full, empty] = ["full-", "empty-"].map(|begin| cluster.key_in(begin, 0..shares(3)[0].1));
    let slots = [&full, &empty].map(|key| cluster.slot(key));
    let slots = (slots[0].min(slots[1]), slots[0].max(slots[1]));
    cluster.run(&format!("RPUSH {full} a b"));
    let service = service(&cluster, &[0]).await;
    let keda = service.keda().await;
    let trigger = queue(&full);
    settles(&keda, &trigger, 2.0).await;
    let mut pushes = Pushes::of(&keda, &queue(&empty)).await;
    assert!(!pushes.next(CALM).await);
    let stop = AtomicBool::new(false);
    let (_, cluster) = tokio::join!(watch(&keda, &trigger, &[2.0], &stop), async {
        let give_up = move |cluster: &mut Cluster| {
            let ((first, last), to) = (slots, cluster.id(1));
            let begin = format!("CLUSTER MIGRATESLOTS SLOTSRANGE {first} {last} NODE {to}");
            for _ in 0..5 {
                // It cannot go on while the other node hangs.
                cluster.nodes[1].signal("STOP");
                cluster.nodes[0].run(&begin);
                thread::sleep(millis(200));
                cluster.nodes[0].run("CLUSTER CANCELSLOTMIGRATIONS");
                cluster.nodes[1].signal("CONT");
                assert_eq!(cluster.atomic_moves(0)[0], "cancelled");
                thread::sleep(millis(300));
            }
        };
        let cluster = beside(cluster, give_up).await;
        stop.store(true, Ordering::SeqCst);
        cluster
    });
    cluster.run(&format!("RPUSH {empty} a\nRPUSH {full} c"));
    assert!(pushes.next(CALM).await);
    settles(&keda, &trigger, 3.0).await;
}
