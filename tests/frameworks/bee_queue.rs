//! Bee-Queue 2: a waiting and an active list, without leases.
//!
//! What a dead worker had comes back only where the application asks for it.

use crate::stage::{Stage, counts};

#[test]
fn bee_queue_jobs_are_counted_from_the_queue_through_a_kill_to_their_end() {
    let mut stage = Stage::new("bee-queue 2.0.0");
    let (plain, wakes) = ("layout=bee-queue queue=q", "layout=bee-queue queue=q orphans=wake");
    let delayed = "layout=bee-queue queue=q delayed=count";
    stage.run("node bee-queue.js add q 5");
    // A delay that is over before the job is saved makes a job that was never delayed.
    stage.run("node bee-queue.js add q 1 300");
    stage.is("queued", plain, counts(5, 0, 0));
    stage.is("queued", delayed, counts(5, 1, 0));
    assert_eq!(told(&mut stage), [5, 0]);
    let rate = "layout=bee-queue queue=q signal=rate target=1";
    assert_eq!(stage.report(rate)["counts"]["arrived"], serde_json::json!(6.0));
    let first = stage.work("node bee-queue.js work q");
    stage.began(2);
    stage.is("running", plain, counts(3, 0, 2));
    assert_eq!(told(&mut stage), [3, 2]);
    stage.kill(first);
    stage.is("killed", plain, counts(3, 0, 2));
    stage.is("killed", wakes, counts(3, 0, 0).and_orphaned(2));
    stage.work("node bee-queue.js work q");
    stage.began(4);
    stage.is("recovered", plain, counts(3, 0, 2));
    assert_eq!(told(&mut stage), [3, 2]);
    stage.release();
    stage.ended(5);
    stage.is("drained", plain, counts(0, 0, 0));
    stage.is("drained", delayed, counts(0, 1, 0));
    assert_eq!(stage.report(rate)["counts"]["arrived"], serde_json::json!(6.0));
}

/// What the framework says waits and is active.
fn told(stage: &mut Stage) -> [u64; 2] {
    let told = stage.json("node bee-queue.js counts q");
    ["waiting", "active"].map(|state| told[state].as_u64().unwrap())
}
