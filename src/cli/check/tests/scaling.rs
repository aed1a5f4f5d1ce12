//! What a ScaledObject makes of activity and of the value, whatever its triggers say.

use super::*;

fn told(beside: &str) -> String {
    lines(&format!("{}{beside}", push(GOOD)))
}

#[test]
fn a_metric_type_that_multiplies_is_told() {
    let value = told("    metricType: Value\n");
    assert!(value.contains("spec.triggers[0].metricType: note: with Value"), "{value}");
    assert!(value.contains("multiplies the replicas") && value.contains("AverageValue"), "{value}");
    assert!(told("    metricType: AverageValue\n").starts_with("0 problems, 0 notes"));
}

#[test]
fn an_hpa_that_never_adds_a_replica_is_told() {
    let behavior = |policy: &str| {
        let of = "advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {selectPolicy: ";
        told(&format!("  {of}{policy}}}}}}}}}\n"))
    };
    let disabled = behavior("Disabled");
    assert!(disabled.contains("behavior.scaleUp.selectPolicy: note: with Disabled"), "{disabled}");
    assert!(behavior("Max").starts_with("0 problems, 0 notes"));
}

#[test]
fn a_cooldown_within_which_nobody_looks_is_told() {
    for (beside, is_told) in [
        ("  pollingInterval: 60\n  cooldownPeriod: 30\n", true),
        ("  cooldownPeriod: 20\n", true),
        ("  pollingInterval: 5\n  cooldownPeriod: 20\n", false),
        ("  pollingInterval: 600\n", true),
        ("  pollingInterval: 600\n  minReplicaCount: 1\n", false),
        ("  pollingInterval: 600\n  minReplicaCount: 1\n  idleReplicaCount: 0\n", true),
        ("", false),
        ("  cooldownPeriod: soon\n", false),
    ] {
        let told = told(beside);
        assert_eq!(told.contains("spec.cooldownPeriod: note: "), is_told, "{beside}: {told}");
    }
    let job = object(("ScaledJob", "external"), GOOD);
    let job = lines(&format!("{job}  pollingInterval: 60\n  cooldownPeriod: 30\n"));
    assert!(!job.contains("cooldownPeriod"), "a ScaledJob has none: {job}");
}

#[test]
fn a_target_that_its_signal_does_not_go_with_is_told() {
    let told = |more: &[&str]| {
        let jobs = ["queue: emails", "inFlight: emails:processing", "slots: \"2\""];
        lines(&push(&[jobs.as_slice(), more].concat()))
    };
    let replicas = told(&["signal: replicas", "target: \"5\""]);
    assert!(replicas.contains("metadata.target: note: the value is how many"), "{replicas}");
    let load = told(&["signal: load", "target: \"150\""]);
    assert!(load.contains("metadata.target: note: 150 % is more jobs"), "{load}");
    for fine in [&["signal: replicas"][..], &["signal: load", "target: \"80\""]] {
        assert!(told(fine).starts_with("0 problems, 0 notes"), "{fine:?}: {}", told(fine));
    }
}
