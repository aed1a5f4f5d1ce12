//! Targets that are allowed, and are not what their author wants.

use super::*;

const COMPUTED: &[&str] = &["queue: q", "slots: '2'", "maxWait: 1m", "target: auto"];

fn told(kind: (&str, &str), task_time: &[&str]) -> String {
    lines(&object(kind, &[COMPUTED, task_time].concat()))
}

#[test]
fn a_target_that_follows_is_for_push_triggers() {
    let note = "metadata.target: note: follows what is measured";
    let measured = ["taskTime: 'measured,30s'", "finished: done"];
    for (kind, is_noted) in [
        (("ScaledObject", "external"), true),
        (("ScaledObject", "external-push"), false),
        (("ScaledJob", "external"), true),
    ] {
        let told = told(kind, &measured);
        assert_eq!(told.contains(note), is_noted, "{kind:?}: {told}");
    }
    let given = told(("ScaledObject", "external"), &["taskTime: 5s"]);
    assert!(!given.contains(note) && given.contains("0 problems"), "{given}");
}

#[test]
fn a_target_that_does_not_go_with_its_signal_is_told() {
    for (signal, target, what) in [
        ("replicas", "5", Some("leave it out")),
        ("replicas", "1", None),
        ("load", "120", Some("80 leaves room")),
        ("load", "100", None),
    ] {
        let metadata = [
            "queue: q",
            "slots: '2'",
            &format!("signal: {signal}"),
            &format!("target: '{target}'"),
        ];
        let told = lines(&push(&metadata));
        assert_eq!(told.contains("metadata.target: note:"), what.is_some(), "{told}");
        assert!(what.is_none_or(|what| told.contains(what)), "{told}");
    }
}
