//! A producer and workers on plain lists: jobs wait in one list,
//! and a worker moves each to an in-flight list while it runs.
//!
//! The service itself only reads, so this is no part of it.

use deadpool_redis::redis::{self, Client, FromRedisValue, aio::MultiplexedConnection};

/// The two lists of the demo.
#[derive(Debug, Clone)]
pub struct Jobs {
    connection: MultiplexedConnection,
    waiting: String,
    in_flight: String,
}

/// A job that a worker has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job(String);

/// How many jobs each list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Jobs that wait.
    pub waiting: usize,
    /// Jobs that workers have taken.
    pub in_flight: usize,
}

/// Redis failed under the demo.
#[derive(Debug, thiserror::Error)]
#[error("the demo's Redis failed: {0}")]
pub struct JobsError(#[from] redis::RedisError);

impl Jobs {
    /// Connects to the Redis of the demo.
    ///
    /// # Errors
    /// [`JobsError`] when it cannot be reached.
    pub async fn connect(url: &str, queue: &str) -> Result<Self, JobsError> {
        let connection = Client::open(url)?.get_multiplexed_async_connection().await?;
        Ok(Self { connection, waiting: queue.to_owned(), in_flight: format!("{queue}:in-flight") })
    }

    /// The key of the in-flight list.
    #[must_use]
    pub fn in_flight_key(&self) -> &str {
        &self.in_flight
    }

    /// Enqueues jobs with these names.
    ///
    /// # Errors
    /// [`JobsError`] when Redis fails.
    pub async fn enqueue(&mut self, names: &[String]) -> Result<(), JobsError> {
        let mut command = redis::cmd("LPUSH");
        command.arg(&self.waiting).arg(names);
        self.send::<i64>(&command).await.map(drop)
    }

    /// Takes the job that waits longest; it is in flight from the same moment on.
    ///
    /// # Errors
    /// [`JobsError`] when Redis fails.
    pub async fn take(&mut self) -> Result<Option<Job>, JobsError> {
        let mut command = redis::cmd("LMOVE");
        command.arg(&self.waiting).arg(&self.in_flight).arg("RIGHT").arg("LEFT");
        Ok(self.send::<Option<String>>(&command).await?.map(Job))
    }

    /// Finishes a job.
    ///
    /// # Errors
    /// [`JobsError`] when Redis fails.
    pub async fn finish(&mut self, job: &Job) -> Result<(), JobsError> {
        let mut command = redis::cmd("LREM");
        command.arg(&self.in_flight).arg(1).arg(&job.0);
        self.send::<i64>(&command).await.map(drop)
    }

    /// How many jobs each list holds.
    ///
    /// # Errors
    /// [`JobsError`] when Redis fails.
    pub async fn lengths(&mut self) -> Result<Lengths, JobsError> {
        let pipeline = redis::pipe().llen(&self.waiting).llen(&self.in_flight).clone();
        let (waiting, in_flight) = pipeline.query_async(&mut self.connection).await?;
        Ok(Lengths { waiting, in_flight })
    }

    async fn send<T: FromRedisValue>(&mut self, command: &redis::Cmd) -> Result<T, JobsError> {
        Ok(command.query_async(&mut self.connection).await?)
    }
}
