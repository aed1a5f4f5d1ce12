//! The only place that spawns tasks: the first one to end stops the process by its name, then
//! everything ends in order and within a bound.
//!
//! No task can end unseen. It does not know what the tasks do.

use std::{collections::HashMap, error::Error, fmt, future::Future};

use tokio::{
    task::{Id, JoinError, JoinSet},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{info, warn};

use crate::limits;

/// What a task ends with.
pub type TaskResult = Result<(), Box<dyn Error + Send + Sync>>;

/// When a task ends in a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// First: what serves calls.
    Front,
    /// Then: what the calls needed.
    Back,
}

/// Why the process stops unasked.
#[derive(Debug, thiserror::Error)]
#[error("{task} ended: {why}")]
pub struct Ended {
    pub task: String,
    /// What it ended with.
    pub why: String,
}

/// Starts a task that serves one thing alone and ends with it: when the handle is dropped. Its end is
/// seen by that thing, so that it needs no name here.
#[expect(clippy::disallowed_methods, reason = "this is the one file that spawns")]
pub fn attend(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// The tasks of the process.
#[derive(Debug, Default)]
pub struct Supervisor {
    tasks: JoinSet<TaskResult>,
    names: HashMap<Id, (Stage, String)>,
    drain: CancellationToken,
    stop: CancellationToken,
}

impl Supervisor {
    /// Cancelled when the drain begins: tasks of the front end by themselves then.
    #[must_use]
    pub fn drain(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Cancelled when the front has ended: tasks of the back end by themselves then.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    pub fn spawn<F>(&mut self, stage: Stage, name: impl fmt::Display, task: F)
    where
        F: Future<Output = TaskResult> + Send + 'static,
    {
        let handle = self.tasks.spawn(task);
        self.names.insert(handle.id(), (stage, name.to_string()));
    }

    /// Runs until `until` comes or a task ends, then drains within [`limits::DRAIN_DEADLINE`].
    ///
    /// # Errors
    /// [`Ended`] when a task ended by itself.
    pub async fn run(mut self, until: impl Future<Output = ()>) -> Result<(), Ended> {
        let outcome = tokio::select! {
            () = until => Ok(()),
            ended = self.next() => Err(ended),
        };
        let deadline = Instant::now() + limits::DRAIN_DEADLINE;
        info!(deadline = ?limits::DRAIN_DEADLINE, "draining");
        self.drain.cancel();
        self.end(Stage::Front, deadline).await;
        self.stop.cancel();
        self.end(Stage::Back, deadline).await;
        self.tasks.abort_all();
        outcome
    }

    async fn end(&mut self, stage: Stage, deadline: Instant) {
        while self.names.values().any(|(of, _)| *of == stage) {
            if timeout_at(deadline, self.next()).await.is_err() {
                let left: Vec<&str> = self.names.values().map(|(_, name)| name.as_str()).collect();
                warn!(tasks = left.join(", "), "did not end within the bound of the drain");
                return;
            }
        }
    }

    async fn next(&mut self) -> Ended {
        match self.tasks.join_next_with_id().await {
            Some(ended) => self.name(ended),
            None => std::future::pending().await,
        }
    }

    fn name(&mut self, ended: Result<(Id, TaskResult), JoinError>) -> Ended {
        let (id, why) = match ended {
            Ok((id, Ok(()))) => (id, "it had nothing more to do".to_owned()),
            Ok((id, Err(error))) => (id, error.to_string()),
            Err(error) => (error.id(), error.to_string()),
        };
        let task = self.names.remove(&id).map_or_else(|| "a task".to_owned(), |(_, name)| name);
        Ended { task, why }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn the_first_task_to_end_stops_the_process_by_its_name() {
        let mut supervisor = Supervisor::default();
        supervisor.spawn(Stage::Front, "listener", async { Err("no more sockets".into()) });
        let stop = supervisor.stop();
        supervisor.spawn(Stage::Back, "worker", async move {
            stop.cancelled().await;
            Ok(())
        });
        let ended = supervisor.run(pending()).await.unwrap_err();
        assert_eq!(ended.to_string(), "listener ended: no more sockets");
    }

    #[tokio::test(start_paused = true)]
    async fn the_back_stays_up_until_the_front_has_ended() {
        let mut supervisor = Supervisor::default();
        let (drain, stop) = (supervisor.drain(), supervisor.stop());
        let stopped = stop.clone();
        supervisor.spawn(Stage::Front, "calls", async move {
            drain.cancelled().await;
            sleep(Duration::from_secs(2)).await;
            if stopped.is_cancelled() { Err("the back went first".into()) } else { Ok(()) }
        });
        supervisor.spawn(Stage::Back, "worker", async move {
            stop.cancelled().await;
            Ok(())
        });
        supervisor.run(async {}).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_end_holds_the_exit_no_longer_than_the_bound() {
        let mut supervisor = Supervisor::default();
        supervisor.spawn(Stage::Front, "stuck", pending());
        let started = Instant::now();
        supervisor.run(async {}).await.unwrap();
        assert_eq!(started.elapsed(), limits::DRAIN_DEADLINE);
    }
}
