//! Sidekiq with its own fetch: the queue, and what each process said at its last heartbeat it works on.
//!
//! It tells what runs only every few seconds, for all its queues in one key.

use serde_json::json;

use crate::stage::{Stage, counts};

const SCRIPT: &str = "ruby sidekiq_app.rb";
const WORKER: &str = "sidekiq -r ./sidekiq_app.rb -c 2 -q q,2 -q other,1";

#[test]
fn sidekiq_jobs_are_counted_for_their_own_queue_until_they_end_or_are_lost_with_their_process() {
    let mut stage = Stage::new("sidekiq");
    let work = stage.run(&format!("{SCRIPT} work"));
    let of = |queue: &str| format!("layout=sidekiq queue={queue}");
    let (trigger, other) = (of("q"), of("other"));
    stage.run(&format!("{SCRIPT} add q 5"));
    stage.is("queued", &trigger, counts(5, 0, 0));
    let first = stage.work(WORKER);
    stage.began(2);
    // What begins after a heartbeat is told at the next one.
    stage.is("running", &trigger, counts(3, 0, 2));
    stage.is("running", &other, counts(0, 0, 0));
    assert_eq!(stage.json(&format!("{SCRIPT} counts q")), json!({"size": 3, "busy": 2}));
    stage.run(&format!("{SCRIPT} add other 2"));
    stage.is("queued", &other, counts(2, 0, 0));
    stage.kill(first);
    stage.is("killed", &trigger, counts(3, 0, 2));
    // What a process said lasts a minute; the test does not wait for that.
    for process in stage.redis.ask::<Vec<String>>("SMEMBERS processes") {
        stage.redis.run(&format!("PEXPIRE {process}:{} 1\nPEXPIRE {process} 1", work.trim()));
    }
    stage.is("heartbeat over, and two jobs lost", &trigger, counts(3, 0, 0));
    stage.work(WORKER);
    stage.began(4);
    let both = of("q,other");
    stage.is("running again", &both, counts(3, 0, 2));
    stage.release();
    stage.ended(5);
    stage.is("drained", &both, counts(0, 0, 0));
}

#[test]
fn sidekiq_jobs_of_a_reliable_fetch_are_counted_as_their_process_reports_them_or_by_their_lists() {
    let mut stage =
        Stage::new("sidekiq with gitlab-sidekiq-fetcher").with("TEST_FETCH", "reliable");
    let work = stage.run(&format!("{SCRIPT} work"));
    let trigger = "layout=sidekiq queue=q fetch=reliable";
    let lists = "layout=sidekiq queue=q fetch=lists lists=* --config";
    let lists = format!("{lists} {}/tests/data/scanning.toml", env!("CARGO_MANIFEST_DIR"));
    stage.run(&format!("{SCRIPT} add q 5"));
    stage.is("queued", trigger, counts(5, 0, 0));
    let told = stage.report(trigger)["notVisible"].to_string();
    assert!(told.contains("gitlab-sidekiq-fetcher"), "{told}");
    let first = stage.work("sidekiq -r ./sidekiq_app.rb -c 2 -q q");
    stage.began(2);
    stage.is("running", trigger, counts(3, 0, 2));
    stage.is("running, by the lists", &lists, counts(3, 0, 2));
    stage.kill(first);
    stage.is("killed", trigger, counts(3, 0, 2));
    // The process's report and sign of life last a minute, and for an hour nobody looks for dead ones.
    for process in stage.redis.ask::<Vec<String>>("SMEMBERS processes") {
        stage.redis.run(&format!("PEXPIRE {process}:{} 1\nPEXPIRE {process} 1", work.trim()));
    }
    let signs: Vec<String> = stage.redis.ask("KEYS reliable-fetcher-*");
    stage.redis.run(&format!("DEL {}", signs.join(" ")));
    stage.is("heartbeat over, and two jobs not seen", trigger, counts(3, 0, 0));
    stage.is("heartbeat over, by the lists", &lists, counts(3, 0, 2));
    stage.work("sidekiq -r ./sidekiq_app.rb -c 2 -q q");
    stage.began(4);
    stage.is("recovered", trigger, counts(3, 0, 2));
    stage.is("recovered, by the lists", &lists, counts(3, 0, 2));
    stage.release();
    stage.ended(5);
    stage.is("drained", trigger, counts(0, 0, 0));
    stage.is("drained, by the lists", &lists, counts(0, 0, 0));
}

#[test]
fn due_sidekiq_jobs_count_where_the_trigger_asks_for_them() {
    let mut stage = Stage::new("sidekiq, schedule");
    stage.run(&format!("{SCRIPT} add q 2 1"));
    stage.run(&format!("{SCRIPT} add q 1 600"));
    stage.is("due", "layout=sidekiq queue=q", counts(0, 0, 0));
    stage.is("due", "layout=sidekiq queue=q scheduled=count", counts(0, 2, 0));
}
