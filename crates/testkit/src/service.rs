//! The real binary: `penstock serve` with its own ports, its log, and its end.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use crate::{PATIENCE, Server, eventually, programs, wire::Keda};

/// How the service is started.
#[derive(Default)]
pub struct Setup {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    config: Option<String>,
    listen: Option<String>,
}

impl Setup {
    /// With `--redis`, which is `URL` or `NAME=URL`.
    pub fn redis(mut self, url: impl Into<String>) -> Self {
        self.arguments.extend(["--redis".to_owned(), url.into()]);
        self
    }

    /// With one more flag and its value.
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.arguments.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// With gRPC on this address in place of a free port.
    pub fn listen(mut self, address: &str) -> Self {
        self.listen = Some(address.to_owned());
        self
    }

    /// With an environment variable.
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// With a configuration file of this text.
    pub fn config(mut self, toml: impl Into<String>) -> Self {
        self.config = Some(toml.into());
        self
    }

    /// Starts the service and waits until it says that it serves.
    pub async fn start(self) -> Service {
        let mut service = self.spawn();
        let grpc = service.address("serving gRPC").await;
        let admin = service.address("serving admin HTTP").await;
        service.addresses = Some((grpc, admin));
        service
    }

    /// Starts the process, which may not come to serve.
    pub fn spawn(self) -> Service {
        let folder = TempDir::new().unwrap();
        let mut command = programs::penstock();
        let listen = self.listen.as_deref().unwrap_or("127.0.0.1:0");
        command.args(["serve", "--listen", listen, "--admin-listen", "127.0.0.1:0"]);
        command.args(["--log-format", "json"]).args(self.arguments).envs(self.environment);
        if let Some(toml) = self.config {
            let path = folder.path().join("penstock.toml");
            fs::write(&path, toml).unwrap();
            command.arg("--config").arg(path);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let (log, pipe) = (Arc::clone(&lines), process.stderr.take().unwrap());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Service { process, lines, reader: Some(reader), addresses: None, _folder: folder }
    }
}

/// A running service, killed when it is dropped.
pub struct Service {
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<std::thread::JoinHandle<()>>,
    addresses: Option<(String, String)>,
    _folder: TempDir,
}

impl Service {
    /// A service of one Redis, nothing else set.
    pub async fn of(server: &Server) -> Self {
        Setup::default().redis(server.url()).start().await
    }

    /// A service whose Redis is nowhere.
    pub async fn alone() -> Self {
        Setup::default().redis("redis://127.0.0.1:1").start().await
    }

    /// Where gRPC is served.
    pub fn grpc(&self) -> &str {
        &self.addresses.as_ref().unwrap().0
    }

    /// Where probes and metrics are served.
    pub fn admin(&self) -> &str {
        &self.addresses.as_ref().unwrap().1
    }

    /// A client on a connection of its own.
    pub async fn keda(&self) -> Keda {
        Keda::connect(self.grpc()).await
    }

    async fn address(&self, message: &str) -> String {
        self.logged(message, 1).await[0]["address"].as_str().unwrap().to_owned()
    }

    /// Every line of the log that has come so far.
    pub fn log(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The lines with this message that have come so far.
    pub fn log_with(&self, message: &str) -> Vec<Value> {
        let lines = self.log();
        let parsed = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed.filter(|line| line["message"] == message).collect()
    }

    /// The lines with this message, once they have come: this many, no more. The log comes by a pipe, in
    /// its own time: an answer may be here before the line that says why.
    pub async fn logged(&self, message: &str, number: usize) -> Vec<Value> {
        let lines = eventually(PATIENCE, async || {
            let lines = self.log_with(message);
            if lines.len() >= number { Ok(lines) } else { Err(self.log()) }
        })
        .await;
        assert_eq!(lines.len(), number, "{lines:#?}");
        lines
    }

    /// The log, once it says this.
    pub async fn says(&self, part: &str) -> String {
        eventually(PATIENCE, async || {
            let log = self.log().join("\n");
            if log.contains(part) { Ok(log) } else { Err(log) }
        })
        .await
    }

    /// GET on the admin address: the status and the body.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin()).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// What the system tells of its process, by name (proc(5)).
    pub fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.process.id()))
    }

    /// How many kilobytes of memory its process has.
    pub fn memory(&self) -> u64 {
        self.kilobytes("VmRSS:")
    }

    /// How many it has had at most.
    pub fn peak(&self) -> u64 {
        self.kilobytes("VmHWM:")
    }

    fn kilobytes(&self, name: &str) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()).unwrap().parse().unwrap()
    }

    /// How many descriptors its process has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    /// The value of a metric; several of that name are added up.
    pub async fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics").await;
        let of_name = text.lines().filter_map(|line| line.strip_prefix(name));
        let values = of_name.filter_map(|rest| rest.rsplit_once(' '));
        values.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
    }

    /// Sends it a signal: `TERM`, `INT`.
    pub fn signal(&self, name: &str) {
        programs::signal(self.process.id(), name);
    }

    /// Waits for its end; gives its exit status and how long that took.
    pub async fn ended(&mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        let within = Duration::from_secs(15);
        let status =
            eventually(within, async || self.process.try_wait().unwrap().ok_or("it runs")).await;
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        (status, start.elapsed())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the service's log:\n{}", self.log().join("\n"));
        }
        // It may have ended by itself, which is as good.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
