//! How long a job runs, as `taskTime: measured` makes it of what each framework counts, against how long the test had jobs
//! run.

use serde_json::json;

use crate::stage::{Stage, patiently};

/// Half a second and up to three times as long, by the number of a job.
const NAP: &str = "500";
/// What that comes to on average, in seconds, of jobs of which there are as many of each number.
const MEAN: f64 = 1.0;
const JOBS: u32 = 20;
/// Seconds that a job may wait.
const MAX_WAIT: u32 = 4;

/// One framework: what of a trigger is its own, what enqueues the jobs, and what works on two at a time.
struct Story<'a> {
    stage: Stage,
    metadata: &'a [(&'a str, &'a str)],
    enqueue: &'a str,
    worker: &'a str,
}

impl Story<'_> {
    /// Has jobs done, and then asks for the workers that others need which wait.
    fn play(self) {
        let Self { stage, metadata, enqueue, worker } = self;
        let mut stage = stage.with("TEST_NAP", NAP);
        let address = stage.serve();
        let max_wait = format!("{MAX_WAIT}s");
        let own = [("signal", "replicas"), ("slots", "2"), ("taskTime", "measured")];
        let all = metadata.iter().copied().chain(own).chain([("maxWait", max_wait.as_str())]);
        let metadata: serde_json::Map<_, _> =
            all.map(|(key, value)| (key.to_owned(), value.into())).collect();
        let trigger = json!([{"namespace": "team", "name": "worker", "metadata": metadata}]);
        let trigger = stage.file("trigger.json", &trigger.to_string());
        let ask = format!("keda {address} {trigger}");
        let value = |stage: &mut Stage| {
            let answer = stage.json(&ask);
            answer[0]["GetMetrics"]["value"][0].as_f64().ok_or(answer)
        };
        patiently("nothing is to be done", || match value(&mut stage) {
            Ok(0.0) => Ok(()),
            other => Err(other),
        });
        stage.run(enqueue);
        let every = f64::from(JOBS) / 2.0;
        patiently("a slot for every job", || match value(&mut stage) {
            Ok(value) if value == every => Ok(()),
            other => Err(other),
        });
        let pid = stage.work(worker);
        stage.ended(JOBS.into());
        stage.terminate(pid);
        stage.gone(pid);
        stage.run(enqueue);
        // A machine that is held up sees jobs begin and end late: no more than half of it is asked for, and twice.
        let mean = patiently("how long a job runs", || {
            let drain = value(&mut stage)?;
            let mean = drain * f64::from(2 * MAX_WAIT) / f64::from(JOBS);
            let is_near = (MEAN / 2.0..=2.0 * MEAN).contains(&mean);
            if is_near { Ok(mean) } else { Err(json!([drain, mean])) }
        });
        println!("| {} | {JOBS} jobs of {MEAN} s | measured {mean:.2} s |", stage.name());
    }
}

#[test]
fn the_task_time_of_celery_is_that_of_the_heartbeats_of_its_workers() {
    Story {
        stage: Stage::new("celery 5.7.0, heartbeats"),
        metadata: &[("layout", "celery"), ("queue", "q"), ("running", "heartbeats"), ("pool", "celery@*")],
        enqueue: "python celery_app.py q 20",
        worker: "celery -A celery_app worker -Q q -c 2 --without-gossip --without-mingle -l warning",
    }
    .play();
}

#[test]
fn the_task_time_of_bullmq_is_that_of_its_metrics() {
    for (name, script) in [("bullmq 6.7.0", "bullmq"), ("bullmq 5.81.5", "bullmq5")] {
        Story {
            stage: Stage::new(name),
            metadata: &[("layout", "bullmq"), ("queue", "q")],
            enqueue: &format!("node bullmq.js {script} add q 20 {{}}"),
            worker: &format!("node bullmq.js {script} work q"),
        }
        .play();
    }
}

#[test]
fn the_task_time_of_bull_is_that_of_its_metrics() {
    Story {
        stage: Stage::new("bull 4.16.5"),
        metadata: &[("layout", "bull"), ("queue", "q")],
        enqueue: "node bull.js add q 20 {}",
        worker: "node bull.js work q",
    }
    .play();
}

#[test]
fn the_task_time_of_asynq_is_that_of_what_a_queue_has_processed() {
    Story {
        stage: Stage::new("asynq 0.26.0"),
        metadata: &[("layout", "asynq"), ("queue", "q")],
        enqueue: "asynq add 20 0s",
        worker: "asynq work",
    }
    .play();
}
