//! The node: it binds each Pod, runs the command of its first container as a real process, and reports as a
//! kubelet does: running, ready after a cold start, ended. A deletion is TERM, then KILL after the grace period.
//!
//! A Pod without a command has no process: it becomes ready, and is gone when it is deleted.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use futures_util::{StreamExt, future::join_all};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, timeout_at};

use crate::{
    api::{Change, Kubernetes},
    pod::{self, Pod, Step},
    process::framework,
};

const NAME: &str = "node";
/// Between two looks at the Pods.
const LOOK: Duration = Duration::from_millis(250);

/// A running node; its Pods end with it.
pub struct Node {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    /// Fails when the node has, whose panic was shown.
    pub fn assert_runs(&self) {
        let has_ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        assert!(!has_ended, "the node has failed");
    }

    pub fn start(kubeconfig: PathBuf) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let kubernetes = Kubernetes::connect(&kubeconfig).await;
                register(&kubernetes).await;
                let mut kubelet = Kubelet::new(kubernetes);
                kubelet.run(&over).await;
            });
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn register(kubernetes: &Kubernetes) {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME}});
    kubernetes.apply_one("", node).await.unwrap();
    let room = json!({"cpu": "10000", "memory": "10000Gi", "pods": "10000"});
    let ready =
        json!([{"type": "Ready", "status": "True", "reason": "Tests", "message": "it runs"}]);
    let status = json!({"capacity": room, "allocatable": room, "conditions": ready});
    kubernetes.merge_status("Node", "", NAME, status).await;
}

struct Kubelet {
    kubernetes: Kubernetes,
    pods: HashMap<String, Pod>,
    /// Those that have come to their end here, of which late news may come.
    done: HashSet<String>,
    logs: TempDir,
}

impl Kubelet {
    fn new(kubernetes: Kubernetes) -> Self {
        Self {
            kubernetes,
            pods: HashMap::new(),
            done: HashSet::new(),
            logs: TempDir::new().unwrap(),
        }
    }

    /// Runs what the Pods say, until it is over.
    async fn run(&mut self, over: &AtomicBool) {
        let mut changes = std::pin::pin!(self.kubernetes.watch("Pod", ""));
        let mut seen = HashMap::new();
        while !over.load(Ordering::Relaxed) {
            let next_look = Instant::now() + LOOK;
            while let Ok(Some(change)) = timeout_at(next_look, changes.next()).await {
                match change {
                    Change::Is(pod) => drop(seen.insert(uid_of(&pod), pod)),
                    Change::Was(pod) => drop(seen.remove(&uid_of(&pod))),
                }
            }
            self.look(&seen).await;
        }
    }

    /// Starts what is new and goes on with what runs. The API server is told of all Pods at once: one after the other
    /// a hundred of them would take seconds.
    async fn look(&mut self, seen: &HashMap<String, Value>) {
        let is_new = |uid: &String, pod: &Value| {
            let is_known = self.pods.contains_key(uid) || self.done.contains(uid);
            !is_known && !pod::is_over(pod)
        };
        let new: Vec<&Value> =
            seen.iter().filter(|(uid, pod)| is_new(uid, pod)).map(|(_, pod)| pod).collect();
        let commands = join_all(new.iter().map(|pod| self.bound(pod))).await;
        for (pod, command) in new.into_iter().zip(commands) {
            self.pods.insert(uid_of(pod), Pod::start(pod, command, self.logs.path()));
        }
        let steps = self.pods.iter_mut().map(|(uid, pod)| (uid, pod.step(seen.get(uid))));
        let steps: Vec<(String, Option<Step>)> =
            steps.map(|(uid, step)| (uid.clone(), step)).collect();
        join_all(steps.iter().map(async |(uid, step)| {
            let Pod { namespace, name, .. } = &self.pods[uid];
            match step {
                Some(Step::Tell(status)) => {
                    self.kubernetes.merge_status("Pod", namespace, name, status.clone()).await;
                }
                Some(Step::IsGone) if seen.contains_key(uid) => {
                    self.kubernetes.delete("Pod", namespace, name, Some(0)).await;
                }
                Some(Step::IsGone) | None => {}
            }
        }))
        .await;
        for (uid, step) in steps {
            if matches!(step, Some(Step::IsGone)) {
                self.pods.remove(&uid);
                self.done.insert(uid);
            }
        }
    }

    /// Takes a Pod to this node, and gives its command.
    async fn bound(&self, pod: &Value) -> Option<Command> {
        let [namespace, name] =
            ["namespace", "name"].map(|at| pod["metadata"][at].as_str().unwrap());
        if pod["spec"]["nodeName"].is_null() {
            self.kubernetes.bind(namespace, name, NAME).await;
        }
        self.command(namespace, pod).await
    }

    /// The command of its first container, with the values of its variables in place of `$(NAME)`.
    async fn command(&self, namespace: &str, pod: &Value) -> Option<Command> {
        let container = &pod["spec"]["containers"][0];
        let mut variables = vec![];
        for variable in container["env"].as_array().into_iter().flatten() {
            let value = match variable["value"].as_str() {
                Some(value) => value.to_owned(),
                // Gone with its namespace, as the Pod will be.
                None => self.secret(namespace, variable).await.unwrap_or_default(),
            };
            variables.push((variable["name"].as_str().unwrap(), value));
        }
        let filled = |word: &str| {
            variables.iter().fold(word.to_owned(), |word, (name, value)| {
                word.replace(&format!("$({name})"), value)
            })
        };
        let words = ["command", "args"].into_iter().filter_map(|key| container[key].as_array());
        let words: Vec<String> = words.flatten().filter_map(Value::as_str).map(filled).collect();
        if words.is_empty() {
            return None;
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = framework(&words);
        command.env("HOSTNAME", pod["metadata"]["name"].as_str().unwrap()).envs(variables);
        Some(command)
    }

    async fn secret(&self, namespace: &str, variable: &Value) -> Option<String> {
        let from = &variable["valueFrom"]["secretKeyRef"];
        let [name, key] = ["name", "key"].map(|key| from[key].as_str().unwrap());
        self.kubernetes.secret(namespace, name, key).await
    }
}

fn uid_of(pod: &Value) -> String {
    pod["metadata"]["uid"].as_str().unwrap().to_owned()
}
