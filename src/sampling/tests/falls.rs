//! Lower counts than before: confirmed in the call that sees them, held where a framework tells late; and
//! work that nobody can see is said to be.

use super::*;
use crate::layouts::{Answer, PerMemberAnswer, SizeAnswer};

fn sidekiq() -> Arc<Subject> {
    subject(&[("layout", "sidekiq"), ("queue", "mail")])
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_taken_and_is_not_noted_yet_still_counts() {
    let world = World::tracked().await;
    let subject = sidekiq();
    world.redis.size("queue:mail", 1);
    let mut watch = world.watch(&subject);
    told(&mut watch, 1000, |seen| fresh(seen) == Some(1.0)).await;
    world.redis.size("queue:mail", 0);
    seconds(1).await;
    for _ in 0..13 {
        let seen = world.ask(&subject).await;
        assert_eq!(fresh(&seen), Some(1.0));
        assert!(seen.verdict().is_some_and(|verdict| verdict.active));
        seconds(1).await;
    }
    told(&mut watch, 2_000, |seen| fresh(seen) == Some(0.0)).await;
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    world.redis.size("queue:mail", 7);
    told(&mut watch, 500, |seen| fresh(seen) == Some(7.0)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_only_polled_holds_a_fall_from_when_it_happened() {
    for tracked in [true, false] {
        let world = World::connected(Redis::new(tracked)).await;
        let subject = sidekiq();
        world.redis.size("queue:mail", 4);
        assert_eq!(fresh(&world.ask(&subject).await), Some(4.0));
        seconds(60).await;
        world.redis.size("queue:mail", 3);
        seconds(10).await;
        assert_eq!(fresh(&world.ask(&subject).await), Some(4.0), "{tracked}");
        seconds(7).await;
        assert_eq!(fresh(&world.ask(&subject).await), Some(3.0), "{tracked}");
        world.redis.size("queue:mail", 0);
        seconds(240).await;
        assert_eq!(
            fresh(&world.ask(&subject).await),
            Some(0.0),
            "{tracked}: the first poll says so"
        );
    }
}

/// Triggers of frameworks whose moves are one step, over several moments, and over gaps.
fn moving() -> [(Arc<Subject>, &'static str, &'static str); 4] {
    let bullmq = |more: &[(&str, &str)]| {
        let pairs = [&[("layout", "bullmq"), ("queue", "q")], more].concat();
        (subject(&pairs), "bull:q:wait", "bull:q:active")
    };
    [
        bullmq(&[]),
        bullmq(&[("orphans", "ignore")]),
        (subject(&[("waiting", "w"), ("inFlight", "i")]), "w", "i"),
        (subject(&[("layout", "rq"), ("queue", "q")]), "rq:queue:q", "rq:wip:q"),
    ]
}

#[tokio::test(start_paused = true)]
async fn the_first_poll_after_a_fall_says_what_is_true_now() {
    for (tracked, transacts) in [(true, true), (true, false), (false, true), (false, false)] {
        for (subject, waiting, _) in moving() {
            for pause in [2, 10, 60, 240] {
                let world = World::connected(Redis::new(tracked)).await;
                if transacts {
                    world.redis.transact();
                }
                world.redis.size(waiting, 10);
                assert_eq!(fresh(&world.ask(&subject).await), Some(10.0));
                world.redis.size(waiting, 0);
                seconds(pause).await;
                let seen = world.ask(&subject).await;
                assert_eq!(fresh(&seen), Some(0.0), "{tracked} {transacts} {waiting} {pause}");
                assert!(seen.verdict().is_some_and(|verdict| !verdict.active));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_moves_forward_and_back_all_the_time_is_never_missed() {
    for (tracked, transacts) in [(true, true), (true, false), (false, true)] {
        for (subject, waiting, in_flight) in moving() {
            let world = World::connected(Redis::new(tracked)).await;
            if transacts {
                world.redis.transact();
            }
            world.redis.size(waiting, 3);
            assert_eq!(fresh(&world.ask(&subject).await), Some(3.0));
            let mut random = fastrand::Rng::with_seed(7);
            world.redis.meanwhile(move |keys, _| {
                if random.bool() {
                    keys.shift(waiting, in_flight);
                } else {
                    keys.shift(in_flight, waiting);
                }
            });
            for _ in 0..500 {
                let seen = world.ask(&subject).await;
                let value = seen.verdict().map(|verdict| verdict.value.get());
                assert!(value >= Some(3.0), "{tracked} {transacts} {waiting}: {seen:?}");
                ms(20).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fall_costs_one_more_reading_and_anything_else_none() {
    let world = World::tracked().await;
    let subject = subject(&[("layout", "rq"), ("queue", "q")]);
    world.redis.size("rq:queue:q", 5);
    world.ask(&subject).await;
    let reads = || world.redis.batches().len();
    let before = reads();
    world.redis.size("rq:queue:q", 6);
    assert_eq!(fresh(&world.ask(&subject).await), Some(6.0));
    assert_eq!(reads(), before + 1);
    world.redis.size("rq:queue:q", 2);
    assert_eq!(fresh(&world.ask(&subject).await), Some(2.0));
    assert_eq!(reads(), before + 3, "one more");
    for _ in 0..10 {
        assert_eq!(fresh(&world.ask(&subject).await), Some(2.0));
    }
    assert_eq!(reads(), before + 3);
}

#[tokio::test(start_paused = true)]
async fn whenever_everything_comes_to_rest_the_next_call_says_what_is_left() {
    for steps in 100_u32..140 {
        let world = World::tracked().await;
        let subject = subject(&[("layout", "rq"), ("queue", "q")]);
        world.redis.size("rq:queue:q", 500);
        assert_eq!(fresh(&world.ask(&subject).await), Some(500.0));
        world.redis.size("rq:queue:q", 499);
        // For about as long as a fall is looked at where everything changes.
        let falling = async {
            for step in 1..=steps {
                ms(3).await;
                world.redis.size("rq:queue:q", u64::from(499 - step));
            }
        };
        let left = Some(f64::from(499 - steps));
        let (seen, ()) = tokio::join!(world.ask(&subject), falling);
        assert!(fresh(&seen) >= left, "{steps}");
        assert_eq!(fresh(&world.ask(&subject).await), left, "{steps}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fall_that_cannot_be_confirmed_is_told_as_the_value_before() {
    let world = World::tracked().await;
    let subject = subject(&[("layout", "rq"), ("queue", "q")]);
    world.redis.size("rq:queue:q", 5);
    assert_eq!(fresh(&world.ask(&subject).await), Some(5.0));
    world.redis.size("rq:queue:q", 0);
    let asked = tokio::join!(world.ask(&subject), async {
        ms(30).await;
        world.redis.hang(true);
    });
    assert_eq!(stale(&asked.0).map(|(value, _)| value), Some(5.0), "{:?}", asked.0);
}

#[tokio::test(start_paused = true)]
async fn what_was_never_told_is_not_held_as_a_fall() {
    let world = World::tracked().await;
    let subject = subject(&[("layout", "bullmq"), ("queue", "q")]);
    let mut beside = world.watch(&super::subject(&[("queue", "bull:q:wait")]));
    told(&mut beside, 1000, |seen| fresh(seen) == Some(0.0)).await;
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0));
    // Of two keys that change the other trigger has only one read: together they tell nothing.
    world.redis.size("bull:q:active", 2);
    world.redis.size("bull:q:wait", 1);
    told(&mut beside, 1000, |seen| fresh(seen) == Some(1.0)).await;
    world.redis.down(true);
    seconds(1).await;
    assert_eq!(stale(&world.ask(&subject).await).map(|(value, _)| value), Some(0.0));
    world.redis.size("bull:q:active", 0);
    world.redis.size("bull:q:wait", 0);
    world.redis.down(false);
    told(&mut beside, 5_000, |seen| fresh(seen) == Some(0.0)).await;
    assert_eq!(fresh(&world.ask(&subject).await), Some(0.0), "no job was ever told of");
}

#[tokio::test(start_paused = true)]
async fn triggers_whose_running_work_is_in_no_key_are_counted() {
    let world = World::tracked().await;
    world.ask(&subject(&[("layout", "huey"), ("queue", "app")])).await;
    world.ask(&subject(&[("layout", "huey"), ("queue", "app"), ("leases", "penstock")])).await;
    world.ask(&subject(&[("queue", "plain")])).await;
    seconds(1).await;
    assert_eq!(world.metric("penstock_triggers_not_visible"), 1.0);
    assert_eq!(world.metric("penstock_triggers{"), 3.0);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_moved_to_a_key_of_no_known_name_is_never_lost_between_two_answers() {
    let world = World::tracked().await;
    // Without a gap, so that nothing else covers the move.
    let mut trigger = (*subject(&[("layout", "resque"), ("queue", "q")]).trigger).clone();
    trigger.gap = Duration::ZERO;
    let subject = Subject::new("ns".to_owned(), "object".to_owned(), Arc::new(trigger));
    let busy = |counted| {
        Answer::PerMember(PerMemberAnswer { counted, examined: 1, overflow: 0, unsure: 0 })
    };
    world.redis.write(|keys| {
        keys.set("resque:queue:q", Answer::Size(SizeAnswer::Members(1)));
        keys.set("resque:workers", busy(0));
    });
    let mut watch = world.watch(&subject);
    told(&mut watch, 1000, |seen| fresh(seen) == Some(1.0)).await;
    for _ in 0..20 {
        // The worker takes it, in one step; its own key is announced to nobody.
        world.redis.write_silently("resque:workers", busy(1));
        world.redis.size("resque:queue:q", 0);
        ms(1).await;
        for _ in 0..3 {
            let seen = world.ask(&subject).await;
            assert_eq!(fresh(&seen), Some(1.0));
            ms(70).await;
        }
        // It is put back.
        world.redis.write_silently("resque:workers", busy(0));
        world.redis.size("resque:queue:q", 1);
        ms(170).await;
    }
}
