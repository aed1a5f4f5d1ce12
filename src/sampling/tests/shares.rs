//! Namespaces beside each other: what patterns find counts for who has them, and nobody waits for how
//! much others look for.

use super::*;
use crate::layouts::LayoutMismatch;

/// Why nothing is counted, if it is for want of keys.
fn refusal(observation: &Observation) -> Option<String> {
    match observation {
        Observation::LayoutMismatch(limit @ LayoutMismatch::TooManyKeys { .. }) => {
            Some(limit.to_string())
        }
        Observation::LayoutMismatch(_)
        | Observation::Fresh(_)
        | Observation::Stale { .. }
        | Observation::ActivityOnly { .. }
        | Observation::Unavailable(_) => None,
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_pattern_finds_beyond_the_share_of_its_namespace_is_told_and_no_part_of_a_sum() {
    let keys = KeyShares::new(4);
    let world = World::sharing(keys.clone()).await;
    for key in ["a-1", "a-2", "a-3", "b-1", "b-2"] {
        world.redis.size(key, 1);
    }
    let ask = async |namespace: &str, queue: &str| {
        world.ask(&of(namespace, queue, &[("queue", queue)])).await
    };
    assert_eq!(fresh(&ask("one", "a-*").await), Some(3.0));
    let told = ask("one", "b-*").await;
    assert_eq!(
        refusal(&told).as_deref(),
        Some(
            "namespace `one` is at its limit of 4 keys (setting limits.keys_per_namespace), and \
             the queues that match `b-*` have more"
        )
    );
    assert_eq!(fresh(&ask("two", "b-*").await), Some(2.0), "nobody else notices");
    assert_eq!(fresh(&ask("one", "a-*").await), Some(3.0));
    // What was known to fit grows beyond the share: a part of it is no value.
    world.redis.size("a-4", 1);
    world.redis.size("a-5", 1);
    seconds(20).await;
    assert!(refusal(&ask("one", "a-*").await).is_some());
    // There is room again once some are gone for good.
    world.redis.size("a-4", 0);
    world.redis.size("a-5", 0);
    seconds(limits::FOUND_MEMORY.as_secs() + 30).await;
    assert_eq!(fresh(&ask("one", "a-*").await), Some(3.0));
}

#[tokio::test(start_paused = true)]
async fn the_share_of_a_pattern_that_is_forgotten_is_free_and_others_take_it() {
    let keys = KeyShares::new(2);
    let world = World::sharing(keys.clone()).await;
    for key in ["a-1", "a-2", "b-1", "b-2"] {
        world.redis.size(key, 1);
    }
    let pattern = |queue: &str| of("one", queue, &[("queue", queue)]);
    assert_eq!(fresh(&world.ask(&pattern("a-*")).await), Some(2.0));
    let mut other = world.watch(&pattern("b-*"));
    told(&mut other, 2_000, |news| refusal(news).is_some()).await;
    // Nobody asks for the first any more.
    let memory = u64::try_from(limits::TRIGGER_MEMORY.as_millis()).unwrap();
    told(&mut other, memory + 80_000, |news| fresh(news) == Some(2.0)).await;
    assert!(!keys.take("one", 1) && keys.namespaces() == 1);
    drop(other);
    seconds(limits::TRIGGER_MEMORY.as_secs() + 80).await;
    assert_eq!(keys.namespaces(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_looks_for_much_does_not_make_the_others_wait() {
    let world = World::tracked().await;
    world.redis.page(1);
    for n in 0..200 {
        world.redis.size(&format!("q-{n:03}"), 1);
    }
    let greedy = |n: usize| of("greedy", "many", &[("queue", &format!("q{}-*", "?".repeat(n)))]);
    let _open: Vec<Watch> = (0..30).map(|n| world.watch(&greedy(n))).collect();
    ms(50).await;
    // A search of its own takes 200 steps of five milliseconds: a second. It gets every other one.
    let mut modest = world.watch(&of("modest", "one", &[("queue", "q-1*")]));
    told(&mut modest, 3_000, |news| fresh(news) == Some(100.0)).await;
}
