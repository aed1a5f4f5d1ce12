//! Patterns: what is found, when, and what is said until then.

use super::*;
use crate::{
    layouts::{Allowed, Answer, Glob, LayoutMismatch, SizeAnswer},
    sampling::Fault,
};

fn emails() -> Arc<Subject> {
    subject(&[("queue", "emails-*")])
}

/// What a call is told once the searches that are under way have ended.
async fn later(world: &World, subject: &Arc<Subject>) -> Observation {
    world.ask(subject).await;
    seconds(12).await;
    world.ask(subject).await
}

#[tokio::test(start_paused = true)]
async fn the_first_call_waits_for_the_search_and_counts_what_it_finds() {
    let world = World::tracked().await;
    for (key, jobs) in [("emails-a", 2), ("emails-b", 3), ("other", 50)] {
        world.redis.size(key, jobs);
    }
    assert_eq!(fresh(&world.ask(&emails()).await), Some(5.0));
    assert_eq!(world.metric("penstock_queues_found"), 2.0);
    assert_eq!(fresh(&world.ask(&subject(&[("queue", "nothing-*")])).await), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn what_only_the_first_stars_of_a_pattern_match_is_not_counted() {
    let world = World::tracked().await;
    for (key, jobs) in [("a-b-c-d", 2), ("abcd", 3), ("a-b-c", 50), ("a-c-b-d", 70)] {
        world.redis.size(key, jobs);
    }
    let many_stars = subject(&[("queue", "a*b*c*d")]);
    assert_eq!(fresh(&world.ask(&many_stars).await), Some(5.0));
    assert_eq!(world.metric("penstock_queues_found"), 2.0);
}

#[tokio::test(start_paused = true)]
async fn while_the_keyspace_is_still_looked_through_nothing_is_said() {
    let world = World::tracked().await;
    world.redis.page(1);
    for n in 0..400 {
        world.redis.size(&format!("emails-{n:03}"), 1);
    }
    let told = world.ask(&emails()).await;
    let Observation::Unavailable(why) = &told else { panic!("{told:?}") };
    assert_eq!(why.to_string(), "the queues that match `emails-*` are still being looked for");
    assert_eq!(fresh(&later(&world, &emails()).await), Some(400.0));
}

#[tokio::test(start_paused = true)]
async fn a_new_queue_is_seen_with_the_next_search_and_a_stream_is_told() {
    let world = World::tracked().await;
    let mut watch = world.watch(&emails());
    told(&mut watch, 1_000, |news| fresh(news) == Some(0.0)).await;
    world.redis.size("emails-new", 1);
    told(&mut watch, 6_000, |news| fresh(news) == Some(1.0)).await;
    // From then on Redis announces what happens to it, also once it was empty.
    for jobs in [0, 4u32] {
        world.redis.size("emails-new", jobs.into());
        told(&mut watch, 50, |news| fresh(news) == Some(jobs.into())).await;
        seconds(20).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_with_nothing_but_jobs_in_flight_is_found() {
    let world = World::tracked().await;
    world.redis.size("emails-a:processing", 2);
    let list = subject(&[("layout", "reliable-list"), ("queue", "emails-*")]);
    assert_eq!(fresh(&world.ask(&list).await), Some(2.0));
}

#[tokio::test(start_paused = true)]
async fn jobs_that_move_between_queues_that_are_known_are_never_fewer() {
    let world = World::tracked().await;
    for (key, jobs) in [("emails-a", 30), ("emails-b", 1), ("emails-c", 1)] {
        world.redis.size(key, jobs);
    }
    let mut watch = world.watch(&emails());
    told(&mut watch, 1_000, |news| fresh(news) == Some(32.0)).await;
    for n in 0..30 {
        world
            .redis
            .write(|keys| keys.shift("emails-a", if n % 2 == 0 { "emails-b" } else { "emails-c" }));
        ms(333).await;
        // New queues come and go meanwhile, so that the plan is made anew.
        world.redis.size(&format!("emails-x{}", n % 3), u64::from(n % 2 == 0));
        let now = watch.observation();
        assert!(now.verdict().unwrap().value.get() >= 32.0, "{now:?}");
        assert!(fresh(&world.ask(&emails()).await).is_some_and(|value| value >= 32.0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fall_among_many_queues_has_what_changed_read_again_and_not_all_of_it() {
    let world = World::tracked().await;
    (0..200).for_each(|n| world.redis.size(&format!("emails-{n}"), 2));
    assert_eq!(fresh(&world.ask(&emails()).await), Some(400.0));
    let reads = || world.redis.batches().iter().sum::<usize>();
    let before = reads();
    world.redis.size("emails-7", 1);
    assert_eq!(fresh(&world.ask(&emails()).await), Some(399.0));
    let more = reads() - before;
    assert!((2..=4).contains(&more), "{more} more reads");
    // Where nothing is announced all is read a few times, at a pace that lets others in.
    let world = World::untracked().await;
    (0..200).for_each(|n| world.redis.size(&format!("emails-{n}"), 2));
    assert_eq!(fresh(&world.ask(&emails()).await), Some(400.0));
    seconds(2).await;
    let before = world.redis.batches().iter().sum::<usize>();
    world.redis.size("emails-7", 1);
    assert_eq!(fresh(&world.ask(&emails()).await), Some(399.0));
    let more = world.redis.batches().iter().sum::<usize>() - before;
    assert!((800..=1_000).contains(&more), "{more} more reads");
}

#[tokio::test(start_paused = true)]
async fn names_and_patterns_count_each_queue_once_with_its_own_weight() {
    let world = World::tracked().await;
    for key in ["emails-a", "emails-big", "reports", "emails*"] {
        world.redis.size(key, 1);
    }
    let value = async |queue: &str| fresh(&world.ask(&subject(&[("queue", queue)])).await);
    assert_eq!(value("emails-*,emails-big=3").await, Some(4.0));
    assert_eq!(value("emails-*=10,emails-b*=3").await, Some(20.0), "the first pattern has it");
    assert_eq!(value("emails-b*=3,emails-*=10,reports").await, Some(14.0));
    assert_eq!(value(r"emails\*").await, Some(1.0), "an escaped star is itself");
    assert_eq!(value(r"emails\**").await, Some(1.0));
    let states =
        subject(&[("waiting", "emails-*"), ("inFlight", "emails-b*"), ("signal", "waiting")]);
    assert_eq!(fresh(&world.ask(&states).await), Some(1.0), "the narrower one has it");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_empty_is_forgotten_after_a_while_and_no_earlier() {
    let world = World::tracked().await;
    world.redis.size("emails-a", 1);
    let mut watch = world.watch(&emails());
    told(&mut watch, 1_000, |news| fresh(news) == Some(1.0)).await;
    world.redis.size("emails-a", 0);
    let found = || world.metric("penstock_queues_found");
    seconds(limits::FOUND_MEMORY.as_secs() - 10).await;
    assert_eq!(found(), 1.0);
    seconds(30).await;
    assert_eq!(found(), 0.0);
    assert_eq!(fresh(&watch.observation()), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn more_queues_than_may_be_counted_are_no_part_of_a_sum() {
    let world = World::tracked().await;
    for n in 0..=limits::QUEUES_FOUND {
        world.redis.size(&format!("emails-{n}"), 1);
    }
    let told = world.ask(&emails()).await;
    let Observation::LayoutMismatch(mismatch @ LayoutMismatch::TooManyQueues { .. }) = &told else {
        panic!("{told:?}")
    };
    assert!(
        mismatch.to_string().contains("more than 1000 queues or keys match `emails-*`"),
        "{mismatch}"
    );
    world.redis.size("emails-0", 0);
    seconds(limits::FOUND_MEMORY.as_secs() + 10).await;
    assert_eq!(fresh(&world.ask(&emails()).await), Some(1000.0));
    for n in 0..=limits::KEYS_FOUND {
        world.redis.size(&format!("emails-{n}"), 1);
    }
    assert!(is_mismatch(&later(&world, &emails()).await));
}

#[tokio::test(start_paused = true)]
async fn a_search_that_is_refused_is_never_a_zero() {
    let world = World::tracked().await;
    world.redis.refuse_scans(true);
    let told = world.ask(&emails()).await;
    assert_eq!(told, Observation::Unavailable(Why::Fault(Fault::Refused("NOPERM".to_owned()))));
    world.redis.refuse_scans(false);
    world.redis.size("emails-a", 1);
    assert_eq!(fresh(&later(&world, &emails()).await), Some(1.0));
    // What was found stands for a while, then it is held, then nothing is said.
    world.redis.refuse_scans(true);
    seconds(9).await;
    world.redis.size("emails-a", 2);
    assert_eq!(fresh(&world.ask(&emails()).await), Some(2.0));
    seconds(15).await;
    assert!(stale(&world.ask(&emails()).await).is_some_and(|(value, _)| value == 2.0));
    seconds(limits::HOLD_STALE.as_secs()).await;
    assert!(is_unavailable(&world.ask(&emails()).await));
    world.redis.refuse_scans(false);
    seconds(2).await;
    assert_eq!(fresh(&world.ask(&emails()).await), Some(2.0));
}

#[tokio::test(start_paused = true)]
async fn an_outage_within_a_search_begins_it_anew_and_what_was_found_stands() {
    let world = World::tracked().await;
    world.redis.size("emails-a", 1);
    let mut watch = world.watch(&emails());
    told(&mut watch, 1_000, |news| fresh(news) == Some(1.0)).await;
    for n in 0..300 {
        world.redis.size(&format!("noise-{n:03}"), 1);
    }
    world.redis.page(1);
    world.redis.size("zzz", 1);
    seconds(6).await;
    world.redis.down(true);
    seconds(2).await;
    assert!(stale(&watch.observation()).is_some_and(|(value, _)| value == 1.0));
    world.redis.size("emails-b", 1);
    world.redis.down(false);
    told(&mut watch, 12_000, |news| fresh(news) == Some(2.0)).await;
}

#[tokio::test(start_paused = true)]
async fn equal_patterns_are_one_search_at_its_own_pace() {
    let world = World::tracked().await;
    for n in 0..20 {
        let subject = named(&format!("object-{n}"), &[("queue", "emails-*")]);
        assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    }
    assert_eq!(world.metric("penstock_searches"), 1.0);
    let before = world.redis.scans().len();
    seconds(60).await;
    let steps = world.redis.scans().len() - before;
    assert!((10..=12).contains(&steps), "one every five seconds, not {steps}");
    seconds(limits::TRIGGER_MEMORY.as_secs() + 70).await;
    assert_eq!(world.metric("penstock_searches"), 0.0, "nobody asks any more");
}

#[tokio::test(start_paused = true)]
async fn reads_go_before_searches_and_do_not_stop_them() {
    let world = World::tracked().await;
    world.redis.page(1);
    for n in 0..100 {
        world.redis.size(&format!("emails-{n:02}"), 1);
    }
    let busy = subject(&[("queue", "busy")]);
    let mut watch = world.watch(&busy);
    let pattern = world.watch(&emails());
    for jobs in 1..300u32 {
        world.redis.size("busy", jobs.into());
        told(&mut watch, 40, |news| fresh(news) == Some(jobs.into())).await;
    }
    drop(pattern);
    assert_eq!(fresh(&world.ask(&emails()).await), Some(100.0));
}

#[tokio::test(start_paused = true)]
async fn more_searches_than_may_be_are_refused_until_one_is_forgotten() {
    let world = World::tracked().await;
    for n in 0..limits::SEARCHES {
        let one = subject(&[("queue", &format!("q{n}-*"))]);
        assert!(world.sampler.watch(&one).is_ok());
    }
    let one_more = subject(&[("queue", "another-*")]);
    assert!(world.sampler.current(&one_more).await.is_err());
    assert!(world.sampler.current(&subject(&[("queue", "plain")])).await.is_ok());
    seconds(limits::TRIGGER_MEMORY.as_secs() + 70).await;
    assert!(world.sampler.current(&one_more).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn keys_that_may_not_be_read_are_left_out_and_that_is_told() {
    let allowed =
        Allowed::new(["emails-a*", "shared"].map(|text| Glob::parse(text).unwrap()).into());
    let world = World::reading(allowed).await;
    for (key, jobs) in [("emails-a", 1), ("emails-b", 10), ("emails-a2:processing", 2)] {
        world.redis.size(key, jobs);
    }
    let list = subject(&[("layout", "reliable-list"), ("queue", "emails-*")]);
    assert_eq!(fresh(&world.ask(&list).await), Some(3.0));
    assert_eq!(world.metric("penstock_triggers_leaving_out"), 1.0);
    assert!(world.redis.reads("emails-b").is_empty(), "it was never read");
    let all = subject(&[("queue", "emails-a*")]);
    assert_eq!(fresh(&world.ask(&all).await), Some(3.0));
    assert_eq!(world.metric("penstock_triggers_leaving_out"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_announces_nothing_is_searched_too() {
    let world = World::untracked().await;
    world.redis.size("emails-a", 1);
    let mut watch = world.watch(&emails());
    told(&mut watch, 1_000, |news| fresh(news) == Some(1.0)).await;
    world.redis.write_silently("emails-b", Answer::Size(SizeAnswer::Members(4)));
    told(&mut watch, 8_000, |news| fresh(news) == Some(5.0)).await;
}
