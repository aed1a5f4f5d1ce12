//! One Redis or Valkey of the test's own, on a port that nobody else can take.
//!
//! Its data is kept in an append-only file, so that it knows what it knew after a kill.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Stdio},
    time::Duration,
};

use deadpool_redis::redis::{self, Connection, FromRedisValue, RedisError};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpSocket},
    time::Instant,
};

use crate::programs;

/// How long a server may take to start on a machine that does much else.
const START: Duration = Duration::from_secs(20);

/// Which server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Redis,
    Valkey,
}

impl Kind {
    /// The program to start.
    pub fn program(self) -> PathBuf {
        match self {
            Self::Redis => programs::redis(),
            Self::Valkey => programs::valkey(),
        }
    }
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Pair {
    pub cert: String,
    pub key: String,
}

/// A port that is taken and on which nobody listens: a connection to it is refused, and a server
/// may come and go on it (both sides set SO_REUSEADDR).
pub struct Port {
    _socket: TcpSocket,
    pub(crate) number: u16,
}

impl Port {
    pub fn take() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let number = socket.local_addr().unwrap().port();
        Self { _socket: socket, number }
    }

    pub fn number(&self) -> u16 {
        self.number
    }
}

/// A server that is killed when it is dropped.
pub struct Server {
    kind: Kind,
    folder: TempDir,
    port: Port,
    process: Option<Child>,
    password: Option<String>,
    tls_port: Option<Port>,
    arguments: Vec<String>,
}

impl Server {
    /// Starts a server and waits until it answers.
    pub fn start(kind: Kind) -> Self {
        let mut server = Self::absent(kind);
        server.run_again();
        server
    }

    /// A server that is not there yet; its port is.
    pub fn absent(kind: Kind) -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            kind,
            folder,
            port: Port::take(),
            process: None,
            password: None,
            tls_port: None,
            arguments: vec![],
        }
    }

    /// Starts a server whose default user has this password.
    pub fn with_password(kind: Kind, password: &str) -> Self {
        let mut server = Self::absent(kind);
        server.password = Some(password.to_owned());
        server.run_again();
        server
    }

    /// Starts a server with more arguments.
    pub fn with_arguments(kind: Kind, arguments: &[&str]) -> Self {
        let mut server = Self::absent(kind);
        server.arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        server.run_again();
        server
    }

    /// Starts a server that also speaks TLS, on a port of its own, with files of its own.
    pub fn with_tls(kind: Kind, ca: &str, pair: &Pair, clients_show_certificates: bool) -> Self {
        Self::with_tls_and(kind, (ca, pair, clients_show_certificates), &[])
    }

    /// As [`Server::with_tls`], with more arguments.
    pub fn with_tls_and(
        kind: Kind,
        (ca, pair, clients_show_certificates): (&str, &Pair, bool),
        arguments: &[&str],
    ) -> Self {
        let mut server = Self::absent(kind);
        let port = Port::take();
        let auth = if clients_show_certificates { "yes" } else { "no" };
        let number = port.number.to_string();
        server.arguments = ["--tls-port", &number, "--tls-auth-clients", auth]
            .iter()
            .chain(arguments)
            .map(|word| (*word).to_owned())
            .chain(server.tls_files(ca, pair).into_iter().flat_map(|(k, v)| [format!("--{k}"), v]))
            .collect();
        server.tls_port = Some(port);
        server.run_again();
        server
    }

    /// Has its default user ask for a password from now on.
    pub fn require_password(&mut self, password: &str) {
        self.ask_words::<()>(&["CONFIG", "SET", "requirepass", password]);
        self.password = Some(password.to_owned());
    }

    /// Has it use other certificates from now on.
    pub fn use_tls(&self, ca: &str, pair: &Pair) {
        let files = self.tls_files(ca, pair);
        let files = files.iter().flat_map(|(key, path)| [*key, path.as_str()]);
        let words: Vec<&str> = ["CONFIG", "SET"].into_iter().chain(files).collect();
        self.ask_words::<()>(&words);
    }

    fn tls_files(&self, ca: &str, pair: &Pair) -> [(&'static str, String); 3] {
        let file = |name: &str, text: &str| {
            let path = self.folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        [
            ("tls-ca-cert-file", file("ca.pem", ca)),
            ("tls-cert-file", file("cert.pem", &pair.cert)),
            ("tls-key-file", file("key.pem", &pair.key)),
        ]
    }

    /// Starts it where it was, and waits until it answers.
    pub fn run_again(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let program = self.kind.program();
        let log = File::create(self.folder.path().join("log")).unwrap();
        let mut command = programs::bare(&program);
        command
            .current_dir(self.folder.path())
            .args(["--bind", "127.0.0.1", "--port", &self.port.number.to_string()])
            .args(["--save", "", "--appendonly", "yes", "--appendfsync", "no"])
            .args(self.password.iter().flat_map(|password| ["--requirepass", password]))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let process = command.spawn();
        self.process =
            Some(process.unwrap_or_else(|error| panic!("{}: {error}", program.display())));
        self.await_answer();
    }

    fn await_answer(&mut self) {
        let start = Instant::now();
        while !self.answers() {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap();
            let process = self.process.as_mut().unwrap();
            if let Some(status) = process.try_wait().unwrap() {
                panic!("{:?} ended with {status}:\n{}", self.kind, log());
            }
            assert!(start.elapsed() < START, "{:?} does not answer:\n{}", self.kind, log());
            std::thread::sleep(crate::STEP);
        }
    }

    fn answers(&self) -> bool {
        let ping = |mut link: Connection| redis::cmd("PING").query::<String>(&mut link);
        self.try_connect().and_then(ping).is_ok_and(|pong| pong == "PONG")
    }

    /// Kills it as a crash would; its port stays taken.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself, which is as good.
            drop(process.kill());
            process.wait().unwrap();
        }
    }

    /// Whether it was started and not killed.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Throws away what a killed server knew.
    pub fn forget(&mut self) {
        assert!(self.process.is_none(), "it still runs");
        self.folder = TempDir::new().unwrap();
    }

    /// Sends it a signal: `STOP` to make it hang, `CONT` to let it go on.
    pub fn signal(&self, name: &str) {
        programs::signal(self.process.as_ref().unwrap().id(), name);
    }

    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// `127.0.0.1:port`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number)
    }

    /// `127.0.0.1:port` for TLS
    pub fn tls_address(&self) -> String {
        format!("127.0.0.1:{}", self.tls_port.as_ref().unwrap().number)
    }

    /// The URL of database 0, without a password.
    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address())
    }

    fn try_connect(&self) -> redis::RedisResult<Connection> {
        let password = self.password.iter().map(|password| format!(":{password}@"));
        let url = format!("redis://{}{}/0", password.collect::<String>(), self.address());
        redis::Client::open(url)?.get_connection_with_timeout(crate::PATIENCE)
    }

    /// A connection of the test's own.
    pub fn connect(&self) -> Connection {
        // A socket with a timeout is not read on by itself after a signal, such as that a child ended.
        let is_interrupted = |error: &RedisError| error.to_string().contains("(os error 4)");
        for _ in 0..10 {
            match self.try_connect() {
                Err(error) if is_interrupted(&error) => {}
                other => return other.unwrap(),
            }
        }
        panic!("each of ten attempts to connect was interrupted");
    }

    /// Runs commands, one a line, words separated by spaces; `""` is an empty word.
    pub fn run(&self, commands: &str) {
        for line in commands.lines().filter(|line| !line.trim().is_empty()) {
            self.ask::<redis::Value>(line);
        }
    }

    /// Runs one command and gives its reply.
    pub fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        let words = command.split_whitespace().map(|word| if word == "\"\"" { "" } else { word });
        let words: Vec<&str> = words.collect();
        self.ask_words(&words)
    }

    /// Runs one command of these words and gives its reply.
    pub fn ask_words<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        let reply = command.query(&mut self.connect());
        reply.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Its own time.
    pub fn now(&self) -> Duration {
        let (seconds, micros): (u64, u64) = self.ask("TIME");
        Duration::from_secs(seconds) + Duration::from_micros(micros)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A connection to the server on this port.
pub(crate) fn connect_to(port: u16) -> redis::RedisResult<Connection> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/0"))?;
    client.get_connection_with_timeout(crate::PATIENCE)
}

/// A peer that takes connections and never says anything.
pub struct Silent {
    _listener: TcpListener,
    port: u16,
}

impl Silent {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { _listener: listener, port }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}
