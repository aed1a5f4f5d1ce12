//! Replicas that fall behind, are filled anew, or lose their master.

use tokio::time::{Instant, sleep};

use super::{
    TOO_LONG, calls, is_connected, master, pair, reads_replica, replica_of, service, value,
};
use crate::{
    harness::{
        Kind, Mode, PATIENCE, Proxy, RECOVERY, STEP, Server, eventually, eventually_is, millis,
        seconds,
    },
    on_both_servers,
    streams::Pushes,
    wire::{Keda, queue},
};

on_both_servers!(
    a_replica_that_falls_behind_is_left_for_another_one_or_the_master,
    a_replica_that_is_filled_anew_tells_no_zero,
    a_replica_whose_filling_fails_tells_no_zero,
    a_replica_that_hangs_is_left,
    a_master_that_hangs_makes_its_replica_worth_nothing,
    a_replica_that_becomes_a_master_is_left,
    a_master_that_starts_anew_is_of_another_history,
    what_is_told_is_no_older_than_the_bound_and_a_moment,
);

/// Expects these values and nothing else, for as long as `during` takes.
async fn only<T>(keda: &Keda, wanted: &[f64], during: impl Future<Output = T>) -> T {
    let watch = async {
        loop {
            match keda.value(&queue("q")).await {
                Ok(value) => assert!(wanted.contains(&value), "{value} of {wanted:?}"),
                Err(status) => panic!("{status}"),
            }
            sleep(STEP).await;
        }
    };
    tokio::select! {
        done = during => done,
        () = watch => unreachable!("it watches for ever"),
    }
}

async fn a_replica_that_falls_behind_is_left_for_another_one_or_the_master(kind: Kind) {
    let master = master(kind);
    master.run("RPUSH q a b c");
    let proxy = Proxy::to(master.port()).await;
    let port = proxy.address().rsplit_once(':').unwrap().1.parse().unwrap();
    let replica = replica_of(kind, port);
    is_connected(&replica, &master).await;
    let (service, keda) = service(&master, "").await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    reads_replica(&service, RECOVERY, true).await;
    let mut pushes = Pushes::of(&keda, &queue("idle")).await;
    assert!(!pushes.next(RECOVERY).await);
    proxy.set(Mode::Stall);
    let written = Instant::now();
    master.run("RPUSH q d\nRPUSH idle a");
    only(&keda, &[3.0, 4.0], async {
        eventually_is(TOO_LONG, 4.0, async || keda.value(&queue("q")).await.unwrap()).await;
    })
    .await;
    eprintln!("left {:?} after the write", written.elapsed());
    assert!(pushes.next(RECOVERY).await, "the job is pushed from the master");
    reads_replica(&service, RECOVERY, false).await;
    assert_eq!(replica.ask::<i64>("LLEN q"), 3, "it is behind");
    let why = service.log().join("\n");
    assert!(why.contains("it is not proved to be within 1s: it is behind"), "{why}");
    // Once it has caught up it is read again.
    proxy.set(Mode::Pass);
    only(&keda, &[4.0], reads_replica(&service, 3 * PATIENCE, true)).await;
    // With another replica that one is read, and then the master is left alone. Until it has proved itself
    // the master may be read, if the machine is held up for that moment.
    let other = replica_of(kind, master.port());
    is_connected(&other, &master).await;
    proxy.set(Mode::Stall);
    let known = calls(&other, "llen");
    master.run("RPUSH q e");
    eventually_is(TOO_LONG, 5.0, async || keda.value(&queue("q")).await.unwrap()).await;
    reads_replica(&service, 3 * PATIENCE, true).await;
    eventually_is(PATIENCE, true, async || calls(&other, "llen") > known).await;
    let asked = calls(&master, "llen");
    master.run("RPUSH q f");
    eventually_is(TOO_LONG, 6.0, async || keda.value(&queue("q")).await.unwrap()).await;
    assert_eq!(calls(&master, "llen"), asked);
}

async fn a_replica_that_is_filled_anew_tells_no_zero(kind: Kind) {
    let (master, mut replica) = pair(kind).await;
    let (service, keda) = service(&master, "").await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    reads_replica(&service, RECOVERY, true).await;
    only(&keda, &[3.0], async {
        // Its history is that of a stranger, so that it has to be filled.
        replica.run("REPLICAOF NO ONE\nDEL q");
        replica.run(&format!("REPLICAOF 127.0.0.1 {}", master.port()));
        is_connected(&replica, &master).await;
        assert_eq!(replica.ask::<i64>("LLEN q"), 3);
        reads_replica(&service, 3 * PATIENCE, true).await;
        // And with nothing at all in it.
        replica.kill();
        replica.forget();
        replica.run_again();
        is_connected(&replica, &master).await;
        reads_replica(&service, 3 * PATIENCE, true).await;
    })
    .await;
    master.run("RPUSH q d");
    eventually_is(RECOVERY, Ok(4.0), async || value(&keda, "q").await).await;
}

/// A replica throws its data away and then loses its master: it is empty, and answers.
async fn a_replica_whose_filling_fails_tells_no_zero(kind: Kind) {
    let (master, replica) = pair(kind).await;
    let (service, keda) = service(&master, "").await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    reads_replica(&service, RECOVERY, true).await;
    only(&keda, &[3.0], async {
        for _ in 0..20 {
            // What a failed filling leaves: no data, and a link to the master that is being made.
            let mut link = replica.connect();
            deadpool_redis::redis::pipe()
                .cmd("REPLICAOF")
                .arg("NO")
                .arg("ONE")
                .cmd("FLUSHALL")
                .cmd("REPLICAOF")
                .arg("127.0.0.1")
                .arg(master.port())
                .exec(&mut link)
                .unwrap();
            sleep(millis(100)).await;
        }
        is_connected(&replica, &master).await;
        reads_replica(&service, 8 * PATIENCE, true).await;
    })
    .await;
}

async fn a_replica_that_hangs_is_left(kind: Kind) {
    let (master, replica) = pair(kind).await;
    let (service, keda) = service(&master, "").await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    reads_replica(&service, RECOVERY, true).await;
    replica.signal("STOP");
    master.run("RPUSH q d");
    only(&keda, &[3.0, 4.0], async {
        eventually_is(TOO_LONG, 4.0, async || keda.value(&queue("q")).await.unwrap()).await;
        reads_replica(&service, RECOVERY, false).await;
    })
    .await;
    replica.signal("CONT");
    only(&keda, &[4.0], reads_replica(&service, 3 * PATIENCE, true)).await;
}

async fn a_master_that_hangs_makes_its_replica_worth_nothing(kind: Kind) {
    let (master, replica) = pair(kind).await;
    let (service, keda) = service(&master, "").await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    reads_replica(&service, RECOVERY, true).await;
    master.signal("STOP");
    let up = async || service.metric("penstock_redis_up{").await;
    eventually_is(seconds(4), 0.0, up).await;
    assert_eq!(value(&keda, "q").await, Ok(3.0), "it is held");
    let log = service.log().join("\n");
    assert!(log.contains("did not answer in time"), "{log}");
    master.signal("CONT");
    master.run("RPUSH q d");
    only(&keda, &[3.0, 4.0], async {
        eventually_is(PATIENCE, 4.0, async || keda.value(&queue("q")).await.unwrap()).await;
        reads_replica(&service, 3 * PATIENCE, true).await;
    })
    .await;
    assert_eq!(replica.ask::<i64>("LLEN q"), 4);
}

async fn a_replica_that_becomes_a_master_is_left(kind: Kind) {
    let (master, replica) = pair(kind).await;
    let (service, keda) = service(&master, "").await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    reads_replica(&service, RECOVERY, true).await;
    let known = |server: &Server| calls(server, "llen");
    only(&keda, &[3.0], async {
        replica.run("REPLICAOF NO ONE\nRPUSH q x y z");
        reads_replica(&service, RECOVERY, false).await;
        let before = known(&replica);
        master.run("RPUSH idle a");
        eventually_is(PATIENCE, Ok(1.0), async || value(&keda, "idle").await).await;
        assert_eq!(known(&replica), before);
    })
    .await;
}

async fn a_master_that_starts_anew_is_of_another_history(kind: Kind) {
    let (mut master, replica) = pair(kind).await;
    (0..50).for_each(|_| master.run("INCR written"));
    // It does not find its master again by itself.
    let (service, keda) = service(&master, &format!(", nodes = [\"{}\"]", replica.address())).await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    reads_replica(&service, RECOVERY, true).await;
    only(&keda, &[3.0, 4.0], async {
        master.kill();
        master.run_again();
        master.run("RPUSH q d");
        eventually(PATIENCE, async || match keda.value(&queue("q")).await {
            Ok(4.0) => Ok(()),
            other => Err(other),
        })
        .await;
        is_connected(&replica, &master).await;
        reads_replica(&service, 3 * PATIENCE, true).await;
    })
    .await;
    assert_eq!(value(&keda, "q").await, Ok(4.0));
}

/// A queue that only grows, on a replica that stalls again and again: what a call is told was true no
/// longer ago than the bound, and the moment that another server takes to be read.
async fn what_is_told_is_no_older_than_the_bound_and_a_moment(kind: Kind) {
    let master = master(kind);
    master.run("RPUSH q a b c");
    let proxy = Proxy::to(master.port()).await;
    let port = proxy.address().rsplit_once(':').unwrap().1.parse().unwrap();
    let replica = replica_of(kind, port);
    is_connected(&replica, &master).await;
    let (service, keda) = service(&master, "").await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    reads_replica(&service, RECOVERY, true).await;
    let mut link = master.connect();
    // When the queue had at least so many jobs.
    let mut history = vec![(Instant::now(), 3.0)];
    for round in 0..400 {
        let pushed: f64 =
            deadpool_redis::redis::cmd("RPUSH").arg("q").arg("x").query(&mut link).unwrap();
        history.push((Instant::now(), pushed));
        let asked = Instant::now();
        let told = keda.value(&queue("q")).await.expect("held, or read again");
        let old = history.iter().rev().find(|(at, _)| *at + TOO_LONG <= asked);
        let least = old.map_or(3.0, |(_, jobs)| *jobs);
        assert!((least..=pushed).contains(&told), "round {round}: {told}, {least} to {pushed}");
        match round % 100 {
            20 | 50 => proxy.set(Mode::Stall),
            30 | 90 => proxy.set(Mode::Pass),
            _ => {}
        }
        sleep(STEP).await;
    }
    proxy.set(Mode::Pass);
    let all = master.ask::<f64>("LLEN q");
    eventually_is(RECOVERY, Ok(all), async || value(&keda, "q").await).await;
}
