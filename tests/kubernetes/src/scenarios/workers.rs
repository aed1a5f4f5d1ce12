//! Real workers of real frameworks: from zero to several and back, with every job run once and none cut.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use penstock_testkit::{Authority, Kind, Server, Service, Setup};

use crate::{
    api::eventually,
    process::framework,
    stage::{
        AT_ONCE, Changes, DECISION, Stage, UP_AT_ONCE, deployment_with, pushed, scaled_object,
        shown,
    },
};

/// For all jobs of a scenario, on a machine whose cores start forty workers.
const RUN: Duration = Duration::from_secs(240);

/// A worker of two slots.
const CELERY_OF_TWO: &str = "celery -A celery_app worker -Q q -c 2 -P threads -l warning \
                             --without-gossip --without-mingle --without-heartbeat";

/// Seconds that a worker has for what it runs when its Pod is deleted: longer than a task.
const GRACE: u32 = 30;

/// One fleet of workers and its queue. There are enough jobs for the most replicas also after what one worker does
/// until the HPA looks for the first time, 15 s at the latest.
struct Fleet<'a> {
    name: &'a str,
    /// The command of a worker, and of what enqueues the jobs: words separated by spaces.
    worker: &'a str,
    producer: &'a str,
    jobs: usize,
    /// `NAME=VALUE`, separated by spaces.
    variables: &'a str,
    /// Of the trigger, but for its target: so many jobs for each replica.
    metadata: &'a str,
    target: u64,
    /// For how many jobs one replica is at least, whatever the signal.
    per_replica: u64,
    /// How the HPA follows.
    behavior: &'a str,
    most: u64,
    /// How many replicas there are when there are the most of them.
    peak: RangeInclusive<u64>,
}

impl Fleet<'_> {
    fn trigger(&self, penstock: &Service) -> String {
        let Fleet { metadata, target, .. } = self;
        pushed(penstock.grpc(), &format!("{metadata}, target: '{target}'"))
    }

    /// The variables as pairs; `PORT` is that of the scenario's Redis.
    fn variables(&self, stage: &Stage<'_>) -> Vec<(&str, String)> {
        let port = stage.redis.port().to_string();
        let pairs = self.variables.split_whitespace().map(|pair| pair.split_once('=').unwrap());
        pairs.map(|(name, value)| (name, value.replace("PORT", &port))).collect()
    }
}

pub async fn celery_goes_from_zero_to_twenty_and_back_and_cuts_no_task(stage: &Stage<'_>) {
    let fleet = Fleet {
        name: "celery-worker",
        worker: CELERY_OF_TWO,
        producer: "python celery_app.py q 100",
        jobs: 100,
        // Five seconds to fifteen, ten on average.
        variables: "TEST_NAP=5000 TEST_ACKS=late",
        metadata: "layout: celery, queue: q, acks: late",
        target: 2,
        per_replica: 2,
        // Downwards too: each worker that is to go has tasks, and ends them within its grace period.
        behavior: AT_ONCE,
        most: 20,
        peak: 20..=20,
    };
    let changes = go_up_and_back(stage, &fleet).await;
    let fewer = changes.windows(2).any(|pair| pair[1].1 < pair[0].1 && pair[1].1 > 0);
    assert!(fewer, "some workers go while others stay: {changes:?}");
}

pub async fn celery_workers_are_as_many_as_a_tolerated_wait_needs(stage: &Stage<'_>) {
    let fleet = Fleet {
        name: "slo-worker",
        worker: CELERY_OF_TWO,
        producer: "python celery_app.py q 60",
        jobs: 60,
        // 2.5 seconds to 7.5, five on average.
        variables: "TEST_NAP=2500 TEST_ACKS=late",
        metadata: "layout: celery, queue: q, acks: late, signal: replicas, slots: '2', \
                   taskTime: 5s, maxWait: 30s",
        target: 1,
        // Two slots do twelve tasks of five seconds in thirty.
        per_replica: 12,
        behavior: AT_ONCE,
        most: 12,
        // 60 / 12, also after what one worker did until the HPA looked.
        peak: 5..=5,
    };
    go_up_and_back(stage, &fleet).await;
}

pub async fn celery_workers_are_filled_to_the_load_that_is_asked_for(stage: &Stage<'_>) {
    let fleet = Fleet {
        name: "load-worker",
        worker: CELERY_OF_TWO,
        producer: "python celery_app.py q 12",
        jobs: 12,
        variables: "TEST_NAP=6000 TEST_ACKS=late",
        metadata: "layout: celery, queue: q, acks: late, signal: load, slots: '2'",
        target: 80,
        per_replica: 2,
        behavior: AT_ONCE,
        most: 12,
        // ⌈600 / 80⌉, or ⌈500 / 80⌉ after the first two tasks.
        peak: 7..=8,
    };
    go_up_and_back(stage, &fleet).await;
}

pub async fn rq_goes_from_zero_up_and_back(stage: &Stage<'_>) {
    let fleet = Fleet {
        name: "rq-worker",
        worker: "rq worker -u REDIS -P . q",
        producer: "python rq_app.py enqueue q 12",
        jobs: 12,
        variables: "TEST_NAP=4000",
        metadata: "layout: rq, queue: q",
        target: 2,
        per_replica: 2,
        behavior: UP_AT_ONCE,
        most: 4,
        peak: 4..=4,
    };
    go_up_and_back(stage, &fleet).await;
}

pub async fn bullmq_goes_from_zero_up_and_back(stage: &Stage<'_>) {
    let fleet = Fleet {
        name: "bullmq-worker",
        worker: "node bullmq.js bullmq work q",
        producer: "node bullmq.js bullmq add q 24 {}",
        jobs: 24,
        variables: "TEST_NAP=4000 TEST_PORT=PORT",
        metadata: "layout: bullmq, queue: q",
        target: 4,
        per_replica: 4,
        behavior: UP_AT_ONCE,
        most: 4,
        peak: 4..=4,
    };
    go_up_and_back(stage, &fleet).await;
}

pub async fn a_streams_group_goes_from_zero_up_and_back(stage: &Stage<'_>) {
    stage.redis.run("XGROUP CREATE s workers 0 MKSTREAM");
    let fleet = Fleet {
        name: "stream-worker",
        worker: "python ../../kubernetes/workers/stream_worker.py s workers",
        producer: "python ../../kubernetes/workers/stream_worker.py s workers add 16",
        jobs: 16,
        variables: "TEST_NAP=4000",
        metadata: "layout: stream, queue: s, group: workers",
        target: 3,
        per_replica: 3,
        behavior: UP_AT_ONCE,
        most: 4,
        peak: 4..=4,
    };
    go_up_and_back(stage, &fleet).await;
}

async fn go_up_and_back(stage: &Stage<'_>, fleet: &Fleet<'_>) -> Changes {
    let penstock = Service::of(&stage.redis).await;
    let url = stage.redis.url();
    stage.apply(&workers(stage, fleet, &literal(&url))).await;
    let object = scaled_object(fleet.name, &fields(fleet), &[fleet.trigger(&penstock)]);
    stage.apply(&object).await;
    stage.is_ready(fleet.name).await;
    stage.stays_at(fleet.name, 0, Duration::from_secs(6)).await;
    let play = async {
        produce(stage, fleet, &url);
        all_end(stage, &stage.redis, fleet.jobs).await;
        stage.scales_to(fleet.name, 0, DECISION).await;
    };
    let (mut before, mut too_few) = (0, vec![]);
    let tell = |replicas| {
        // Jobs that are not done only become fewer: when the HPA decided there were at least as many as now.
        let unfinished = fleet.jobs - book(&stage.redis, "test:ended").len();
        if replicas < before && unfinished as u64 > replicas * fleet.per_replica {
            too_few.push(format!("{before} to {replicas} with {unfinished} jobs unfinished"));
        }
        before = replicas;
    };
    let changes = stage.changes_told_while(fleet.name, play, tell).await;
    println!("| {} | {} | {} |", stage.keda(), fleet.name, shown(&changes));
    assert!(too_few.is_empty(), "too few replicas for what waits and runs: {too_few:?}");
    let peak = changes.iter().map(|change| change.1).max();
    assert!(peak.is_some_and(|peak| fleet.peak.contains(&peak)), "{changes:?}");
    each_ran_once(&stage.redis, fleet.jobs);
    changes
}

pub async fn two_queues_of_one_celery_broker_with_tls_and_a_password_from_a_secret(
    stage: &Stage<'_>,
) {
    let password = "a-password-of-the-secret";
    let authority = Authority::new();
    let pair = authority.sign(&["127.0.0.1"]);
    let mut redis = Server::with_tls(Kind::Redis, authority.pem(), &pair, false);
    redis.require_password(password);
    let ca = stage.cluster.plane.write(&format!("{}-ca.crt", stage.namespace), authority.pem());
    let address = redis.tls_address();
    let url = format!("rediss://:{password}@{address}/0?ssl_cert_reqs=required&ssl_ca_certs={ca}");
    stage
        .apply(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: broker}}\n\
             stringData: {{password: {password}, url: '{url}'}}"
        ))
        .await;
    let config =
        format!("[redis.default]\nurl = \"rediss://{address}/0\"\ntls = {{ ca = \"{ca}\" }}\n");
    let secret =
        stage.cluster.kubernetes.secret(&stage.namespace, "broker", "password").await.unwrap();
    let setup = Setup::default().config(config);
    let penstock = setup.variable("PENSTOCK_REDIS_DEFAULT_PASSWORD", secret).start().await;
    let fleets = [QueueFleet::new("emails", 14, 4), QueueFleet::new("reports", 10, 3)];
    let from = "{name: TEST_REDIS, valueFrom: {secretKeyRef: {name: broker, key: url}}}";
    for fleet in &fleets {
        stage.apply(&workers(stage, &fleet.as_fleet(), from)).await;
        let trigger = fleet.as_fleet().trigger(&penstock);
        stage.apply(&scaled_object(fleet.queue, &fields(&fleet.as_fleet()), &[trigger])).await;
        stage.is_ready(fleet.queue).await;
    }
    let play = |fleet: &QueueFleet| {
        let (name, most) = (fleet.queue, fleet.most);
        produce(stage, &fleet.as_fleet(), &url);
        stage.changes_while(name, async move {
            stage.scales_to(name, most, DECISION).await;
            stage.scales_to(name, 0, 2 * DECISION).await;
        })
    };
    let (emails, reports) = tokio::join!(play(&fleets[0]), play(&fleets[1]));
    println!("| {} | emails | {} |", stage.keda(), shown(&emails));
    println!("| {} | reports | {} |", stage.keda(), shown(&reports));
    each_ran_once(&redis, 24);
    let log = penstock.log().join("\n");
    assert!(!log.contains(password), "the password is in the log");
}

/// Workers of one queue of a broker that has several.
struct QueueFleet {
    queue: &'static str,
    worker: String,
    producer: String,
    jobs: usize,
    metadata: String,
    most: u64,
}

impl QueueFleet {
    fn new(queue: &'static str, jobs: usize, most: u64) -> Self {
        let worker = format!(
            "celery -A celery_app worker -Q {queue} -c 2 -P threads -l warning --without-gossip \
             --without-mingle --without-heartbeat"
        );
        let producer = format!("python celery_app.py {queue} {jobs}");
        let metadata = format!("layout: celery, queue: {queue}, acks: late");
        Self { queue, worker, producer, jobs, metadata, most }
    }

    fn as_fleet(&self) -> Fleet<'_> {
        Fleet {
            name: self.queue,
            worker: &self.worker,
            producer: &self.producer,
            jobs: self.jobs,
            variables: "TEST_NAP=6000 TEST_ACKS=late",
            metadata: &self.metadata,
            target: 2,
            per_replica: 2,
            behavior: UP_AT_ONCE,
            most: self.most,
            peak: self.most..=self.most,
        }
    }
}

fn fields(fleet: &Fleet<'_>) -> String {
    let Fleet { most, behavior, .. } = fleet;
    format!(
        "pollingInterval: 5, cooldownPeriod: 30, minReplicaCount: 0, maxReplicaCount: {most}, \
         {behavior}"
    )
}

fn workers(stage: &Stage<'_>, fleet: &Fleet<'_>, redis: &str) -> String {
    let words = fleet.worker.split_whitespace().map(|word| format!("'{word}'"));
    let command = words.collect::<Vec<_>>().join(", ").replace("'REDIS'", "$(TEST_REDIS)");
    let variables = fleet
        .variables(stage)
        .into_iter()
        .map(|(name, value)| format!(", {{name: {name}, value: '{value}'}}"));
    let variables: String = variables.collect();
    let container =
        format!("{{name: worker, image: worker, command: [{command}], env: [{redis}{variables}]}}");
    let cold_start = "{penstock.test/cold-start: '2'}";
    deployment_with(fleet.name, 0, cold_start, GRACE, &container)
}

fn literal(url: &str) -> String {
    format!("{{name: TEST_REDIS, value: '{url}'}}")
}

/// Enqueues the jobs; the frameworks' own clients do it.
fn produce(stage: &Stage<'_>, fleet: &Fleet<'_>, url: &str) {
    let words: Vec<&str> = fleet.producer.split_whitespace().collect();
    let mut command = framework(&words);
    let output = command.env("TEST_REDIS", url).envs(fleet.variables(stage)).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {complaint}", fleet.producer);
}

async fn all_end(stage: &Stage<'_>, redis: &Server, jobs: usize) {
    let what = format!("{}: {jobs} jobs end", stage.namespace);
    eventually(RUN, &what, async || {
        let (began, ended) = (book(redis, "test:began"), book(redis, "test:ended"));
        let seen = format!("{} began, {} ended", began.len(), ended.len());
        if ended.len() >= jobs { Ok(()) } else { Err(seen) }
    })
    .await;
}

fn each_ran_once(redis: &Server, jobs: usize) {
    for key in ["test:began", "test:ended"] {
        let mut times = BTreeMap::new();
        for job in book(redis, key) {
            *times.entry(job).or_insert(0) += 1;
        }
        let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        assert!(times.len() == jobs && twice.is_empty(), "{key}: {} jobs, {twice:?}", times.len());
    }
}

fn book(redis: &Server, key: &str) -> Vec<String> {
    redis.ask(&format!("LRANGE {key} 0 -1"))
}
