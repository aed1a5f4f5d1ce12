//! A YAML file as KEDA's objects in it: documents, lists, kinds and names.
//!
//! Errors never repeat what the file says: any other object in it may be a Secret.

use serde_json::Value;
use serde_saphyr::Error;

use crate::trigger::shown;

/// Nodes of one document, after its aliases are expanded, that are looked at.
const NODES: usize = 250_000;

/// The kinds of object that have triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectKind {
    ScaledObject,
    ScaledJob,
}

/// One object with triggers.
#[derive(Debug)]
pub(super) struct Object<'v> {
    pub(super) kind: ObjectKind,
    /// Kind, namespace if it says one, and name.
    pub(super) title: String,
    pub(super) namespace: Option<&'v str>,
    pub(super) spec: &'v Value,
}

/// What a ScaledObject may scale, where it stands beside it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Workload<'v> {
    pub(super) kind: &'v str,
    pub(super) namespace: Option<&'v str>,
    pub(super) name: &'v str,
    /// Seconds that its Pods have to end in, where that is said.
    pub(super) grace: Option<u64>,
}

/// A document that is no YAML, or not within the bounds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) message: String,
}

/// Every document of a file that has something in it. After a broken one the rest is read if the
/// parser can tell where it begins.
pub(super) fn documents(text: &str) -> Vec<Result<Value, Broken>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: NODES, max_events: 4 * NODES },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: NODES },
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    let mut bytes = text.as_bytes();
    let documents = serde_saphyr::read_with_options(&mut bytes, options);
    documents.map(|document| document.map_err(|error| broken(text, &error))).collect()
}

fn broken(text: &str, error: &Error) -> Broken {
    let mut error = error.without_snippet();
    while let Error::AliasError { error: within, .. } = error {
        error = within;
    }
    let what = if let Error::DuplicateMappingKey { key, .. } = error {
        let key = key.as_deref().map_or_else(String::new, |key| format!(" `{}`", shown(key)));
        format!("has the key{key} twice")
    } else if let Error::ExternalMessage { msg, .. } = error {
        // The parser's own sentences are fixed.
        format!("is no YAML: {msg}")
    } else if matches!(
        error,
        Error::Budget { .. }
            | Error::AliasReplayLimitExceeded { .. }
            | Error::AliasReplayStackDepthExceeded { .. }
    ) {
        format!("has more than {NODES} nodes or is nested too deeply; split it")
    } else {
        "is no YAML of a manifest".to_owned()
    };
    let hint = if text.contains("{{") { "; a template must be rendered first" } else { "" };
    let at = error.location().map(|at| format!("line {}, column {}: ", at.line(), at.column()));
    Broken { message: at.unwrap_or_default() + &what + hint }
}

/// The items of a document that is a list.
fn items(document: &Value) -> Option<&Vec<Value>> {
    let items = document.get("items").and_then(Value::as_array);
    items.filter(|_| text(document, "kind").ends_with("List"))
}

fn text<'v>(document: &'v Value, key: &str) -> &'v str {
    document.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The Deployments and StatefulSets of one document, also those in lists.
pub(super) fn workloads(document: &Value) -> Vec<Workload<'_>> {
    if let Some(items) = items(document) {
        return items.iter().flat_map(workloads).collect();
    }
    let of_metadata = |key: &str| document.get("metadata")?.get(key)?.as_str();
    let kind = text(document, "kind");
    let is_one =
        text(document, "apiVersion") == "apps/v1" && ["Deployment", "StatefulSet"].contains(&kind);
    let Some(name) = of_metadata("name").filter(|_| is_one) else { return vec![] };
    let grace = document.pointer("/spec/template/spec/terminationGracePeriodSeconds");
    let namespace = of_metadata("namespace").filter(|namespace| !namespace.is_empty());
    vec![Workload { kind, namespace, name, grace: grace.and_then(Value::as_u64) }]
}

/// The objects with triggers of one document, also those in lists.
pub(super) fn objects(document: &Value) -> Vec<Object<'_>> {
    if let Some(items) = items(document) {
        return items.iter().flat_map(objects).collect();
    }
    let text = |key: &str| text(document, key);
    let kind = match (text("apiVersion"), text("kind")) {
        ("keda.sh/v1alpha1", "ScaledObject") => ObjectKind::ScaledObject,
        ("keda.sh/v1alpha1", "ScaledJob") => ObjectKind::ScaledJob,
        _ => return vec![],
    };
    let of_metadata = |key: &str| document.get("metadata")?.get(key)?.as_str();
    let name = of_metadata("name").or_else(|| of_metadata("generateName")).unwrap_or("(unnamed)");
    let namespace = of_metadata("namespace").filter(|namespace| !namespace.is_empty());
    let place = namespace.map_or_else(String::new, |namespace| format!("{}/", shown(namespace)));
    let title = format!("{} {place}{}", text("kind"), shown(name));
    vec![Object { kind, title, namespace, spec: document.get("spec").unwrap_or(&Value::Null) }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(text: &str) -> Vec<String> {
        let documents = documents(text);
        let found = documents.iter().flat_map(|document| objects(document.as_ref().unwrap()));
        found.map(|object| object.title).collect()
    }

    fn message(text: &str) -> String {
        documents(text).remove(0).unwrap_err().message
    }

    #[test]
    fn objects_are_found_in_documents_and_lists() {
        let object = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: a}\n";
        let list = "kind: List\nitems:\n- kind: Secret\n- {apiVersion: keda.sh/v1alpha1, \
                    kind: ScaledJob, metadata: {name: b, namespace: shop}}\n";
        let found = titles(&format!("---\n# nothing\n---\n{object}---\n{list}---\nkind: Pod\n"));
        assert_eq!(found, ["ScaledObject a", "ScaledJob shop/b"]);
        assert!(titles("kind: ScaledObject\napiVersion: keda.k8s.io/v1alpha1").is_empty());
    }

    #[test]
    fn a_broken_document_is_told_by_line_and_the_rest_is_read() {
        assert_eq!(message("a: 1\nb: ["), "line 2, column 4: is no YAML: unclosed bracket '['");
        assert_eq!(message("a: 1\na: 2"), "line 2, column 1: has the key `a` twice");
        let documents = documents("a: 1\na: 2\n---\nb: 3");
        assert!(documents[0].is_err() && documents[1].is_ok());
    }

    #[test]
    fn a_template_is_told_to_be_rendered_first() {
        let told = message("a: {{ .Values.a }}\nb: {{- if x }}");
        assert!(told.ends_with("a template must be rendered first"), "{told}");
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..9 {
            let alias = format!("*a{}, ", n - 1).repeat(10);
            bomb += &format!("a{n}: &a{n} [{alias}]\n");
        }
        assert!(message(&bomb).contains("has more than 250000 nodes"), "{}", message(&bomb));
    }
}
