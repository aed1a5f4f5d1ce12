//! What a scenario has: a namespace, a Redis, and words for what it does and expects in both.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use penstock_testkit::{Kind, Server};

use crate::{
    api::{eventually, eventually_every},
    cluster::Cluster,
    keda::condition,
};

/// How long KEDA and the HPA may take for one decision: a poll, two syncs, and a machine that does much else.
pub const DECISION: Duration = Duration::from_secs(75);
/// How long KEDA may take to know a new object, of which there may be hundreds before it: it works off twenty at a time.
pub const KNOWN: Duration = Duration::from_secs(240);
/// Requests to the API server at a time.
const AT_A_TIME: usize = 16;
/// Between two samples of replicas.
const SAMPLE: Duration = Duration::from_millis(500);

/// The place of one scenario.
pub struct Stage<'a> {
    pub cluster: &'a Cluster,
    pub namespace: String,
    pub redis: Server,
}

/// What a Deployment's replicas were over time: seconds since the first look, and the number, where it changed.
pub type Changes = Vec<(f64, u64)>;

impl<'a> Stage<'a> {
    pub async fn open(cluster: &'a Cluster, namespace: &str) -> Self {
        let manifest = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}");
        cluster.kubernetes.apply("", &manifest).await;
        Self { cluster, namespace: namespace.to_owned(), redis: Server::start(Kind::Redis) }
    }

    /// Which KEDA this is, for what is printed.
    pub fn keda(&self) -> &'static str {
        self.cluster.keda.version().name()
    }

    /// Creates or changes what these manifests say.
    pub async fn apply(&self, manifests: &str) {
        self.cluster.kubernetes.apply(&self.namespace, manifests).await;
    }

    /// The same for many, some at a time.
    pub async fn apply_all(&self, manifests: &[String]) {
        let applied = stream::iter(manifests).map(|manifest| self.apply(manifest));
        applied.buffer_unordered(AT_A_TIME).collect::<()>().await;
    }

    pub async fn get(&self, kind: &str, name: &str) -> Option<Value> {
        self.cluster.kubernetes.get(kind, &self.namespace, name).await
    }

    pub async fn list(&self, kind: &str) -> Vec<Value> {
        self.cluster.kubernetes.list(kind, &self.namespace, "").await
    }

    pub async fn merge(&self, kind: &str, name: &str, change: Value) {
        self.cluster.kubernetes.merge(kind, &self.namespace, name, change).await;
    }

    /// A Deployment whose Pods have no process.
    pub async fn deployment(&self, name: &str, replicas: u32) {
        self.apply(&deployment(name, replicas, "{name: worker, image: worker}")).await;
    }

    /// The number of replicas that a Deployment is to have.
    pub async fn replicas(&self, name: &str) -> u64 {
        let deployment = self.get("Deployment", name).await.unwrap();
        deployment["spec"]["replicas"].as_u64().unwrap()
    }

    /// Waits until a Deployment is to have so many replicas.
    pub async fn scales_to(&self, name: &str, replicas: u64, within: Duration) {
        let start = Instant::now();
        loop {
            let seen = self.replicas(name).await;
            if seen == replicas {
                return;
            }
            if start.elapsed() > within {
                let (namespace, state) = (&self.namespace, self.state(name).await);
                panic!("{namespace}/{name}: {seen}, not {replicas} within {within:?}; {state}");
            }
            sleep(SAMPLE).await;
        }
    }

    /// Watches that it has so many replicas all the time.
    pub async fn stays_at(&self, name: &str, replicas: u64, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            let seen = self.replicas(name).await;
            assert_eq!(seen, replicas, "{}/{name}: {}", self.namespace, self.state(name).await);
            sleep(SAMPLE).await;
        }
    }

    /// Waits until KEDA says that the ScaledObject is ready: it knows the triggers and has made an HPA.
    pub async fn is_ready(&self, name: &str) {
        let what = format!("{}/{name} ready", self.namespace);
        eventually(KNOWN, &what, async || {
            let state = self.state(name).await;
            if state.starts_with("True") { Ok(()) } else { Err(state) }
        })
        .await;
    }

    /// The same of this many at once.
    pub async fn all_are_ready(&self, number: usize, pause: Duration, within: Duration) {
        eventually_every(pause, within, "all are ready", async || {
            let objects = self.list("ScaledObject").await;
            let is_ready = |object: &&Value| condition(object, "Ready").starts_with("True");
            let ready = objects.iter().filter(is_ready).count();
            if ready == number { Ok(()) } else { Err(format!("{ready} of {number} are")) }
        })
        .await;
    }

    /// What KEDA says of a ScaledObject.
    pub async fn state(&self, name: &str) -> String {
        match self.get("ScaledObject", name).await {
            Some(object) => {
                format!("{}; active {}", condition(&object, "Ready"), condition(&object, "Active"))
            }
            None => "there is no such ScaledObject".to_owned(),
        }
    }

    /// The HPA that KEDA made for a ScaledObject.
    pub async fn hpa(&self, name: &str) -> Option<Value> {
        self.get("HorizontalPodAutoscaler", &format!("keda-hpa-{name}")).await
    }

    /// Goes through `play` and gives how the replicas of a Deployment changed in the meantime.
    pub async fn changes_while(&self, name: &str, play: impl Future<Output = ()>) -> Changes {
        self.changes_told_while(name, play, |_| ()).await
    }

    /// The same, and tells each number as soon as it is seen.
    pub async fn changes_told_while(
        &self,
        name: &str,
        play: impl Future<Output = ()>,
        mut tell: impl FnMut(u64),
    ) -> Changes {
        let mut changes = Changes::new();
        let start = Instant::now();
        let mut play = std::pin::pin!(play);
        let mut is_over = false;
        // Once more when it is over: a play ends with what it waited for.
        loop {
            let replicas = self.replicas(name).await;
            if changes.last().is_none_or(|last| last.1 != replicas) {
                changes.push((start.elapsed().as_secs_f64(), replicas));
                tell(replicas);
            }
            if is_over {
                return changes;
            }
            is_over = timeout(SAMPLE, &mut play).await.is_ok();
        }
    }
}

/// The manifest of a ScaledObject of the Deployment of its name, with these fields and triggers (YAML, in one line).
pub fn scaled_object(name: &str, fields: &str, triggers: &[String]) -> String {
    let triggers = triggers.join(", ");
    format!(
        "
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: {name}}}
spec: {{scaleTargetRef: {{name: {name}}}, {fields}, triggers: [{triggers}]}}
"
    )
}

/// A trigger that penstock pushes, with this metadata (YAML, in one line).
pub fn pushed(penstock: &str, metadata: &str) -> String {
    format!("{{type: external-push, metadata: {{scalerAddress: '{penstock}', {metadata}}}}}")
}

/// `behavior` of an HPA that follows at once, upwards and downwards.
pub const AT_ONCE: &str = "advanced: {horizontalPodAutoscalerConfig: {behavior: {\
    scaleUp: {stabilizationWindowSeconds: 0, policies: [{type: Percent, value: 10000, periodSeconds: 15}]}, \
    scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Percent, value: 100, periodSeconds: 15}]}}}}";

/// `behavior` of an HPA that follows at once upwards, and downwards as by default.
pub const UP_AT_ONCE: &str = "advanced: {horizontalPodAutoscalerConfig: {behavior: {\
    scaleUp: {stabilizationWindowSeconds: 0, policies: [{type: Percent, value: 10000, periodSeconds: 15}]}}}}";

/// The manifest of a Deployment with this container (YAML, in one line).
pub fn deployment(name: &str, replicas: u32, container: &str) -> String {
    deployment_with(name, replicas, "{}", 30, container)
}

/// The same with annotations of its Pods and their grace period in seconds.
pub fn deployment_with(
    name: &str,
    replicas: u32,
    annotations: &str,
    grace: u32,
    container: &str,
) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}, annotations: {annotations}}}
    spec:
      terminationGracePeriodSeconds: {grace}
      containers: [{container}]
"
    )
}

/// How changes are printed.
pub fn shown(changes: &Changes) -> String {
    let words = changes.iter().map(|(at, replicas)| format!("{replicas} ({at:.0} s)"));
    words.collect::<Vec<_>>().join(" → ")
}

/// Makes a list this long, in one step that nobody sees half of.
pub fn set(redis: &Server, key: &str, length: usize) {
    let script = "redis.call('DEL', KEYS[1]) \
                  for _ = 1, tonumber(ARGV[1]) do redis.call('RPUSH', KEYS[1], 'job') end";
    redis.ask_words::<Option<u64>>(&["EVAL", script, "1", key, &length.to_string()]);
}
