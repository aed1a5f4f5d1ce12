//! One hash for the messages of all queues: each is looked at once, for its queue, and only up to a
//! cap.

use std::{collections::BTreeMap, time::Duration};

use penstock::limits;

use deadpool_redis::redis;
use tokio::task::spawn_blocking;

use super::Eye;
use crate::{
    harness::{Kind, PATIENCE, Server, Setup, eventually, eventually_is, penstock, seconds},
    on_both_servers,
    wire::trigger,
};

on_both_servers!(
    a_message_is_fetched_once_however_often_its_queue_is_read,
    above_the_cap_every_message_counts_for_every_queue,
    a_message_that_cannot_be_read_counts_for_every_queue,
    a_queue_with_one_of_ten_thousand_messages_says_one,
    what_is_no_more_than_a_bound_is_told_in_the_log_by_probe_and_in_a_metric,
);

/// For looks at many messages on a machine that does much else, one a second.
const LOOKS: Duration = seconds(90);
const EMAILS: &str = "layout=celery queue=emails acks=late";
const REPORTS: &str = "layout=celery queue=reports acks=late";

/// Puts messages of 10 kB into the hash, every fourth for `reports`, the others for `emails`.
fn deliver(server: &Server, tags: std::ops::Range<u64>) {
    let mut connection = server.connect();
    let body = "x".repeat(10_000);
    for tag in tags {
        let queue = if tag.is_multiple_of(4) { "reports" } else { "emails" };
        let message = format!(r#"[{{"body": "{body}"}}, "", "{queue}"]"#);
        let set = redis::cmd("HSET").arg("unacked").arg(tag).arg(message).exec(&mut connection);
        set.unwrap();
    }
}

/// Waits until so many are counted in flight. It may take several looks, before which nothing is known.
async fn looked_through(eye: &mut Eye, metadata: &str, in_flight: f64) {
    eventually(LOOKS, async || match eye.four(metadata).await {
        Ok(seen) => {
            assert_eq!(seen, [0.0, 0.0, in_flight, 0.0]);
            Ok(())
        }
        Err(told) => Err(told),
    })
    .await;
}

/// How often Redis was sent each command.
fn calls(server: &Server) -> BTreeMap<String, u64> {
    let stats: String = server.ask("INFO commandstats");
    let row = |line: &str| {
        let (name, figures) = line.trim().strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), figures.split(',').next()?.parse().ok()?))
    };
    stats.lines().filter_map(row).collect()
}

async fn a_message_is_fetched_once_however_often_its_queue_is_read(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    deliver(&server, 0..1_000);
    looked_through(&mut eye, EMAILS, 750.0).await;
    server.run("CONFIG RESETSTAT");
    for _ in 0..5 {
        assert_eq!(eye.four(REPORTS).await, Ok([0.0, 0.0, 250.0, 0.0]));
        assert_eq!(eye.four(EMAILS).await, Ok([0.0, 0.0, 750.0, 0.0]));
    }
    let sent = calls(&server);
    assert_eq!((sent.get("hlen"), sent.get("hkeys")), (Some(&10), Some(&10)), "{sent:?}");
    assert_eq!(sent.get("hmget"), None, "{sent:?}");
    server.run("HDEL unacked 1 2 3 4");
    deliver(&server, 1_000..1_004);
    assert_eq!(eye.four(EMAILS).await, Ok([0.0, 0.0, 750.0, 0.0]));
    assert_eq!(calls(&server).get("hmget"), Some(&1), "four are new");
    assert_eq!(eye.four(REPORTS).await, Ok([0.0, 0.0, 250.0, 0.0]));
}

/// Puts so many small messages of a queue into the hash.
fn fill(server: &Server, queue: &str, messages: usize) {
    let mut set = redis::cmd("HSET");
    set.arg("unacked");
    for tag in 0..messages {
        set.arg(format!("{queue}-{tag}")).arg(format!(r#"[{{}}, "", "{queue}"]"#));
    }
    set.exec(&mut server.connect()).unwrap();
}

async fn a_queue_with_one_of_ten_thousand_messages_says_one(kind: Kind) {
    let server = Server::start(kind);
    let service = Setup::default().redis(server.url()).start().await;
    let keda = service.keda().await;
    let of = |queue| trigger([("layout", "celery"), ("queue", queue), ("acks", "late")]);
    let (emails, reports, others) = (of("emails"), of("reports"), of("others"));
    fill(&server, "emails", 1_500);
    fill(&server, "reports", 1);
    let value = async |trigger| keda.value(trigger).await.map_err(|status| status.to_string());
    eventually_is(LOOKS, Ok(1.0), async || value(&reports).await).await;
    assert_eq!(value(&emails).await, Ok(1_500.0));
    fill(&server, "emails", 10_000);
    eventually_is(LOOKS, Ok(10_000.0), async || value(&emails).await).await;
    eventually_is(LOOKS, Ok(1.0), async || value(&reports).await).await;
    eventually_is(LOOKS, Ok(0.0), async || value(&others).await).await;
    assert_eq!(service.metric("penstock_triggers_not_exact").await, 0.0);
    assert_eq!(service.log_with("a count is not exact").len(), 0);
}

async fn what_is_no_more_than_a_bound_is_told_in_the_log_by_probe_and_in_a_metric(kind: Kind) {
    let server = Server::start(kind);
    let service = Setup::default().redis(server.url()).start().await;
    let keda = service.keda().await;
    let reports = trigger([("layout", "celery"), ("queue", "reports"), ("acks", "late")]);
    let value = async || keda.value(&reports).await.map_err(|status| status.to_string());
    let not_exact = async || service.metric("penstock_triggers_not_exact").await;
    let probed = async || {
        let mut probe = penstock();
        probe.arg("probe").args(REPORTS.split(' ')).args(["--redis", &server.url()]);
        let probe = spawn_blocking(move || probe.output().unwrap()).await.unwrap();
        String::from_utf8(probe.stdout).unwrap()
    };
    // One that came by an exchange of somebody's own tells no queue.
    let _: redis::Value = server.ask_words(&["HSET", "unacked", "x", r#"[{}, "own", "reports"]"#]);
    eventually_is(PATIENCE, Ok(1.0), value).await;
    eventually_is(PATIENCE, 1.0, not_exact).await;
    let unsure = "not exact  in flight is an upper bound: 1 values of `unacked` do not tell their";
    let text = probed().await;
    assert!(text.contains(unsure), "{text}");
    server.run("DEL unacked");
    eventually_is(PATIENCE, Ok(0.0), value).await;
    eventually_is(PATIENCE, 0.0, not_exact).await;
    assert!(!probed().await.contains("not exact"));
    fill(&server, "emails", limits::FIELDS_EXAMINED + 1);
    eventually_is(PATIENCE, Ok(20_001.0), value).await;
    eventually_is(PATIENCE, 1.0, not_exact).await;
    let unseen =
        "in flight is an upper bound: 20001 members of `unacked` are not looked at, and each";
    let text = probed().await;
    assert!(text.contains(unseen), "{text}");
    // It is told once until it has been over for a while.
    let told = service.logged("a count is not exact", 1).await;
    assert!(told[0]["reason"].as_str().unwrap().contains("do not tell their queue"), "{told:?}");
    assert_eq!(told[0]["name"], "worker", "{told:?}");
}

async fn above_the_cap_every_message_counts_for_every_queue(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    let most = limits::FIELDS_EXAMINED + 1;
    fill(&server, "emails", most);
    let all = f64::from(u32::try_from(most).unwrap());
    assert_eq!(eye.four(REPORTS).await, Ok([0.0, 0.0, all, 0.0]));
    server.run("HDEL unacked emails-0");
    looked_through(&mut eye, REPORTS, 0.0).await;
    assert_eq!(eye.four(EMAILS).await, Ok([0.0, 0.0, all - 1.0, 0.0]));
}

async fn a_message_that_cannot_be_read_counts_for_every_queue(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    for (tag, message) in
        [r#"[{},"","emails"]"#, r#"[{},"","ema"#, "[]", "\u{fffd}", "7", ""].iter().enumerate()
    {
        let tag = tag.to_string();
        let _: redis::Value = server.ask_words(&["HSET", "unacked", &tag, message]);
    }
    assert_eq!(eye.four(EMAILS).await, Ok([0.0, 0.0, 6.0, 0.0]));
    assert_eq!(eye.four(REPORTS).await, Ok([0.0, 0.0, 5.0, 0.0]));
}
