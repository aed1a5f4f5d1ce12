//! Workers of frameworks that keep no running job in Redis, with the leases of `contrib/`: what runs is
//! counted for as long as it runs, and what a killed worker held for no longer than its lease.

use std::time::Duration;

use crate::stage::{Counts, Stage, counts, patiently};

/// A lease of the tests lasts this long, in place of a minute, and is renewed at a third of it.
const LEASE: &str = "9";
/// The grace of a second that penstock gives to clocks that differ.
const GRACE: Duration = Duration::from_secs(1);

/// What is started for one framework, and what is expected of it.
struct Story {
    producer: &'static str,
    worker: &'static str,
    trigger: &'static str,
    /// The sorted set of the leases.
    key: &'static str,
    /// Before any worker; with the first; when it was killed and its leases are over; with the second.
    moments: [Counts; 4],
}

#[test]
fn celery_tasks_acknowledged_early_are_counted_by_their_leases() {
    let mut stage = leasing("celery 5.7.0, early acks and leases", "celery");
    let story = Story {
        producer: "python celery_app.py q 8",
        worker: "celery -A celery_app worker -Q q -c 2 --without-gossip --without-mingle -l warning",
        trigger: "layout=celery queue=q leases=penstock",
        key: "penstock:inflight:q",
        // Two more are prefetched and not acknowledged: the second worker puts them back.
        moments: [counts(8, 0, 0), counts(4, 0, 4), counts(4, 0, 2), counts(2, 0, 4)],
    };
    play(&mut stage, &story, |stage| {
        let past = stage.redis.now().as_secs() - 2 * 3600;
        for tag in stage.redis.ask::<Vec<String>>("ZRANGE unacked_index 0 -1") {
            stage.redis.run(&format!("ZADD unacked_index XX {past} {tag}"));
        }
    });
    stage.ended(6);
}

#[test]
fn huey_tasks_of_threads_are_counted_by_their_leases() {
    huey("huey 3.5.4, threads and leases", "huey_consumer huey_app.huey -w 2 -k thread");
}

#[test]
fn huey_tasks_of_processes_are_counted_by_their_leases() {
    huey("huey 3.5.4, processes and leases", "huey_consumer huey_app.huey -w 2 -k process");
}

fn huey(framework: &str, worker: &'static str) {
    let mut stage = leasing(framework, "huey");
    let story = Story {
        producer: "python huey_app.py 5",
        worker,
        trigger: "layout=huey queue=my-app leases=penstock",
        key: "penstock:inflight:myapp",
        moments: [counts(5, 0, 0), counts(3, 0, 2), counts(3, 0, 0), counts(1, 0, 2)],
    };
    play(&mut stage, &story, |_| ());
    stage.ended(3);
}

#[test]
fn taskiq_tasks_of_a_list_are_counted_by_their_leases() {
    let mut stage = leasing("taskiq-redis 1.2.4, list and leases", "taskiq");
    let story = Story {
        producer: "python taskiq_app.py 8",
        worker: "taskiq worker taskiq_app:broker --workers 1 --max-async-tasks 2",
        trigger: "layout=taskiq queue=q leases=penstock",
        key: "penstock:inflight:q",
        moments: [counts(8, 0, 0), counts(6, 0, 2), counts(6, 0, 0), counts(4, 0, 2)],
    };
    play(&mut stage, &story, |_| ());
    stage.ended(6);
}

#[test]
fn sidekiq_jobs_are_counted_by_their_leases() {
    let mut stage = leasing("sidekiq, leases", "sidekiq");
    let story = Story {
        producer: "ruby sidekiq_app.rb add q 5",
        worker: "sidekiq -r ./sidekiq_app.rb -c 2 -q q",
        trigger: "layout=lease queue=queue:q",
        key: "penstock:inflight:queue:q",
        moments: [counts(5, 0, 0), counts(3, 0, 2), counts(3, 0, 0), counts(1, 0, 2)],
    };
    play(&mut stage, &story, |_| ());
    stage.ended(3);
}

#[test]
fn graflow_tasks_are_counted_by_their_leases() {
    let mut stage = leasing("graflow 0.2.0, leases", "graflow");
    let story = Story {
        producer: "graflow:python graflow_app.py 5",
        worker: "graflow:python graflow_app.py worker --redis-host 127.0.0.1 --redis-port PORT \
                 --redis-key-prefix app --max-concurrent-tasks 2",
        trigger: "layout=graflow queue=app leases=penstock",
        key: "penstock:inflight:app",
        moments: [counts(5, 0, 0), counts(3, 0, 2), counts(3, 0, 0), counts(1, 0, 2)],
    };
    play(&mut stage, &story, |_| ());
    stage.ended(3);
}

/// A stage whose workers keep leases as the snippet in a folder of `contrib/` does.
fn leasing(framework: &str, folder: &'static str) -> Stage {
    Stage::new(framework).with("TEST_LEASES", LEASE).with("TEST_CONTRIB", folder)
}

/// Tells a story; `between` is done after the first worker was killed and before the second starts.
fn play(stage: &mut Stage, story: &Story, between: impl Fn(&Stage)) {
    let Story { producer, worker, trigger, key, .. } = *story;
    let [queued, running, over, again] = story.moments;
    stage.run(producer);
    stage.is("queued", trigger, queued);
    let first = stage.work(worker);
    stage.began(2);
    stage.is("running", trigger, running);
    let begun = last(stage, key);
    wait_past(stage, begun);
    stage.is("running for longer than a lease", trigger, running);
    stage.kill(first);
    stage.is("killed", trigger, running);
    let left = last(stage, key);
    wait_past(stage, left);
    stage.is("leases over", trigger, over);
    between(stage);
    stage.work(worker);
    stage.began(4);
    stage.is("with another worker", trigger, again);
    stage.release();
    stage.is("drained", trigger, counts(0, 0, 0));
}

/// When the last of the two leases that there are runs out.
fn last(stage: &Stage, key: &str) -> f64 {
    let leases: Vec<f64> = patiently("two leases", || {
        let found: Vec<(String, f64)> = stage.redis.ask(&format!("ZRANGE {key} 0 -1 WITHSCORES"));
        if found.len() == 2 {
            Ok(found.into_iter().map(|(_, end)| end).collect())
        } else {
            Err(found)
        }
    });
    leases.into_iter().fold(0.0, f64::max)
}

/// Waits until a lease that runs out then would not count any more.
fn wait_past(stage: &Stage, end: f64) {
    patiently("the end of a lease", || {
        let left = end + GRACE.as_secs_f64() - stage.redis.now().as_secs_f64();
        if left < 0.0 { Ok(()) } else { Err(left) }
    });
}
