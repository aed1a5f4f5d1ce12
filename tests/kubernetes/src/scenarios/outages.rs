//! Redis killed, stopped and failed over below two hundred ScaledObjects: no replica changes because of it, neither
//! while values are held nor when they are unknown.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use penstock_testkit::{
    Kind, MASTER, Server, Service, Setup, Trio,
    wire::{self, MetricsRequest, Trigger},
};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::Code;

use crate::{
    api::{Change, eventually_every},
    stage::{AT_ONCE, KNOWN, Stage, deployment, pushed, scaled_object, set},
};

/// As many ScaledObjects of each Redis, half of which have work.
const EACH: usize = 100;
/// How many replicas their work needs.
const REPLICAS: u64 = 3;
/// How long a fault lasts: longer than values are held, and than the cooldown from then on.
const FAULT: Duration = Duration::from_secs(35);
/// For a sync of each HPA after a fault.
const AFTERWARDS: Duration = Duration::from_secs(20);
/// Between two looks at all of them.
const LOOK: Duration = Duration::from_secs(2);
const SETTLED: Duration = Duration::from_secs(180);
/// How many of all workloads KEDA itself may take to zero: in a poll that meets an answer to the HPA that fails, it
/// takes "nothing found" for "not active" (docs/operations.md). One in several runs is usual.
const BY_KEDA: usize = 2;
/// Triggers that the test asks for at a time.
const AT_A_TIME: usize = 50;
/// How often KEDA was told so when it asked for a value.
const UNAVAILABLE: &str = "penstock_rpcs_total{method=\"GetMetrics\",code=\"UNAVAILABLE\"}";

pub async fn no_fault_of_redis_changes_a_replica_of_two_hundred_objects(stage: &Stage<'_>) {
    let mut plain = Server::start(Kind::Redis);
    let trio = Trio::start(Kind::Redis);
    let mut fleet = Fleet::start(stage, &plain, &trio).await;
    let unknown = async |fleet: &Fleet<'_>| fleet.penstock.metric(UNAVAILABLE).await;
    plain.kill();
    trio.fail_over();
    fleet.is_unchanged("killed, and failed over", FAULT).await;
    fleet.nothing_is_known("plain").await;
    let killed = unknown(&fleet).await;
    assert!(killed > 0.0, "KEDA was told that nothing is known");
    plain.run_again();
    fleet.is_unchanged("up again", AFTERWARDS).await;
    fleet.is_settled().await;
    plain.signal("STOP");
    fleet.is_unchanged("stopped", FAULT).await;
    fleet.nothing_is_known("plain").await;
    assert!(unknown(&fleet).await > killed, "KEDA was told so again");
    plain.signal("CONT");
    fleet.is_unchanged("going on", AFTERWARDS).await;
    fleet.is_settled().await;
    println!(
        "| {} | Redis killed, failed over, stopped | {} unchanged, {} taken to zero by KEDA and back |",
        stage.keda(),
        fleet.wanted.len() - fleet.by_keda.len(),
        fleet.by_keda.len()
    );
}

/// The workloads, and what is known of them.
struct Fleet<'a> {
    stage: &'a Stage<'a>,
    penstock: Service,
    /// The replicas that each needs.
    wanted: BTreeMap<String, u64>,
    /// Those that KEDA itself took to zero.
    by_keda: BTreeSet<String>,
}

impl<'a> Fleet<'a> {
    /// Work comes when all are known: an object that has work when it is made may end KEDA's operator.
    async fn start(stage: &'a Stage<'a>, plain: &Server, trio: &Trio) -> Self {
        let sentinels = format!("{:?}", trio.addresses());
        let config = format!(
            "[redis.plain]\nurl = \"{}\"\nhold_stale = \"10s\"\n[redis.watched]\nhold_stale = \"10s\"\n\
             sentinel = {{ master = \"{}\", nodes = {sentinels} }}\n",
            plain.url(),
            MASTER
        );
        let penstock = Setup::default().config(config).start().await;
        let numbers =
            (0..EACH).flat_map(|number| ["plain", "watched"].map(|redis| (redis, number)));
        let wanted = numbers.map(|(redis, number)| {
            (format!("{redis}-{number}"), if number % 2 == 0 { REPLICAS } else { 0 })
        });
        let fleet = Self { stage, penstock, wanted: wanted.collect(), by_keda: BTreeSet::new() };
        let manifests: Vec<String> = fleet.wanted.keys().map(|name| fleet.manifest(name)).collect();
        stage.apply_all(&manifests).await;
        stage.all_are_ready(fleet.wanted.len(), LOOK, KNOWN).await;
        for (name, replicas) in &fleet.wanted {
            let server = if name.starts_with("plain") { plain } else { &trio.servers[0] };
            set(server, name, 2 * usize::try_from(*replicas).unwrap());
        }
        fleet.is_settled().await;
        fleet
    }

    fn manifest(&self, name: &str) -> String {
        let metadata = format!("redis: {}, queue: {name}, target: '2'", redis_of(name));
        let fields =
            format!("pollingInterval: 10, cooldownPeriod: 10, maxReplicaCount: 5, {AT_ONCE}");
        let object = scaled_object(name, &fields, &[pushed(self.penstock.grpc(), &metadata)]);
        deployment(name, 0, "{name: worker, image: worker}") + "---" + &object
    }

    /// Waits until each has the replicas that it needs.
    async fn is_settled(&self) {
        eventually_every(LOOK, SETTLED, "two hundred objects are settled", async || {
            let wrong = differing(&self.replicas().await, &self.wanted);
            if wrong.is_empty() {
                Ok(())
            } else {
                Err(format!("{} are not: {wrong:?}", wrong.len()))
            }
        })
        .await;
    }

    /// Sees each change of a Deployment for this long, and none of its replicas; and asks for each trigger meanwhile.
    async fn is_unchanged(&mut self, when: &str, time: Duration) {
        let keda = self.penstock.keda().await;
        let asked: Vec<(Trigger, u64)> = self.wanted.iter().map(|of| self.asked(of)).collect();
        let end = Instant::now() + time;
        tokio::join!(self.sees_no_change(when, time), tells_nothing_else(&keda, &asked, end));
    }

    async fn sees_no_change(&mut self, when: &str, time: Duration) {
        let start = Instant::now();
        let kubernetes = &self.stage.cluster.kubernetes;
        let mut changes = std::pin::pin!(kubernetes.watch("Deployment", &self.stage.namespace));
        let mut seen = BTreeSet::new();
        while let Ok(change) = timeout_at(start + time, changes.next()).await {
            let Some(Change::Is(found)) = change else { panic!("a Deployment is gone") };
            let name = found["metadata"]["name"].as_str().unwrap();
            let replicas = found["spec"]["replicas"].as_u64().unwrap();
            if replicas != self.wanted[name] {
                let after = start.elapsed();
                self.assert_by_keda(name, replicas, &format!("Redis {when} for {after:?}"));
            }
            seen.insert(name.to_owned());
        }
        assert_eq!(seen.len(), self.wanted.len(), "each is seen at least once");
    }

    /// Fails unless this one went from its replicas to zero, or is on its way back from there. That nobody was told so is
    /// for [`tells_nothing_else`].
    fn assert_by_keda(&mut self, name: &str, replicas: u64, when: &str) {
        let wanted = self.wanted[name];
        let is_back = self.by_keda.contains(name) && replicas < wanted;
        assert!(wanted > 0 && replicas == 0 || is_back, "{name} has {replicas}, {when}");
        self.by_keda.insert(name.to_owned());
        assert!(self.by_keda.len() <= BY_KEDA, "{:?} have none, {when}", self.by_keda);
    }

    /// Asks each trigger of this Redis as KEDA does, and is told that nothing is known.
    async fn nothing_is_known(&self, redis: &str) {
        let keda = self.penstock.keda().await;
        for name in self.wanted.keys().filter(|name| redis_of(name) == redis) {
            let (trigger, _) = self.asked((name, &0));
            let activity = keda.is_active(&trigger).await;
            let request = MetricsRequest { trigger: Some(trigger), metric_name: String::new() };
            let metrics = keda.get_metrics(request).await;
            let codes = [activity.unwrap_err().code(), metrics.unwrap_err().code()];
            assert_eq!(codes, [Code::Unavailable; 2], "{name}");
        }
    }

    /// The trigger of an object, as KEDA asks for it, and the replicas that it needs.
    fn asked(&self, (name, replicas): (&String, &u64)) -> (Trigger, u64) {
        let metadata = [("redis", redis_of(name)), ("queue", name), ("target", "2")];
        let mut trigger = wire::trigger(metadata);
        (trigger.namespace, trigger.name) = (self.stage.namespace.clone(), name.clone());
        (trigger, *replicas)
    }

    async fn replicas(&self) -> BTreeMap<String, u64> {
        let deployments = self.stage.list("Deployment").await;
        let of = |found: &serde_json::Value| {
            let name = found["metadata"]["name"].as_str().unwrap().to_owned();
            (name, found["spec"]["replicas"].as_u64().unwrap())
        };
        deployments.iter().map(of).collect()
    }
}

/// Asks for each trigger until then, as often as it takes: each answer is that it is not known, or what is so.
async fn tells_nothing_else(keda: &wire::Keda, asked: &[(Trigger, u64)], end: Instant) {
    let tells = async |(trigger, replicas): &(Trigger, u64)| {
        let request = MetricsRequest { trigger: Some(trigger.clone()), metric_name: String::new() };
        let (active, metrics) = tokio::join!(keda.is_active(trigger), keda.get_metrics(request));
        let is_unknown = |status: &tonic::Status| status.code() == Code::Unavailable;
        let says = |active: bool| active == (*replicas > 0);
        assert!(active.as_ref().map_or_else(is_unknown, |active| says(*active)), "{active:?}");
        let value = metrics.map(|metrics| metrics.values[0].value);
        let jobs = i64::try_from(2 * replicas).unwrap();
        assert!(value.as_ref().map_or_else(is_unknown, |value| *value == jobs), "{value:?}");
    };
    while Instant::now() < end {
        stream::iter(asked).map(tells).buffer_unordered(AT_A_TIME).collect::<()>().await;
        sleep(LOOK).await;
    }
}

/// Which Redis has the queue of this object.
fn redis_of(name: &str) -> &str {
    name.split('-').next().unwrap()
}

/// What is not as it should be: name, seen and wanted.
fn differing(seen: &BTreeMap<String, u64>, wanted: &BTreeMap<String, u64>) -> Vec<String> {
    let wrong = wanted.iter().filter(|(name, replicas)| seen.get(*name) != Some(replicas));
    wrong.map(|(name, replicas)| format!("{name}: {:?}, not {replicas}", seen.get(name))).collect()
}
