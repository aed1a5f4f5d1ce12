//! Huey: a queue of a list or a sorted set, a schedule, and nothing about what runs.
//!
//! Its running tasks are in no key, so that a killed worker's are lost.

use serde_json::json;

use crate::stage::{Stage, counts, patiently};

const CONSUMER: &str = "huey_consumer huey_app.huey -w 2 -k thread";

#[test]
fn huey_tasks_are_counted_until_they_run_and_the_trigger_says_what_it_does_not_see() {
    let mut stage = Stage::new("huey 3.5.4");
    let trigger = "layout=huey queue=my-app";
    stage.run("python huey_app.py 5");
    stage.is("queued", trigger, counts(5, 0, 0));
    assert_eq!(stage.json("python huey_app.py counts"), json!({"pending": 5, "scheduled": 0}));
    let first = stage.work(CONSUMER);
    stage.began(2);
    stage.is("running", trigger, counts(3, 0, 0));
    assert_eq!(stage.json("python huey_app.py counts"), json!({"pending": 3, "scheduled": 0}));
    assert!(stage.report(trigger)["notVisible"].is_string());
    stage.kill(first);
    stage.is("killed", trigger, counts(3, 0, 0));
    stage.work(CONSUMER);
    stage.began(4);
    stage.is("running again", trigger, counts(1, 0, 0));
    stage.release();
    stage.ended(3);
    stage.is("drained", trigger, counts(0, 0, 0));
}

#[test]
fn huey_tasks_of_a_sorted_set_are_counted() {
    let mut stage = Stage::new("huey 3.5.4, priorities").with("TEST_PRIORITY", "1");
    let trigger = "layout=huey queue=my-app";
    stage.run("python huey_app.py 5");
    stage.is("queued", trigger, counts(5, 0, 0));
    stage.work(CONSUMER);
    stage.began(2);
    stage.is("running", trigger, counts(3, 0, 0));
    stage.release();
    stage.ended(5);
    stage.is("drained", trigger, counts(0, 0, 0));
}

#[test]
fn huey_tasks_that_became_due_without_a_consumer_are_due() {
    let mut stage = Stage::new("huey 3.5.4, schedule");
    let trigger = "layout=huey queue=my-app";
    let first = stage.work(CONSUMER);
    stage.run("python huey_app.py 2 6");
    // A consumer moves what is scheduled from the queue to the schedule.
    patiently("the schedule", || match stage.redis.ask::<u64>("ZCARD huey.schedule.myapp") {
        2 => Ok(()),
        found => Err(found),
    });
    stage.kill(first);
    assert_eq!(stage.json("python huey_app.py counts"), json!({"pending": 0, "scheduled": 2}));
    stage.is("due", trigger, counts(0, 2, 0));
    stage.work(CONSUMER);
    stage.began(2);
    stage.is("running", trigger, counts(0, 0, 0));
}
