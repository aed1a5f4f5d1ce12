//! For how long the oldest job waits, by what each framework writes itself or with a file of contrib/, against when the test
//! had it enqueued.

use std::time::Duration;

use penstock_testkit::Kind;

use crate::{on_both_servers, stage::Stage};

on_both_servers!(
    the_age_of_a_celery_task_is_that_of_its_message_also_after_its_worker_died,
    the_age_of_an_rq_job_is_told_from_its_hash,
    the_age_of_a_stream_entry_is_that_of_its_id,
);

const TASKIQ: &str = "taskiq worker taskiq_app:broker --workers 1 --max-async-tasks 2";

/// What lies between two moments of Redis's clock.
#[derive(Clone, Copy)]
struct Between(Duration, Duration);

/// One framework: what it is called, what enqueues two jobs, what works, how many jobs are begun by it at once.
struct Story<'a> {
    stage: Stage,
    trigger: &'a str,
    enqueue: &'a str,
    worker: &'a str,
    /// How many jobs were enqueued, and how many of them begin.
    jobs: [u64; 2],
}

impl Story<'_> {
    /// From the queue to the end. The oldest that waits is of the first batch all the time.
    fn play(mut self) -> Stage {
        assert_eq!(self.age(), 0.0, "nothing waits");
        let first = self.enqueued();
        self.is_since("queued", first);
        std::thread::sleep(Duration::from_secs(1));
        self.enqueued();
        self.is_since("queued twice", first);
        self.stage.work(self.worker);
        let [all, begun] = self.jobs;
        self.stage.began(begun);
        self.is_since("running", first);
        self.stage.release();
        self.stage.ended(2 * all);
        crate::stage::patiently("nothing waits", || match self.age() {
            0.0 => Ok(()),
            age => Err(age),
        });
        println!("| {} | drained | {} | 0 s | 0 s |", self.stage.name(), self.trigger);
        self.stage
    }

    fn enqueued(&mut self) -> Between {
        let before = self.stage.redis.now();
        self.stage.run(self.enqueue);
        Between(before, self.stage.redis.now())
    }

    fn age(&self) -> f64 {
        let trigger = format!("{} signal=latency target=30", self.trigger);
        self.stage.report(&trigger)["value"].as_f64().unwrap()
    }

    /// Whether the oldest job is told to be one of those that were enqueued then. Clocks are read in milliseconds.
    fn is_since(&self, moment: &str, Between(from, to): Between) {
        let slack = Duration::from_millis(2);
        let asked = self.stage.redis.now();
        let told = Duration::from_secs_f64(self.age());
        let heard = self.stage.redis.now();
        let (least, most) = (asked - to, heard - from + slack);
        assert!((least..=most).contains(&(told + slack)), "{moment}: {least:?} {told:?} {most:?}");
        let name = self.stage.name();
        println!(
            "| {name} | {moment} | {} | {least:.2?} to {most:.2?} | {told:.2?} |",
            self.trigger
        );
    }
}

fn play(stage: Stage, trigger: &str, enqueue: &str, worker: &str, jobs: [u64; 2]) -> Stage {
    Story { stage, trigger, enqueue, worker, jobs }.play()
}

fn the_age_of_a_celery_task_is_that_of_its_message_also_after_its_worker_died(kind: Kind) {
    let stage = Stage::on(kind, "celery 5.7.0, published")
        .with("TEST_ACKS", "late")
        .with("TEST_PUBLISHES", "published")
        .with("TEST_TRANSPORT", r#"{"visibility_timeout": 5}"#);
    let worker =
        "celery -A celery_app worker -Q q -c 1 --without-gossip --without-mingle -l warning";
    let trigger = "layout=celery queue=q acks=late";
    let mut story = Story {
        stage,
        trigger,
        enqueue: "python celery_app.py q 3 priorities",
        worker,
        jobs: [3, 1],
    };
    let first = story.enqueued();
    let worker_pid = story.stage.work(worker);
    story.stage.began(1);
    story.is_since("running", first);
    story.stage.kill(worker_pid);
    std::thread::sleep(Duration::from_secs(6));
    story.is_since("killed", first);
    // What a worker died with comes back with its time.
    let second = story.stage.work(worker);
    story.stage.began(2);
    story.is_since("restored", first);
    story.stage.kill(second);
}

fn the_age_of_an_rq_job_is_told_from_its_hash(kind: Kind) {
    let stage = Stage::on(kind, "rq 3.0.0");
    let worker = "rq worker -u REDIS -P . q";
    play(stage, "layout=rq queue=q", "python rq_app.py enqueue q 4", worker, [4, 1]);
}

#[test]
fn the_age_of_an_rq_1_job_is_told_from_its_hash() {
    let stage = Stage::new("rq 1.16.2");
    let worker = "rq1:rq worker -u REDIS -P . q";
    play(stage, "layout=rq queue=q", "rq1:python rq_app.py enqueue q 4", worker, [4, 1]);
}

fn the_age_of_a_stream_entry_is_that_of_its_id(kind: Kind) {
    let stage = Stage::on(kind, "taskiq-redis 1.2.4, stream").with("TEST_BROKER", "stream");
    play(stage, "layout=taskiq broker=stream queue=q", "python taskiq_app.py 8", TASKIQ, [8, 2]);
}

#[test]
fn the_age_of_a_taskiq_task_in_a_list_is_that_of_its_message() {
    let stage = Stage::new("taskiq-redis 1.2.4, published").with("TEST_PUBLISHES", "published");
    play(stage, "layout=taskiq queue=q", "python taskiq_app.py 8", TASKIQ, [8, 2]);
}

#[test]
fn the_age_of_an_arq_job_is_that_of_its_score() {
    let worker = "arq:arq arq_app.WorkerSettings";
    let trigger = "layout=arq queue=arq:queue";
    play(Stage::new("arq 0.28.0"), trigger, "arq:python arq_app.py 5", worker, [5, 2]);
}

#[test]
fn the_age_of_a_dramatiq_message_is_that_of_its_message() {
    let stage = Stage::new("dramatiq 2.2.1").with("dramatiq_queue_prefetch", "2");
    let worker = "dramatiq dramatiq_app -p 1 -t 2";
    play(stage, "layout=dramatiq queue=q", "python dramatiq_app.py 8", worker, [8, 2]);
}

/// By itself Dramatiq tells the age from when the delay began.
#[test]
fn the_age_of_a_delayed_dramatiq_message_begins_when_it_is_due_by_a_file_of_contrib() {
    let delay = Duration::from_millis(1_500);
    let stage = Stage::new("dramatiq 2.2.1, penstock_ready").with("TEST_CONTRIB", "dramatiq");
    let stage = stage.with("dramatiq_queue_prefetch", "2");
    let worker = "dramatiq dramatiq_app -p 1 -t 2";
    let (trigger, enqueue) = ("layout=dramatiq queue=q", "python dramatiq_app.py 8 1500");
    let mut story = Story { stage, trigger, enqueue, worker, jobs: [8, 2] };
    story.stage.work(worker);
    let Between(from, _) = story.enqueued();
    story.stage.began(2);
    story.is_since("due", Between(from + delay, story.stage.redis.now()));
    story.stage.release();
    story.stage.ended(8);
}

#[test]
fn the_age_of_a_bullmq_job_is_told_from_its_hash() {
    for (version, name) in [("bullmq 6.7.0", "bullmq"), ("bullmq 5.81.5", "bullmq5")] {
        let script = format!("node bullmq.js {name}");
        for options in ["{}", r#"{"priority":1}"#] {
            let stage = Stage::new(&format!("{version}, {options}"));
            let enqueue = format!("{script} add q 4 {options}");
            let worker = format!("{script} work q");
            play(stage, "layout=bullmq queue=q", &enqueue, &worker, [4, 2]);
        }
    }
}

#[test]
fn the_age_of_a_bull_job_is_told_from_its_hash() {
    let (enqueue, worker) = ("node bull.js add q 4 {}", "node bull.js work q");
    play(Stage::new("bull 4.16.5"), "layout=bull queue=q", enqueue, worker, [4, 2]);
}

#[test]
fn the_age_of_a_bee_queue_job_is_told_from_its_hash() {
    let (enqueue, worker) = ("node bee-queue.js add q 4", "node bee-queue.js work q");
    play(Stage::new("bee-queue 2.0.0"), "layout=bee-queue queue=q", enqueue, worker, [4, 2]);
}

#[test]
fn the_age_of_a_sidekiq_job_is_that_of_its_message() {
    let worker = "sidekiq -r ./sidekiq_app.rb -c 2 -q q";
    let enqueue = "ruby sidekiq_app.rb add q 5";
    play(Stage::new("sidekiq"), "layout=sidekiq queue=q", enqueue, worker, [5, 2]);
}

#[test]
fn the_age_of_an_asynq_task_is_told_from_its_hash() {
    let stage = Stage::new("asynq 0.26.0");
    play(stage, "layout=asynq queue=q", "asynq add 5 0s", "asynq work", [5, 2]);
}

#[test]
fn the_age_of_a_graflow_task_is_that_of_its_message() {
    let stage =
        Stage::new("graflow 0.2.0").with("TEST_LEASES", "9").with("TEST_CONTRIB", "graflow");
    let worker = "graflow:python graflow_app.py worker --redis-host 127.0.0.1 --redis-port PORT \
                  --redis-key-prefix app --max-concurrent-tasks 2";
    play(stage, "layout=graflow queue=app", "graflow:python graflow_app.py 5", worker, [5, 2]);
}

#[test]
fn the_age_of_a_huey_task_is_that_of_the_bytes_before_it() {
    let worker = "huey_consumer huey_app.huey -w 2 -k thread";
    let enqueue = "python huey_app.py 5";
    let priority = Stage::new("huey 3.5.4, priorities").with("TEST_PRIORITY", "1");
    play(priority, "layout=huey queue=my-app storage=priority", enqueue, worker, [5, 2]);
    let stamped = Stage::new("huey 3.5.4, stamped").with("TEST_STAMPED", "1");
    play(stamped, "layout=huey queue=my-app", enqueue, worker, [5, 2]);
}
