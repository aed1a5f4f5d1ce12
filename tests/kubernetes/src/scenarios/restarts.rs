//! penstock updated in turns, KEDA restarted, and two operators at once: every first job still wakes its workers,
//! and nothing is scaled in.

use std::time::Duration;

use futures_util::future::join_all;
use penstock_testkit::{Port, Proxy, Service, Setup, eventually_is};
use tokio::time::sleep;

use crate::stage::{AT_ONCE, DECISION, Stage, deployment, pushed, scaled_object, set};

/// So rarely that what is woken in time was woken by a push.
const POLL: &str = "pollingInterval: 600, cooldownPeriod: 600";
/// For KEDA to come back to a stream that ended, which it does after one to ten seconds, and to write a scale.
const PUSH: Duration = Duration::from_secs(20);
const BUSY: usize = 6;
const IDLE: usize = 24;
/// For KEDA to start and to open its streams again.
const BACK: Duration = Duration::from_secs(60);

pub async fn a_rolling_update_loses_no_activation_and_scales_nothing_in(stage: &Stage<'_>) {
    let mut services = vec![Service::of(&stage.redis).await, Service::of(&stage.redis).await];
    let ports = |services: &[Service]| services.iter().map(port).collect::<Vec<_>>();
    // What a Service of Kubernetes is to KEDA: an address with ready Pods behind it.
    let address = Proxy::among(&ports(&services)).await;
    workloads(stage, &address.address()).await;
    let mut idle = 0..IDLE;
    let mut woken = vec![];
    for _ in 0..4 {
        services.push(Service::of(&stage.redis).await);
        address.use_servers(&ports(&services[1..]));
        let mut old = services.remove(0);
        old.signal("TERM");
        // Jobs come while it drains, while KEDA is without it, and when it is gone.
        for _ in 0..IDLE / 4 {
            let name = format!("idle-{}", idle.next().unwrap());
            set(&stage.redis, &name, 1);
            woken.push(name);
            sleep(Duration::from_millis(700)).await;
            busy_are_busy(stage).await;
        }
        old.ended().await;
    }
    join_all(woken.iter().map(|name| stage.scales_to(name, 1, PUSH))).await;
    busy_are_busy(stage).await;
    println!("| {} | 4 of 2 penstocks replaced | {} activations, none lost |", stage.keda(), IDLE);
}

pub async fn streams_are_back_after_a_restart_of_keda_and_with_two_operators(stage: &Stage<'_>) {
    let penstock = Service::of(&stage.redis).await;
    workloads(stage, penstock.grpc()).await;
    let cluster = stage.cluster;
    let streams = async || penstock.metric("penstock_streams_open{method=\"StreamIsActive\"").await;
    let all = f64::from(u32::try_from(BUSY + IDLE).unwrap());
    eventually_is(BACK, all, streams).await;
    cluster.keda.restart_operator();
    eventually_is(BACK, 0.0, streams).await;
    eventually_is(BACK, all, streams).await;
    wake(stage, 0..8).await;
    let second = cluster.keda.second_operator(&cluster.plane);
    eventually_is(BACK, 2.0 * all, streams).await;
    wake(stage, 8..16).await;
    drop(second);
    eventually_is(BACK, all, streams).await;
    wake(stage, 16..24).await;
    busy_are_busy(stage).await;
    println!("| {} | KEDA restarted, two operators | {all} streams back, 24 woken |", stage.keda());
}

pub async fn an_object_that_comes_before_penstock_works_once_it_is_there(stage: &Stage<'_>) {
    let port = Port::take();
    let address = format!("127.0.0.1:{}", port.number());
    set(&stage.redis, "q", 4);
    stage.deployment("worker", 2).await;
    let trigger = pushed(&address, "queue: q, target: '2'");
    // As docs/triggers.md asks for where workers run already.
    let fields = "pollingInterval: 5, cooldownPeriod: 10, initialCooldownPeriod: 120";
    let fields = format!("{fields}, maxReplicaCount: 6, {AT_ONCE}");
    stage.apply(&scaled_object("worker", &fields, &[trigger])).await;
    stage.stays_at("worker", 2, Duration::from_secs(30)).await;
    let before = stage.state("worker").await;
    let penstock = Setup::default().listen(&address).redis(stage.redis.url()).start().await;
    stage.is_ready("worker").await;
    set(&stage.redis, "q", 8);
    stage.scales_to("worker", 4, 2 * DECISION).await;
    println!("| {} | object before penstock | first {before}; then 2 → 4 |", stage.keda());
    drop(penstock);
}

async fn wake(stage: &Stage<'_>, idle: std::ops::Range<usize>) {
    let names: Vec<String> = idle.map(|number| format!("idle-{number}")).collect();
    for name in &names {
        set(&stage.redis, name, 1);
    }
    join_all(names.iter().map(|name| stage.scales_to(name, 1, PUSH))).await;
}

/// Some that have work for three replicas, and some that have none.
async fn workloads(stage: &Stage<'_>, penstock: &str) {
    let names =
        (0..BUSY).map(|number| ("busy", number)).chain((0..IDLE).map(|number| ("idle", number)));
    let names: Vec<(&str, String)> =
        names.map(|(kind, number)| (kind, format!("{kind}-{number}"))).collect();
    for (kind, name) in &names {
        set(&stage.redis, name, if *kind == "busy" { 6 } else { 0 });
        let trigger = pushed(penstock, &format!("queue: {name}, target: '2'"));
        let fields = format!("{POLL}, maxReplicaCount: 4, {AT_ONCE}");
        stage.apply(&deployment(name, 0, "{name: worker, image: worker}")).await;
        stage.apply(&scaled_object(name, &fields, &[trigger])).await;
    }
    join_all(names.iter().map(|(kind, name)| {
        let replicas = if *kind == "busy" { 3 } else { 0 };
        stage.scales_to(name, replicas, 2 * DECISION)
    }))
    .await;
    join_all(names.iter().map(|(_, name)| stage.is_ready(name))).await;
}

async fn busy_are_busy(stage: &Stage<'_>) {
    for number in 0..BUSY {
        let replicas = stage.replicas(&format!("busy-{number}")).await;
        assert_eq!(replicas, 3, "busy-{number} was scaled in");
    }
}

fn port(service: &Service) -> u16 {
    service.grpc().rsplit_once(':').unwrap().1.parse().unwrap()
}
