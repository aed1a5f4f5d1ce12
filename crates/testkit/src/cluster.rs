//! A Redis Cluster of the test's own: masters, replicas, slots that move, and a client that goes where it
//! is sent.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use deadpool_redis::redis::{self, Connection, FromRedisValue, RedisError, RedisResult, Value};

use tokio::time::Instant;

use crate::{
    Kind, PATIENCE, Pair, STEP, Server,
    server::{Port, connect_to},
};

/// Slots of a cluster.
pub const SLOTS: usize = 16_384;
/// How long a node may be silent before the others elect another.
const NODE_TIMEOUT_MS: u32 = 1_000;

/// A cluster whose servers are killed when it is dropped.
pub struct Cluster {
    kind: Kind,
    arguments: Vec<String>,
    /// The authority's certificate and the one of each node, with TLS between the nodes.
    tls: Option<(String, Pair)>,
    pub nodes: Vec<Server>,
    buses: Vec<Port>,
    links: Mutex<HashMap<u16, Connection>>,
}

impl Cluster {
    /// Starts so many masters, each with a replica if so; node `i + masters` is the replica of node `i`.
    pub fn start(kind: Kind, masters: usize, replicas: bool) -> Self {
        Self::with_arguments(kind, (masters, replicas), &[])
    }

    /// As [`Cluster::start`], with more arguments for each server.
    pub fn with_arguments(
        kind: Kind,
        (masters, replicas): (usize, bool),
        arguments: &[&str],
    ) -> Self {
        Self::build(kind, (masters, replicas), arguments, None)
    }

    /// Starts so many masters that speak TLS with each other and, on ports of their own, with clients,
    /// who have to show a certificate. The ports without TLS are for the test.
    pub fn with_tls(kind: Kind, masters: usize, (ca, pair): (&str, Pair)) -> Self {
        let arguments = ["--tls-cluster", "yes", "--tls-replication", "yes"];
        let arguments = arguments.into_iter().chain(["--cluster-require-full-coverage", "no"]);
        let arguments: Vec<&str> = arguments.collect();
        Self::build(kind, (masters, false), &arguments, Some((ca.to_owned(), pair)))
    }

    fn build(
        kind: Kind,
        (masters, replicas): (usize, bool),
        arguments: &[&str],
        tls: Option<(String, Pair)>,
    ) -> Self {
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        let (nodes, buses, links) = (vec![], vec![], Mutex::default());
        let mut cluster = Self { kind, arguments, tls, nodes, buses, links };
        let nodes = if replicas { 2 * masters } else { masters };
        for _ in 0..nodes {
            cluster.add_node();
        }
        for (place, (first, last)) in shares(masters).into_iter().enumerate() {
            let node = &cluster.nodes[place];
            node.run(&format!("CLUSTER SET-CONFIG-EPOCH {}", place + 1));
            node.run(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
        }
        (1..nodes).for_each(|place| cluster.join(place));
        cluster.settle();
        for place in masters..nodes {
            let master = cluster.id(place - masters);
            cluster.nodes[place].run(&format!("CLUSTER REPLICATE {master}"));
        }
        for place in masters..nodes {
            let replicates = || info(&cluster.nodes[place], "master_link_status") == "up";
            wait_for("replicas follow", replicates);
        }
        cluster.settle();
        cluster
    }

    /// Starts one more node, alone so far.
    pub fn add_node(&mut self) -> usize {
        let bus = Port::take();
        let bus_port = bus.number().to_string();
        let timeout = NODE_TIMEOUT_MS.to_string();
        let mut arguments = vec!["--cluster-enabled", "yes", "--cluster-port", &bus_port];
        arguments.extend(["--cluster-node-timeout", &timeout]);
        arguments.extend(["--repl-diskless-sync-delay", "0"]);
        arguments.extend(self.arguments.iter().map(String::as_str));
        let node = match &self.tls {
            Some((ca, pair)) => Server::with_tls_and(self.kind, (ca, pair, true), &arguments),
            None => Server::with_arguments(self.kind, &arguments),
        };
        self.nodes.push(node);
        self.buses.push(bus);
        self.nodes.len() - 1
    }

    /// Joins a node to the first one.
    pub fn join(&self, place: usize) {
        let (port, bus) = (self.nodes[place].port(), self.buses[place].number());
        self.nodes[0].run(&format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
    }

    /// Waits until every node that runs knows all others and the cluster is well.
    pub fn settle(&self) {
        let all = self.nodes.len().to_string();
        wait_for("the cluster is well", || {
            let well = |node: &Server| {
                let info: String = node.ask("CLUSTER INFO");
                info.contains("cluster_state:ok") && info.contains(&format!("known_nodes:{all}"))
            };
            self.nodes.iter().filter(|node| node.runs()).all(well)
        });
    }

    /// The id of a node.
    pub fn id(&self, place: usize) -> String {
        self.nodes[place].ask("CLUSTER MYID")
    }

    /// Whether a node says of itself that it is a master with slots.
    pub fn is_master(&self, place: usize) -> bool {
        let lines: String = self.nodes[place].ask("CLUSTER NODES");
        lines.lines().any(|line| line.contains("myself,master") && line.split(' ').count() > 8)
    }

    /// The file that configures penstock for it, found by these nodes.
    pub fn config(&self, seeds: &[usize]) -> String {
        let seeds: Vec<String> =
            seeds.iter().map(|place| format!("\"{}\"", self.nodes[*place].address())).collect();
        format!("[redis.default]\ncluster = [{}]\nhold_stale = \"30s\"\n", seeds.join(", "))
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> usize {
        self.nodes[0].ask(&format!("CLUSTER KEYSLOT {key}"))
    }

    /// A key that begins so and whose slot is in this range.
    pub fn key_in(&self, begin: &str, slots: std::ops::Range<usize>) -> String {
        let keys = (0..100_000).map(|n| format!("{begin}{n}"));
        let mut link = self.nodes[0].connect();
        let mut slot = |key: &String| -> usize {
            redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query(&mut link).unwrap()
        };
        keys.into_iter().find(|key| slots.contains(&slot(key))).unwrap()
    }

    /// Runs one command at the node of its key, wherever it is by now.
    pub fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        let start = Instant::now();
        loop {
            match self.try_ask(command) {
                Ok(reply) => return reply,
                Err(error) => {
                    assert!(start.elapsed() < PATIENCE, "{command}: {error}");
                    std::thread::sleep(STEP);
                }
            }
        }
    }

    /// Runs commands, one a line.
    pub fn run(&self, commands: &str) {
        for line in commands.lines().filter(|line| !line.trim().is_empty()) {
            self.ask::<Value>(line);
        }
    }

    /// Runs one command once at any node, and then where that one says.
    pub fn try_ask<T: FromRedisValue>(&self, command: &str) -> RedisResult<T> {
        let words: Vec<&str> = command.split_whitespace().collect();
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let mut port = self.nodes.iter().find(|node| node.runs()).unwrap().port();
        let mut asking = false;
        for _ in 0..6 {
            let reply = on(&mut links, port, asking, &words);
            let redirect = reply.as_ref().err().and_then(redirect);
            match (reply, redirect) {
                (_, Some((to, only_now))) => (port, asking) = (to, only_now),
                (Err(error), None) => {
                    links.remove(&port);
                    return Err(error);
                }
                (Ok(value), None) => return Ok(redis::from_redis_value(value)?),
            }
        }
        Err(RedisError::from((redis::ErrorKind::Client, "sent from node to node")))
    }

    /// Begins to move a slot: what is not there any more is to be asked for at the other node.
    pub fn begin_move(&self, slot: usize, from: usize, to: usize) {
        self.nodes[to].run(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", self.id(from)));
        self.nodes[from].run(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", self.id(to)));
    }

    /// Moves the keys of a slot.
    pub fn move_keys(&self, slot: usize, from: usize, to: usize) {
        let port = self.nodes[to].port();
        loop {
            let get = format!("CLUSTER GETKEYSINSLOT {slot} 100");
            let keys: Vec<String> = self.nodes[from].ask(&get);
            if keys.is_empty() {
                return;
            }
            let keys = keys.join(" ");
            self.nodes[from].run(&format!("MIGRATE 127.0.0.1 {port} \"\" 0 5000 KEYS {keys}"));
        }
    }

    /// Ends the move of a slot: it is the other node's now.
    pub fn end_move(&self, slot: usize, from: usize, to: usize) {
        let id = self.id(to);
        self.nodes[to].run(&format!("CLUSTER SETSLOT {slot} NODE {id}"));
        self.nodes[from].run(&format!("CLUSTER SETSLOT {slot} NODE {id}"));
    }

    /// Has slots be moved all at once, without marks, as Valkey 9 can. Comes back when it has begun.
    pub fn begin_atomic_move(&self, (first, last): (usize, usize), from: usize, to: usize) {
        let id = self.id(to);
        let command = format!("CLUSTER MIGRATESLOTS SLOTSRANGE {first} {last} NODE {id}");
        self.nodes[from].run(&command);
    }

    /// The states of the moves at once that a node knows of, the latest first.
    pub fn atomic_moves(&self, place: usize) -> Vec<String> {
        let moves: Vec<HashMap<String, Value>> = self.nodes[place].ask("CLUSTER GETSLOTMIGRATIONS");
        let state = |fields: &HashMap<String, Value>| {
            redis::from_redis_value::<String>(fields["state"].clone()).unwrap()
        };
        moves.iter().map(state).collect()
    }

    /// Moves slots all at once.
    pub fn move_at_once(&self, slots: (usize, usize), from: usize, to: usize) {
        self.begin_atomic_move(slots, from, to);
        wait_for("the slots are the other node's", || {
            let state = self.atomic_moves(from).remove(0);
            assert!(!["failed", "cancelled"].contains(&state.as_str()), "the move {state}");
            state == "success"
        });
    }

    /// Moves a slot with all that is in it.
    pub fn move_slot(&self, slot: usize, from: usize, to: usize) {
        self.begin_move(slot, from, to);
        self.move_keys(slot, from, to);
        self.end_move(slot, from, to);
    }

    /// Commands that a node has run so far, by name.
    pub fn commands(&self, place: usize) -> HashMap<String, f64> {
        let stats: String = self.nodes[place].ask("INFO commandstats");
        let row = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        };
        stats.lines().filter_map(row).collect()
    }
}

/// The slots of each of so many masters: first and last.
pub fn shares(masters: usize) -> Vec<(usize, usize)> {
    let share = |n: usize| SLOTS * n / masters;
    (0..masters).map(|n| (share(n), share(n + 1) - 1)).collect()
}

/// A value of INFO.
pub fn info(node: &Server, field: &str) -> String {
    let info: String = node.ask("INFO");
    let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

/// Waits for something that servers do by themselves.
pub fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < 3 * PATIENCE, "not within {:?}: {what}", 3 * PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn on(
    links: &mut HashMap<u16, Connection>,
    port: u16,
    asking: bool,
    words: &[&str],
) -> RedisResult<Value> {
    let link = match links.entry(port) {
        std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
        std::collections::hash_map::Entry::Vacant(entry) => entry.insert(connect_to(port)?),
    };
    if asking {
        redis::cmd("ASKING").query::<()>(link)?;
    }
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word);
    }
    command.query(link)
}

fn redirect(error: &RedisError) -> Option<(u16, bool)> {
    let (address, _) = error.redirect_node()?;
    let port = address.rsplit_once(':')?.1.parse().ok()?;
    Some((port, error.code() == Some("ASK")))
}
