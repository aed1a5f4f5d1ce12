//! A Pod on the node: its process, and what the API server is to be told of it.

use std::{path::Path, process::Command, time::Duration};

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::process::Process;

/// Seconds from a Pod's start until it is ready, that its manifest may ask for.
const COLD_START: &str = "penstock.test/cold-start";
/// What a shell says of a process that was killed.
const KILLED: i32 = 137;

/// A Pod that was bound here.
pub struct Pod {
    pub namespace: String,
    pub name: String,
    process: Option<Process>,
    ready_at: Instant,
    is_ready: bool,
    kill_at: Option<Instant>,
    has_ended: bool,
}

/// What is to be said of a Pod.
pub enum Step {
    /// Its status.
    Tell(Value),
    /// It was deleted and has ended.
    IsGone,
}

impl Pod {
    /// Starts its command, if it has one.
    pub fn start(pod: &Value, command: Option<Command>, logs: &Path) -> Self {
        let [namespace, name] =
            ["namespace", "name"].map(|at| pod["metadata"][at].as_str().unwrap().to_owned());
        let cold = pod["metadata"]["annotations"][COLD_START].as_str().unwrap_or("0");
        let ready_at = Instant::now() + Duration::from_secs_f64(cold.parse().unwrap());
        let process =
            command.map(|command| Process::start(&format!("{namespace}-{name}"), logs, &command));
        let (is_ready, kill_at, has_ended) = (false, None, false);
        Self { namespace, name, process, ready_at, is_ready, kill_at, has_ended }
    }

    /// Goes on with it, given what the API server has of it.
    pub fn step(&mut self, seen: Option<&Value>) -> Option<Step> {
        let now = Instant::now();
        let deleted = seen.is_none_or(|seen| !seen["metadata"]["deletionTimestamp"].is_null());
        if deleted && self.kill_at.is_none() {
            let grace =
                seen.and_then(|seen| seen["metadata"]["deletionGracePeriodSeconds"].as_u64());
            self.kill_at = Some(now + Duration::from_secs(grace.unwrap_or(0)));
            if let Some(process) = &mut self.process {
                process.signal(Signal::TERM);
            }
        }
        let ended = self.process.as_mut().map(Process::ended);
        let runs = ended == Some(None);
        match self.kill_at {
            Some(kill_at) if runs && now <= kill_at => return None,
            // Its end kills its process.
            Some(_) => return Some(Step::IsGone),
            None => {}
        }
        if let Some(Some(status)) = ended {
            if self.has_ended {
                return None;
            }
            self.has_ended = true;
            let code = status.code().unwrap_or(KILLED);
            let is_job = seen.is_some_and(|seen| seen["spec"]["restartPolicy"] == "Never");
            if code != 0 || !is_job {
                println!("{}/{} ended with {status}", self.namespace, self.name);
                println!("{}", self.process.as_ref().unwrap().last_lines());
            }
            return Some(Step::Tell(ended_status(code)));
        }
        if self.is_ready || now < self.ready_at {
            return None;
        }
        self.is_ready = true;
        Some(Step::Tell(running_status()))
    }
}

/// Whether the API server has a Pod as one that ended or is to end.
pub fn is_over(pod: &Value) -> bool {
    let has_ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    has_ended || !pod["metadata"]["deletionTimestamp"].is_null()
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
