//! Manifests as they are written, broken ones too: `check` ends, says the same twice, says it in
//! bounded lines, and quotes nothing of a Secret.

use penstock::cli::check::check_manifest_text;
use serde_json::Value;

use crate::{
    engine::{Target, Traits},
    hold,
};

pub const TARGET: Target = Target { name: "manifest", words: WORDS, check };

const WORDS: &[&str] = &[
    "apiVersion: keda.sh/v1alpha1",
    "kind: ScaledObject",
    "kind: ScaledJob",
    "kind: List",
    "kind: Secret",
    "metadata:",
    "name: a",
    "namespace: n",
    "spec:",
    "triggers:",
    "- type: external-push",
    "- type: external",
    "- type: redis",
    "scalerAddress: p:9090",
    "queue: a",
    "layout: rq",
    "queueFromEnv: X",
    "password: S3CR3T",
    "caCert: S3CR3T",
    "metricType: Value",
    "fallback:",
    "replicas: 0",
    "scalingStrategy:",
    "strategy: accurate",
    "items:",
    "---\n",
    "...",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "!!str ",
    "|\n",
    ">-\n",
    "? ",
    ": ",
    "- ",
    "  ",
    "\n",
    "{",
    "}",
    "[",
    "]",
    "'",
    "\"",
    "#",
    "%YAML 1.2",
    "{{ .Values.x }}",
    "null",
    "~",
    "0x1f",
    "1e999",
    ".nan",
    "\t",
];
const SECRET: &str = "S3CR3T";
/// The longest line, whose object and keys are cut to 64 characters each.
const LINE_BYTES: usize = 4 * 1024;

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    let report = check_manifest_text(&text, None);
    hold!(check_manifest_text(&text, None) == report, "it says something else the second time");
    traits.note((report.problems().min(6), report.notes().min(6)));
    for finding in report.findings() {
        traits.note_message(&finding.message);
        let line = finding.to_string();
        hold!(line.len() <= LINE_BYTES, "a line of {} bytes", line.len());
        hold!(!line.chars().any(char::is_control), "a control character: {line:?}");
    }
    let told = report.to_string();
    if told.contains(SECRET) {
        hold!(may_be_named(&text), "it quotes a secret: {told}");
    }
    Ok(())
}

/// Whether the word stands somewhere that is no secret: in a key, or in a value other than those of
/// the keys that hold one and other than any of a Secret.
fn may_be_named(text: &str) -> bool {
    let documents = text.split("\n---").map(serde_saphyr::from_str::<Value>);
    documents
        .into_iter()
        .any(|document| document.map_or_else(|_| has_twice(text), |value| names(&value)))
}

/// A key that stands twice is named, also in what cannot be read.
fn has_twice(text: &str) -> bool {
    text.matches(SECRET).count() > 1
}

fn names(value: &Value) -> bool {
    const HOLD_SECRETS: &[&str] = &["password", "caCert", "tlsClientKey", "username", "data"];
    match value {
        Value::Object(map) => map.iter().any(|(key, value)| {
            key.contains(SECRET) || (!HOLD_SECRETS.contains(&key.as_str()) && names(value))
        }),
        Value::Array(values) => values.iter().any(names),
        Value::String(text) => text.contains(SECRET),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
