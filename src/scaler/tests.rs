//! What is refused, whichever transport asks.

use std::collections::BTreeMap;

use super::*;
use crate::{
    config::Config, layouts::Registry as Layouts, sampling::KeyShares, telemetry::LinkLabels,
};

/// A service that lets so many streams be open, and whose Redis is never there.
fn scaler(max_streams: usize) -> Scaler {
    let toml = "[redis.default]\nurl = \"redis://127.0.0.1:6379/0\"";
    let mut config = Config::parse(toml, "test").unwrap();
    let access = config.connections.remove("default").unwrap().access;
    let metrics = Metrics::new();
    let link = metrics.link(LinkLabels { connection: "default".to_owned(), database: 0 });
    let sampler = Sampler::new("default".to_owned(), limits::HOLD_STALE, link);
    let route = Route { access, samplers: BTreeMap::from([(0, sampler)]) };
    let quota = Quota::default();
    let all = BTreeMap::from([("default".to_owned(), route)]);
    let routes = Routes::new(all, KeyShares::new(quota.keys));
    let stream_max_age = limits::STREAM_MAX_AGE;
    let options = ServiceOptions { stream_max_age, push_inactive: false, max_streams, quota };
    Scaler::new(routes, Layouts::builtin().clone(), metrics, options, CancellationToken::new())
}

fn request(name: &str) -> Request {
    let metadata = [("queue".to_owned(), "q".to_owned())].into();
    Request { name: name.to_owned(), namespace: "ns".to_owned(), metadata }
}

#[tokio::test]
async fn a_stream_too_many_is_refused_until_another_ends_and_calls_are_answered() {
    let scaler = scaler(2);
    let one = scaler.watch(request("a")).unwrap();
    let _two = scaler.watch(request("b")).unwrap();
    let refused = scaler.watch(request("c")).map(drop).unwrap_err().why;
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(refused.to_string(), "2 streams are open, the limit of this server");
    assert!(scaler.spec(request("c")).is_ok());
    drop(one);
    assert!(scaler.watch(request("c")).is_ok());
}

#[tokio::test]
async fn looking_at_triggers_reads_nothing_and_unknown_is_no_number() {
    let scaler = scaler(2);
    assert!(scaler.list(None, 10).is_empty());
    let _stream = scaler.watch(request("a")).unwrap();
    let listed = &scaler.list(None, 10)[0];
    assert_eq!((listed.subject.name.as_str(), listed.streams), ("a", 1));
    assert_eq!(listed.asked.len(), 1);
    assert_eq!(listed.asked[0].0, Method::StreamIsActive);
    let look = listed.look.as_ref().unwrap();
    assert!(matches!(look.observation, Observation::Unavailable(_)));
    assert!(scaler.list(Some(("ns", "a")), 10).is_empty(), "it comes after none");
    assert!(scaler.list_object(("ns", "b"), 10).is_empty());
}
