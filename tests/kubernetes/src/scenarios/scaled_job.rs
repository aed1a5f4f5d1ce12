//! ScaledJobs: as many Jobs as there are jobs, for each strategy with the signal that the documents name for it,
//! with jobs that are shorter and longer than the polling interval; beside KEDA's own trigger, on the same load.

use std::time::Duration;

use futures_util::future::join_all;
use penstock_testkit::Service;
use tokio::time::sleep;

use crate::{
    api::eventually,
    stage::{DECISION, KNOWN, Stage},
};

/// Longer than two cores take to start all Pods of a burst: under `eager` no Job is deducted that has not taken its job.
const POLL: u64 = 10;
/// Enqueued at once, and one after the other.
const BURST: usize = 8;
const TRICKLE: usize = 3;
const JOBS: usize = BURST + TRICKLE;

/// `custom` with settings under which it is `default`: no Job is deducted but those that run.
const STRATEGIES: [(&str, &str); 4] =
    [("default", "backlog"), ("accurate", "waiting"), ("eager", "waiting"), ("custom", "backlog")];

pub async fn as_many_jobs_are_created_as_there_are_jobs(stage: &Stage<'_>) {
    let penstock = Service::of(&stage.redis).await;
    let mut queues = vec![];
    for (length, seconds) in [("short", 1), ("long", 22)] {
        for (strategy, signal) in STRATEGIES {
            let own = format!("penstock-{strategy}-{length}");
            let metadata = format!(
                "{{type: external, metadata: {{scalerAddress: '{}', queue: {own}, \
                 inFlight: '{own}:processing', signal: {signal}, target: '1'}}}}",
                penstock.grpc()
            );
            stage.apply(&manifest(stage, &own, strategy, seconds, &metadata)).await;
            queues.push(own);
            // The two that the documents of KEDA itself compare.
            if !matches!(strategy, "default" | "accurate") {
                continue;
            }
            let theirs = format!("redis-{strategy}-{length}");
            let metadata = format!(
                "{{type: redis, metadata: {{address: '{}', listName: {theirs}, listLength: '1'}}}}",
                stage.redis.address()
            );
            stage.apply(&manifest(stage, &theirs, strategy, seconds, &metadata)).await;
            queues.push(theirs);
        }
    }
    join_all(queues.iter().map(|queue| is_ready(stage, queue))).await;
    let is_eager = |queue: &&String| queue.contains("-eager-");
    let (eager, others): (Vec<&String>, Vec<&String>) = queues.iter().partition(is_eager);
    // One after the other: what a hundred Pods take to start is too long for `eager`.
    for queues in [others, eager] {
        play(stage, &queues).await;
    }
    // Two more polls would create what is too many.
    sleep(Duration::from_secs(2 * POLL + 2)).await;
    let jobs = stage.list("Job").await;
    let mut wrong = vec![];
    for queue in &queues {
        let label = |job: &&serde_json::Value| {
            job["metadata"]["labels"]["scaledjob.keda.sh/name"] == **queue
        };
        let created = jobs.iter().filter(label).count();
        let [took, idle] = ["took", "idle"].map(|what| counter(stage, queue, what));
        println!("| {} | {queue} | {JOBS} | {created} | {took} | {idle} |", stage.keda());
        if queue.starts_with("penstock") && (created, took, idle) != (JOBS, JOBS, 0) {
            wrong.push(format!("{queue}: {created} Jobs, {took} took one, {idle} found none"));
        }
    }
    assert!(wrong.is_empty(), "for {JOBS} jobs: {wrong:#?}");
}

/// Enqueues the jobs of these queues, and waits until they are done.
async fn play(stage: &Stage<'_>, queues: &[&String]) {
    for queue in queues {
        push(stage, queue, BURST);
    }
    for _ in 0..TRICKLE {
        sleep(Duration::from_secs(6)).await;
        for queue in queues {
            push(stage, queue, 1);
        }
    }
    join_all(queues.iter().map(|queue| is_done(stage, queue))).await;
}

fn push(stage: &Stage<'_>, queue: &str, jobs: usize) {
    let mut words = vec!["LPUSH", queue];
    words.extend(std::iter::repeat_n("job", jobs));
    stage.redis.ask_words::<u64>(&words);
}

fn left(stage: &Stage<'_>, queue: &str) -> (usize, usize) {
    let length = |key: &str| stage.redis.ask_words(&["LLEN", key]);
    (length(queue), length(&format!("{queue}:processing")))
}

fn counter(stage: &Stage<'_>, queue: &str, what: &str) -> usize {
    let key = format!("test:{queue}:{what}");
    stage.redis.ask_words::<Option<usize>>(&["GET", &key]).unwrap_or_default()
}

/// Waits until nothing waits and nothing runs. KEDA's own trigger may leave jobs that it does not see.
async fn is_done(stage: &Stage<'_>, queue: &str) {
    if queue.starts_with("penstock") {
        eventually(2 * DECISION, queue, async || match left(stage, queue) {
            (0, 0) => Ok(()),
            (waiting, running) => Err(format!("{waiting} wait, {running} run")),
        })
        .await;
    }
}

async fn is_ready(stage: &Stage<'_>, queue: &str) {
    eventually(KNOWN, queue, async || {
        let object = stage.get("ScaledJob", queue).await.unwrap();
        let ready = crate::keda::condition(&object, "Ready");
        if ready.starts_with("True") { Ok(()) } else { Err(ready) }
    })
    .await;
}

fn manifest(stage: &Stage<'_>, name: &str, strategy: &str, seconds: u32, trigger: &str) -> String {
    let custom = if strategy == "custom" {
        ", customScalingQueueLengthDeduction: 0, customScalingRunningJobPercentage: '1.0'"
    } else {
        ""
    };
    format!(
        "
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {{name: {name}}}
spec:
  pollingInterval: {POLL}
  maxReplicaCount: 30
  successfulJobsHistoryLimit: 1000
  scalingStrategy: {{strategy: {strategy}{custom}}}
  jobTargetRef:
    backoffLimit: 0
    template:
      metadata: {{labels: {{queue: {name}}}}}
      spec:
        restartPolicy: Never
        containers:
          - name: worker
            image: worker
            command: [python, -I, -S, ../../kubernetes/workers/take_one.py, {name}, '{seconds}']
            env: [{{name: TEST_PORT, value: '{}'}}]
  triggers: [{trigger}]
",
        stage.redis.port()
    )
}
