//! The HPA's own rules over what penstock answers: the highest of several triggers, one that is missing,
//! tolerance and policies; and that the model of `penstock-hpa` says what the real one does.

use std::time::Duration;

use penstock_hpa::HpaFlags;
use penstock_testkit::{Kind, Recording, Server, Service, Setup};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    keda::condition,
    stage::{AT_ONCE, DECISION, Stage, pushed, scaled_object, set, shown},
};

pub async fn the_highest_of_two_triggers_wins_and_a_missing_one_never_scales_in(stage: &Stage<'_>) {
    let mut other = Server::start(Kind::Redis);
    let config = format!(
        "[redis.default]\nurl = \"{}\"\n[redis.other]\nurl = \"{}\"\nhold_stale = \"1s\"\n",
        stage.redis.url(),
        other.url()
    );
    let penstock = Setup::default().config(config).start().await;
    let a = pushed(penstock.grpc(), "queue: a, target: '5'");
    let b = pushed(penstock.grpc(), "redis: other, queue: b, target: '2'");
    stage.deployment("worker", 1).await;
    let fields = format!("pollingInterval: 5, minReplicaCount: 1, maxReplicaCount: 20, {AT_ONCE}");
    stage.apply(&scaled_object("worker", &fields, &[a, b])).await;
    stage.is_ready("worker").await;
    let play = async {
        set(&stage.redis, "a", 20);
        set(&other, "b", 12);
        // ceil(20 / 5) = 4, ceil(12 / 2) = 6
        stage.scales_to("worker", 6, DECISION).await;
        other.kill();
        sleep(Duration::from_secs(2)).await;
        // `a` alone wants one, and nobody knows what `b` wants.
        set(&stage.redis, "a", 5);
        stage.stays_at("worker", 6, Duration::from_secs(50)).await;
        let hpa = stage.hpa("worker").await.unwrap();
        let scaling = condition(&hpa, "ScalingActive");
        assert!(scaling.starts_with("False FailedGetExternalMetric"), "{scaling}");
        // More is right whatever `b` wants.
        set(&stage.redis, "a", 45);
        stage.scales_to("worker", 9, DECISION).await;
        other.run_again();
        set(&stage.redis, "a", 5);
        set(&other, "b", 4);
        stage.scales_to("worker", 2, DECISION).await;
    };
    let changes = stage.changes_while("worker", play).await;
    println!("| {} | two triggers, one missing | {} |", stage.keda(), shown(&changes));
    let seen: Vec<u64> = changes.iter().map(|change| change.1).collect();
    // The first sync may come between the two queues.
    assert!(matches!(seen[..], [1, 6, 9, 2] | [1, 4, 6, 9, 2]), "{seen:?}");
}

/// Seconds since the ScaledObject is ready, and the jobs from then on: within the tolerance (10 % of 10), beyond it, a
/// burst that the policies stretch, and an end that the cooldown waits for.
const PROFILE: [(u64, usize); 6] = [(0, 0), (10, 100), (65, 108), (98, 112), (131, 200), (175, 0)];
/// For the cooldown, and the syncs around it.
const END: u64 = 230;

/// Its periods are no multiples of the HPA's 15 s: what is at the very end of one is in it or not by a few milliseconds.
pub async fn what_it_did_is_what_the_model_says(stage: &Stage<'_>) {
    let penstock = Service::of(&stage.redis).await;
    let spec = json!({
        "pollingInterval": 5, "cooldownPeriod": 30, "minReplicaCount": 0, "maxReplicaCount": 18,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
                {"type": "Pods", "value": 6, "periodSeconds": 20},
                {"type": "Percent", "value": 50, "periodSeconds": 20},
            ]},
            "scaleDown": {"stabilizationWindowSeconds": 40},
        }}},
    });
    stage.deployment("worker", 0).await;
    let trigger = json!({"type": "external", "metadata": {
        "scalerAddress": penstock.grpc(), "queue": "q", "target": "10",
    }});
    let mut object = spec.clone();
    object["scaleTargetRef"] = json!({"name": "worker"});
    object["triggers"] = json!([trigger]);
    let manifest = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "worker"},
        "spec": object,
    });
    stage.cluster.kubernetes.apply_one(&stage.namespace, manifest).await.unwrap();
    stage.is_ready("worker").await;
    let changes = record(stage).await;
    let profile: Vec<Value> = PROFILE.iter().map(|(at, jobs)| json!([at, jobs, "step"])).collect();
    let recording = Recording::of(&json!({
        "scenario": "made just now", "spec": spec, "start_replicas": 0, "changes": changes,
        "triggers": [{"target": "10", "profile": profile}],
    }));
    println!("| {} | HPA and model | {:?} |", stage.keda(), recording.seen.replicas);
    // 108 jobs are within the tolerance of ten replicas for ten each, and 112 are not.
    let seen: Vec<u64> = recording.seen.replicas.iter().map(|(_, replicas)| *replicas).collect();
    assert!(seen.contains(&10) && seen.contains(&12) && !seen.contains(&11), "{seen:?}");
    let phase = recording.matching_phase(HpaFlags::default());
    let model = recording.simulate(HpaFlags::default(), phase.unwrap_or_default());
    assert!(phase.is_some(), "seen {:?}\nmodel {model:?}", recording.seen);
}

/// Plays the profile and looks once a second, as the kept recordings were made.
async fn record(stage: &Stage<'_>) -> Vec<Value> {
    let (start, mut changes) = (Instant::now(), Vec::<Value>::new());
    let mut profile = PROFILE.iter().peekable();
    let mut jobs = 0;
    for second in 0..=END {
        if let Some((_, next)) = profile.next_if(|(at, _)| *at <= second) {
            jobs = *next;
            set(&stage.redis, "q", jobs);
        }
        let hpa = stage.hpa("worker").await.unwrap();
        let object = stage.get("ScaledObject", "worker").await.unwrap();
        let active = condition(&object, "Active");
        let seen = json!({
            "t": second,
            "lengths": [jobs],
            "replicas": stage.replicas("worker").await,
            "hpa_desired": hpa["status"]["desiredReplicas"].as_u64().unwrap_or(0),
            "active": active.split(' ').next().unwrap(),
        });
        let same = |last: &Value| {
            ["lengths", "replicas", "hpa_desired", "active"]
                .iter()
                .all(|key| last[key] == seen[key])
        };
        if second == END || !changes.last().is_some_and(same) {
            changes.push(seen);
        }
        sleep_until(start + Duration::from_secs(second + 1)).await;
    }
    changes
}
