//! asynq: a pending and an active list, and leases that a server renews.
//!
//! Its keys hold literal braces. Its leases last half a minute, so that the test turns them back.

use serde_json::json;

use crate::stage::{Stage, counts};

#[test]
fn asynq_tasks_are_counted_from_the_queue_through_a_pause_and_a_kill_to_their_end() {
    let mut stage = Stage::new("asynq 0.26.0");
    let trigger = "layout=asynq queue=q";
    let told = |stage: &mut Stage| stage.json("asynq counts");
    stage.run("asynq add 5 0s");
    stage.run("asynq add 1 500ms");
    stage.run("asynq add 1 1h");
    stage.is("queued", trigger, counts(5, 1, 0));
    assert_eq!(told(&mut stage), json!({"pending": 5, "scheduled": 2, "active": 0}));
    let first = stage.work("asynq work");
    stage.began(2);
    stage.is("running", trigger, counts(4, 0, 2));
    assert_eq!(told(&mut stage), json!({"pending": 4, "scheduled": 1, "active": 2}));
    stage.run("asynq pause");
    stage.is("paused", trigger, counts(0, 0, 2));
    stage.run("asynq resume");
    stage.is("resumed", trigger, counts(4, 0, 2));
    stage.kill(first);
    stage.is("killed", trigger, counts(4, 0, 2));
    stage.is("killed", "layout=asynq queue=q orphans=ignore", counts(4, 0, 2));
    let past = stage.redis.now().as_secs() - 120;
    for task in stage.redis.ask::<Vec<String>>("ZRANGE asynq:{q}:lease 0 -1") {
        stage.redis.run(&format!("ZADD asynq:{{q}}:lease XX {past} {task}"));
    }
    stage.is("lease over", trigger, counts(4, 0, 2));
    stage.is("lease over", "layout=asynq queue=q orphans=ignore", counts(4, 0, 0));
    let wakes = "layout=asynq queue=q orphans=wake";
    stage.is("lease over", wakes, counts(4, 0, 0).and_orphaned(2));
    stage.work("asynq work");
    stage.began(4);
    stage.is("recovered", trigger, counts(4, 0, 2));
    stage.release();
    stage.ended(6);
    stage.is("drained", trigger, counts(0, 0, 0));
    assert_eq!(told(&mut stage), json!({"pending": 0, "scheduled": 1, "active": 0}));
}
