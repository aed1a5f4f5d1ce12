//! A held value is as old as the last moment at which it was known to be true, and not younger.

use super::*;
use crate::layouts::{Answer, SizeAnswer};

#[tokio::test(start_paused = true)]
async fn the_age_of_what_changed_long_ago_counts_from_the_change() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    seconds(5).await;
    world.redis.size("q", 9);
    seconds(20).await;
    world.redis.hang(true);
    let (value, age) = stale(&world.ask(&subject).await).unwrap();
    assert!(value == 0.0 && age >= Duration::from_secs(20), "{age:?}");
    seconds(10).await;
    assert!(is_unavailable(&world.ask(&subject).await));
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_makes_nothing_younger() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    world.redis.size("q", 9);
    world.redis.fail("q", true);
    seconds(20).await;
    let (_, age) = stale(&world.ask(&subject).await).unwrap();
    assert!(age >= Duration::from_secs(20), "{age:?}");
    seconds(11).await;
    assert!(is_unavailable(&world.ask(&subject).await));
}

#[tokio::test(start_paused = true)]
async fn a_change_during_a_failed_read_makes_nothing_younger() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    world.redis.size("q", 9);
    seconds(20).await;
    world.redis.fail("q", true);
    world.redis.latency(40);
    let write = async {
        ms(60).await;
        world.redis.size("q", 10);
    };
    let (answer, ()) = tokio::join!(world.ask(&subject), write);
    let (_, age) = stale(&answer).unwrap();
    assert!(age >= Duration::from_secs(20), "{age:?}");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_announced_the_age_counts_from_the_last_read() {
    let world = World::untracked().await;
    let subject = subject(&[("queue", "q")]);
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    seconds(20).await;
    world.redis.fail("q", true);
    let (_, age) = stale(&world.ask(&subject).await).unwrap();
    assert!(age >= Duration::from_secs(20), "{age:?}");
    world.redis.down(true);
    seconds(11).await;
    assert!(is_unavailable(&world.ask(&subject).await));
}

#[tokio::test(start_paused = true)]
async fn what_was_clean_is_as_old_as_the_last_proof_and_a_failed_proof_is_none() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    seconds(100).await;
    world.redis.hang(true);
    let hung_at = Instant::now();
    ms(2000).await;
    let (value, age) = stale(&world.ask(&subject).await).unwrap();
    assert_eq!(value, 0.0, "it was true for as long as the link was proved");
    assert!(age >= hung_at.elapsed(), "{age:?}");
    assert!(age <= hung_at.elapsed() + limits::PROOF_INTERVAL + Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_proof_holds_for_when_it_was_sent() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    world.redis.latency(100);
    while world.redis.proofs() < 1 {
        ms(1).await;
    }
    ms(1).await;
    world.redis.down(true);
    ms(1).await;
    let (_, age) = stale(&world.ask(&subject).await).unwrap();
    assert!(age >= Duration::from_millis(200) && age < Duration::from_millis(220), "{age:?}");
}

#[tokio::test(start_paused = true)]
async fn a_number_from_before_a_mismatch_is_not_held() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    world.redis.size("q", 7);
    assert_eq!(fresh(&world.ask(&subject).await), Some(7.0));
    world.redis.write(|keys| keys.set("q", Answer::Size(SizeAnswer::NotANumber)));
    for _ in 0..100 {
        assert!(is_mismatch(&world.ask(&subject).await));
        seconds(1).await;
    }
    world.redis.down(true);
    ms(10).await;
    assert!(is_unavailable(&world.ask(&subject).await));
}
