//! arq: one sorted set of what waits and what runs, and a marker for each that runs.
//!
//! A killed worker's jobs wait again by themselves, when their markers end.

use serde_json::json;

use crate::stage::{Stage, counts};

const WORKER: &str = "arq:arq arq_app.WorkerSettings";

#[test]
fn arq_jobs_are_counted_from_the_queue_through_a_kill_to_their_end() {
    let mut stage = Stage::new("arq 0.28.0");
    let trigger = "layout=arq queue=arq:queue";
    stage.run("arq:python arq_app.py 5");
    stage.run("arq:python arq_app.py 1 600");
    stage.is("queued", trigger, counts(5, 0, 0));
    stage.is("queued", "layout=arq queue=arq:queue leadTime=11m", counts(6, 0, 0));
    // arq's own count is of all in the sorted set, the deferred one too.
    assert_eq!(stage.json("arq:python arq_app.py counts"), json!({"queued": 6}));
    let first = stage.work(WORKER);
    stage.began(2);
    stage.is("running", trigger, counts(3, 0, 2));
    stage.kill(first);
    stage.is("killed", trigger, counts(3, 0, 2));
    // A marker lasts as long as a job may, and ten seconds; the test does not wait for that.
    for marker in stage.redis.ask::<Vec<String>>("KEYS arq:in-progress:*") {
        stage.redis.run(&format!("PEXPIRE {marker} 1"));
    }
    stage.is("marker over", trigger, counts(5, 0, 0));
    stage.work(WORKER);
    stage.began(4);
    stage.is("recovered", trigger, counts(3, 0, 2));
    stage.release();
    stage.ended(5);
    stage.is("drained", trigger, counts(0, 0, 0));
}
