//! Wrong metadata over the wire: every problem at once, by key, in bounds, and never a secret.

use std::collections::BTreeSet;

use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::{
    harness::{Kind, Server, Service, Setup},
    wire::{MetricsRequest, queue, trigger},
};

/// The keys of the violations, each of which must say something and be in the message too.
fn violations(status: &Status) -> BTreeSet<String> {
    let details = status.get_error_details();
    let violations = &details.bad_request().expect("a BadRequest is attached").field_violations;
    for violation in violations {
        assert!(!violation.description.is_empty(), "{violation:?}");
        assert!(status.message().contains(&violation.field), "{violation:?} in {status}");
    }
    violations.iter().map(|violation| violation.field.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_problem_comes_at_once_by_its_key_from_every_method_that_keda_shows() {
    let service = Service::alone().await;
    let keda = service.keda().await;
    let wrong = trigger([
        ("quue", "emails"),
        ("target", "0"),
        ("activation", "-1"),
        ("signal", "backlogg"),
        ("staleFor", "soon"),
        ("database", "first"),
        ("password", "hunter2"),
        ("scalerAddress", "penstock:9090"),
    ]);
    for status in keda.refusals(&wrong).await {
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        let expected =
            ["quue", "target", "activation", "signal", "staleFor", "database", "password"];
        let found = violations(&status);
        for key in expected {
            assert!(found.contains(key), "{key} is not in {found:?}");
        }
        assert!(status.message().contains("`queue`"), "the nearest key: {status}");
        assert!(status.message().contains("`backlog`"), "the nearest signal: {status}");
        assert!(!status.message().contains("hunter2"), "{status}");
        assert!(!found.contains("scalerAddress"), "KEDA sends it by itself");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_problem_names_its_key() {
    let service = Service::alone().await;
    let keda = service.keda().await;
    let long = "x".repeat(1025);
    let many = (0..65).map(|number| format!("q{number}")).collect::<Vec<_>>().join(",");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("queue", "q"), ("redis", "nowhere")], "redis"),
        (&[("queue", "q"), ("layout", "celeri")], "layout"),
        (&[("queue", "q"), ("listName", "q")], "listName"),
        (&[("stream", "s"), ("listName", "q")], "stream"),
        (&[("listLength", "5")], "listName"),
        (&[("layout", "stream"), ("queue", "s")], "group"),
        (
            &[("layout", "stream"), ("queue", "s"), ("group", "g"), ("missingGroup", "most")],
            "missingGroup",
        ),
        (&[("layout", "stream"), ("queue", "s"), ("group", "g"), ("inFlight", "f")], "inFlight"),
        (&[("queue", "a,,b")], "queue"),
        (&[("queue", "a,a")], "queue"),
        (&[("queue", "a\u{0}b")], "queue"),
        (&[("queue", "a\nb")], "queue"),
        (&[("queue", &long)], "queue"),
        (&[("queue", &many)], "metadata"),
        (&[("queue", "q"), ("queueFromEnv", "q")], "queue"),
        (&[("queue", "q"), ("database", "0"), ("databaseIndex", "0")], "databaseIndex"),
        (&[("queue", "q"), ("database", "65536")], "database"),
        (&[("queue", "q"), ("sentinelMaster", "m")], "sentinelMaster"),
        (&[("queue", "q"), ("hostFromEnv", "h")], "hostFromEnv"),
        (&[("inFlight", "f"), ("orphans", "forget")], "orphans"),
        (&[("scheduled", "s"), ("unit", "ns")], "unit"),
    ];
    for (metadata, key) in cases {
        let [status, ..] = keda.refusals(&trigger(metadata.iter().copied())).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{metadata:?}: {status}");
        let found = violations(&status);
        assert!(found.iter().any(|found| found.starts_with(key)), "{metadata:?}: {found:?}");
    }
    let [status, ..] = keda.refusals(&trigger::<&str, &str>([])).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let [unknown, ..] = keda.refusals(&trigger([("queue", "q"), ("redis", "nowhere")])).await;
    assert!(unknown.message().contains("default"), "it says which there are");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_an_object_or_with_a_wrong_one_is_refused() {
    let service = Service::alone().await;
    let keda = service.keda().await;
    let request = MetricsRequest { trigger: None, metric_name: "m".to_owned() };
    let status = keda.get_metrics(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    for name in ["x".repeat(300), "line\nbreak".to_owned()] {
        let mut asked = queue("q");
        asked.name = name;
        let [status, ..] = keda.refusals(&asked).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_stays_small_however_much_is_wrong() {
    let service = Service::alone().await;
    let keda = service.keda().await;
    let long = "v".repeat(60 * 1024);
    let cases: Vec<Vec<(String, String)>> = vec![
        (0..60).map(|number| (format!("nonsense{number}"), "x".to_owned())).collect(),
        (0..60).map(|number| (format!("{number}{}", "k".repeat(250)), "x".to_owned())).collect(),
        (0..200).map(|number| (format!("k{number}"), "x".to_owned())).collect(),
        vec![("queue".to_owned(), "q".to_owned()), ("target".to_owned(), long.clone())],
        vec![("queue".to_owned(), vec!["a\u{1}"; 30_000].join(","))],
        vec![("queue".to_owned(), "q".to_owned()), ("ключ".repeat(60), "ü".repeat(1000))],
    ];
    for metadata in cases {
        let keys = metadata.len();
        for status in keda.refusals(&trigger(metadata)).await {
            assert_eq!(status.code(), Code::InvalidArgument, "{keys} keys: {status}");
            let size = status.message().len() + status.details().len();
            assert!(size <= 4096, "{size} bytes for {keys} keys");
            let listed = violations(&status).len();
            assert!(listed <= 20, "{listed} are listed");
            if (21..=64).contains(&keys) {
                assert!(status.message().contains(" more"), "{status}");
            }
            assert!(!status.message().contains(&"v".repeat(65)), "a value is cut to 64 characters");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keda_resolved_from_the_environment_is_taken_and_its_own_keys_are_not() {
    let service = Service::alone().await;
    let keda = service.keda().await;
    let asked = trigger([
        ("queueFromEnv", "emails"),
        ("targetFromEnv", "7"),
        ("scalerAddress", "penstock:9090"),
        ("enableTLS", "true"),
        ("unsafeSsl", "false"),
        ("caCert", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
        ("tlsClientCert", "c"),
        ("tlsClientKey", "k"),
    ]);
    let specs = keda.get_metric_spec(&asked).await.unwrap();
    assert_eq!(specs.specs[0].target_size, 7);
    let plain = trigger([("queue", "emails"), ("target", "7")]);
    assert_eq!(keda.get_metric_spec(&plain).await.unwrap(), specs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_value_that_may_be_a_secret_is_ever_answered_or_logged() {
    const SECRET: &str = "s3cr3t-0f-the-t3nant";
    let setup = Setup::default().redis(format!("redis://:{SECRET}@127.0.0.1:1/0"));
    let mut service = setup.flag("--log-level", "debug").start().await;
    let keda = service.keda().await;
    let secret = format!("redis://:{SECRET}@10.0.0.1");
    for key in [
        "password",
        "passwordFromEnv",
        "username",
        "address",
        "addressFromEnv",
        "host",
        "sentinelPassword",
        "caCert",
        "tlsClientKey",
        "unknown",
        "passwrd",
        "pasword",
        "queueNameFromEnv",
        "tls",
        "redisPassword",
    ] {
        for metadata in [vec![(key, secret.as_str())], vec![("queue", "q"), (key, secret.as_str())]]
        {
            let asked = trigger(metadata);
            let request =
                MetricsRequest { trigger: Some(asked.clone()), metric_name: String::new() };
            let answers = [
                format!("{:?}", keda.get_metric_spec(&asked).await),
                format!("{:?}", keda.get_metrics(request).await),
                format!("{:?}", keda.is_active(&asked).await),
                format!("{:?}", keda.stream_is_active(&asked).await.err()),
                format!("{:?}", keda.stream_metric_spec(&asked).await.err()),
            ];
            for answer in answers {
                assert!(!answer.contains(SECRET), "{key}: {answer}");
                // Details are bytes in the debug form; their text is compared too.
            }
            if let Err(status) = keda.is_active(&asked).await {
                let details = String::from_utf8_lossy(status.details()).into_owned();
                assert!(!details.contains(SECRET), "{key}: {details}");
            }
        }
    }
    let (_, metrics) = service.get("/metrics").await;
    assert!(!metrics.contains(SECRET));
    service.signal("TERM");
    service.ended().await;
    let log = service.log().join("\n");
    assert!(log.contains("serving gRPC") && !log.contains(SECRET), "{log}");
}

/// `ScaledObjectRef` as it is on the wire, where a map is a list of entries.
#[derive(Clone, PartialEq, prost::Message)]
struct Entries {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    namespace: String,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<Entry>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_entry_that_comes_twice_the_last_counts_and_no_name_is_a_name_too() {
    let server = Server::start(Kind::Redis);
    server.run("RPUSH q a");
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let entry = |key: &str, value: &str| Entry { key: key.to_owned(), value: value.to_owned() };
    let of = |metadata: Vec<Entry>| {
        let (name, namespace) = (String::new(), String::new());
        Request::new(Entries { name, namespace, metadata })
    };
    let twice = |first: &str, last: &str| of(vec![entry("queue", first), entry("queue", last)]);
    assert!(keda.is_active_with(twice("empty", "q")).await.unwrap());
    assert!(!keda.is_active_with(twice("q", "empty")).await.unwrap());
    let without_key = of(vec![entry("queue", "q"), Entry::default()]);
    let status = keda.is_active_with(without_key).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let nothing = of((0..10_000).map(|_| Entry::default()).collect());
    let status = keda.is_active_with(nothing).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_of_a_megabyte_is_refused_by_its_key_and_not_repeated() {
    let service = Service::alone().await;
    let keda = service.keda().await;
    let long = "v".repeat(1 << 20);
    let (comma, quote) = (",".repeat(1 << 20), "\\".repeat(1 << 20));
    for key in ["queue", "target", "layout", "redis", "signal", "staleFor", "password", "unknown"] {
        for value in [&long, &comma, &quote] {
            let asked = trigger([("queue", "q"), (key, value)]);
            let [status, ..] = keda.refusals(&asked).await;
            assert_eq!(status.code(), Code::InvalidArgument, "{key}: {status}");
            assert!(violations(&status).iter().any(|found| found == key), "{key}: {status}");
            assert!(status.message().len() + status.details().len() <= 4096, "{key}");
        }
    }
    let mut asked = queue("q");
    asked.namespace = long;
    let [status, ..] = keda.refusals(&asked).await;
    assert!(violations(&status).contains("namespace") && status.message().len() < 200, "{status}");
}
