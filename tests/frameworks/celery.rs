//! Celery 5, with late and early acknowledgement, priorities, and queues that share a broker.
//!
//! All queues of a broker share its hash of unacknowledged messages.

use penstock_testkit::Kind;

use crate::{
    on_both_servers,
    stage::{Stage, counts, patiently},
};

on_both_servers!(
    celery_tasks_acknowledged_late_are_counted_from_the_queue_through_a_kill_to_their_end,
    celery_tasks_acknowledged_early_are_not_seen_while_they_run_and_the_trigger_says_so,
    celery_tasks_of_every_priority_are_counted,
    celery_tasks_of_every_priority_are_counted_with_another_separator_and_other_steps,
);

/// Seconds after which another worker takes what nobody acknowledged. The default is an hour.
const VISIBILITY: u64 = 15;

fn worker(options: &str) -> String {
    format!("celery -A celery_app worker {options} --without-gossip --without-mingle -l warning")
}

fn celery_tasks_acknowledged_late_are_counted_from_the_queue_through_a_kill_to_their_end(
    kind: Kind,
) {
    let mut stage = Stage::on(kind, "celery 5.7.0, acks_late")
        .with("TEST_ACKS", "late")
        .with("TEST_TRANSPORT", r#"{"visibility_timeout": 15}"#);
    let trigger = "layout=celery queue=q acks=late";
    stage.run("python celery_app.py q 6");
    stage.is("queued", trigger, counts(6, 0, 0));
    let first = stage.work(&worker("-Q q -c 2"));
    stage.began(2);
    stage.is("running", trigger, counts(4, 0, 2));
    stage.kill(first);
    stage.is("killed", trigger, counts(4, 0, 2));
    patiently("the visibility timeout", || {
        let before = stage.redis.now().as_secs() - VISIBILITY;
        let over: u64 = stage.redis.ask(&format!("ZCOUNT unacked_index -inf {before}"));
        if over == 2 { Ok(()) } else { Err(over) }
    });
    stage.is("visibility timeout over", trigger, counts(4, 0, 2));
    stage.work(&worker("-Q q -c 2"));
    stage.began(4);
    stage.is("recovered", trigger, counts(4, 0, 2));
    stage.release();
    stage.ended(6);
    stage.is("drained", trigger, counts(0, 0, 0));
}

fn celery_tasks_acknowledged_early_are_not_seen_while_they_run_and_the_trigger_says_so(kind: Kind) {
    let mut stage = Stage::on(kind, "celery 5.7.0, early acks");
    let trigger = "layout=celery queue=q";
    stage.run("python celery_app.py q 8");
    stage.is("queued", trigger, counts(8, 0, 0));
    let first = stage.work(&worker("-Q q -c 2"));
    stage.began(2);
    // Two more are prefetched, and in flight; the two that run are in no key.
    stage.is("running", trigger, counts(4, 0, 2));
    let told = stage.report(trigger)["notVisible"].to_string();
    assert!(told.contains("early acknowledgement"), "{told}");
    stage.kill(first);
    stage.is("killed", trigger, counts(4, 0, 2));
}

fn celery_tasks_of_every_priority_are_counted(kind: Kind) {
    let mut stage = Stage::on(kind, "celery 5.7.0, priorities").with("TEST_ACKS", "late");
    let trigger = "layout=celery queue=q acks=late";
    stage.run("python celery_app.py q 10 priorities");
    stage.is("queued", trigger, counts(10, 0, 0));
    stage.work(&worker("-Q q -c 2"));
    stage.began(2);
    stage.is("running", trigger, counts(8, 0, 2));
    stage.release();
    stage.ended(10);
    stage.is("drained", trigger, counts(0, 0, 0));
}

fn celery_tasks_of_every_priority_are_counted_with_another_separator_and_other_steps(kind: Kind) {
    let transport = r#"{"sep": ":", "priority_steps": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}"#;
    let mut stage = Stage::on(kind, "celery 5.7.0, priorities with a separator of its own")
        .with("TEST_ACKS", "late")
        .with("TEST_TRANSPORT", transport);
    let trigger = "layout=celery queue=q acks=late sep=: prioritySteps=1,2,3,4,5,6,7,8,9";
    stage.run("python celery_app.py q 10 priorities");
    stage.is("queued", trigger, counts(10, 0, 0));
    assert_eq!(stage.redis.ask::<u64>("LLEN q:9"), 1);
    stage.work(&worker("-Q q -c 2"));
    stage.began(2);
    stage.is("running", trigger, counts(8, 0, 2));
    stage.release();
    stage.ended(10);
    stage.is("drained", trigger, counts(0, 0, 0));
}

#[test]
fn a_celery_queue_counts_only_its_own_of_the_unacknowledged_messages_of_a_broker() {
    let mut stage = Stage::new("celery 5.7.0, two queues").with("TEST_ACKS", "late");
    let (emails, reports) =
        ("layout=celery queue=emails acks=late", "layout=celery queue=reports acks=late");
    let both = "layout=celery queue=emails,reports acks=late";
    stage.run("python celery_app.py emails 5");
    stage.run("python celery_app.py reports 4");
    stage.is("queued", emails, counts(5, 0, 0));
    stage.is("queued", reports, counts(4, 0, 0));
    let first = stage.work(&worker("-Q emails -c 2 -n emails@%h"));
    stage.work(&worker("-Q reports -c 1 -n reports@%h"));
    stage.began(3);
    stage.is("running", emails, counts(3, 0, 2));
    stage.is("running", reports, counts(3, 0, 1));
    stage.is("running", both, counts(6, 0, 3));
    stage.kill(first);
    stage.is("one worker killed", emails, counts(3, 0, 2));
    stage.release();
    stage.ended(4);
    stage.is("one queue drained", emails, counts(3, 0, 2));
    stage.is("one queue drained", reports, counts(0, 0, 0));
}

#[test]
fn celery_workers_with_a_hash_of_their_own_under_a_key_prefix_are_counted() {
    let transport = r#"{"global_keyprefix": "app:", "unacked_key": "mine",
        "unacked_index_key": "mine_index", "unacked_mutex_key": "mine_mutex"}"#;
    let mut stage = Stage::new("celery 5.7.0, own hash and key prefix")
        .with("TEST_ACKS", "late")
        .with("TEST_TRANSPORT", transport);
    let trigger = "layout=celery queue=q acks=late keyPrefix=app: unacked=own unackedKey=mine";
    stage.run("python celery_app.py q 5 priorities");
    stage.is("queued", trigger, counts(5, 0, 0));
    let first = stage.work(&worker("-Q q -c 2"));
    stage.began(2);
    stage.is("running", trigger, counts(3, 0, 2));
    stage.kill(first);
    stage.is("killed", trigger, counts(3, 0, 2));
}

#[test]
fn celery_tasks_acknowledged_early_are_counted_by_the_heartbeats_of_their_pool() {
    let mut stage = Stage::new("celery 5.7.0, heartbeats of a pool");
    let (emails, reports) = (
        "layout=celery queue=emails running=heartbeats pool=emails@* silentFor=0",
        "layout=celery queue=reports running=heartbeats pool=reports@*",
    );
    stage.run("python celery_app.py emails 5");
    stage.run("python celery_app.py reports 1");
    let first = stage.work(&worker("-Q emails -c 3 -n emails@%h"));
    stage.work(&worker("-Q reports -c 1 -n reports@%h"));
    stage.began(4);
    // Three run and two are prefetched: the larger of the two counts.
    stage.is("running", emails, counts(0, 0, 3));
    stage.is("running", reports, counts(0, 0, 1));
    assert_eq!(stage.report(emails)["notVisible"], serde_json::Value::Null);
    stage.kill(first);
    // Those that ran are lost; the two that it had taken ahead are still in the hash.
    stage.is("killed, and given up", emails, counts(0, 0, 2));
    stage.release();
    stage.ended(1);
    stage.is("drained", reports, counts(0, 0, 0));
}

#[test]
fn celery_workers_that_publish_their_queues_are_counted_by_queue() {
    let mut stage =
        Stage::new("celery 5.7.0, heartbeats with queues").with("TEST_PUBLISHES", "queues");
    let of = |queue: &str| format!("layout=celery queue={queue} running=heartbeats");
    stage.run("python celery_app.py emails 3");
    stage.run("python celery_app.py reports 1");
    let first = stage.work(&worker("-Q emails -c 3"));
    stage.work(&worker("-Q reports,other -c 2 -n reports@%h"));
    stage.began(4);
    stage.is("running", &of("emails"), counts(0, 0, 3));
    stage.is("running", &of("reports"), counts(0, 0, 1));
    stage.is("running", &of("emails,reports,other"), counts(0, 0, 4));
    let heard = stage.report(&of("emails"))["commands"].to_string();
    assert!(heard.contains("3 running, serves emails"), "{heard}");
    stage.terminate(first);
    // It says goodbye first, and then lets its tasks end, which need no replica any more.
    stage.is("asked to end", &of("emails"), counts(0, 0, 0));
    stage.release();
    stage.ended(4);
    stage.gone(first);
    stage.is("drained", &of("emails"), counts(0, 0, 0));
    stage.is("drained", &of("reports"), counts(0, 0, 0));
}

#[test]
fn celery_heartbeats_are_heard_under_a_key_prefix() {
    let mut stage = Stage::new("celery 5.7.0, heartbeats under a key prefix")
        .with("TEST_TRANSPORT", r#"{"global_keyprefix": "app:"}"#);
    let trigger = "layout=celery queue=q running=heartbeats pool=celery@* keyPrefix=app:";
    stage.run("python celery_app.py q 2");
    stage.work(&worker("-Q q -c 2"));
    stage.began(2);
    stage.is("running", trigger, counts(0, 0, 2));
    stage.release();
    stage.ended(2);
    stage.is("drained", trigger, counts(0, 0, 0));
}

#[test]
fn celery_heartbeats_are_heard_on_the_channels_that_the_app_chose() {
    let mut stage = Stage::new("celery 5.7.0, heartbeats on channels of other names")
        .with("TEST_TRANSPORT", r#"{"fanout_prefix": "jobs/{db}/"}"#)
        .with("TEST_CONF", r#"{"event_exchange": "news"}"#);
    let trigger = "layout=celery queue=q running=heartbeats pool=celery@* fanoutPrefix=jobs/{db}/ \
                   eventExchange=news";
    stage.run("python celery_app.py q 2");
    stage.work(&worker("-Q q -c 2"));
    stage.began(2);
    stage.is("running", trigger, counts(0, 0, 2));
    stage.release();
    stage.ended(2);
    stage.is("drained", trigger, counts(0, 0, 0));
}

#[test]
fn celery_messages_without_emulated_acknowledgement_are_not_seen_and_the_trigger_says_so() {
    let mut stage = Stage::new("celery 5.7.0, ack_emulation off")
        .with("TEST_ACKS", "late")
        .with("TEST_TRANSPORT", r#"{"ack_emulation": false}"#);
    let trigger = "layout=celery queue=q acks=late unacked=none";
    stage.run("python celery_app.py q 4");
    stage.is("queued", trigger, counts(4, 0, 0));
    stage.work(&worker("-Q q -c 2"));
    stage.began(2);
    stage.is("running", trigger, counts(2, 0, 0));
    let told = stage.report(trigger)["notVisible"].to_string();
    assert!(told.contains("ack_emulation off"), "{told}");
    stage.release();
    stage.ended(4);
    stage.is("drained", trigger, counts(0, 0, 0));
}

#[test]
fn celery_workers_whose_loop_is_held_up_by_a_task_are_counted_while_they_say_nothing() {
    let mut stage = Stage::new("celery 5.7.0, gevent with a task that computes");
    let deaf = "layout=celery queue=q running=heartbeats pool=held@*";
    let held = "layout=celery queue=q running=heartbeats pool=held@* silentFor=1h";
    let first = stage.work(&worker("-Q q -P gevent -c 4 -n held@%h"));
    // A worker that is held up from its first moment on is not listed yet.
    patiently("the worker to be listed", || {
        let listed: u64 = stage.redis.ask("SCARD _kombu.binding.celery.pidbox");
        if listed == 1 { Ok(()) } else { Err(listed) }
    });
    stage.run("python celery_app.py q 1 computing");
    stage.began(1);
    // It is in no key, and its worker looks gone, which is what the trigger tells.
    stage.is("running, by heartbeats alone", deaf, counts(0, 0, 0));
    let told = stage.report(deaf)["notVisible"].to_string();
    assert!(told.contains("silentFor"), "{told}");
    stage.is("running", held, counts(0, 0, 1));
    let told = stage.report(held);
    assert_eq!(told["notVisible"], serde_json::Value::Null);
    assert!(told["notExact"].to_string().contains("1 workers on"), "{told}");
    stage.release();
    stage.ended(1);
    stage.is("drained", held, counts(0, 0, 0));
    stage.terminate(first);
    stage.gone(first);
    stage.is("ended in its own way", held, counts(0, 0, 0));
}

#[test]
fn celery_solo_workers_hold_their_message_while_they_say_nothing() {
    let mut stage = Stage::new("celery 5.7.0, solo");
    let trigger = "layout=celery queue=q running=heartbeats pool=solo@*";
    stage.run("python celery_app.py q 2");
    let first = stage.work(&worker("-Q q -P solo -n solo@%h"));
    stage.began(1);
    // The acknowledgement waits for the loop, too.
    stage.is("running", trigger, counts(1, 0, 1));
    stage.is("running", "layout=celery queue=q", counts(1, 0, 1));
    let heard = stage.report(trigger)["commands"].to_string();
    assert!(heard.contains("nobody"), "{heard}");
    // A silent worker is one task, which is the same one: the larger of the two counts.
    stage.is("running", &format!("{trigger} silentFor=1h"), counts(1, 0, 1));
    stage.kill(first);
    stage.is("killed", trigger, counts(1, 0, 1));
}
