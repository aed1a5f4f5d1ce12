//! What an open stream is told, and when.

use super::*;
use crate::layouts::{Answer, SizeAnswer};

#[tokio::test(start_paused = true)]
async fn a_stream_on_what_is_known_begins_with_it_inactive_or_active() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    world.ask(&subject).await;
    let mut watch = world.watch(&subject);
    assert_eq!(fresh(&watch.observation()), Some(0.0));
    assert!(is_silent(&mut watch, 60_000).await);
    world.redis.size("q", 1);
    assert_eq!(fresh(&news(&mut watch, 15).await), Some(1.0));
    let mut second = world.watch(&subject);
    assert_eq!(fresh(&second.observation()), Some(1.0));
    assert!(is_silent(&mut second, 60_000).await);
}

#[tokio::test(start_paused = true)]
async fn a_stream_on_what_is_unknown_is_told_no_state_until_there_is_one() {
    let redis = Redis::new(true);
    redis.down(true);
    let world = World::new(redis);
    let mut watch = world.watch(&subject(&[("queue", "q")]));
    for _ in 0..200 {
        assert!(watch.observation().verdict().is_none());
        ms(100).await;
    }
    world.redis.down(false);
    told(&mut watch, 2000, |news| fresh(news) == Some(0.0)).await;
}

#[tokio::test(start_paused = true)]
async fn every_change_reaches_every_stream_at_once() {
    let world = World::tracked().await;
    let pairs = [("waiting", "w"), ("inFlight", "i"), ("scheduled", "s")];
    let mut watches: Vec<_> =
        (0..5).map(|n| world.watch(&named(&format!("object {n}"), &pairs))).collect();
    ms(50).await;
    for (total, key) in [(1.0, "w"), (2.0, "i"), (3.0, "s")] {
        world.redis.size(key, 1);
        for watch in &mut watches {
            told(watch, 15, |news| fresh(news) == Some(total)).await;
        }
        ms(20).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_key_is_not_read_more_often_than_the_floor_and_its_end_is_not_missed() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    let mut watch = world.watch(&subject);
    for size in 0..2000 {
        world.redis.size("q", size);
        ms(1).await;
    }
    told(&mut watch, 15, |news| fresh(news) == Some(1999.0)).await;
    let reads = world.redis.reads("q");
    assert!(reads.windows(3).all(|three| three[2] - three[0] >= limits::REFRESH_FLOOR));
    assert!((150..=170).contains(&reads.len()), "{}", reads.len());
}

#[tokio::test(start_paused = true)]
async fn a_stream_on_keys_that_change_by_turns_is_told_all_the_time() {
    let world = World::tracked().await;
    let mut size = 0;
    world.redis.meanwhile(move |keys, _| {
        size += 1;
        ["w", "i"].iter().for_each(|key| keys.set(key, Answer::Size(SizeAnswer::Members(size))));
    });
    let mut watch = world.watch(&subject(&[("waiting", "w"), ("inFlight", "i")]));
    for _ in 0..100 {
        assert!(fresh(&news(&mut watch, 50).await).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_told_nothing_while_only_time_passes() {
    for tracked in [true, false] {
        let world = World::connected(Redis::new(tracked)).await;
        let subject = subject(&[("waiting", "w"), ("inFlight", "i")]);
        let mut watch = world.watch(&subject);
        assert_eq!(fresh(&news(&mut watch, 500).await), Some(0.0));
        assert!(is_silent(&mut watch, 600_000).await);
        world.redis.size("w", 2);
        told(&mut watch, 1010, |news| fresh(news) == Some(2.0)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_reads_no_more_often_than_samples_age() {
    let world = World::untracked().await;
    let watch = world.watch(&subject(&[("queue", "q")]));
    seconds(100).await;
    let reads = world.redis.reads("q").len();
    assert!((95..=101).contains(&reads), "{reads}");
    drop(watch);
    seconds(100).await;
    assert!(world.redis.reads("q").len() <= reads + 1, "nobody wants it any more");
}

#[tokio::test(start_paused = true)]
async fn an_outage_does_not_turn_an_active_stream_inactive() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    world.redis.size("q", 3);
    let mut watch = world.watch(&subject);
    told(&mut watch, 50, |news| fresh(news) == Some(3.0)).await;
    for _ in 0..20 {
        world.redis.down(true);
        ms(400).await;
        assert!(watch.observation().verdict().is_some_and(|verdict| verdict.active));
        world.redis.down(false);
        ms(700).await;
        assert!(watch.observation().verdict().is_some_and(|verdict| verdict.active));
    }
    assert_eq!(world.metric("penstock_activations_total"), 1.0, "an edge is one");
}

#[tokio::test(start_paused = true)]
async fn a_stream_tries_a_failing_read_again_at_its_own_pace_and_recovers() {
    let world = World::tracked().await;
    world.redis.fail("q", true);
    let subject = subject(&[("queue", "q")]);
    let mut watch = world.watch(&subject);
    seconds(60).await;
    let tries = world.redis.reads("q").len();
    assert!((55..=62).contains(&tries), "{tries}");
    assert!(is_unavailable(&watch.observation()));
    assert!(is_unavailable(&world.ask(&subject).await));
    world.redis.fail("q", false);
    told(&mut watch, 1100, |news| fresh(news) == Some(0.0)).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_told_when_one_of_its_keys_can_no_longer_be_read() {
    let world = World::tracked().await;
    let subject = subject(&[("waiting", "w"), ("inFlight", "i")]);
    world.redis.size("i", 1);
    let mut watch = world.watch(&subject);
    told(&mut watch, 50, |news| fresh(news) == Some(1.0)).await;
    world.redis.fail("i", true);
    world.redis.size("i", 2);
    told(&mut watch, 20, |news| stale(news).is_some_and(|(value, _)| value == 1.0)).await;
    told(&mut watch, 32_000, is_unavailable).await;
    world.redis.fail("i", false);
    told(&mut watch, 1100, |news| fresh(news) == Some(2.0)).await;
}

#[tokio::test(start_paused = true)]
async fn a_mismatch_is_told_to_streams_and_goes_when_the_key_does() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    let mut watch = world.watch(&subject);
    told(&mut watch, 50, |news| fresh(news) == Some(0.0)).await;
    world.redis.write(|keys| keys.set("q", Answer::WrongType("module".to_owned())));
    assert!(is_mismatch(&news(&mut watch, 15).await));
    world.redis.size("q", 4);
    assert_eq!(fresh(&news(&mut watch, 15).await), Some(4.0));
}

#[tokio::test(start_paused = true)]
async fn each_edge_is_counted_once_whoever_sees_it() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q"), ("activation", "2")]);
    let watch = world.watch(&subject);
    for round in 1..=3 {
        for size in [0, 2, 3, 4, 3] {
            world.redis.size("q", size);
            world.ask(&subject).await;
            ms(1500).await;
        }
        assert_eq!(world.metric("penstock_activations_total"), f64::from(round));
    }
    drop(watch);
}
