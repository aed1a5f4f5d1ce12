//! Keys that change between two commands of which one answer is made: what comes of it is what the
//! key held before or after, and never a complaint about what it never held.

use deadpool_redis::redis::{Connection, Pipeline};
use tokio::time::Instant;
use tonic::Code;

use crate::{
    harness::{Kind, Server, Service, seconds},
    on_both_servers,
    wire::queue,
};

on_both_servers!(
    a_number_that_comes_and_goes_is_never_called_no_number,
    a_key_that_changes_its_type_all_the_time_is_never_called_uncountable,
);

async fn a_number_that_comes_and_goes_is_never_called_no_number(kind: Kind) {
    expect_only(kind, &["SET k 7", "DEL k"], &[0.0, 7.0]).await;
}

async fn a_key_that_changes_its_type_all_the_time_is_never_called_uncountable(kind: Kind) {
    const STEPS: [&str; 6] = ["RPUSH k a", "DEL k", "SADD k a b", "DEL k", "SET k 3", "DEL k"];
    expect_only(kind, &STEPS, &[0.0, 1.0, 2.0, 3.0]).await;
}

/// Takes these steps all the time for a while; the value of `k` must always be one of those.
async fn expect_only(kind: Kind, steps: &'static [&'static str], allowed: &[f64]) {
    let server = Server::start(kind);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let mut link = server.connect();
    let until = Instant::now() + seconds(2);
    let writing = tokio::task::spawn_blocking(move || {
        while Instant::now() < until {
            for step in steps {
                take(&mut link, step);
            }
        }
    });
    let mut answers = 0;
    while Instant::now() < until {
        match keda.value(&queue("k")).await {
            Ok(value) => {
                assert!(allowed.contains(&value), "{value} is none of {allowed:?}");
                answers += 1;
            }
            // Unknown, before anything was known.
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
        }
    }
    writing.await.unwrap();
    assert!(answers > 20, "only {answers} answers");
}

fn take(link: &mut Connection, step: &str) {
    let words: Vec<&str> = step.split(' ').collect();
    let mut pipeline = Pipeline::new();
    pipeline.cmd(words[0]).arg(&words[1..]).ignore();
    pipeline.query::<()>(link).unwrap();
}
