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

use futures_util::StreamExt;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, timeout_at};

use crate::{
    api::{Change, Kubernetes},
    process::{Process, framework},
};

const NAME: &str = "node";
/// Between two looks at the Pods.
const LOOK: Duration = Duration::from_millis(250);
/// Seconds from a Pod's start until it is ready, that its manifest may ask for.
pub const COLD_START: &str = "penstock.test/cold-start";

/// A running node; its Pods end with it.
pub struct Node {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
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
            // A panic of its own has been shown, and tests that need a node have failed.
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

/// A Pod that was bound here.
struct Pod {
    namespace: String,
    name: String,
    process: Option<Process>,
    ready_at: Instant,
    is_ready: bool,
    kill_at: Option<Instant>,
    has_ended: bool,
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

    async fn look(&mut self, seen: &HashMap<String, Value>) {
        for (uid, pod) in seen {
            let is_known = self.pods.contains_key(uid) || self.done.contains(uid);
            let is_new = !is_known && !has_ended(pod);
            if is_new && pod["metadata"]["deletionTimestamp"].is_null() {
                self.start(uid, pod).await;
            }
        }
        let uids: Vec<String> = self.pods.keys().cloned().collect();
        for uid in uids {
            if self.step(&uid, seen.get(&uid)).await {
                self.pods.remove(&uid);
                self.done.insert(uid);
            }
        }
    }

    async fn start(&mut self, uid: &str, pod: &Value) {
        let word = |at: &str| pod["metadata"][at].as_str().unwrap().to_owned();
        let (namespace, name) = (word("namespace"), word("name"));
        if pod["spec"]["nodeName"].is_null() {
            self.kubernetes.bind(&namespace, &name, NAME).await;
        }
        let cold = pod["metadata"]["annotations"][COLD_START].as_str().unwrap_or("0");
        let ready_at = Instant::now() + Duration::from_secs_f64(cold.parse().unwrap());
        let process = match self.command(&namespace, pod).await {
            Some(command) => {
                let log = format!("{namespace}-{name}");
                Some(Process::start(&log, self.logs.path(), command))
            }
            None => None,
        };
        let pod = Pod {
            namespace,
            name,
            process,
            ready_at,
            is_ready: false,
            kill_at: None,
            has_ended: false,
        };
        self.pods.insert(uid.to_owned(), pod);
    }

    /// The command of its first container, with the values of its variables in place of `$(NAME)`.
    async fn command(&self, namespace: &str, pod: &Value) -> Option<Command> {
        let container = &pod["spec"]["containers"][0];
        let mut variables = vec![];
        for variable in container["env"].as_array().into_iter().flatten() {
            let value = match variable["value"].as_str() {
                Some(value) => value.to_owned(),
                None => self.secret(namespace, variable).await,
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

    async fn secret(&self, namespace: &str, variable: &Value) -> String {
        let from = &variable["valueFrom"]["secretKeyRef"];
        let [name, key] = ["name", "key"].map(|key| from[key].as_str().unwrap());
        self.kubernetes.secret(namespace, name, key).await
    }

    /// Goes on with a Pod; true when it is done with it.
    async fn step(&mut self, uid: &str, seen: Option<&Value>) -> bool {
        let now = Instant::now();
        let kubernetes = self.kubernetes.clone();
        let pod = self.pods.get_mut(uid).unwrap();
        let deleted = seen.is_none_or(|seen| !seen["metadata"]["deletionTimestamp"].is_null());
        if deleted && pod.kill_at.is_none() {
            let grace =
                seen.and_then(|seen| seen["metadata"]["deletionGracePeriodSeconds"].as_u64());
            pod.kill_at = Some(now + Duration::from_secs(grace.unwrap_or(0)));
            if let Some(process) = &pod.process {
                process.signal(Signal::TERM);
            }
        }
        let ended = pod.process.as_mut().map(Process::ended);
        if let Some(kill_at) = pod.kill_at {
            if ended == Some(None) && now > kill_at {
                pod.process.as_mut().unwrap().kill();
            } else if ended == Some(None) {
                return false;
            }
            if seen.is_some() {
                kubernetes.delete("Pod", &pod.namespace, &pod.name, Some(0)).await;
            }
            return true;
        }
        match ended {
            Some(Some(status)) if !pod.has_ended => {
                pod.has_ended = true;
                let code = status.code().unwrap_or(137);
                let is_job = seen.is_some_and(|seen| seen["spec"]["restartPolicy"] == "Never");
                if code != 0 || !is_job {
                    println!("{}/{} ended with {status}", pod.namespace, pod.name);
                    println!("{}", pod.process.as_ref().unwrap().last_lines());
                }
                let status = ended_status(code);
                kubernetes.merge_status("Pod", &pod.namespace, &pod.name, status).await;
            }
            Some(Some(_)) => {}
            Some(None) | None if !pod.is_ready && now >= pod.ready_at => {
                pod.is_ready = true;
                kubernetes.merge_status("Pod", &pod.namespace, &pod.name, running_status()).await;
            }
            Some(None) | None => {}
        }
        false
    }
}

fn uid_of(pod: &Value) -> String {
    pod["metadata"]["uid"].as_str().unwrap().to_owned()
}

fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

fn running_status() -> Value {
    let conditions = ["Initialized", "PodScheduled", "ContainersReady", "Ready"];
    let conditions = conditions.map(|kind| json!({"type": kind, "status": "True"}));
    json!({
        "phase": "Running",
        "conditions": conditions,
        "containerStatuses": [container(true, &json!({"running": {}}))],
    })
}

fn ended_status(code: i32) -> Value {
    let state = json!({"terminated": {"exitCode": code}});
    json!({
        "phase": if code == 0 { "Succeeded" } else { "Failed" },
        "containerStatuses": [container(false, &state)],
    })
}

fn container(is_ready: bool, state: &Value) -> Value {
    json!({
        "name": "worker", "ready": is_ready, "restartCount": 0,
        "image": "worker", "imageID": "worker", "state": state,
    })
}
