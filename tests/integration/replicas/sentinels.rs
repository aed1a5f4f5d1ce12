//! Replicas of a master that sentinels name, through failovers.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{calls, reads_replica, value};
use crate::{
    harness::{
        Kind, PATIENCE, RECOVERY, STEP, Server, Service, Setup, Trio, eventually_is, millis,
    },
    on_both_servers,
    streams::Pushes,
    wire::{Keda, queue},
};

on_both_servers!(
    a_replica_that_the_master_names_is_read,
    a_master_that_is_killed_costs_no_zero,
    a_planned_failover_costs_no_zero,
    a_replica_that_is_killed_is_replaced_by_the_other,
);

/// Within this time of the election everything is right again.
const AFTER_ELECTION: Duration = millis(2000);

async fn world(trio: &Trio) -> (Service, Keda) {
    trio.servers[0].run("RPUSH q a b c\nWAIT 2 5000");
    let config = Trio::config(&trio.addresses(), "") + "replicas = { max_lag = \"1s\" }\n";
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
    reads_replica(&service, PATIENCE, true).await;
    (service, keda)
}

/// Polls a queue with at least three jobs meanwhile.
async fn held<T>(keda: &Keda, during: impl Future<Output = T>) -> T {
    let watch = async {
        loop {
            let value = keda.value(&queue("q")).await.expect("held, or read again");
            assert!(value >= 3.0, "{value}");
            sleep(STEP).await;
        }
    };
    tokio::select! {
        done = during => done,
        () = watch => unreachable!("it watches for ever"),
    }
}

async fn follows(keda: &Keda, pushes: &mut Pushes, (at, master): (Instant, &Server)) {
    master.run("RPUSH idle a\nRPUSH q d");
    let left = || AFTER_ELECTION.saturating_sub(at.elapsed());
    assert!(pushes.next(left()).await, "`true` is pushed");
    eventually_is(left(), Ok(4.0), async || value(keda, "q").await).await;
}

async fn a_replica_that_the_master_names_is_read(kind: Kind) {
    let trio = Trio::start(kind);
    let (_service, keda) = world(&trio).await;
    let mut pushes = Pushes::of(&keda, &queue("idle")).await;
    assert!(!pushes.next(RECOVERY).await);
    trio.servers[0].run("RPUSH idle a");
    assert!(pushes.next(RECOVERY).await);
    assert_eq!(calls(&trio.servers[0], "llen"), 0);
    assert!(calls(&trio.servers[1], "llen") + calls(&trio.servers[2], "llen") > 0);
}

async fn a_master_that_is_killed_costs_no_zero(kind: Kind) {
    let mut trio = Trio::start(kind);
    let (service, keda) = world(&trio).await;
    let mut pushes = Pushes::of(&keda, &queue("idle")).await;
    assert!(!pushes.next(RECOVERY).await);
    held(&keda, async {
        let switches = trio.listen();
        trio.master().kill();
        let (switch, master) = trio.switched(switches).await;
        follows(&keda, &mut pushes, (switch.at, master)).await;
        // There is one replica left, which follows the new master.
        reads_replica(&service, 6 * PATIENCE, true).await;
        trio.at_master("RPUSH q e");
        eventually_is(RECOVERY, Ok(5.0), async || value(&keda, "q").await).await;
    })
    .await;
}

async fn a_planned_failover_costs_no_zero(kind: Kind) {
    let trio = Trio::start(kind);
    let (service, keda) = world(&trio).await;
    let mut pushes = Pushes::of(&keda, &queue("idle")).await;
    assert!(!pushes.next(RECOVERY).await);
    held(&keda, async {
        let switches = trio.listen();
        trio.fail_over();
        let (switch, master) = trio.switched(switches).await;
        follows(&keda, &mut pushes, (switch.at, master)).await;
        reads_replica(&service, 6 * PATIENCE, true).await;
    })
    .await;
}

async fn a_replica_that_is_killed_is_replaced_by_the_other(kind: Kind) {
    let mut trio = Trio::start(kind);
    let (service, keda) = world(&trio).await;
    let read = 1 + usize::from(calls(&trio.servers[2], "llen") > 0);
    held(&keda, async {
        trio.servers[read].kill();
        trio.servers[0].run("RPUSH q d");
        eventually_is(RECOVERY, Ok(4.0), async || value(&keda, "q").await).await;
        reads_replica(&service, RECOVERY, true).await;
    })
    .await;
    assert_eq!(calls(&trio.servers[0], "llen"), 0);
    assert!(calls(&trio.servers[3 - read], "llen") > 0);
}
