//! What a user sees of a wrong trigger: each answer of docs/triggers.md arrives, whole and readable, where
//! `kubectl describe` shows it.

use std::{collections::BTreeMap, time::Duration};

use penstock_testkit::{Service, wrong_triggers};
use serde_json::{Value, json};

use crate::{
    api::eventually_every,
    keda::condition,
    stage::{Stage, deployment},
};

/// For some forty objects, and what their events are grouped by.
const ALL: Duration = Duration::from_secs(150);
/// Between two looks at all of them.
const LOOK: Duration = Duration::from_secs(3);

pub async fn each_answer_to_a_wrong_trigger_is_seen_in_an_event_or_a_condition(stage: &Stage<'_>) {
    let penstock = Service::of(&stage.redis).await;
    // What KEDA takes the values of keys that end in `FromEnv` from.
    let variables = ["secret", "q"].map(|name| format!("{{name: {name}, value: of-the-worker}}"));
    let container = format!("{{name: worker, image: worker, env: [{}]}}", variables.join(", "));
    let mut missing = BTreeMap::new();
    for (number, wrong) in wrong_triggers().into_iter().enumerate() {
        let name = format!("wrong-{number}");
        stage.apply(&deployment(&name, 1, &container)).await;
        let mut metadata: BTreeMap<String, String> = wrong.metadata.into_iter().collect();
        metadata.insert("scalerAddress".to_owned(), penstock.grpc().to_owned());
        let object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name},
            "spec": {
                "scaleTargetRef": {"name": name},
                "pollingInterval": 30,
                "triggers": [{"type": "external-push", "metadata": metadata}],
            },
        });
        stage.cluster.kubernetes.apply_one(&stage.namespace, object).await.unwrap();
        missing.insert(name, wrong.answer);
    }
    let rows = missing.len();
    let answers: Vec<_> = missing.values().cloned().collect();
    eventually_every(LOOK, ALL, "each answer is seen", async || {
        let said = said(stage).await;
        let says = |name: &String, answer: &str| {
            said.get(name).is_some_and(|said| said.iter().any(|said| said.contains(answer)))
        };
        missing.retain(|name, answer| !says(name, answer));
        let Some((name, answer)) = missing.first_key_value() else { return Ok(()) };
        let seen = said.get(name).cloned().unwrap_or_default();
        Err(format!(
            "{} of {rows} are not seen, such as\n{answer}\nof which is seen\n{seen:#?}",
            missing.len()
        ))
    })
    .await;
    let plane = &stage.cluster.plane;
    // Of a single object the events are shown without asking.
    let of_all = ["describe", "scaledobjects", "--show-events=true", "-n", &stage.namespace];
    let described = plane.kubectl(&of_all);
    let unseen: Vec<_> = answers.iter().filter(|answer| !described.contains(*answer)).collect();
    assert!(unseen.is_empty(), "kubectl describe does not show {unseen:#?}\nin\n{described}");
    println!("| {} | wrong triggers | all {rows} answers are seen |", stage.keda());
}

/// What events and conditions say, by the name of the object.
async fn said(stage: &Stage<'_>) -> BTreeMap<String, Vec<String>> {
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in stage.list("Event").await {
        let word = |word: &Value| word.as_str().unwrap_or_default().to_owned();
        let name = word(&event["involvedObject"]["name"]);
        let times = [&event["firstTimestamp"], &event["eventTime"]].map(word).concat();
        let line = format!("{times} {}: {}", word(&event["reason"]), word(&event["message"]));
        said.entry(name).or_default().push(line);
    }
    for object in stage.list("ScaledObject").await {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        said.entry(name).or_default().push(condition(&object, "Ready"));
    }
    said
}
