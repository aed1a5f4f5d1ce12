//! Workers that are asked to end while they work, as a scale-in asks them: what they hold stays in
//! flight until it ended or went back, and nothing is counted that is gone.

use crate::stage::{Stage, counts};

#[test]
fn a_celery_worker_that_ends_in_order_keeps_its_tasks_in_flight_until_they_ended() {
    let mut stage = Stage::new("celery 5.7.0, SIGTERM").with("TEST_ACKS", "late");
    let trigger = "layout=celery queue=q acks=late";
    stage.run("python celery_app.py q 6");
    let worker = stage.work("celery -A celery_app worker -Q q -c 2 -l warning");
    stage.began(2);
    stage.is("running", trigger, counts(4, 0, 2));
    stage.terminate(worker);
    stage.is("ending", trigger, counts(4, 0, 2));
    stage.release();
    stage.gone(worker);
    stage.ended(2);
    stage.is("ended", trigger, counts(4, 0, 0));
}

#[test]
fn an_rq_worker_that_ends_in_order_keeps_its_job_in_flight_until_it_ended() {
    let mut stage = Stage::new("rq 3.0.0, SIGTERM");
    let trigger = "layout=rq queue=q";
    stage.run("python rq_app.py enqueue q 5");
    let worker = stage.work("rq worker -u REDIS -P . q");
    stage.began(1);
    stage.is("running", trigger, counts(4, 0, 1));
    stage.terminate(worker);
    stage.is("ending", trigger, counts(4, 0, 1));
    stage.release();
    stage.gone(worker);
    stage.ended(1);
    stage.is("ended", trigger, counts(4, 0, 0));
}

#[test]
fn a_dramatiq_worker_that_ends_in_order_leaves_nothing_in_flight() {
    let mut stage = Stage::new("dramatiq 2.2.1, SIGTERM");
    let trigger = "layout=dramatiq queue=q";
    stage.run("python dramatiq_app.py 6");
    let worker = stage.work("dramatiq dramatiq_app -p 1 -t 2");
    stage.began(2);
    stage.is("running", trigger, counts(2, 0, 4));
    stage.terminate(worker);
    stage.release();
    stage.gone(worker);
    // It still begins some of what it had prefetched; the rest it puts back.
    let ended: u32 = stage.redis.ask("LLEN test:ended");
    stage.is("ended", trigger, counts(6 - ended, 0, 0));
}

#[test]
fn the_jobs_of_an_arq_worker_that_ends_in_order_wait_again() {
    let mut stage = Stage::new("arq 0.28.0, SIGTERM");
    let trigger = "layout=arq queue=arq:queue";
    stage.run("arq:python arq_app.py 5");
    let worker = stage.work("arq:arq arq_app.WorkerSettings");
    stage.began(2);
    stage.is("running", trigger, counts(3, 0, 2));
    stage.terminate(worker);
    stage.gone(worker);
    stage.is("ended", trigger, counts(5, 0, 0));
}

#[test]
fn the_jobs_of_a_sidekiq_process_that_ends_in_order_wait_again() {
    let mut stage = Stage::new("sidekiq, SIGTERM");
    let trigger = "layout=sidekiq queue=q";
    stage.run("ruby sidekiq_app.rb add q 5");
    let worker = stage.work("sidekiq -r ./sidekiq_app.rb -c 2 -q q -t 1");
    stage.began(2);
    stage.is("running", trigger, counts(3, 0, 2));
    stage.terminate(worker);
    stage.gone(worker);
    stage.is("ended", trigger, counts(5, 0, 0));
}

#[test]
fn the_tasks_of_an_asynq_server_that_ends_in_order_wait_again() {
    let mut stage = Stage::new("asynq 0.26.0, SIGTERM");
    let trigger = "layout=asynq queue=q";
    stage.run("asynq add 5 0s");
    let worker = stage.work("asynq work");
    stage.began(2);
    stage.is("running", trigger, counts(3, 0, 2));
    stage.terminate(worker);
    stage.gone(worker);
    stage.is("ended", trigger, counts(5, 0, 0));
}
