//! What a ScaledObject may ask for besides: an idle count, a fallback, a pause, and a formula over triggers.

use std::time::Duration;

use penstock_testkit::{Kind, Port, Server, Service, Setup};
use serde_json::json;

use crate::stage::{AT_ONCE, DECISION, Stage, pushed, scaled_object, set, shown};

pub async fn an_idle_count_holds_until_there_is_a_job(stage: &Stage<'_>) {
    let penstock = Service::of(&stage.redis).await;
    let trigger = pushed(penstock.grpc(), "queue: q, target: '5'");
    stage.deployment("worker", 1).await;
    let fields = "pollingInterval: 5, cooldownPeriod: 15, idleReplicaCount: 0, minReplicaCount: 2, \
                  maxReplicaCount: 6";
    stage.apply(&scaled_object("worker", &format!("{fields}, {AT_ONCE}"), &[trigger])).await;
    let play = async {
        stage.scales_to("worker", 0, DECISION).await;
        set(&stage.redis, "q", 1);
        stage.scales_to("worker", 2, DECISION).await;
        set(&stage.redis, "q", 18);
        stage.scales_to("worker", 4, DECISION).await;
        set(&stage.redis, "q", 0);
        stage.scales_to("worker", 0, DECISION).await;
    };
    let changes = stage.changes_while("worker", play).await;
    println!("| {} | idleReplicaCount | {} |", stage.keda(), shown(&changes));
    let seen: Vec<u64> = changes.iter().map(|change| change.1).collect();
    // From idle to the minimum, never to the one between them.
    assert!(seen[0] == 1 && !seen[1..].contains(&1), "{seen:?}");
}

pub async fn a_fallback_comes_when_redis_is_unknown_and_goes_when_it_is_known(stage: &Stage<'_>) {
    let mut redis = Server::start(Kind::Redis);
    let config = format!("[redis.default]\nurl = \"{}\"\nhold_stale = \"1s\"\n", redis.url());
    let penstock = Setup::default().config(config).start().await;
    let trigger = polled(&penstock, "queue: q, target: '5'");
    stage.deployment("worker", 1).await;
    let fields = "pollingInterval: 5, minReplicaCount: 1, maxReplicaCount: 9, \
                  fallback: {failureThreshold: 3, replicas: 7}";
    stage.apply(&scaled_object("worker", &format!("{fields}, {AT_ONCE}"), &[trigger])).await;
    stage.is_ready("worker").await;
    let play = async {
        set(&redis, "q", 11);
        stage.scales_to("worker", 3, DECISION).await;
        redis.kill();
        stage.scales_to("worker", 7, 2 * DECISION).await;
        redis.run_again();
        stage.scales_to("worker", 3, DECISION).await;
    };
    let changes = stage.changes_while("worker", play).await;
    println!("| {} | fallback | {} |", stage.keda(), shown(&changes));
    let seen: Vec<u64> = changes.iter().map(|change| change.1).collect();
    assert_eq!(seen, [1, 3, 7, 3]);
}

/// KEDA counts no failure for `fallback` while it has no spec of the metric (kedacore/keda#8056): docs/operations.md
/// tells so, and a cooldown must not take for idle what nobody answers.
pub async fn a_service_that_is_gone_scales_nothing_not_even_by_fallback(stage: &Stage<'_>) {
    // Nobody else may have the port in the meantime.
    let port = Port::take();
    let address = format!("127.0.0.1:{}", port.number());
    let start = async || Setup::default().listen(&address).redis(stage.redis.url()).start().await;
    let penstock = start().await;
    let trigger = polled(&penstock, "queue: q, target: '5'");
    stage.deployment("worker", 0).await;
    let fields = "pollingInterval: 5, cooldownPeriod: 10, minReplicaCount: 0, maxReplicaCount: 9, \
                  fallback: {failureThreshold: 3, replicas: 7}";
    stage.apply(&scaled_object("worker", &format!("{fields}, {AT_ONCE}"), &[trigger])).await;
    stage.is_ready("worker").await;
    set(&stage.redis, "q", 11);
    stage.scales_to("worker", 3, DECISION).await;
    drop(penstock);
    stage.stays_at("worker", 3, Duration::from_secs(60)).await;
    let again = start().await;
    set(&stage.redis, "q", 0);
    stage.scales_to("worker", 0, DECISION).await;
    drop(again);
    println!("| {} | penstock gone for 60 s | 3 all the time, then 0 |", stage.keda());
}

/// A trigger that KEDA only polls.
fn polled(penstock: &Service, metadata: &str) -> String {
    let address = penstock.grpc();
    format!("{{type: external, metadata: {{scalerAddress: '{address}', {metadata}}}}}")
}

pub async fn a_paused_object_keeps_its_replicas_and_follows_again_afterwards(stage: &Stage<'_>) {
    let penstock = Service::of(&stage.redis).await;
    let trigger = pushed(penstock.grpc(), "queue: q, target: '5'");
    stage.deployment("worker", 0).await;
    let fields = "pollingInterval: 5, cooldownPeriod: 15, minReplicaCount: 0, maxReplicaCount: 6";
    stage.apply(&scaled_object("worker", &format!("{fields}, {AT_ONCE}"), &[trigger])).await;
    stage.is_ready("worker").await;
    let annotate = async |key: &str, value: Option<&str>| {
        let annotations = json!({ format!("autoscaling.keda.sh/{key}"): value });
        let change = json!({"metadata": {"annotations": annotations}});
        stage.merge("ScaledObject", "worker", change).await;
    };
    let play = async {
        annotate("paused-replicas", Some("3")).await;
        stage.scales_to("worker", 3, DECISION).await;
        set(&stage.redis, "q", 30);
        stage.stays_at("worker", 3, Duration::from_secs(20)).await;
        annotate("paused-replicas", None).await;
        stage.scales_to("worker", 6, DECISION).await;
        annotate("paused", Some("true")).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        set(&stage.redis, "q", 0);
        stage.stays_at("worker", 6, Duration::from_secs(35)).await;
        annotate("paused", None).await;
        stage.scales_to("worker", 0, DECISION).await;
    };
    let changes = stage.changes_while("worker", play).await;
    println!("| {} | paused | {} |", stage.keda(), shown(&changes));
}

pub async fn a_formula_takes_two_triggers_as_one(stage: &Stage<'_>) {
    let penstock = Service::of(&stage.redis).await;
    let named = |name: &str| {
        let address = penstock.grpc();
        format!(
            "{{type: external-push, name: {name}, metadata: {{scalerAddress: '{address}', \
             queue: {name}, target: '100'}}}}"
        )
    };
    stage.deployment("worker", 0).await;
    let formula = AT_ONCE.replace(
        "advanced: {",
        "advanced: {scalingModifiers: {formula: 'mails + 2 * reports', target: '5'}, ",
    );
    let fields = format!(
        "pollingInterval: 5, cooldownPeriod: 15, minReplicaCount: 0, maxReplicaCount: 9, {formula}"
    );
    let object = scaled_object("worker", &fields, &[named("mails"), named("reports")]);
    stage.apply(&object).await;
    stage.is_ready("worker").await;
    let play = async {
        set(&stage.redis, "mails", 10);
        stage.scales_to("worker", 2, DECISION).await;
        // ceil((10 + 2 × 6) / 5) = 5
        set(&stage.redis, "reports", 6);
        stage.scales_to("worker", 5, DECISION).await;
        set(&stage.redis, "mails", 0);
        // ceil(2 × 6 / 5) = 3
        stage.scales_to("worker", 3, DECISION).await;
        set(&stage.redis, "reports", 0);
        stage.scales_to("worker", 0, DECISION).await;
    };
    let changes = stage.changes_while("worker", play).await;
    println!("| {} | scalingModifiers | {} |", stage.keda(), shown(&changes));
}
