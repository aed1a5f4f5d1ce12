//! One ScaledObject or ScaledJob: its triggers, and what penstock cannot see on the wire. Some of what goes
//! wrong is in the object around the triggers (`keda-wire-contract.md` C5 to C7).

use serde_json::Value;

use crate::{config::Config, trigger::shown};

use super::{
    manifest::{Object, ObjectKind},
    metadata,
    report::Reporter,
    trigger::TriggerCheck,
};

/// Checks the triggers of an object that are ours; says whether there was any, or one that could
/// be.
pub(super) fn check(
    object: &Object<'_>,
    config: Option<&Config>,
    reporter: &mut Reporter<'_>,
) -> bool {
    let Some(triggers) = object.spec.get("triggers").and_then(Value::as_array) else {
        reporter.problem("spec.triggers", "must be a list of triggers");
        return true;
    };
    let (mut ours, mut others) = (0, 0);
    for (index, trigger) in triggers.iter().enumerate() {
        let path = format!("spec.triggers[{index}]");
        let Some(kind) = trigger.get("type").and_then(Value::as_str) else {
            reporter.problem(&format!("{path}.type"), "must be a string such as external-push");
            continue;
        };
        match kind {
            "external" | "external-push" => {
                ours += 1;
                reporter.trigger();
                around(object.kind, kind, trigger, &path, reporter);
                TriggerCheck { object, path: &path, config, reporter }.run(trigger);
            }
            "redis" | "redis-streams" => {
                others += 1;
                migrate(trigger, &path, reporter);
            }
            _ => {}
        }
    }
    if ours > 0 {
        fallback(object, reporter);
        scaling(object, reporter);
        if config.is_some() && object.namespace.is_none() {
            unknown_namespace(config, reporter);
        }
    }
    ours + others > 0
}

/// What stands beside a trigger's metadata, and what KEDA makes of it.
fn around(kind: ObjectKind, name: &str, trigger: &Value, path: &str, reporter: &mut Reporter<'_>) {
    let at = |key: &str| format!("{path}.{key}");
    match (kind, name) {
        (ObjectKind::ScaledObject, "external") => reporter.note(
            &at("type"),
            "external-push starts the first replica at once instead of at the next poll",
        ),
        (ObjectKind::ScaledJob, "external-push") => reporter.note(
            &at("type"),
            "KEDA takes no push for a ScaledJob; external is the same, and pollingInterval is how \
             long a job waits",
        ),
        (ObjectKind::ScaledObject | ObjectKind::ScaledJob, _) => {}
    }
    match (kind, trigger.get("metricType").and_then(Value::as_str)) {
        (ObjectKind::ScaledJob, Some("Value")) => reporter.problem(
            &at("metricType"),
            "with Value KEDA creates no Job at all and says nothing; remove it",
        ),
        (ObjectKind::ScaledObject | ObjectKind::ScaledJob, Some("Utilization")) => {
            reporter.problem(&at("metricType"), "KEDA takes Utilization for CPU and memory alone");
        }
        (ObjectKind::ScaledObject, Some("Value")) => reporter.note(
            &at("metricType"),
            "with Value the HPA multiplies the replicas that it has by value / target, so that a \
             queue which stays as it is adds more and more; AverageValue, the default, is the \
             number of jobs by that of one replica",
        ),
        (ObjectKind::ScaledObject | ObjectKind::ScaledJob, _) => {}
    }
    if trigger.get("authenticationRef").is_some() {
        reporter.note(
            &at("authenticationRef"),
            "KEDA passes no secret on to penstock: of these it uses caCert, tlsClientCert and \
             tlsClientKey for its own connection; Redis credentials belong to penstock's config",
        );
    }
}

/// A trigger of KEDA's own on Redis, which could be ours.
fn migrate(trigger: &Value, path: &str, reporter: &mut Reporter<'_>) {
    let map = trigger.get("metadata").and_then(Value::as_object);
    let mut remove = map.map(metadata::of_connection).unwrap_or_default();
    if trigger.get("authenticationRef").is_some() {
        remove.push("authenticationRef".to_owned());
    }
    if remove.is_empty() {
        remove.push("address and credentials".to_owned());
    }
    let what = format!(
        "is KEDA's own; for penstock write external-push (external in a ScaledJob), add \
         scalerAddress and remove {}",
        remove.join(", ")
    );
    reporter.note(&format!("{path}.type"), what);
}

fn fallback(object: &Object<'_>, reporter: &mut Reporter<'_>) {
    let replicas = object.spec.get("fallback").and_then(|fallback| fallback.get("replicas"));
    if replicas.and_then(Value::as_u64) == Some(0) {
        reporter.note(
            "spec.fallback.replicas",
            "with 0 KEDA scales to zero when penstock or Redis is away, also while jobs run; \
             without a fallback it leaves the replicas as they are",
        );
    }
}

/// What a ScaledObject makes of activity and of the value, whatever the trigger says.
fn scaling(object: &Object<'_>, reporter: &mut Reporter<'_>) {
    let behavior = "/advanced/horizontalPodAutoscalerConfig/behavior/scaleUp/selectPolicy";
    if object.spec.pointer(behavior).and_then(Value::as_str) == Some("Disabled") {
        reporter.note(
            "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.selectPolicy",
            "with Disabled the HPA never adds a replica: there is no more than the one that KEDA \
             starts; leave it out or write Max",
        );
    }
    // KEDA's own, where they are not given (KEDA 2.21, `withtriggers_types.go` and `scale_executor.go`).
    let seconds = |key: &str, default| object.spec.get(key).map_or(Some(default), Value::as_u64);
    let (polling, cooldown) = (seconds("pollingInterval", 30), seconds("cooldownPeriod", 300));
    let least = object.spec.get("minReplicaCount").and_then(Value::as_u64).unwrap_or(0);
    let ends = least == 0 || object.spec.get("idleReplicaCount").is_some();
    let is_idle = object.kind == ObjectKind::ScaledObject && ends;
    if let (true, Some(polling), Some(cooldown)) = (is_idle, polling, cooldown)
        && cooldown < polling
    {
        let what = format!(
            "{cooldown} s is less than the pollingInterval of {polling} s, so that a single poll \
             that finds nothing scales to zero; make it longer than two of them"
        );
        reporter.note("spec.cooldownPeriod", &what);
    }
}

/// Without a namespace in the manifest nobody can say whether it may use a connection, unless all
/// may.
fn unknown_namespace(config: Option<&Config>, reporter: &mut Reporter<'_>) {
    let connections = config.into_iter().flat_map(|config| config.connections.values());
    // What admits even no name at all admits every name.
    let narrow = connections.filter(|connection| connection.access.admits("").is_err());
    let names: Vec<String> = narrow.map(|connection| shown(&connection.name)).collect();
    if !names.is_empty() {
        let what = format!(
            "is not said, so the rule `namespaces` is not checked (connections: {})",
            names.join(", ")
        );
        reporter.note("metadata.namespace", what);
    }
}
