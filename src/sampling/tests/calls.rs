//! What a call is told, and what it costs Redis.

use super::*;
use crate::{
    layouts::{Answer, SizeAnswer},
    sampling::source::Fault,
};

#[tokio::test(start_paused = true)]
async fn a_call_is_answered_from_memory_while_nothing_changes() {
    let world = World::tracked().await;
    world.redis.size("q", 3);
    let subject = subject(&[("queue", "q")]);
    for _ in 0..10 {
        assert_eq!(fresh(&world.ask(&subject).await), Some(3.0));
        ms(20).await;
    }
    assert_eq!(world.redis.reads("q").len(), 1);
    assert_eq!(world.metric("penstock_answers_from_memory_total"), 9.0);
}

#[tokio::test(start_paused = true)]
async fn a_call_after_an_announced_change_gets_the_new_answer() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    for size in [4, 1, 0, 7u32] {
        world.redis.size("q", size.into());
        let asked_at = Instant::now();
        assert_eq!(fresh(&world.ask(&subject).await), Some(f64::from(size)));
        assert!(asked_at.elapsed() <= limits::REFRESH_FLOOR + Duration::from_millis(3));
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_announced_an_answer_is_never_older_than_its_age_allows() {
    let world = World::untracked().await;
    let subject = subject(&[("queue", "q")]);
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    world.redis.size("q", 4);
    tokio::time::sleep(limits::SAMPLE_MAX_AGE).await;
    assert_eq!(fresh(&world.ask(&subject).await), Some(4.0));
}

#[tokio::test(start_paused = true)]
async fn equal_reads_of_many_triggers_are_one_read() {
    let world = World::tracked().await;
    world.redis.size("q", 3);
    let mut calls = JoinSet::new();
    for n in 0..50 {
        let sampler = world.sampler.clone();
        let target = (n + 1).to_string();
        let subject = named(&format!("object {n}"), &[("queue", "q"), ("target", &target)]);
        calls.spawn(async move { sampler.current(&subject).await.unwrap() });
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.iter().filter_map(fresh).collect::<Vec<_>>(), [3.0; 50]);
    assert_eq!(world.redis.reads("q").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_new_triggers_are_read_in_bounded_batches() {
    let world = World::tracked().await;
    let mut calls = JoinSet::new();
    for n in 0..1000 {
        world.redis.size(&format!("i{n}"), 1);
        let sampler = world.sampler.clone();
        let subject = subject(&[("waiting", &format!("w{n}")), ("inFlight", &format!("i{n}"))]);
        calls.spawn(async move { sampler.current(&subject).await.unwrap() });
    }
    assert!(calls.join_all().await.iter().all(|answer| fresh(answer) == Some(1.0)));
    let batches = world.redis.batches();
    assert_eq!(batches.iter().sum::<usize>(), 2000);
    assert!(*batches.iter().max().unwrap() <= limits::BATCH_READS + limits::KEYS_PER_TRIGGER);
}

#[tokio::test(start_paused = true)]
async fn what_changed_is_not_served_from_memory_while_it_is_read_again() {
    let world = World::tracked().await;
    let subject = subject(&[("queue", "q")]);
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    world.redis.size("q", 3);
    ms(20).await;
    world.redis.latency(50);
    let second = async {
        ms(10).await;
        world.ask(&subject).await
    };
    let (first, second) = tokio::join!(world.ask(&subject), second);
    assert_eq!((fresh(&first), fresh(&second)), (Some(3.0), Some(3.0)));
}

#[tokio::test(start_paused = true)]
async fn a_change_after_the_answer_was_made_and_before_it_arrives_is_not_lost() {
    let world = World::tracked().await;
    world.redis.latency(50);
    let subject = subject(&[("queue", "q")]);
    let write = async {
        ms(75).await;
        world.redis.size("q", 9);
    };
    let (first, ()) = tokio::join!(world.ask(&subject), write);
    assert_eq!(fresh(&first), Some(0.0), "true when Redis answered it");
    assert_eq!(fresh(&world.ask(&subject).await), Some(9.0));
}

#[tokio::test(start_paused = true)]
async fn a_mismatch_is_told_at_once_and_goes_when_the_key_does() {
    let world = World::tracked().await;
    world.redis.write(|keys| keys.set("q", Answer::WrongType("hyperloglog".to_owned())));
    let subject = subject(&[("queue", "q")]);
    assert!(is_mismatch(&world.ask(&subject).await));
    world.redis.size("q", 2);
    assert_eq!(fresh(&world.ask(&subject).await), Some(2.0));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_alone_leaves_its_value_unknown_and_others_known() {
    let world = World::tracked().await;
    world.redis.fail("secret", true);
    let (secret, open) = (subject(&[("queue", "secret")]), subject(&[("queue", "open")]));
    let both = subject(&[("waiting", "open"), ("inFlight", "secret")]);
    let refused = Why::Fault(Fault::Refused("NOPERM".to_owned()));
    for _ in 0..3 {
        let started = Instant::now();
        assert_eq!(world.ask(&secret).await, Observation::Unavailable(refused.clone()));
        assert_eq!(world.ask(&both).await, Observation::Unavailable(refused.clone()));
        assert_eq!(fresh(&world.ask(&open).await), Some(0.0));
        assert!(started.elapsed() < Duration::from_millis(50));
    }
    ms(20).await;
    world.redis.fail("secret", false);
    world.redis.size("secret", 5);
    assert_eq!(fresh(&world.ask(&both).await), Some(5.0), "a failed read leaves its key dirty");
}

#[tokio::test(start_paused = true)]
async fn a_value_known_before_its_read_failed_is_held() {
    let world = World::tracked().await;
    let subject = subject(&[("waiting", "w"), ("inFlight", "i")]);
    world.redis.size("i", 2);
    assert_eq!(fresh(&world.ask(&subject).await), Some(2.0));
    world.redis.fail("i", true);
    world.redis.size("i", 0);
    ms(100).await;
    let (value, age) = stale(&world.ask(&subject).await).unwrap();
    assert_eq!(value, 2.0);
    assert!(age >= Duration::from_millis(90) && age <= Duration::from_secs(2), "{age:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_get_answers_while_many_triggers_share_a_busy_key() {
    for tracked in [true, false] {
        let world = World::connected(Redis::new(tracked)).await;
        world.redis.meanwhile(|keys, _| {
            keys.set("shared", Answer::Size(SizeAnswer::Members(1)));
            (0..20).for_each(|n| keys.set(&format!("q{n}"), Answer::Size(SizeAnswer::Members(1))));
        });
        let flows = [("q", "shared"), ("shared", "q")];
        let subjects: Vec<_> = (0..20)
            .flat_map(|n| flows.map(|(waiting, doing)| (n, waiting, doing)))
            .map(|(n, waiting, doing)| {
                let key = |name: &str| if name == "q" { format!("q{n}") } else { name.to_owned() };
                subject(&[("waiting", &key(waiting)), ("inFlight", &key(doing))])
            })
            .collect();
        let watches: Vec<_> = subjects.iter().map(|subject| world.watch(subject)).collect();
        ms(100).await;
        for subject in &subjects {
            let asked_at = Instant::now();
            let told = world.ask(subject).await;
            assert_eq!(fresh(&told), Some(2.0), "{tracked} {told:?}");
            let within = Duration::from_millis(100);
            assert!(asked_at.elapsed() < within, "{tracked} {:?}", asked_at.elapsed());
        }
        drop(watches);
    }
}
