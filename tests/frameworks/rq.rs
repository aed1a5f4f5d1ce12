//! RQ 3 and 1: the queue, its registry of started jobs, its scheduler and `rq suspend`.
//!
//! Its leases last a minute at least, so that the test turns them back.

use serde_json::json;

use penstock_testkit::Kind;

use crate::{
    on_both_servers,
    stage::{Stage, counts},
};

on_both_servers!(
    rq_jobs_are_counted_from_the_queue_through_a_kill_to_their_end,
    due_jobs_of_the_rq_scheduler_count_where_the_trigger_asks_for_them,
);

fn rq_jobs_are_counted_from_the_queue_through_a_kill_to_their_end(kind: Kind) {
    story(Stage::on(kind, "rq 3.0.0"), "");
}

#[test]
fn jobs_of_rq_1_are_counted_from_the_queue_through_a_kill_to_their_end() {
    story(Stage::new("rq 1.16.2"), "rq1:");
}

/// One story for all versions, whose programs are in the environment `own`.
fn story(mut stage: Stage, own: &str) {
    let worker = format!("{own}rq worker -u REDIS -P . q");
    let script = format!("{own}python rq_app.py");
    let trigger = "layout=rq queue=q";
    stage.run(&format!("{script} enqueue q 5"));
    stage.is("queued", trigger, counts(5, 0, 0));
    let workers = [stage.work(&worker), stage.work(&worker)];
    stage.began(2);
    stage.is("running", trigger, counts(3, 0, 2));
    assert_eq!(stage.json(&format!("{script} counts q")), json!({"queued": 3, "started": 2}));
    stage.run(&format!("{own}rq suspend -u REDIS"));
    stage.is("suspended", trigger, counts(0, 0, 2));
    stage.run(&format!("{own}rq resume -u REDIS"));
    stage.is("resumed", trigger, counts(3, 0, 2));
    workers.into_iter().for_each(|worker| stage.kill(worker));
    stage.is("killed", trigger, counts(3, 0, 2));
    stage.is("killed", "layout=rq queue=q orphans=ignore", counts(3, 0, 2));
    let past = stage.redis.now().as_secs() - 60;
    for job in stage.redis.ask::<Vec<String>>("ZRANGE rq:wip:q 0 -1") {
        stage.redis.run(&format!("ZADD rq:wip:q XX {past} {job}"));
    }
    stage.is("lease over", trigger, counts(3, 0, 2));
    stage.is("lease over", "layout=rq queue=q orphans=ignore", counts(3, 0, 0));
    let wakes = "layout=rq queue=q orphans=wake";
    stage.is("lease over", wakes, counts(3, 0, 0).and_orphaned(2));
    assert_eq!(stage.report(wakes)["active"], json!(true));
    stage.is("lease over", "layout=rq queue=q orphanMaxAge=30s", counts(3, 0, 0));
    stage.work(&worker);
    stage.work(&worker);
    stage.began(4);
    stage.is("recovered", trigger, counts(3, 0, 2));
    assert_eq!(stage.json(&format!("{script} counts q")), json!({"queued": 3, "started": 2}));
    stage.release();
    stage.ended(5);
    stage.is("drained", trigger, counts(0, 0, 0));
}

fn due_jobs_of_the_rq_scheduler_count_where_the_trigger_asks_for_them(kind: Kind) {
    let mut stage = Stage::on(kind, "rq 3.0.0, scheduler");
    let (plain, asks) = ("layout=rq queue=q", "layout=rq queue=q scheduled=count");
    stage.run("python rq_app.py enqueue q 2 due");
    stage.is("due", plain, counts(0, 0, 0));
    stage.is("due", asks, counts(0, 2, 0));
    stage.work("rq worker --with-scheduler -u REDIS -P . q");
    stage.began(1);
    stage.is("running", asks, counts(1, 0, 1));
    stage.release();
    stage.ended(2);
    stage.is("drained", asks, counts(0, 0, 0));
}
