//! A read that ends every link is held against itself alone: everybody else is answered, and so is it
//! when it ends no link any more.

use super::*;
use crate::layouts::{Answer, SizeAnswer};

/// A queue of the Sidekiq with this prefix; its processes are looked at one by one, in two reads.
fn sidekiq(prefix: &str, queue: &str) -> Arc<Subject> {
    subject(&[("layout", "sidekiq"), ("namespace", prefix), ("queue", queue)])
}

/// Has the processes of this Sidekiq read again.
fn touch(redis: &Redis, prefix: &str) {
    redis.write(|keys| keys.set(&format!("{prefix}processes"), Answer::Missing));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_ends_every_link_holds_up_its_own_triggers_alone() {
    let world = World::tracked().await;
    let (mut ours, mut others) =
        (world.watch(&sidekiq("a:", "q")), world.watch(&sidekiq("b:", "q")));
    world.redis.size("a:queue:q", 7);
    told(&mut ours, 100, |seen| fresh(seen) == Some(7.0)).await;
    world.redis.poison("a:processes", true);
    touch(&world.redis, "a:");
    touch(&world.redis, "b:");
    let since = Instant::now();
    for jobs in 1..60_u32 {
        world.redis.size("b:queue:q", jobs.into());
        told(&mut others, 2_500, |seen| fresh(seen) == Some(jobs.into())).await;
        let mut new = world.watch(&sidekiq("b:", &format!("q{jobs}")));
        told(&mut new, 2_500, |seen| fresh(seen) == Some(0.0)).await;
        // The same processes, asked for by a trigger that comes later.
        let late = sidekiq("a:", &format!("q{jobs}"));
        assert!(is_unavailable(&world.ask(&late).await));
        let asked_at = Instant::now();
        let held = world.ask(&sidekiq("a:", "q")).await;
        match since.elapsed().as_secs() {
            ..28 => assert_eq!(stale(&held).map(|(value, _)| value), Some(7.0), "{held:?}"),
            28..31 => {}
            _ => {
                let Observation::Unavailable(Why::Fault(fault)) = &held else { panic!("{held:?}") };
                assert!(fault.to_string().contains("too much"), "{fault}");
                assert!(asked_at.elapsed() < Duration::from_millis(50), "nothing is waited for");
            }
        }
        seconds(1).await;
    }
    let poisonings = world.redis.poisonings();
    // Two questions: together once, then each alone: twice at once, and after 1, 2, 4, 8, 16 and 32 s. A
    // trigger that comes just then asks its question together with those that ask the same.
    assert!(poisonings[1..].iter().all(|(_, questions)| *questions == 1), "{poisonings:?}");
    assert!((10..=20).contains(&poisonings.len()), "{poisonings:?}");
    world.redis.poison("a:processes", false);
    told(&mut ours, 63_000, |seen| fresh(seen) == Some(7.0)).await;
    touch(&world.redis, "a:");
    world.redis.size("a:queue:q", 8);
    told(&mut ours, 100, |seen| fresh(seen) == Some(8.0)).await;
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_those_that_were_under_way_are_read_at_once() {
    for hangs in [false, true] {
        let world = World::tracked().await;
        let prefixes: Vec<String> = (0..50).map(|number| format!("{number}:")).collect();
        let mut watches: Vec<_> =
            prefixes.iter().map(|prefix| world.watch(&sidekiq(prefix, "q"))).collect();
        for watch in &mut watches {
            told(watch, 500, |seen| fresh(seen) == Some(0.0)).await;
        }
        // All of them are under way when the link goes.
        world.redis.latency(20);
        prefixes.iter().for_each(|prefix| touch(&world.redis, prefix));
        ms(30).await;
        if hangs {
            world.redis.hang(true)
        } else {
            world.redis.down(true)
        }
        seconds(20).await;
        prefixes.iter().for_each(|prefix| world.redis.size(&format!("{prefix}queue:q"), 3));
        world.redis.latency(1);
        if hangs {
            world.redis.hang(false)
        } else {
            world.redis.down(false)
        }
        let since = Instant::now();
        for watch in &mut watches {
            told(watch, 2_500, |seen| fresh(seen) == Some(3.0)).await;
        }
        assert!(since.elapsed() < Duration::from_millis(2_500), "{:?}", since.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn quarantined_reads_that_are_one_question_are_asked_as_one() {
    let world = World::tracked().await;
    let queues: Vec<_> = (0..40).map(|number| sidekiq("s:", &format!("q{number}"))).collect();
    let watches: Vec<_> = queues.iter().map(|queue| world.watch(queue)).collect();
    seconds(1).await;
    world.redis.latency(20);
    touch(&world.redis, "s:");
    ms(30).await;
    world.redis.cut();
    let before = world.redis.batches().len();
    seconds(2).await;
    // The flags and sizes of all, and what is asked of the processes: their two hashes.
    assert_eq!(world.redis.batches()[before..], [80, 40, 40]);
    assert!(world.redis.poisonings().is_empty());
    touch(&world.redis, "s:");
    seconds(1).await;
    assert_eq!(world.redis.batches()[before + 3..], [80], "they were answered");
    drop(watches);
}

#[tokio::test(start_paused = true)]
async fn quarantined_reads_get_their_turn_however_much_else_is_due() {
    let world = World::tracked().await;
    let mut watch = world.watch(&sidekiq("s:", "q"));
    told(&mut watch, 100, |seen| fresh(seen) == Some(0.0)).await;
    // More than a batch of keys that change all the time, on a link that is slow.
    let busy: Vec<String> = (0..2 * limits::BATCH_READS).map(|n| format!("busy{n}")).collect();
    let others: Vec<_> = busy.iter().map(|key| world.watch(&subject(&[("queue", key)]))).collect();
    world.redis.latency(20);
    let keys = busy.clone();
    world.redis.meanwhile(move |held, place| {
        let changed = keys.iter().filter(|_| place == 0);
        changed
            .for_each(|key| held.set(key, Answer::Size(SizeAnswer::Members(held.size(key) + 1))));
    });
    touch(&world.redis, "s:");
    ms(30).await;
    world.redis.cut();
    world.redis.size("s:queue:q", 5);
    told(&mut watch, 2_000, |seen| fresh(seen) == Some(5.0)).await;
    drop(others);
}
