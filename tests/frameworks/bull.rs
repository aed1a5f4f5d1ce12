//! BullMQ 6 and 5 and Bull 4, which are one family: the same lists and locks, other pauses.

use serde_json::{Value, json};

use penstock_testkit::Kind;

use crate::{
    on_both_servers,
    stage::{Stage, counts},
};

on_both_servers!(
    bullmq_6_jobs_are_counted_from_the_queue_through_a_pause_and_a_kill_to_their_end,
    bullmq_5_jobs_are_counted_from_the_queue_through_a_pause_and_a_kill_to_their_end,
);

fn bullmq_6_jobs_are_counted_from_the_queue_through_a_pause_and_a_kill_to_their_end(kind: Kind) {
    story(Stage::on(kind, "bullmq 6.7.0"), "bullmq", "node bullmq.js bullmq");
}

fn bullmq_5_jobs_are_counted_from_the_queue_through_a_pause_and_a_kill_to_their_end(kind: Kind) {
    story(Stage::on(kind, "bullmq 5.81.5"), "bullmq", "node bullmq.js bullmq5");
}

#[test]
fn bull_4_jobs_are_counted_from_the_queue_through_a_pause_and_a_kill_to_their_end() {
    story(Stage::new("bull 4.16.5"), "bull", "node bull.js");
}

fn story(mut stage: Stage, layout: &str, script: &str) {
    let trigger = format!("layout={layout} queue=q");
    let with = |orphans: &str| format!("{trigger} orphans={orphans}");
    stage.run(&format!("{script} add q 3 {{}}"));
    stage.run(&format!(r#"{script} add q 2 {{"priority":1}}"#));
    stage.run(&format!(r#"{script} add q 1 {{"delay":1}}"#));
    stage.run(&format!(r#"{script} add q 1 {{"delay":600000}}"#));
    stage.is("queued", &trigger, counts(5, 1, 0));
    let rate = format!("{trigger} signal=rate target=1");
    assert_eq!(stage.report(&rate)["counts"]["arrived"], json!(7.0));
    assert_eq!(told(&mut stage, script), (5, 2, 0));
    let first = stage.work(&format!("{script} work q"));
    stage.began(2);
    stage.is("running", &trigger, counts(4, 0, 2));
    assert_eq!(told(&mut stage, script), (4, 1, 2));
    stage.run(&format!("{script} pause q"));
    stage.is("paused", &trigger, counts(0, 0, 2));
    stage.run(&format!("{script} resume q"));
    stage.is("resumed", &trigger, counts(4, 0, 2));
    stage.kill(first);
    stage.is("killed", &trigger, counts(4, 0, 2));
    stage.is("lock over", &with("ignore"), counts(4, 0, 0));
    stage.is("lock over", &with("wake"), counts(4, 0, 0).and_orphaned(2));
    stage.is("lock over", &trigger, counts(4, 0, 2));
    assert_eq!(told(&mut stage, script), (4, 1, 2));
    stage.work(&format!("{script} work q"));
    stage.began(4);
    stage.is("recovered", &trigger, counts(4, 0, 2));
    stage.is("recovered", &with("ignore"), counts(4, 0, 2));
    assert_eq!(told(&mut stage, script), (4, 1, 2));
    stage.release();
    stage.ended(6);
    stage.is("drained", &trigger, counts(0, 0, 0));
    assert_eq!(told(&mut stage, script), (0, 1, 0));
    assert_eq!(stage.report(&trigger)["active"], json!(false));
    // Neither that jobs were taken again nor that they ended is an arrival.
    assert_eq!(stage.report(&rate)["counts"]["arrived"], json!(7.0));
}

/// What the framework says waits, is delayed, and is active.
fn told(stage: &mut Stage, script: &str) -> (u64, u64, u64) {
    let told = stage.json(&format!("{script} counts q"));
    let count = |state: &str| told.get(state).and_then(Value::as_u64).unwrap_or_default();
    (count("waiting") + count("prioritized"), count("delayed"), count("active"))
}
