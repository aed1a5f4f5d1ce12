//! KEDA's own client, the package that KEDA 2.21 is built with, against each refusal of docs/triggers.md:
//! a spec always, and the refusal from whatever KEDA shows to who wrote the trigger.
//!
//! Nothing of what is sent or understood here is ours. It needs Go.

use std::{collections::BTreeSet, thread::sleep, time::Duration};

use penstock_testkit::{WrongTrigger, wrong_triggers};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::stage::{Stage, patiently};

/// What carries a refusal to who wrote the trigger, or at least to the operator's log.
const CARRIERS: [&str; 3] = ["GetMetrics", "IsActive", "StreamIsActive"];

/// One trigger, and what it is to be told.
struct Case {
    trigger: Value,
    code: &'static str,
    words: String,
}

impl Case {
    fn new(metadata: Value, code: &'static str, words: &str) -> Self {
        let trigger = json!({"namespace": "team", "name": "mailer", "metadata": metadata});
        Self { trigger, code, words: words.to_owned() }
    }

    fn named(mut self, namespace: &str, name: &str) -> Self {
        self.trigger["namespace"] = namespace.into();
        self.trigger["name"] = name.into();
        self
    }
}

/// Every row of both tables that the metadata and the configuration alone decide.
fn cases() -> Vec<Case> {
    let invalid = "InvalidArgument";
    let of_row = |row: WrongTrigger| {
        let metadata = row.metadata.into_iter().map(|(key, value)| (key, value.into()));
        let metadata = Value::Object(metadata.collect());
        Case::new(metadata, invalid, &row.answer)
    };
    let mut cases: Vec<Case> = wrong_triggers().into_iter().map(of_row).collect();
    let many: serde_json::Map<_, _> =
        (0..65).map(|number| (format!("k{number}"), "x".into())).collect();
    let keys = (0..65).map(|number| format!("q{number}")).collect::<Vec<_>>().join(",");
    cases.extend([
        Case::new(json!({"queue": "a\nb"}), invalid, "queue: "),
        Case::new(json!({"queue": "x".repeat(1_025)}), invalid, "queue: "),
        Case::new(json!({"queue": keys}), invalid, "names 65 keys, at most 64"),
        Case::new(Value::Object(many), invalid, "has 65 entries, at most 64"),
        Case::new(json!({"k".repeat(257): "x"}), invalid, "longer than 256 bytes"),
        Case::new(json!({"queue": "x".repeat(65_601)}), invalid, "longer than 65600 bytes"),
        Case::new(json!({"queue": "q"}), invalid, "longer than 253")
            .named("team", &"x".repeat(254)),
        Case::new(json!({"queue": "q", "redis": "nowhere"}), invalid, "no configured connection"),
    ]);
    let denied = "PermissionDenied";
    cases.extend([
        Case::new(json!({"queue": "q"}), denied, "`namespaces`").named("stranger", "mailer"),
        Case::new(json!({"queue": "other", "target": "2.5"}), denied, "`keys`"),
        Case::new(json!({"queue": "q", "database": "7"}), denied, "`databases`"),
        Case::new(json!({"queue": "q*"}), denied, "`scan`"),
    ]);
    let over = "limits.triggers_per_namespace";
    cases.push(Case::new(json!({"queue": "q"}), "ResourceExhausted", over).named("full", "second"));
    cases
}

/// A service with rules and limits, and one trigger in the namespace `full`, which may have no other.
fn serve(stage: &mut Stage, config: &str) -> String {
    let address = stage.serve_with(&format!("--config {config}"));
    let first = json!([{"namespace": "full", "name": "first", "metadata": {"queue": "q"}}]);
    let first = stage.file("first.json", &first.to_string());
    let answers = stage.json(&format!("keda {address} {first}"));
    for method in CARRIERS {
        assert_eq!(answers[0][method]["code"], "OK", "{answers}");
    }
    assert_eq!(answers[0]["GetMetrics"]["value"], json!([0]));
    assert_eq!(answers[0]["StreamMetricSpec"]["code"], "Unimplemented", "no target changes");
    address
}

#[test]
fn kedas_own_client_gets_a_spec_and_the_refusal_of_each_row_of_the_documentation() {
    let mut stage = Stage::new("KEDA 2.21.0");
    let rules = "namespaces = [\"team\", \"full\"]\nkeys = [\"q*\", \"s\", \"a*\"]\n";
    let limits = "[limits]\ntriggers_per_namespace = 1\n";
    let url = stage.redis.url();
    let config = format!("{limits}[redis.default]\nurl = \"{url}\"\n{rules}");
    let config = stage.file("penstock.toml", &config);
    let cases = cases();
    let triggers: Vec<&Value> = cases.iter().map(|case| &case.trigger).collect();
    let triggers = stage
        .file("triggers.json", &Value::from_iter(triggers.iter().copied().cloned()).to_string());
    let services = [serve(&mut stage, &config), serve(&mut stage, &config)];
    let mut specs = vec![];
    for service in services {
        // Twice, since KEDA asks with every poll.
        for _ in 0..2 {
            let answers = stage.json(&format!("keda {service} {triggers}"));
            let answers = answers.as_array().unwrap();
            assert_eq!(answers.len(), cases.len());
            for (case, answers) in cases.iter().zip(answers) {
                expect_refused(case, answers);
            }
            specs.push(answers.iter().map(|one| one["GetMetricSpec"].clone()).collect::<Vec<_>>());
        }
    }
    specs.dedup();
    assert_eq!(specs.len(), 1, "each replica gives the same specs each time");
    for (case, spec) in cases.iter().zip(&specs[0]) {
        let (name, target) = (&spec["value"][0]["name"], &spec["value"][0]["target"]);
        let metadata: String = case.trigger["metadata"].to_string().chars().take(80).collect();
        println!("| {metadata} | {name} {target} | {} | {} |", case.code, case.words);
    }
    let codes: BTreeSet<&str> = cases.iter().map(|case| case.code).collect();
    assert_eq!(codes.len(), 3, "{codes:?}");
}

/// One spec that the API server takes, the refusal where KEDA shows it, and no stream of specs.
fn expect_refused(case: &Case, answers: &Value) {
    let shown = &case.trigger["metadata"];
    let spec = &answers["GetMetricSpec"];
    assert_eq!(spec["code"], "OK", "{shown}: {spec}");
    let [spec] = spec["value"].as_array().unwrap().as_slice() else { panic!("{shown}: {spec}") };
    let name = spec["name"].as_str().unwrap();
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    assert!(name.starts_with("penstock-") && name.chars().all(legal), "{shown}: {name}");
    assert!(spec["whole"].as_i64().unwrap() >= 1, "{shown}: {spec}");
    assert!(spec["target"].as_f64().unwrap() >= 1.0, "{shown}: {spec}");
    for method in CARRIERS {
        let answer = &answers[method];
        assert_eq!(answer["code"], case.code, "{shown}: {method}: {answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains(&case.words), "{shown}: {method}: {message}");
    }
    assert_eq!(answers["StreamMetricSpec"]["code"], "Unimplemented", "{shown}");
}

/// Two jobs at a time that run for so long, in this many seconds.
fn work(stage: &Stage, runs: Duration, seconds: u64) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        stage.redis.run("RPUSH p 1 2");
        sleep(runs);
        stage.redis.run("DEL p\nINCRBY done 2");
    }
}

#[test]
fn kedas_own_client_is_streamed_a_target_at_once_and_another_at_most_once_a_minute() {
    let mut stage = Stage::new("KEDA 2.21.0");
    let address = stage.serve();
    let metadata = json!({
        "queue": "q", "inFlight": "p", "gap": "0", "finished": "done", "slots": "2",
        "maxWait": "1m", "target": "auto", "taskTime": "measured,30s",
    });
    let trigger = json!([{"namespace": "team", "name": "mailer", "metadata": metadata}]);
    let trigger = stage.file("trigger.json", &trigger.to_string());
    let client = stage.work(&format!("keda {address} {trigger} 130s"));
    work(&stage, Duration::from_millis(500), 30);
    work(&stage, Duration::from_millis(1_500), 85);
    patiently("the client", || stage.has_ended(client).then_some(()).ok_or("it still listens"));
    let messages = stage.printed(client);
    let messages = messages.as_array().unwrap();
    let mut told = vec![];
    for message in messages {
        assert_eq!(message["failed"], "", "{message}");
        let [spec] = message["specs"].as_array().unwrap().as_slice() else { panic!("{message}") };
        assert_eq!(message["unary"], message["specs"], "GetMetricSpec tells the same");
        told.push((message["after"].as_f64().unwrap(), spec["target"].as_f64().unwrap()));
    }
    println!("| {} | StreamMetricSpec, seconds and target | {told:?} |", stage.name());
    assert!((2..=3).contains(&told.len()), "{told:?}");
    assert!(told[0].0 < 10.0 && told[0].1 == 4.0, "what was given comes at once: {told:?}");
    for pair in told.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= 59.0, "{told:?}");
        assert!((pair[1].1 / pair[0].1 - 1.0).abs() > 0.15, "{told:?}");
    }
    // Between half a second and one and a half, and on a machine that is held up twice that.
    assert!(told[1..].iter().all(|(_, target)| (40.0..=480.0).contains(target)), "{told:?}");
}
