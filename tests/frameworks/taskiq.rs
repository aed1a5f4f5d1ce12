//! taskiq with its two brokers for Redis: a list, which forgets what runs, and a stream.

use deadpool_redis::redis::Value;

use crate::stage::{Stage, counts, patiently};

const WORKER: &str = "taskiq worker taskiq_app:broker --workers 1 --max-async-tasks 2";

#[test]
fn taskiq_tasks_of_a_list_are_counted_until_they_are_taken_and_the_trigger_says_so() {
    let mut stage = Stage::new("taskiq-redis 1.2.4, list");
    let trigger = "layout=taskiq queue=q";
    stage.run("python taskiq_app.py 8");
    stage.is("queued", trigger, counts(8, 0, 0));
    let first = stage.work(WORKER);
    stage.began(2);
    stage.is("running", trigger, counts(6, 0, 0));
    assert!(stage.report(trigger)["notVisible"].is_string());
    stage.kill(first);
    stage.is("killed", trigger, counts(6, 0, 0));
    stage.work(WORKER);
    stage.release();
    stage.ended(6);
    stage.is("drained", trigger, counts(0, 0, 0));
}

#[test]
fn taskiq_tasks_of_a_stream_are_counted_from_the_queue_through_a_kill_to_their_end() {
    let mut stage = Stage::new("taskiq-redis 1.2.4, stream").with("TEST_BROKER", "stream");
    let trigger = "layout=taskiq broker=stream queue=q";
    stage.run("python taskiq_app.py 8");
    stage.is("queued", trigger, counts(8, 0, 0));
    let first = stage.work(WORKER);
    stage.began(2);
    stage.is("running", trigger, counts(6, 0, 2));
    stage.kill(first);
    stage.is("killed", trigger, counts(6, 0, 2));
    // A worker takes over what is idle only when it also reads something new.
    patiently("the idle timeout", || {
        let idle: Vec<Value> = stage.redis.ask("XPENDING q taskiq IDLE 2000 - + 9");
        if idle.len() == 2 { Ok(()) } else { Err(idle.len()) }
    });
    stage.is("idle timeout over", trigger, counts(6, 0, 2));
    stage.work(WORKER);
    stage.began(4);
    stage.release();
    stage.ended(8);
    stage.is("drained", trigger, counts(0, 0, 0));
}
