//! Dramatiq: every message stands in a hash until it is acknowledged.
//!
//! What a worker prefetches is in flight, and what is delayed has no time in Redis.

use crate::stage::{Stage, counts, patiently};

const WORKER: &str = "dramatiq dramatiq_app -p 1 -t 2";

#[test]
fn dramatiq_messages_are_counted_from_the_queue_through_a_kill_to_their_end() {
    let mut stage = Stage::new("dramatiq 2.2.1").with("dramatiq_queue_prefetch", "2");
    let trigger = "layout=dramatiq queue=q";
    stage.run("python dramatiq_app.py 6");
    stage.is("queued", trigger, counts(6, 0, 0));
    let first = stage.work(WORKER);
    stage.began(2);
    stage.is("running", trigger, counts(4, 0, 2));
    stage.kill(first);
    stage.is("killed", trigger, counts(4, 0, 2));
    patiently("the heartbeat's end", || {
        let before = stage.redis.now().as_millis() - 2000;
        let late: Vec<String> =
            stage.redis.ask(&format!("ZRANGEBYSCORE dramatiq:__heartbeats__ {before} +inf"));
        if late.is_empty() { Ok(()) } else { Err(late) }
    });
    stage.is("heartbeat over", trigger, counts(4, 0, 2));
    stage.work(WORKER);
    stage.began(4);
    stage.is("recovered", trigger, counts(4, 0, 2));
    stage.release();
    stage.ended(6);
    stage.is("drained", trigger, counts(0, 0, 0));
}

#[test]
fn what_a_dramatiq_worker_has_prefetched_is_in_flight() {
    let mut stage = Stage::new("dramatiq 2.2.1, default prefetch");
    let trigger = "layout=dramatiq queue=q";
    stage.run("python dramatiq_app.py 6");
    stage.work(WORKER);
    stage.began(2);
    stage.is("running", trigger, counts(2, 0, 4));
    stage.release();
    stage.ended(6);
    stage.is("drained", trigger, counts(0, 0, 0));
}

#[test]
fn delayed_dramatiq_messages_count_where_the_trigger_asks_for_them() {
    let mut stage = Stage::new("dramatiq 2.2.1, delayed");
    let (plain, asks) = ("layout=dramatiq queue=q", "layout=dramatiq queue=q delayed=count");
    stage.run("python dramatiq_app.py 2 600000");
    stage.run("python dramatiq_app.py 1");
    stage.is("queued", plain, counts(1, 0, 0));
    stage.is("queued", asks, counts(3, 0, 0));
    stage.work(WORKER);
    stage.began(1);
    stage.is("running", plain, counts(0, 0, 1));
    stage.is("running", asks, counts(2, 0, 1));
}
