//! The processes that are measured: a Redis, the service, and a server that does nothing, each on
//! ports of its own and ended by its pid.
//!
//! What they cost can be told from what asking costs. Both servers get an empty environment and are otherwise
//! started as anybody would.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use penstock_demo::RedisServer;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStderr, Command},
    task::JoinSet,
    time::timeout,
};

use crate::{
    cluster::{self, Cluster},
    resp::Connection,
};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(10);

/// The programs that are started.
#[derive(Debug, Clone)]
pub struct Programs {
    /// A redis-server or valkey-server.
    pub redis_server: PathBuf,
    /// The service.
    pub penstock: PathBuf,
}

/// What one measurement runs against.
#[derive(Debug)]
pub struct TestBed {
    /// The service, on its Redis.
    pub penstock: Server,
    /// The server that does nothing.
    pub noop: Server,
    redis: Redis,
}

/// What jobs are in.
#[derive(Debug)]
enum Redis {
    One(RedisServer),
    Cluster(Cluster),
}

impl TestBed {
    /// Starts a fresh Redis, or a cluster of them, and both servers.
    pub async fn start(programs: &Programs, on_cluster: bool) -> anyhow::Result<Self> {
        let mut service = Command::new(&programs.penstock);
        service.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        service.args(["--log-format", "json"]);
        let redis = if on_cluster {
            let cluster = Cluster::start(&programs.redis_server).await?;
            service.arg("--config").arg(cluster.config()?);
            Redis::Cluster(cluster)
        } else {
            let redis = RedisServer::start(&programs.redis_server).await?;
            service.args(["--redis", &redis.url()]);
            Redis::One(redis)
        };
        let mut nothing = Command::new(std::env::current_exe()?);
        nothing.arg("noop");
        let penstock = Server::start(service, &programs.penstock, true).await?;
        let noop = Server::start(nothing, Path::new("noop"), false).await?;
        Ok(Self { penstock, noop, redis })
    }

    /// A connection to the Redis, or to each node of the cluster.
    pub async fn nodes(&self) -> anyhow::Result<Vec<Connection>> {
        let servers = match &self.redis {
            Redis::One(server) => std::slice::from_ref(server),
            Redis::Cluster(cluster) => &cluster.servers,
        };
        cluster::connections(servers).await
    }

    /// A connection to the Redis.
    pub async fn redis(&self) -> anyhow::Result<Connection> {
        self.nodes().await?.into_iter().next().context("there is no Redis")
    }

    /// Ends all of it; the Redis goes when it is dropped.
    pub async fn end(self) -> anyhow::Result<()> {
        self.penstock.end().await?;
        self.noop.end().await
    }
}

/// A gRPC server that runs as a process of its own; it is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    grpc: String,
    admin: Option<String>,
    /// Reads on, so that the server never waits for a full pipe.
    _log: JoinSet<()>,
}

impl Server {
    async fn start(mut command: Command, name: &Path, has_admin: bool) -> anyhow::Result<Self> {
        let name = name.display();
        command.env_clear().kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let pipe = process.stderr.take().context("the pipe of the log")?;
        let mut log = BufReader::new(pipe).lines();
        let addresses = timeout(START, addresses(&mut log, has_admin)).await;
        let (grpc, admin) = addresses
            .with_context(|| format!("{name} does not come to serve"))?
            .with_context(|| format!("{name} does not serve"))?;
        let mut reader = JoinSet::new();
        reader.spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Ok(Self { process, grpc, admin, _log: reader })
    }

    /// Where it serves gRPC.
    pub fn grpc(&self) -> &str {
        &self.grpc
    }

    /// Its resident memory in MB (10⁶ bytes).
    pub fn resident_mb(&self) -> anyhow::Result<f64> {
        let pid = self.process.id().context("the process has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        let kib: u32 = kib.context("no VmRSS in /proc")?.parse()?;
        Ok(f64::from(kib) * 1024.0 / 1e6)
    }

    /// The sum of a metric over all of its lines that contain this label; `None` if there is no
    /// such line.
    pub async fn metric(&self, name: &str, label: &str) -> anyhow::Result<Option<f64>> {
        let admin = self.admin.as_ref().context("this server has no metrics")?;
        let mut stream = TcpStream::connect(admin).await?;
        let head = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut page = String::new();
        stream.read_to_string(&mut page).await?;
        ensure!(page.starts_with("HTTP/1.1 200"), "/metrics answers {:?}", page.lines().next());
        let lines = page.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && line.contains(label)
        });
        let numbers: Result<Vec<f64>, _> =
            lines.filter_map(|line| line.rsplit(' ').next()).map(str::parse).collect();
        let numbers = numbers?;
        Ok((!numbers.is_empty()).then(|| numbers.iter().sum()))
    }

    async fn end(mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }
}

/// Where a server says that it serves: gRPC, and its admin side if it has one.
async fn addresses(
    log: &mut Lines<BufReader<ChildStderr>>,
    has_admin: bool,
) -> anyhow::Result<(String, Option<String>)> {
    let (mut grpc, mut admin, mut said) = (None, None, Vec::new());
    while grpc.is_none() || (has_admin && admin.is_none()) {
        let Some(line) = log.next_line().await? else {
            bail!("it ended, and said: {}", said.join("\n"));
        };
        if let Ok(entry) = serde_json::from_str::<Value>(&line) {
            let address = || entry["address"].as_str().map(str::to_owned);
            match entry["message"].as_str() {
                Some("serving gRPC") => grpc = address(),
                Some("serving admin HTTP") => admin = address(),
                _ => {}
            }
        }
        said.push(line);
    }
    Ok((grpc.context("no address of gRPC")?, admin))
}
