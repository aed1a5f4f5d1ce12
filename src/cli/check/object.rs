//! One ScaledObject or ScaledJob: its triggers, and what penstock cannot see on the wire. Some of what goes
//! wrong is in the object around the triggers (`keda-wire-contract.md` C5 to C7).

use serde_json::Value;

use crate::{
    config::Config,
    time::written,
    trigger::{Trigger, shown},
};

use super::{
    manifest::{Object, ObjectKind, Workload},
    metadata,
    report::Reporter,
    trigger::TriggerCheck,
};

/// Checks the triggers of an object that are ours; says whether there was any, or one that could
/// be.
pub(super) fn check(
    object: &Object<'_>,
    workloads: &[Workload<'_>],
    config: Option<&Config>,
    reporter: &mut Reporter<'_>,
) -> bool {
    let Some(triggers) = object.spec.get("triggers").and_then(Value::as_array) else {
        reporter.problem("spec.triggers", "must be a list of triggers");
        return true;
    };
    let (mut ours, mut others, mut parsed) = (0, 0, vec![]);
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
                parsed.extend(TriggerCheck { object, path: &path, config, reporter }.run(trigger));
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
        scale_in(object, workloads, &parsed, reporter);
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

/// What becomes of the jobs of a replica that goes, where it is said how long one runs.
fn scale_in(
    object: &Object<'_>,
    workloads: &[Workload<'_>],
    triggers: &[Trigger],
    reporter: &mut Reporter<'_>,
) {
    let longest = triggers.iter().filter_map(|trigger| trigger.settings.task_time).max();
    let Some(runs) = longest.filter(|_| object.kind == ObjectKind::ScaledObject) else { return };
    let (seconds, millis, runs) = (runs.as_secs_f64(), runs.as_millis(), written(runs));
    let of_target = |key: &str| object.spec.get("scaleTargetRef")?.get(key)?.as_str();
    let kind = of_target("kind").unwrap_or("Deployment");
    let is_target = |workload: &&Workload<'_>| {
        let is_beside = workload.namespace.is_none()
            || object.namespace.is_none()
            || workload.namespace == object.namespace;
        workload.kind == kind && Some(workload.name) == of_target("name") && is_beside
    };
    // Kubernetes's own, where it is not given.
    let grace = workloads.iter().find(is_target).map(|workload| workload.grace.unwrap_or(30));
    if let Some(grace) = grace.filter(|grace| u128::from(*grace) * 1_000 < millis) {
        let what = format!(
            "has a terminationGracePeriodSeconds of {grace}, and a job runs for {runs} on average: one that \
             runs in a replica that goes is cut; make it longer than the longest job"
        );
        reporter.note("spec.scaleTargetRef", &what);
    }
    let path =
        "advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds";
    let window = object.spec.pointer(&format!("/{}", path.replace('.', "/")));
    // The HPA's own is 300 s.
    let is_short = window.and_then(Value::as_f64).is_some_and(|window| window < seconds);
    let many = triggers
        .iter()
        .find(|trigger| trigger.has_auto_target && trigger.target.get() > trigger.settings.slots());
    if let Some(trigger) = many.filter(|_| is_short) {
        let what = format!(
            "is shorter than a job ({runs}), and a replica is told to take {} jobs and runs {}: once nothing \
             waits there are fewer replicas than work, and jobs are cut. Make it longer than a job, or use \
             signal: replicas, which keeps those that work",
            trigger.target.get(),
            trigger.settings.slots()
        );
        reporter.note(&format!("spec.{path}"), &what);
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
