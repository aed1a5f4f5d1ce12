//! Many open `StreamIsActive` over one connection, and which of them were told `true`.
//!
//! Each is a task that waits for its next message and hands it over; what opens and closes them only waits.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{Duration, timeout},
};

use crate::{
    client::Scaler,
    proto::{IsActiveResponse, ScaledObjectRef},
};

/// Streams that are being opened at the same time.
const OPENING: usize = 64;
/// How long anything that must come may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Open streams; they close when this is dropped.
#[derive(Debug)]
pub struct Streams {
    tasks: JoinSet<anyhow::Result<()>>,
    activated: mpsc::Receiver<usize>,
}

impl Streams {
    /// Opens a stream for each trigger and waits until each was told `false`.
    pub async fn open(scaler: &Scaler, triggers: &[ScaledObjectRef]) -> anyhow::Result<Self> {
        let (tell, activated) = mpsc::channel(1024);
        let (tell_ready, mut ready) = mpsc::channel(1024);
        let gate = Arc::new(Semaphore::new(OPENING));
        let mut tasks = JoinSet::new();
        for (index, trigger) in triggers.iter().enumerate() {
            let (scaler, trigger) = (scaler.clone(), trigger.clone());
            let (tell, tell_ready, gate) = (tell.clone(), tell_ready.clone(), Arc::clone(&gate));
            tasks.spawn(async move {
                let permit = gate.acquire_owned().await?;
                let mut stream = begin(scaler, &trigger).await?;
                drop(permit);
                tell_ready.send(()).await?;
                drop((tell_ready, trigger));
                while let Some(message) = stream.message().await? {
                    if message.result {
                        tell.send(index).await?;
                    }
                }
                bail!("a stream ended")
            });
        }
        let mut streams = Self { tasks, activated };
        for _ in triggers {
            tokio::select! {
                _ = ready.recv() => {}
                failure = failure(&mut streams.tasks) => return Err(failure),
            }
        }
        Ok(streams)
    }

    /// Waits until this stream is told `true`. What others are told, such as the repeat of an
    /// earlier activation, is passed over.
    pub async fn activated(&mut self, index: usize) -> anyhow::Result<()> {
        let told = async {
            loop {
                tokio::select! {
                    told = self.activated.recv() => if told.context("all streams ended")? == index {
                        return Ok(());
                    },
                    failure = failure(&mut self.tasks) => return Err(failure),
                }
            }
        };
        timeout(PATIENCE, told).await.context("a stream was not told true")?
    }

    /// Closes all streams and waits until their tasks are gone.
    pub async fn close(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn begin(
    mut scaler: Scaler,
    trigger: &ScaledObjectRef,
) -> anyhow::Result<tonic::Streaming<IsActiveResponse>> {
    let mut stream = scaler.stream(trigger).await?;
    let first = timeout(PATIENCE, stream.message()).await.context("no first state")??;
    ensure!(!first.context("a stream ended at once")?.result, "active from the start");
    Ok(stream)
}

/// Why a stream ended, which none may.
async fn failure(tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Error {
    match tasks.join_next().await {
        Some(Ok(Err(error))) => error,
        Some(Ok(Ok(()))) | None => anyhow::anyhow!("a stream ended"),
        Some(Err(error)) => error.into(),
    }
}
