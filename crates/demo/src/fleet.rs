//! The workers: as many as the pretended Deployment has replicas.
//!
//! Each is what a pod would be: it takes jobs while it lives; told to go it finishes the job it has
//! within its grace period (Kubernetes' default of 30 s, on the demo's clock, but never less than
//! one real second), and is cut after it. It does not know who decides their number.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use penstock::time::Instant;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{DemoError, Jobs, Load, SharedBoard};

/// How long an idle worker waits before it looks for a job again.
const IDLE: Duration = Duration::from_millis(25);
/// Kubernetes' default terminationGracePeriodSeconds.
const GRACE: Duration = Duration::from_secs(30);

/// Keeps as many workers as are wanted.
pub(super) async fn run(
    shared: SharedBoard,
    load: Load,
    jobs: Jobs,
    mut wanted: watch::Receiver<u32>,
) -> Result<(), DemoError> {
    let mut workers = FuturesUnordered::new();
    let mut stops: Vec<CancellationToken> = Vec::new();
    loop {
        let replicas = usize::try_from(*wanted.borrow_and_update()).unwrap_or(usize::MAX);
        while stops.len() < replicas {
            let stop = CancellationToken::new();
            stops.push(stop.clone());
            let worker = Worker { shared: shared.clone(), load, jobs: jobs.clone(), stop };
            workers.push(worker.work());
        }
        // The youngest goes first, as a ReplicaSet does among equals.
        while stops.len() > replicas {
            if let Some(stop) = stops.pop() {
                stop.cancel();
            }
        }
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() {
                return Ok(());
            },
            Some(ended) = workers.next() => ended?,
        }
    }
}

struct Worker {
    shared: SharedBoard,
    load: Load,
    jobs: Jobs,
    stop: CancellationToken,
}

impl Worker {
    async fn work(mut self) -> Result<(), DemoError> {
        while !self.stop.is_cancelled() {
            match self.jobs.take().await? {
                Some(job) => {
                    if self.lives_through_a_job().await {
                        self.jobs.finish(&job).await?;
                        self.shared.board().done += 1;
                    } else {
                        let mut board = self.shared.board();
                        board.cut += 1;
                        board.event("worker: cut while a job ran", Instant::now());
                        return Ok(());
                    }
                }
                None => tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = sleep(IDLE) => {}
                },
            }
        }
        Ok(())
    }

    async fn lives_through_a_job(&self) -> bool {
        let grace = GRACE.div_f64(self.load.speed).max(Duration::from_secs(1));
        let killed = async {
            self.stop.cancelled().await;
            sleep(grace).await;
        };
        tokio::select! {
            () = sleep(self.load.job_time) => true,
            () = killed => false,
        }
    }
}
