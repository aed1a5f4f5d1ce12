//! Targets that are allowed, and are not what their author wants.

use super::*;

const COMPUTED: &[&str] = &["queue: q", "slots: '2'", "maxWait: 1m", "target: auto"];

fn told(kind: (&str, &str), task_time: &[&str]) -> String {
    lines(&object(kind, &[COMPUTED, task_time].concat()))
}

#[test]
fn a_target_that_follows_is_for_push_triggers() {
    let note = "metadata.target: note: follows what is measured";
    let measured = ["taskTime: 'measured,30s'", "finished: done", "inFlight: p"];
    for (kind, is_noted) in [
        (("ScaledObject", "external"), true),
        (("ScaledObject", "external-push"), false),
        (("ScaledJob", "external"), false),
    ] {
        let told = told(kind, &measured);
        assert_eq!(told.contains(note), is_noted, "{kind:?}: {told}");
    }
    let given = told(("ScaledObject", "external"), &["taskTime: 5s"]);
    assert!(!given.contains(note) && given.contains("0 problems"), "{given}");
}

/// A Deployment beside the object, whose Pods have so long to end.
fn beside(grace: &str, behavior: &str, metadata: &[&str]) -> String {
    let object = object(("ScaledObject", "external-push"), metadata);
    let deployment = |name: &str, grace: &str| {
        format!(
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec: {{template: {{spec: {{{grace}}}}}}}\n"
        )
    };
    let all = [
        object + "  scaleTargetRef: {name: mailer}\n" + behavior,
        deployment("other", ""),
        deployment("mailer", grace),
    ];
    lines(&all.concat())
}

#[test]
fn a_grace_period_that_is_shorter_than_a_job_is_told() {
    let replicas = ["queue: q", "slots: '2'", "maxWait: 10m", "signal: replicas"];
    let note = "spec.scaleTargetRef: note: has a terminationGracePeriodSeconds of";
    for (task_time, grace, is_told) in [
        ("taskTime: 2m", "", true),
        ("taskTime: 20s", "", false),
        ("taskTime: 2m", "terminationGracePeriodSeconds: 60", true),
        ("taskTime: 2m", "terminationGracePeriodSeconds: 600", false),
    ] {
        let told = beside(grace, "", &[&replicas[..], &[task_time]].concat());
        assert_eq!(told.contains(note), is_told, "{task_time} {grace}: {told}");
    }
    assert!(!beside("", "", GOOD).contains(note), "nobody says how long a job runs");
    let alone = lines(&push(&[&replicas[..], &["taskTime: 2m"]].concat()));
    assert!(!alone.contains(note), "nor how long the Pods have: {alone}");
}

#[test]
fn more_jobs_than_slots_and_a_short_window_are_told() {
    let note = "behavior.scaleDown.stabilizationWindowSeconds: note: is shorter than a job (20s)";
    let behavior = |seconds: &str| {
        format!(
            "  advanced: {{horizontalPodAutoscalerConfig: {{behavior: {{scaleDown: \
             {{stabilizationWindowSeconds: {seconds}}}}}}}}}\n"
        )
    };
    let computed = [COMPUTED, &["taskTime: 20s"]].concat();
    for (seconds, is_told) in [("0", true), ("19", true), ("20", false), ("300", false)] {
        let told = beside("", &behavior(seconds), &computed);
        assert_eq!(told.contains(note), is_told, "{seconds}: {told}");
    }
    // A replica that takes no more than it runs keeps those that work.
    let slots = ["queue: q", "slots: '2'", "maxWait: 20s", "target: auto", "taskTime: 20s"];
    assert!(!beside("", &behavior("0"), &slots).contains(note));
}
