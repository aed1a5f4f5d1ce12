//! Three sentinels, a master and two replicas, all of the test's own.

use std::{
    fmt::Write,
    fs,
    process::{Child, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    time::Duration,
};

use deadpool_redis::redis::{self, Connection, RedisResult};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{
    programs,
    server::{Kind, Pair, Port, Server},
};

/// By what name the sentinels know the master.
pub const MASTER: &str = "mymaster";
/// A failover takes the time to notice, and an election with up to a second of chance.
const FAILOVER: Duration = Duration::from_secs(20);

/// A sentinel, killed when it is dropped.
pub struct Sentinel {
    process: Child,
    port: Port,
    tls_port: Option<Port>,
    password: Option<String>,
    _folder: TempDir,
}

impl Sentinel {
    /// `more` are lines of its configuration; with them the default user may have this password.
    fn start(kind: Kind, master: &str, more: &str, password: Option<&str>) -> Self {
        let (folder, port) = (TempDir::new().unwrap(), Port::take());
        let mut config = format!("port {}\nbind 127.0.0.1\n{more}\n", port.number);
        writeln!(config, "sentinel monitor {MASTER} {master} 2").unwrap();
        writeln!(config, "sentinel down-after-milliseconds {MASTER} 700").unwrap();
        writeln!(config, "sentinel failover-timeout {MASTER} 4000").unwrap();
        writeln!(config, "sentinel parallel-syncs {MASTER} 2").unwrap();
        let path = folder.path().join("sentinel.conf");
        fs::write(&path, config).unwrap();
        let mut command = programs::bare(kind.program());
        command.current_dir(folder.path()).arg(&path).arg("--sentinel");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let password = password.map(str::to_owned);
        Self { process, port, tls_port: None, password, _folder: folder }
    }

    /// Starts one that also speaks TLS, on a port of its own, and names the server on this port.
    pub fn with_tls(master: &str, ca: &str, pair: &Pair) -> Self {
        let (folder, port) = (TempDir::new().unwrap(), Port::take());
        let mut more = format!("tls-port {}\ntls-auth-clients no\n", port.number);
        for (name, text) in [("ca-cert", ca), ("cert", &pair.cert), ("key", &pair.key)] {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            writeln!(more, "tls-{name}-file {}", path.display()).unwrap();
        }
        let mut sentinel = Self::start(Kind::Redis, &format!("127.0.0.1 {master}"), &more, None);
        patiently(|| sentinel.connect().is_ok());
        sentinel.tls_port = Some(port);
        sentinel
    }

    /// Where it speaks TLS.
    pub fn tls_address(&self) -> String {
        format!("127.0.0.1:{}", self.tls_port.as_ref().expect("it speaks TLS").number)
    }

    /// Where it is.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number)
    }

    fn connect(&self) -> RedisResult<Connection> {
        let password = self.password.iter().map(|password| format!(":{password}@"));
        let url = format!("redis://{}{}", password.collect::<String>(), self.address());
        redis::Client::open(url)?.get_connection_with_timeout(crate::PATIENCE)
    }

    /// Whether it knows of two replicas and of the two others.
    fn knows_all(&self) -> RedisResult<bool> {
        let mut question = redis::cmd("SENTINEL");
        let known: Vec<String> = question.arg("MASTER").arg(MASTER).query(&mut self.connect()?)?;
        let of = |name: &str| {
            known.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone())
        };
        let is_two = |name: &str| of(name).as_deref() == Some("2");
        Ok(is_two("num-slaves") && is_two("num-other-sentinels"))
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A master with two replicas, and three sentinels of which two must agree.
pub struct Trio {
    /// The master at the start and its replicas.
    pub servers: Vec<Server>,
    sentinels: Vec<Sentinel>,
}

/// A failover as a sentinel announced it.
pub struct Switch {
    /// When the first announcement came.
    pub at: Instant,
    /// The port of the new master.
    pub port: u16,
}

impl Trio {
    /// Starts all of them and waits until everybody knows everybody.
    pub fn start(kind: Kind) -> Self {
        Self::with(kind, "", None)
    }

    /// With more lines in the configuration of the sentinels, and the password of their default user.
    pub fn with(kind: Kind, more: &str, password: Option<&str>) -> Self {
        let quick = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
        let master = Server::with_arguments(kind, &quick);
        let port = master.port().to_string();
        let of_master = [&quick[..], &["--replicaof", "127.0.0.1", &port]].concat();
        let replica = || Server::with_arguments(kind, &of_master);
        let servers = vec![replica(), replica(), master];
        let servers: Vec<Server> = servers.into_iter().rev().collect();
        patiently(|| servers[0].ask::<String>("INFO replication").contains("connected_slaves:2"));
        let address = format!("127.0.0.1 {port}");
        let sentinel = |_| Sentinel::start(kind, &address, more, password);
        let sentinels: Vec<Sentinel> = (0..3).map(sentinel).collect();
        patiently(|| sentinels.iter().all(|sentinel| sentinel.knows_all().unwrap_or(false)));
        Self { servers, sentinels }
    }

    pub fn master(&mut self) -> &mut Server {
        &mut self.servers[0]
    }

    /// Where the sentinels are.
    pub fn addresses(&self) -> Vec<String> {
        self.sentinels.iter().map(Sentinel::address).collect()
    }

    /// The configuration of a connection to the master that these sentinels name.
    pub fn config(nodes: &[String], more: &str) -> String {
        format!(
            "[server]\npush_inactive = true\n[redis.default]\nsentinel = {{ master = \"{MASTER}\", \
             nodes = {nodes:?}{more} }}\n"
        )
    }

    /// Asks the first sentinel for a failover although the master is well.
    pub fn fail_over(&self) {
        let mut link = self.sentinels[0].connect().unwrap();
        // It is refused as long as no replica is good enough to the sentinel.
        patiently(|| {
            let mut command = redis::cmd("SENTINEL");
            command.arg("FAILOVER").arg(MASTER).query::<()>(&mut link).is_ok()
        });
    }

    /// Hears what all sentinels announce, until the first of them says that it follows a new master.
    pub fn listen(&self) -> Receiver<Switch> {
        let (sender, switches) = sync_channel(16);
        for sentinel in &self.sentinels {
            let (mut link, sender) = (sentinel.connect().unwrap(), sender.clone());
            link.set_read_timeout(Some(FAILOVER)).unwrap();
            let (subscribed, is_subscribed) = sync_channel(16);
            // It ends with its sentinel, or when nothing comes.
            std::thread::spawn(move || {
                let mut announced = link.as_pubsub();
                announced.subscribe("+switch-master").unwrap();
                subscribed.send(()).unwrap();
                while let Ok(message) = announced.get_message() {
                    let text: String = message.get_payload().unwrap();
                    let words: Vec<&str> = text.split(' ').collect();
                    let port = words[4].parse().unwrap();
                    // The test may have ended meanwhile.
                    drop(sender.send(Switch { at: Instant::now(), port }));
                }
            });
            is_subscribed.recv().unwrap();
        }
        switches
    }

    /// The new master, once the first sentinel announces one.
    pub async fn switched(&self, switches: Receiver<Switch>) -> (Switch, &Server) {
        let waited = tokio::task::spawn_blocking(move || switches.recv_timeout(FAILOVER));
        let switch = waited.await.unwrap().expect("the sentinels announce a new master");
        let server = self.servers.iter().find(|server| server.port() == switch.port).unwrap();
        (switch, server)
    }

    /// Kills all sentinels.
    pub fn kill_sentinels(&mut self) {
        self.sentinels.clear();
    }
}

fn patiently(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < FAILOVER, "the replicas and the sentinels do not come up");
        std::thread::sleep(crate::STEP);
    }
}
