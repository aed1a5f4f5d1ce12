//! Entries of a consumer group whose consumer is gone: what the policy of orphans makes of them.
//!
//! XCLAIM … IDLE sets how long an entry was idle, so that nothing has to be waited for but where time
//! alone is what is tested.

use deadpool_redis::redis;

use super::{Eye, Four};
use crate::{
    harness::{Kind, PATIENCE, Server, Service, eventually_is},
    on_both_servers,
    wire::trigger,
};

on_both_servers!(
    an_entry_that_nobody_looks_after_is_what_the_policy_says,
    an_entry_that_a_live_consumer_claims_for_itself_is_in_flight_again,
    what_is_not_there_is_no_orphan,
    an_entry_falls_idle_by_time_alone,
    among_too_many_entries_none_is_taken_for_an_orphan,
);

const STREAM: &str = "layout=stream queue=s group=g";
const MINUTES: u64 = 60_000;

/// Five entries, of which three are delivered: idle for 2, 10 and 30 minutes.
fn deliver(server: &Server) {
    for id in 1..=5 {
        server.run(&format!("XADD s {id}-0 a 1"));
    }
    server.run("XGROUP CREATE s g 0\nXREADGROUP GROUP g gone COUNT 3 STREAMS s >");
    for (id, minutes) in [(1, 30), (2, 10), (3, 2)] {
        idle(server, id, minutes * MINUTES);
    }
}

fn idle(server: &Server, id: u32, idle_ms: u64) {
    server.run(&format!("XCLAIM s g gone 0 {id}-0 IDLE {idle_ms} JUSTID"));
}

async fn four(eye: &mut Eye, more: &str) -> Four {
    eye.four(&format!("{STREAM} {more}")).await.unwrap()
}

async fn an_entry_that_nobody_looks_after_is_what_the_policy_says(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    deliver(&server);
    for (more, wanted) in [
        ("orphans=count", [2.0, 0.0, 3.0, 0.0]),
        ("orphans=count claimAfter=5m", [2.0, 0.0, 3.0, 0.0]),
        ("orphans=count claimAfter=5m orphanMaxAge=15m", [2.0, 0.0, 2.0, 0.0]),
        ("orphans=wake claimAfter=5m", [2.0, 0.0, 1.0, 2.0]),
        ("orphans=wake claimAfter=5m orphanMaxAge=15m", [2.0, 0.0, 1.0, 1.0]),
        ("orphans=ignore claimAfter=5m", [2.0, 0.0, 1.0, 0.0]),
        ("orphans=ignore claimAfter=1m", [2.0, 0.0, 0.0, 0.0]),
    ] {
        assert_eq!(four(&mut eye, more).await, wanted, "{more}");
    }
    // Without a lag too: Redis cannot tell it once an entry is gone that was not delivered.
    server.run("XDEL s 4-0");
    assert_eq!(four(&mut eye, "orphans=wake claimAfter=5m").await, [1.0, 0.0, 1.0, 2.0]);
}

async fn an_entry_that_a_live_consumer_claims_for_itself_is_in_flight_again(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    deliver(&server);
    let wake = "orphans=wake claimAfter=5m";
    server.run("XCLAIM s g alive 300000 1-0 JUSTID");
    assert_eq!(four(&mut eye, wake).await, [2.0, 0.0, 2.0, 1.0]);
    server.run("XAUTOCLAIM s g alive 300000 0");
    assert_eq!(four(&mut eye, wake).await, [2.0, 0.0, 3.0, 0.0]);
    server.run("XACK s g 1-0 2-0 3-0");
    assert_eq!(four(&mut eye, wake).await, [2.0, 0.0, 0.0, 0.0]);
}

async fn what_is_not_there_is_no_orphan(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    let wake = "orphans=wake claimAfter=5m";
    assert_eq!(four(&mut eye, wake).await, [0.0; 4]);
    server.run("XADD s 1-0 a 1");
    assert_eq!(four(&mut eye, wake).await, [1.0, 0.0, 0.0, 0.0]);
    let unknown = format!("{STREAM} {wake} missingGroup=unknown");
    assert!(eye.four(&unknown).await.unwrap_err().contains("has no consumer group `g`"));
    server.run("DEL s\nRPUSH s a");
    let told = eye.four(&format!("{STREAM} {wake}")).await.unwrap_err();
    assert!(told.contains("holds the Redis type list, expected a stream"), "{told}");
}

async fn an_entry_falls_idle_by_time_alone(kind: Kind) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let with = |orphans: &str| {
        let pairs = format!("{STREAM} signal=in-flight claimAfter=2s orphans={orphans}");
        let pairs: Vec<(String, String)> = (pairs.split(' '))
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        trigger(pairs)
    };
    let (ignore, wake) = (with("ignore"), with("wake"));
    server.run("XGROUP CREATE s g $ MKSTREAM");
    let state = async |of| (keda.value(of).await.unwrap(), keda.is_active(of).await.unwrap());
    // They are known before anything is delivered, which nothing announces.
    assert_eq!((state(&ignore).await, state(&wake).await), ((0.0, false), (0.0, false)));
    server.run("XADD s 1-0 a 1\nXREADGROUP GROUP g gone STREAMS s >");
    eventually_is(PATIENCE, (1.0, true), async || state(&ignore).await).await;
    eventually_is(PATIENCE, (0.0, false), async || state(&ignore).await).await;
    eventually_is(PATIENCE, (0.0, true), async || state(&wake).await).await;
    server.run("XACK s g 1-0");
    eventually_is(PATIENCE, (0.0, false), async || state(&wake).await).await;
}

async fn among_too_many_entries_none_is_taken_for_an_orphan(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    let mut pipeline = redis::pipe();
    for _ in 0..=penstock::limits::IDLE_AMONG {
        pipeline.cmd("XADD").arg("s").arg("*").arg("a").arg(1).ignore();
    }
    pipeline.exec(&mut server.connect()).unwrap();
    server.run("XGROUP CREATE s g 0\nXREADGROUP GROUP g gone COUNT 20000 STREAMS s >");
    let wake = "orphans=wake claimAfter=1ms";
    assert_eq!(four(&mut eye, wake).await, [0.0, 0.0, 10_001.0, 0.0]);
    let first: Vec<(String, String, u64, u64)> = server.ask("XPENDING s g - + 1");
    server.run(&format!("XACK s g {}", first[0].0));
    eventually_is(PATIENCE, [0.0, 0.0, 0.0, 10_000.0], async || four(&mut eye, wake).await).await;
}
