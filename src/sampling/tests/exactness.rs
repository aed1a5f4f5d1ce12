//! Counts that are no more than bounds are counted in a metric, and a collection of many members is not
//! looked at all the time.

use super::*;
use crate::layouts::{Answer, GroupAnswer, Layout, PerMemberAnswer, SizeAnswer, Waiting};

fn celery(queue: &str) -> Arc<Subject> {
    subject(&[("layout", "celery"), ("queue", queue), ("acks", "late")])
}

fn found(counted: u64, overflow: u64, unsure: u64) -> Answer {
    Answer::PerMember(PerMemberAnswer { counted, examined: counted, overflow, unsure })
}

#[tokio::test(start_paused = true)]
async fn triggers_of_which_a_count_is_no_more_than_a_bound_are_counted() {
    let world = World::tracked().await;
    let not_exact = async || {
        seconds(1).await;
        world.metric("penstock_triggers_not_exact")
    };
    let stream = subject(&[("layout", "stream"), ("queue", "s"), ("group", "g")]);
    let (emails, reports) = (celery("emails"), celery("reports"));
    world.redis.write(|keys| {
        keys.set("unacked", found(3, 0, 0));
        let waiting = Waiting::AtMost(9);
        keys.set("s", Answer::Group(GroupAnswer::State { waiting, pending: 0 }));
    });
    assert_eq!(fresh(&world.ask(&emails).await), Some(3.0));
    assert_eq!(not_exact().await, 0.0);
    assert_eq!(fresh(&world.ask(&stream).await), Some(9.0));
    assert_eq!(not_exact().await, 1.0);
    world.redis.write(|keys| keys.set("unacked", found(3, 5, 0)));
    assert_eq!(fresh(&world.ask(&emails).await), Some(8.0));
    assert_eq!(fresh(&world.ask(&reports).await), Some(8.0));
    assert_eq!(not_exact().await, 3.0);
    world.redis.write(|keys| keys.set("unacked", found(8, 0, 1)));
    world.ask(&emails).await;
    assert_eq!(not_exact().await, 3.0, "what tells of no queue is a bound, too");
    world.redis.write(|keys| keys.set("unacked", found(8, 0, 0)));
    for subject in [&emails, &reports] {
        world.ask(subject).await;
    }
    assert_eq!(not_exact().await, 1.0);
    // Who is forgotten is counted no more.
    seconds(limits::TRIGGER_MEMORY.as_secs() + 120).await;
    assert_eq!(not_exact().await, 0.0);
}

/// A trigger of a layout whose busy members are no more than a bound where there are many.
fn acme(queue: &str) -> Arc<Subject> {
    let layout = r#"
        doc = "Acme."
        params.queue = { type = "keys", required = true, doc = "Q.", example = "q" }
        [[waiting]]
        read = "size"
        key = "{queue}"
        [[in_flight]]
        read = "each"
        collection = "busy:{queue}"
        type = "set"
        ask = { length = "jobs:{member}" }
        overflow = "skip"
    "#;
    let mut layouts = Registry::builtin().clone();
    layouts.add(Layout::parse("acme", layout).unwrap());
    let pairs = [("layout", "acme"), ("queue", queue)];
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    let trigger = Trigger::parse(pairs, &layouts).unwrap();
    Subject::new("ns".to_owned(), queue.to_owned(), Arc::new(trigger))
}

#[tokio::test(start_paused = true)]
async fn a_bound_that_comes_with_a_queue_that_is_found_is_noted_where_the_count_stays() {
    let world = World::tracked().await;
    let (pattern, one) = (acme("emails-*"), acme("emails-b"));
    world.redis.size("emails-a", 2);
    let mut watch = world.watch(&pattern);
    told(&mut watch, 1_000, |seen| fresh(seen) == Some(2.0)).await;
    let many = PerMemberAnswer { counted: 0, examined: 0, overflow: 1_001, unsure: 0 };
    world.redis.write(|keys| keys.set("busy:emails-b", Answer::PerMember(many)));
    assert_eq!(fresh(&world.ask(&one).await), Some(0.0));
    // What the pattern is told is newer than what was read of the queue that it finds next.
    ms(100).await;
    world.redis.size("emails-a", 3);
    told(&mut watch, 100, |seen| fresh(seen) == Some(3.0)).await;
    seconds(1).await;
    assert_eq!(world.metric("penstock_queues_found"), 1.0);
    assert_eq!(world.metric("penstock_triggers_not_exact"), 1.0);
    seconds(12).await;
    assert_eq!(world.metric("penstock_queues_found"), 2.0);
    assert_eq!(fresh(&world.ask(&pattern).await), Some(3.0));
    seconds(1).await;
    assert_eq!(world.metric("penstock_triggers_not_exact"), 2.0);
}

#[tokio::test(start_paused = true)]
async fn many_members_are_looked_at_less_often_and_a_small_collection_as_ever() {
    for (members, most) in [(900_u32, 90), (9_000, 10)] {
        let world = World::tracked().await;
        let subject = celery("q");
        let set = |turn: u32| {
            world.redis.write(|keys| {
                keys.set("q", Answer::Size(SizeAnswer::Members(turn.into())));
                keys.set("unacked", found((members + turn).into(), 0, 0));
            });
        };
        set(0);
        let mut watch = world.watch(&subject);
        told(&mut watch, 1000, |seen| fresh(seen).is_some()).await;
        let before = world.redis.reads("unacked").len();
        // All of it changes all the time.
        for turn in 1..=500 {
            set(turn);
            ms(2).await;
        }
        let looks = world.redis.reads("unacked").len() - before;
        assert!(looks <= most, "{looks} looks at {members} members in a second");
        assert!(looks * 2 >= most, "{looks} looks at {members} members in a second");
        // The last change is told, whatever was put off.
        let last = Some(f64::from(500 + members + 500));
        told(&mut watch, 3_000, |seen| fresh(seen) == last).await;
    }
}
