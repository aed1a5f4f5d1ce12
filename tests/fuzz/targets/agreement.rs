//! `penstock check` and the server say the same of a trigger: the one has no problem exactly when
//! the other takes it and lets it read.

use std::sync::LazyLock;

use penstock::{
    cli::check::check_manifest_text, config::Config, layouts::Registry, metadata::plain_key,
    trigger::Trigger,
};
use serde_json::{Map, Value, json};

use crate::{
    engine::{Target, Traits},
    hold,
};

use super::{metadata, pairs};

pub const TARGET: Target = Target { name: "agreement", words: metadata::WORDS, check };

const ADDRESS: &str = "penstock.penstock.svc:9090";
const RULES: &str = r#"
[redis.default]
url = "redis://h:6379/0"
keys = ["a*", "*:b", "rq:*", "celery*", "bull:*", "unacked*"]
databases = [0, 3]
[redis.open]
url = "redis://h:6379/1"
"#;

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    let mut map: Map<String, Value> = Map::new();
    for (key, value) in pairs(&text) {
        // What only the cluster knows, what no map can hold, and what YAML has no sign for is left out.
        let is_plain = |c: char| !c.is_control() && !"\u{2028}\u{2029}\u{feff}".contains(c);
        let is_known = plain_key(&key) == key && key != "scalerAddress";
        if is_known && key.chars().chain(value.chars()).all(is_plain) {
            map.insert(key, value.into());
        }
    }
    map.insert("scalerAddress".to_owned(), ADDRESS.into());
    let pair = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    let pairs: Vec<(String, String)> = map.iter().filter_map(pair).collect();
    let manifest = json!({
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": { "name": "o", "namespace": "n" },
        "spec": { "triggers": [{ "type": "external-push", "metadata": map }] },
    });
    let manifest = manifest.to_string();
    let served = Trigger::parse(pairs, Registry::builtin());
    let is_taken = served.is_ok();
    let report = check_manifest_text(&manifest, None);
    traits.note((is_taken, report.problems().min(5), report.notes().min(5)));
    hold!(
        (report.problems() == 0) == is_taken,
        "the server says {served:?}, and check says {report}"
    );
    for finding in report.findings() {
        traits.note_message(&finding.message);
    }
    static CONFIG: LazyLock<Config> = LazyLock::new(|| Config::parse(RULES, "f").unwrap());
    let config = &*CONFIG;
    let lets = served.as_ref().is_ok_and(|trigger| {
        let connection = config.connections.get(&trigger.connection);
        connection.is_some_and(|found| found.access.authorize("n", trigger).is_ok())
    });
    let report = check_manifest_text(&manifest, Some(config));
    traits.note((lets, report.problems().min(5)));
    hold!(
        (report.problems() == 0) == lets,
        "the connection lets it: {lets}, and check says {report}"
    );
    Ok(())
}
