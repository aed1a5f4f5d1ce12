//! Counts that are no more than bounds are counted in a metric, and a collection of many members is not
//! looked at all the time.

use super::*;
use crate::layouts::{Answer, GroupAnswer, PerMemberAnswer, SizeAnswer, Waiting};

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
