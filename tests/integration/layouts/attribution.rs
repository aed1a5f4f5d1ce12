//! One hash for the messages of all queues: each is looked at once, for its queue, and only up to a
//! cap.

use std::collections::BTreeMap;

use penstock::limits;

use deadpool_redis::redis;

use super::Eye;
use crate::{
    harness::{Kind, Server},
    on_both_servers,
};

on_both_servers!(
    a_message_is_fetched_once_however_often_its_queue_is_read,
    above_the_cap_every_message_counts_for_every_queue,
    a_message_that_cannot_be_read_counts_for_every_queue,
);

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
    assert_eq!(eye.four(EMAILS).await, Ok([0.0, 0.0, 750.0, 0.0]));
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

async fn above_the_cap_every_message_counts_for_every_queue(kind: Kind) {
    let server = Server::start(kind);
    let mut eye = Eye::on(&server).await;
    let most = limits::EACH_MEMBERS + 1;
    let mut connection = server.connect();
    for tag in 0..most {
        let message = r#"[{}, "", "emails"]"#;
        redis::cmd("HSET").arg("unacked").arg(tag).arg(message).exec(&mut connection).unwrap();
    }
    let all = f64::from(u32::try_from(most).unwrap());
    assert_eq!(eye.four(REPORTS).await, Ok([0.0, 0.0, all, 0.0]));
    server.run("HDEL unacked 0");
    assert_eq!(eye.four(REPORTS).await, Ok([0.0; 4]));
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
