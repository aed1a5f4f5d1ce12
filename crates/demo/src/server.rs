//! A redis-server of the demo's own: on a free port, without a disk, gone with the demo.

use std::{io, net::TcpListener, path::Path, process::Stdio, time::Duration};

use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};

/// How long the server may take to listen.
const START: Duration = Duration::from_secs(10);
/// Ports that are tried, since another process may take one first.
const ATTEMPTS: usize = 5;

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    _process: Child,
    port: u16,
    bus_port: u16,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The program cannot be started.
    #[error(
        "cannot start {program}: {error}; name a redis-server or valkey-server with --redis-server"
    )]
    Start {
        /// The program.
        program: String,
        /// Why not.
        error: io::Error,
    },
    /// It ended, or did not listen in time.
    #[error("{0} did not listen on a free port of 127.0.0.1")]
    NotListening(String),
}

impl RedisServer {
    /// Starts a program that is a Redis or Valkey server.
    ///
    /// # Errors
    /// [`ServerError`] when it does not run.
    pub async fn start(program: &Path) -> Result<Self, ServerError> {
        Self::run(program, None).await
    }

    /// Starts one that may be joined to a cluster and keeps what it knows of it in this folder.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub async fn node(program: &Path, folder: &Path) -> Result<Self, ServerError> {
        Self::run(program, Some(folder)).await
    }

    async fn run(program: &Path, cluster: Option<&Path>) -> Result<Self, ServerError> {
        for _ in 0..ATTEMPTS {
            let start =
                |error| ServerError::Start { program: program.display().to_string(), error };
            let (port, bus_port) = (free_port().map_err(start)?, free_port().map_err(start)?);
            let mut command = Command::new(program);
            if let Some(folder) = cluster {
                command.current_dir(folder).args(["--cluster-enabled", "yes"]);
                command.args(["--cluster-port", &bus_port.to_string()]);
            }
            let mut process = command
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
                .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .map_err(start)?;
            if listens(&mut process, port).await {
                return Ok(Self { _process: process, port, bus_port });
            }
        }
        Err(ServerError::NotListening(program.display().to_string()))
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port for the other nodes of its cluster, if it has one.
    #[must_use]
    pub fn bus_port(&self) -> u16 {
        self.bus_port
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Whether the process comes to listen before it ends or the time is over.
async fn listens(process: &mut Child, port: u16) -> bool {
    let connects = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        connected = timeout(START, connects) => connected.is_ok(),
        _ = process.wait() => false,
    }
}
