//! No outage reads as zero: what calls and streams are told while Redis is down, hangs, or has just
//! come back.

use super::*;
use crate::{
    layouts::{Answer, SizeAnswer},
    sampling::{Change, source::Fault},
};

const BUDGET: Duration = limits::HOLD_STALE;

#[tokio::test(start_paused = true)]
async fn a_call_is_answered_in_time_and_without_a_number_while_redis_is_down_from_the_start() {
    let redis = Redis::new(true);
    redis.down(true);
    let world = World::new(redis);
    for _ in 0..5 {
        assert!(is_unavailable(&world.ask(&subject(&[("queue", "q")])).await));
        ms(300).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_answered_in_time_and_without_a_number_while_redis_hangs_from_the_start() {
    let redis = Redis::new(true);
    redis.hang(true);
    let world = World::new(redis);
    let subject = subject(&[("queue", "q")]);
    for _ in 0..30 {
        assert!(is_unavailable(&world.ask(&subject).await));
        ms(77).await;
    }
    let mut watch = world.watch(&subject);
    assert!(watch.observation().verdict().is_none());
    world.redis.hang(false);
    told(&mut watch, 2000, |news| fresh(news) == Some(0.0)).await;
}

#[tokio::test(start_paused = true)]
async fn calls_are_answered_in_time_with_the_held_value_whenever_redis_begins_to_hang() {
    for offset in [0, 3, 500, 990, 1003, 1700] {
        let world = World::tracked().await;
        let subject = subject(&[("queue", "q")]);
        world.redis.size("q", 7);
        assert_eq!(fresh(&world.ask(&subject).await), Some(7.0));
        ms(offset).await;
        world.redis.hang(true);
        ms(1100).await;
        for _ in 0..20 {
            let (value, age) = stale(&world.ask(&subject).await).unwrap();
            assert!(value == 7.0 && age < BUDGET, "{offset} {age:?}");
            ms(211).await;
        }
        world.redis.hang(false);
        seconds(2).await;
        assert_eq!(fresh(&world.ask(&subject).await), Some(7.0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_value_is_held_for_the_stale_budget_and_then_nothing_is_said() {
    let world = World::tracked().await;
    world.redis.size("q", 7);
    let subject = subject(&[("queue", "q")]);
    let mut watch = world.watch(&subject);
    assert_eq!(fresh(&news(&mut watch, 50).await), Some(7.0));
    world.redis.down(true);
    let down_at = Instant::now();
    ms(10).await;
    while down_at.elapsed() < BUDGET - Duration::from_millis(1600) {
        assert_eq!(stale(&world.ask(&subject).await).map(|(value, _)| value), Some(7.0));
        assert_eq!(
            watch.observation().verdict().map(|v| (v.value.get(), v.active)),
            Some((7.0, true))
        );
        ms(100).await;
    }
    ms(1700).await;
    assert!(is_unavailable(&world.ask(&subject).await));
    told(&mut watch, 2000, is_unavailable).await;
    assert!(is_silent(&mut watch, 60_000).await, "an outage is told once");
}

#[tokio::test(start_paused = true)]
async fn a_trigger_may_shorten_the_budget_and_not_lengthen_it() {
    let world = World::tracked().await;
    let short = subject(&[("queue", "q"), ("staleFor", "4s")]);
    let long = subject(&[("queue", "q"), ("staleFor", "10m")]);
    let none = subject(&[("queue", "q"), ("staleFor", "0")]);
    for subject in [&short, &long, &none] {
        assert_eq!(fresh(&world.ask(subject).await), Some(0.0));
    }
    world.redis.down(true);
    ms(2000).await;
    assert!(stale(&world.ask(&short).await).is_some());
    assert!(is_unavailable(&world.ask(&none).await));
    ms(2500).await;
    assert!(is_unavailable(&world.ask(&short).await));
    assert!(stale(&world.ask(&long).await).is_some());
    tokio::time::sleep(BUDGET).await;
    assert!(is_unavailable(&world.ask(&long).await));
}

#[tokio::test(start_paused = true)]
async fn calls_and_streams_recover_within_two_seconds_of_redis() {
    for (outage, hangs) in [(1, false), (700, false), (20_000, false), (700, true), (20_000, true)]
    {
        let world = World::tracked().await;
        let subject = subject(&[("queue", "q")]);
        let mut watch = world.watch(&subject);
        assert_eq!(fresh(&news(&mut watch, 50).await), Some(0.0));
        if hangs {
            world.redis.hang(true)
        } else {
            world.redis.down(true)
        }
        ms(outage).await;
        world.redis.size("q", 5);
        if hangs {
            world.redis.hang(false)
        } else {
            world.redis.down(false)
        }
        told(&mut watch, 2000, |news| fresh(news) == Some(5.0)).await;
        assert_eq!(fresh(&world.ask(&subject).await), Some(5.0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_while_the_link_was_away_is_not_missed() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    let mut watch = world.watch(&subject);
    assert_eq!(fresh(&news(&mut watch, 50).await), Some(0.0));
    world.redis.cut();
    world.redis.size("q", 5);
    told(&mut watch, 100, |news| fresh(news) == Some(5.0)).await;
    assert_eq!(world.redis.connects(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_silent_link_is_proved_and_given_up_when_it_is_half_open() {
    let world = World::tracked().await;
    assert_eq!(world.metric("penstock_redis_up"), 1.0);
    seconds(10).await;
    assert_eq!(world.redis.connects(), 1);
    world.redis.hang(true);
    ms(1550).await;
    assert_eq!(world.metric("penstock_redis_up"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn what_an_old_link_reports_is_not_heard() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    world.redis.cut();
    ms(100).await;
    assert_eq!(world.redis.connects(), 2);
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    for change in [Change::Key("q".into()), Change::Everything, Change::LinkLost] {
        world.redis.report(0, change);
    }
    ms(100).await;
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    assert_eq!((world.redis.connects(), world.redis.reads("q").len()), (2, 1));
    world.redis.report(1, Change::Everything);
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    assert_eq!(world.redis.reads("q").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_redis_that_breaks_every_new_link_is_tried_with_growing_pauses() {
    let world = World::tracked().await;
    let watch = world.watch(&subject(&[("queue", "q")]));
    world.redis.break_at_first_command();
    seconds(60).await;
    let connects = world.redis.connects();
    assert!((50..150).contains(&connects), "{connects}");
    drop(watch);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_sampler_answers_at_once_with_what_it_holds() {
    let mut world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    world.redis.size("q", 3);
    world.redis.hang(true);
    let stop = async {
        ms(50).await;
        world.stop.cancel();
    };
    let (during, ()) = tokio::join!(world.ask(&subject), stop);
    assert_eq!(stale(&during).map(|(value, _)| value), Some(0.0));
    world.tasks.join_next().await.unwrap().unwrap();
    let asked_at = Instant::now();
    assert!(stale(&world.ask(&subject).await).is_some());
    let other = super::subject(&[("queue", "other")]);
    let unavailable = world.ask(&other).await;
    assert!(matches!(unavailable, Observation::Unavailable(Why::Fault(Fault::Unreachable(_)))));
    assert_eq!(asked_at.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_answers_and_is_the_wrong_one_is_left_at_once_also_while_it_reads() {
    let world = World::tracked().await;
    world.redis.size("q", 7);
    let subject = subject(&[("queue", "q")]);
    assert_eq!(fresh(&world.ask(&subject).await), Some(7.0));
    // Nothing is announced of it, and a read of another key is on its way.
    world.redis.write_silently("q", Answer::Size(SizeAnswer::Members(8)));
    world.redis.latency(300);
    let other = self::subject(&[("queue", "other")]);
    let asked = world.ask(&other);
    let replaced = async {
        ms(100).await;
        world.redis.replace();
        world.redis.latency(1);
    };
    let (answer, ()) = tokio::join!(asked, replaced);
    assert!(is_unavailable(&answer), "it was never known, and what was on its way is not believed");
    ms(60).await;
    assert_eq!(world.redis.connects(), 2);
    assert_eq!(fresh(&world.ask(&other).await), Some(0.0));
    assert_eq!(fresh(&world.ask(&subject).await), Some(8.0), "everything was invalidated");
}

#[tokio::test(start_paused = true)]
async fn a_pause_between_attempts_ends_when_there_is_another_server() {
    for _ in 0..20 {
        let world = World::tracked().await;
        world.redis.down(true);
        seconds(20).await;
        world.redis.down(false);
        world.redis.tell_of_another();
        ms(2).await;
        assert_eq!(world.redis.connects(), 2);
    }
}
