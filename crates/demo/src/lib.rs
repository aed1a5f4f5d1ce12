//! KEDA, workers and jobs in one process: what `make demo` shows, without Kubernetes.
//!
//! A real Redis and a real service, called over gRPC as KEDA 2.20 calls it; only the cluster is
//! pretended, by [`penstock_hpa`] and a fleet of worker tasks. It prints nothing: it keeps a
//! [`Board`] that the command line draws.

mod board;
mod fleet;
mod jobs;
mod server;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use penstock::time::Instant;
use penstock_hpa::{Activity, HpaFlags, ScaledObject, Target, Trigger};
use penstock_keda_client::{ConnectError, Happening, Keda, Workload};
use tokio::{sync::watch, time::sleep};

pub use board::{Board, Event};
pub use jobs::{Job, Jobs, JobsError, Lengths};
pub use server::{RedisServer, ServerError};

/// The queue that the demo's jobs wait in.
pub const QUEUE: &str = "demo:jobs";

/// How much the demo does, and how fast.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// By how much KEDA's and the HPA's clocks run faster than a real cluster's.
    pub speed: f64,
    /// Jobs that are enqueued.
    pub jobs: usize,
    /// How long one job runs, in real time.
    pub job_time: Duration,
    /// Jobs per replica.
    pub target: f64,
    /// The most workers.
    pub max_replicas: u32,
}

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Redis failed.
    #[error(transparent)]
    Jobs(#[from] JobsError),
    /// KEDA cannot look after the workload.
    #[error(transparent)]
    Keda(#[from] ConnectError),
    /// A number is out of its range.
    #[error("{0}")]
    Range(String),
}

/// The board, shared by everything that writes on it.
#[derive(Clone)]
pub struct SharedBoard(Arc<Mutex<Board>>);

impl SharedBoard {
    /// A board that nothing is written on yet.
    #[must_use]
    pub fn new(load: Load) -> Self {
        Self(Arc::new(Mutex::new(Board::new(load, Instant::now()))))
    }

    /// The board, for a moment.
    pub fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock()
    }
}

impl fmt::Debug for SharedBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedBoard")
    }
}

/// Plays the demo against a service at `scaler` and the Redis at `redis`, until the workers are back
/// at zero with all jobs done.
///
/// # Errors
/// [`DemoError`] when Redis or the service fails in a way that ends the demo.
pub async fn play(
    shared: &SharedBoard,
    load: Load,
    (scaler, redis): (&str, &str),
) -> Result<(), DemoError> {
    let jobs = Jobs::connect(redis, QUEUE).await?;
    let (wanted, replicas) = watch::channel(0);
    let keda = Keda::connect(scaler, workload(load, scaler, jobs.in_flight_key())?).await?;
    tokio::select! {
        ended = decide(shared, keda, wanted) => ended,
        ended = fleet::run(shared.clone(), load, jobs.clone(), replicas) => ended,
        ended = measure(shared, jobs.clone()) => ended,
        ended = produce(shared, load, jobs) => ended,
    }
}

/// One `external-push` trigger with the defaults of KEDA.
fn workload(load: Load, scaler: &str, in_flight: &str) -> Result<Workload, DemoError> {
    let target =
        Target::try_from(load.target).map_err(|error| DemoError::Range(error.to_string()))?;
    let object = ScaledObject {
        triggers: vec![Trigger { target, activation: 0.0 }],
        max_replica_count: load.max_replicas,
        ..ScaledObject::default()
    };
    let pairs = [
        ("scalerAddress", scaler.to_owned()),
        ("queue", QUEUE.to_owned()),
        ("inFlight", in_flight.to_owned()),
        ("target", load.target.to_string()),
    ];
    let metadata: HashMap<String, String> =
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Ok(Workload { object, flags: HpaFlags::default(), metadata, speed: load.speed })
}

/// Plays KEDA until the workers are back at zero with all jobs done.
async fn decide(
    shared: &SharedBoard,
    mut keda: Keda,
    wanted: watch::Sender<u32>,
) -> Result<(), DemoError> {
    loop {
        let due = keda.next().await;
        let happened = keda.act(due).await;
        let (now, mut board) = (Instant::now(), shared.board());
        for happening in happened {
            if matches!(
                happening,
                Happening::Pushed(true) | Happening::Changed(Activity::Activated)
            ) {
                board.activated(now);
            }
            board.event(happening.to_string(), now);
        }
        board.scaled(keda.replicas());
        wanted.send_replace(keda.replicas());
        if board.is_drained() && board.replicas == 0 {
            return Ok(());
        }
    }
}

/// Enqueues a few jobs, then the rest in one burst.
async fn produce(shared: &SharedBoard, load: Load, mut jobs: Jobs) -> Result<(), DemoError> {
    sleep(Duration::from_secs(2)).await;
    let names: Vec<String> = (1..=load.jobs).map(|number| format!("job-{number}")).collect();
    let (first, rest) = names.split_at(load.jobs.min(3));
    for (names, pause) in [(first, Duration::from_secs(2)), (rest, Duration::ZERO)] {
        if names.is_empty() {
            continue;
        }
        shared.board().enqueued(names.len(), Instant::now());
        jobs.enqueue(names).await?;
        sleep(pause).await;
    }
    std::future::pending().await
}

/// Keeps the lengths of the lists on the board.
async fn measure(shared: &SharedBoard, mut jobs: Jobs) -> Result<(), DemoError> {
    loop {
        let lengths = jobs.lengths().await?;
        shared.board().lengths = lengths;
        sleep(Duration::from_millis(50)).await;
    }
}
