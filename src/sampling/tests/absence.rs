//! Keys that were never there, against the model.

use super::*;
use crate::layouts::{Answer, PerMemberAnswer, SizeAnswer};

const NEVER: &str = "penstock_triggers_never_seen";

#[tokio::test(start_paused = true)]
async fn a_trigger_whose_keys_were_never_there_shows_after_ten_minutes_until_one_comes() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q"), ("inFlight", "running")]);
    for _ in 0..19 {
        assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
        seconds(30).await;
        assert_eq!(world.metric(NEVER), 0.0);
    }
    for _ in 0..4 {
        world.ask(&subject).await;
        seconds(30).await;
    }
    assert_eq!(world.metric(NEVER), 1.0);
    world.redis.size("running", 1);
    assert_eq!(fresh(&world.ask(&subject).await), Some(1.0));
    seconds(1).await;
    assert_eq!(world.metric(NEVER), 0.0);
    world.redis.size("running", 0);
    for _ in 0..40 {
        world.ask(&subject).await;
        seconds(30).await;
    }
    assert_eq!(world.metric(NEVER), 0.0, "it was there once, and is empty");
}

#[tokio::test(start_paused = true)]
async fn a_trigger_that_is_forgotten_is_no_more_among_those() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    for _ in 0..24 {
        world.ask(&subject).await;
        seconds(30).await;
    }
    assert_eq!(world.metric(NEVER), 1.0);
    seconds(700).await;
    assert_eq!((world.metric("penstock_triggers{"), world.metric(NEVER)), (0.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_takes_each_job_before_it_is_counted_shows_the_key() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q"), ("activityWindow", "1m")]);
    world.ask(&subject).await;
    world.redis.write(|keys| {
        keys.set("q", Answer::Size(SizeAnswer::Members(1)));
        keys.set("q", Answer::Missing);
    });
    for _ in 0..26 {
        assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
        seconds(30).await;
    }
    assert_eq!(world.metric(NEVER), 0.0);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_could_read_is_not_called_absent() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    world.redis.down(true);
    for _ in 0..40 {
        world.ask(&subject).await;
        seconds(30).await;
    }
    assert_eq!(world.metric(NEVER), 0.0);
}

#[tokio::test(start_paused = true)]
async fn the_keys_of_other_queues_are_none_of_this_one() {
    let world = World::tracked().await;
    // Processes work on other queues.
    let busy_elsewhere =
        Answer::PerMember(PerMemberAnswer { counted: 0, examined: 3, overflow: 0, unsure: 0 });
    world.redis.write(|keys| keys.set("processes", busy_elsewhere));
    let subject = subject(&[("layout", "sidekiq"), ("queue", "q")]);
    for _ in 0..24 {
        world.ask(&subject).await;
        seconds(30).await;
    }
    assert_eq!(world.metric(NEVER), 1.0);
}
