//! How long answers are taken for true: until a change is announced, until time changes them, or for
//! a second where nobody would tell; and what a change says about activity.

use super::*;
use crate::{
    layouts::{Answer, GroupAnswer, SizeAnswer, Waiting},
    sampling::Validity,
};

const HOUR: Duration = Duration::from_hours(1);

async fn pass(time: Duration) {
    sleep(time).await;
}

fn group(waiting: u64, pending: u64) -> Answer {
    Answer::Group(GroupAnswer::State { waiting: Waiting::Exact(waiting), pending })
}

fn active(observation: &Observation) -> Option<bool> {
    observation.verdict().map(|verdict| verdict.active)
}

#[tokio::test(start_paused = true)]
async fn what_is_announced_is_read_once_and_then_every_ten_minutes_or_so() {
    let world = World::tracked().await;
    let queues: Vec<_> = (0..100).map(|n| format!("q{n}")).collect();
    let subjects: Vec<_> = queues.iter().map(|queue| subject(&[("queue", queue)])).collect();
    let _watches: Vec<_> = subjects.iter().map(|subject| world.watch(subject)).collect();
    pass(limits::SAFETY_MAX_AGE.mul_f64(0.89)).await;
    let reads = |queue: &String| world.redis.reads(queue);
    assert!(queues.iter().all(|queue| reads(queue).len() == 1), "once");
    pass(limits::SAFETY_MAX_AGE.mul_f64(0.22)).await;
    assert!(queues.iter().all(|queue| reads(queue).len() == 2), "and once more");
    let mut again: Vec<_> = queues.iter().map(|queue| reads(queue)[1]).collect();
    again.sort_unstable();
    let spread = again[99] - again[0];
    assert!(spread > limits::SAFETY_MAX_AGE / 10, "{spread:?}: not all at the same time");
}

#[tokio::test(start_paused = true)]
async fn a_poll_of_what_did_not_change_costs_redis_nothing() {
    let world = World::tracked().await;
    world.redis.size("q", 3);
    let subject = subject(&[("queue", "q")]);
    for _ in 0..16 {
        assert_eq!(fresh(&world.ask(&subject).await), Some(3.0));
        seconds(30).await;
    }
    assert_eq!(world.redis.reads("q").len(), 1);
    world.redis.size("q", 4);
    assert_eq!(fresh(&world.ask(&subject).await), Some(4.0));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_falls_due_is_told_when_it_does() {
    let world = World::tracked().await;
    let subject = subject(&[("scheduled", "later")]);
    world.redis.lasting("later", Validity::For(Duration::from_secs(90)));
    let mut watch = world.watch(&subject);
    told(&mut watch, 50, |news| fresh(news) == Some(0.0)).await;
    seconds(89).await;
    assert_eq!(world.redis.reads("later").len(), 1, "not looked at before");
    // Nobody announces that time passes.
    world.redis.lasting("later", Validity::UntilAnnounced);
    world.redis.write_silently("later", Answer::Size(SizeAnswer::Members(1)));
    told(&mut watch, 1020, |news| fresh(news) == Some(1.0)).await;
    assert_eq!(world.redis.reads("later").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_is_noticed_within_two_proofs() {
    for calls in [false, true] {
        let world = World::tracked().await;
        let due = subject(&[("scheduled", "later"), ("waiting", "busy")]);
        world.redis.lasting("later", Validity::For(HOUR));
        world.redis.size("busy", 1);
        let mut watch = world.watch(&due);
        told(&mut watch, 50, |news| fresh(news) == Some(1.0)).await;
        seconds(5).await;
        assert_eq!(world.redis.reads("later").len(), 1, "a clock that runs like ours is no news");
        world.redis.write_silently("later", Answer::Size(SizeAnswer::Members(1)));
        world.redis.set_clock(HOUR);
        for round in 1..90 {
            // A link that is busy with reads is asked for its clock all the same.
            if calls {
                world.redis.size("busy", 1);
            }
            ms(10).await;
            if round == 89 {
                assert_eq!(fresh(&watch.observation()), Some(2.0));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_on_which_nothing_depends_on_time_is_not_asked_for_its_clock() {
    let world = World::tracked().await;
    let _watch = world.watch(&subject(&[("queue", "q")]));
    seconds(3).await;
    assert_eq!(world.redis.clocks(), 0);
    let _due = world.watch(&subject(&[("scheduled", "later")]));
    seconds(3).await;
    assert!(world.redis.clocks() > 3);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_read_every_second_while_it_has_work_and_not_while_it_has_none() {
    let world = World::tracked().await;
    world.redis.write(|keys| keys.set("s", group(0, 0)));
    let subject = subject(&[("layout", "stream"), ("queue", "s"), ("group", "g")]);
    let mut watch = world.watch(&subject);
    told(&mut watch, 50, |news| fresh(news) == Some(0.0)).await;
    seconds(60).await;
    assert_eq!(world.redis.reads("s").len(), 1, "XADD would be announced");
    world.redis.write(|keys| keys.set("s", group(1, 0)));
    told(&mut watch, 20, |news| fresh(news) == Some(1.0)).await;
    // XREADGROUP and XACK are not.
    world.redis.write_silently("s", group(0, 1));
    seconds(2).await;
    world.redis.write_silently("s", group(0, 0));
    told(&mut watch, 1020, |news| fresh(news) == Some(0.0)).await;
    let reads = world.redis.reads("s").len();
    assert!((4..=6).contains(&reads), "{reads}");
    seconds(60).await;
    assert_eq!(world.redis.reads("s").len(), reads);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_announced_a_stream_is_read_every_second() {
    let world = World::untracked().await;
    let _watch = world.watch(&subject(&[("queue", "q")]));
    seconds(60).await;
    let reads = world.redis.reads("q").len();
    assert!((59..=61).contains(&reads), "{reads}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_always_empty_is_active_for_its_window_after_each_change() {
    let world = World::tracked().await;
    let windowed = subject(&[("queue", "q"), ("activityWindow", "30s")]);
    let plain = subject(&[("queue", "q")]);
    let is_active = async |subject| active(&world.ask(subject).await).unwrap();
    assert!(!is_active(&windowed).await, "nothing has changed yet");
    assert!(!is_active(&plain).await);
    for _ in 0..3 {
        // Nobody polls meanwhile, and no read ever sees the job.
        seconds(29).await;
        world.redis.size("q", 0);
    }
    seconds(29).await;
    let observation = world.ask(&windowed).await;
    assert_eq!((active(&observation), fresh(&observation)), (Some(true), Some(0.0)));
    assert!(!is_active(&plain).await, "who asks for no window gets none");
    seconds(1).await;
    assert!(!is_active(&windowed).await);
}

#[tokio::test(start_paused = true)]
async fn a_window_does_not_keep_a_trigger_that_nobody_asks_for() {
    let world = World::tracked().await;
    world.ask(&subject(&[("queue", "q"), ("activityWindow", "24h")])).await;
    for _ in 0..20 {
        seconds(60).await;
        world.redis.size("q", 0);
    }
    assert_eq!(world.metric("penstock_triggers{"), 0.0);
    let reads = world.redis.reads("q").len();
    assert!((9..=12).contains(&reads), "{reads}: read for as long as it was remembered");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_told_of_the_begin_and_the_end_of_a_window_each_time() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q"), ("activityWindow", "30s")]);
    let mut watch = world.watch(&subject);
    told(&mut watch, 50, |news| active(news) == Some(false)).await;
    for _ in 0..3 {
        world.redis.size("q", 0);
        told(&mut watch, 20, |news| active(news) == Some(true)).await;
        seconds(20).await;
        world.redis.size("q", 0);
        assert!(is_silent(&mut watch, 29_900).await, "the later change counts");
        told(&mut watch, 120, |news| active(news) == Some(false)).await;
    }
    assert_eq!(world.metric("penstock_activations_total"), 3.0);
}

#[tokio::test(start_paused = true)]
async fn a_window_is_about_changes_of_keys_and_not_about_lost_links() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q"), ("activityWindow", "30s")]);
    assert_eq!(active(&world.ask(&subject).await), Some(false));
    world.redis.cut();
    seconds(2).await;
    assert_eq!(active(&world.ask(&subject).await), Some(false));
    world.redis.size("q", 0);
    ms(20).await;
    assert_eq!(active(&world.ask(&subject).await), Some(true), "the new link announces again");
}
