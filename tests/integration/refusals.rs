//! What KEDA is told of a trigger that is refused, so that who wrote it sees it: a spec always, and the
//! refusal from whatever asks for more; and that the log says it once.

use std::slice;

use serde_json::json;
use tonic::Code;

use crate::{
    harness::{Kind, RECOVERY, Server, Service, Setup, eventually_is},
    wire::{Keda, Spec, Trigger, queue, trigger},
};

const TOLD: &str = "a trigger is refused";

async fn spec(keda: &Keda, asked: &Trigger) -> Spec {
    keda.get_metric_spec(asked).await.unwrap().specs.remove(0)
}

fn of(namespace: &str, name: &str, asked: Trigger) -> Trigger {
    Trigger { namespace: namespace.to_owned(), name: name.to_owned(), ..asked }
}

/// A service of one Redis that only the team may use, for its own keys.
async fn of_the_team(server: &Server) -> Service {
    let rules = "namespaces = [\"team\"]\nkeys = [\"team:*\"]\n";
    let config = format!("[redis.default]\nurl = \"{}\"\n{rules}", server.url());
    Setup::default().config(config).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_trigger_has_one_spec_whatever_is_wrong_and_whichever_replica_is_asked() {
    let (one, other) = (Service::alone().await, Service::alone().await);
    let (one, other) = (one.keda().await, other.keda().await);
    let many: Vec<(String, String)> =
        (0..65).map(|number| (format!("k{number}"), "x".to_owned())).collect();
    let long = "x".repeat(1 << 20);
    let wrong = [
        trigger([("qeue", "emails")]),
        trigger([("queue", "emails"), ("target", "0")]),
        trigger([("queue", "emails"), ("layout", "celry")]),
        trigger([("queue", long.as_str())]),
        trigger(many),
        trigger::<&str, &str>([]),
        of(&long, "worker", queue("emails")),
        of("jobs", "a\nb", queue("emails")),
    ];
    let expected =
        Spec { metric_name: "penstock-refused".to_owned(), target_size: 1, target_size_float: 1.0 };
    for asked in &wrong {
        for keda in [&one, &other] {
            assert_eq!(spec(keda, asked).await, expected);
            for status in keda.refusals(asked).await {
                assert_eq!(status.code(), Code::InvalidArgument, "{status}");
            }
        }
    }
    // What is mended has a name of its own, so that its value never meets that target.
    assert_ne!(spec(&one, &queue("emails")).await.metric_name, expected.metric_name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forbidden_has_the_spec_that_it_has_where_it_is_allowed() {
    let server = Server::start(Kind::Redis);
    let (strict, lenient) = (of_the_team(&server).await, Service::of(&server).await);
    let (strict, lenient) = (strict.keda().await, lenient.keda().await);
    let asked =
        |namespace, key| of(namespace, "worker", trigger([("queue", key), ("target", "2.5")]));
    for forbidden in [asked("team", "other:q"), asked("stranger", "team:q")] {
        for status in strict.refusals(&forbidden).await {
            assert_eq!(status.code(), Code::PermissionDenied, "{status}");
        }
        let seen = spec(&strict, &forbidden).await;
        assert_eq!(seen, spec(&lenient, &forbidden).await);
        assert_eq!((seen.target_size, seen.target_size_float), (3, 2.5));
        assert_eq!(lenient.value(&forbidden).await.unwrap(), 0.0);
    }
    let elsewhere = trigger([("queue", "team:q"), ("redis", "elsewhere")]);
    assert_eq!(spec(&strict, &elsewhere).await, spec(&lenient, &elsewhere).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_has_its_spec_and_holds_nothing() {
    let server = Server::start(Kind::Redis);
    let limits = "[limits]\ntriggers_per_namespace = 2\n";
    let config = format!("{limits}[redis.default]\nurl = \"{}\"\n", server.url());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    // A spec takes no place, however many are asked for.
    for number in 0..50 {
        let asked = of("jobs", &format!("worker{number}"), queue("q"));
        assert_eq!(spec(&keda, &asked).await, spec(&keda, &queue("q")).await);
        keda.get_metric_spec(&of("jobs", "worker", trigger([("qeue", "q")]))).await.unwrap();
    }
    let first = of("jobs", "first", queue("q"));
    assert_eq!(keda.value(&first).await.unwrap(), 0.0);
    assert_eq!(keda.value(&of("jobs", "second", queue("q"))).await.unwrap(), 0.0);
    for number in 0..50 {
        let asked = of("jobs", &format!("worker{number}"), queue("q"));
        for status in keda.refusals(&asked).await {
            assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        }
        assert_eq!(spec(&keda, &asked).await, spec(&keda, &first).await);
    }
    eventually_is(RECOVERY, 2.0, async || service.metric("penstock_triggers{").await).await;
    assert_eq!(service.metric("penstock_streams_open").await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_leaves_one_line_in_the_log_that_says_whose_it_is_until_it_is_another() {
    let server = Server::start(Kind::Redis);
    let service = of_the_team(&server).await;
    let keda = service.keda().await;
    let lines = async |number: usize| {
        let lines = service.logged(TOLD, number).await.into_iter();
        let shown = lines.map(|line| {
            json!([line["level"], line["namespace"], line["name"], line["code"], line["reason"]])
        });
        shown.collect::<Vec<_>>()
    };
    let wrong = trigger([("qeue", "emails"), ("password", "s3cr3t")]);
    let mailer = of("team", "mailer", wrong.clone());
    for _ in 0..3 {
        keda.refusals(&mailer).await;
    }
    let told = json!([
        "WARN",
        "team",
        "mailer",
        "INVALID_ARGUMENT",
        keda.is_active(&mailer).await.unwrap_err().message()
    ]);
    assert_eq!(lines(1).await, slice::from_ref(&told));
    assert!(told.to_string().contains("did you mean `queue`?"), "{told}");
    // The same of another object, another of the same one, and a right one.
    keda.refusals(&of("team", "cleaner", wrong)).await;
    let [denied, ..] = keda.refusals(&of("team", "mailer", queue("other:q"))).await;
    keda.refusals(&mailer).await;
    assert_eq!(keda.value(&of("team", "mailer", queue("team:q"))).await.unwrap(), 0.0);
    let told = lines(3).await;
    assert_eq!(told[1][2], "cleaner");
    assert_eq!(told[2], json!(["WARN", "team", "mailer", "PERMISSION_DENIED", denied.message()]));
    assert!(!service.log().join("\n").contains("s3cr3t"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_written_for_the_log_stay_in_their_line() {
    let mut service = Service::alone().await;
    let keda = service.keda().await;
    let forged = format!("a\nlevel=ERROR {}", "x".repeat(1 << 20));
    keda.refusals(&of(&forged, &forged, queue("q"))).await;
    let line = &service.logged(TOLD, 1).await[0];
    for field in ["namespace", "name"] {
        let shown = line[field].as_str().unwrap();
        assert!(shown.starts_with("a{0x0a}level=ERROR xxx") && shown.len() < 300, "{shown}");
    }
    service.signal("TERM");
    service.ended().await;
}
