//! The model of KEDA and the HPA against recordings of the real two (`tests/traces`, their README says how
//! they were made).

#![expect(clippy::unwrap_used, reason = "a recording that cannot be read fails its test")]

use std::{path::Path, time::Duration};

use penstock_hpa::{Behavior, HpaFlags, ScaledObject, SelectPolicy};
use penstock_testkit::{Phase, Recording};

fn all() -> Vec<Recording> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let recordings = entries.filter(|path| path.extension().is_some_and(|ext| ext == "json"));
    recordings.map(|path| Recording::read(&path)).collect()
}

fn named(name: &str) -> Recording {
    all().into_iter().find(|recording| recording.name == name).unwrap()
}

#[test]
fn the_model_does_what_was_recorded() {
    let recordings = all();
    assert!(recordings.len() >= 6, "only {} recordings", recordings.len());
    for recording in recordings {
        let phase = recording.matching_phase(HpaFlags::default());
        let nearest = recording.simulate(HpaFlags::default(), Phase::default()).replicas;
        assert!(
            phase.is_some(),
            "{}: recorded {:?}, the model at phase 0 {nearest:?}",
            recording.name,
            recording.seen.replicas
        );
    }
}

#[test]
fn the_recordings_with_the_most_changes_fit_to_a_second() {
    for name in ["burst-fast", "pods-policy"] {
        let phase = named(name).phase_within(Duration::from_secs(1), HpaFlags::default());
        assert!(phase.is_some(), "{name}");
    }
}

/// The recording must not match once its spec is another.
fn assert_differs(name: &str, edit: impl FnOnce(&mut ScaledObject)) {
    let mut recording = named(name);
    edit(&mut recording.spec);
    let phase = recording.matching_phase(HpaFlags::default());
    assert!(phase.is_none(), "{name} matches at {phase:?}");
}

#[test]
fn a_wrong_cooldown_does_not_match() {
    assert_differs("burst-default", |spec| spec.cooldown_period *= 2);
    assert_differs("max-cap", |spec| spec.cooldown_period = Duration::from_secs(60));
}

#[test]
fn the_default_behavior_does_not_match_a_recording_without_behavior() {
    assert_differs("burst-default", |spec| spec.behavior = Some(Behavior::default()));
}

#[test]
fn a_wrong_tolerance_does_not_match() {
    let wrong = HpaFlags { tolerance: 0.15, ..HpaFlags::default() };
    assert!(named("tolerance").matching_phase(wrong).is_none());
}

#[test]
fn a_wrong_policy_does_not_match() {
    assert_differs("pods-policy", |spec| {
        let behavior = spec.behavior.as_mut().unwrap();
        behavior.scale_up.policies[0].period = Duration::from_secs(10);
    });
    assert_differs("pods-policy", |spec| {
        let behavior = spec.behavior.as_mut().unwrap();
        behavior.scale_down.select = SelectPolicy::Max;
    });
}

#[test]
fn a_wrong_stabilization_window_does_not_match() {
    assert_differs("burst-fast", |spec| {
        let behavior = spec.behavior.as_mut().unwrap();
        behavior.scale_down.stabilization_window = Some(Duration::from_secs(60));
    });
}

#[test]
fn a_wrong_activation_or_minimum_does_not_match() {
    assert_differs("idle-min-activation", |spec| spec.triggers[0].activation = 4.0);
    assert_differs("idle-min-activation", |spec| spec.min_replica_count = 1);
}
