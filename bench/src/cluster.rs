//! Three masters that share all slots, for what is measured on a cluster too.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, ensure};
use penstock_demo::RedisServer;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::resp::{Connection, Reply};

/// How many masters there are.
pub const MASTERS: usize = 3;
/// Slots of a cluster.
const SLOTS: usize = 16_384;
/// How long the nodes may take to know each other.
const JOIN: Duration = Duration::from_secs(20);

/// A cluster; it ends when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    /// Its masters.
    pub servers: Vec<RedisServer>,
    folder: TempDir,
}

impl Cluster {
    /// Starts masters, joins them and waits until they agree.
    pub async fn start(program: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut servers = Vec::new();
        for place in 0..MASTERS {
            let own = folder.path().join(place.to_string());
            fs::create_dir(&own)?;
            servers.push(RedisServer::node(program, &own).await?);
        }
        let mut nodes = connections(&servers).await?;
        for (place, node) in nodes.iter_mut().enumerate() {
            let first = SLOTS * place / MASTERS;
            let last = SLOTS * (place + 1) / MASTERS - 1;
            let epoch = (place + 1).to_string();
            node.command(["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await?;
            let (first, last) = (first.to_string(), last.to_string());
            node.command(["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await?;
        }
        for server in &servers[1..] {
            let (port, bus) = (server.port().to_string(), server.bus_port().to_string());
            nodes[0].command(["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await?;
        }
        let start = Instant::now();
        for node in &mut nodes {
            while !is_well(node).await? {
                ensure!(start.elapsed() < JOIN, "the nodes of the cluster do not agree");
                sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(Self { servers, folder })
    }

    /// Writes what configures the service for it, and tells where that is.
    pub fn config(&self) -> anyhow::Result<std::path::PathBuf> {
        let path = self.folder.path().join("penstock.toml");
        let seed = self.servers.first().context("a cluster without nodes")?.port();
        fs::write(&path, format!("[redis.default]\ncluster = [\"127.0.0.1:{seed}\"]\n"))?;
        Ok(path)
    }
}

/// A connection to each of these servers.
pub async fn connections(servers: &[RedisServer]) -> anyhow::Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for server in servers {
        connections.push(Connection::open(&format!("127.0.0.1:{}", server.port())).await?);
    }
    Ok(connections)
}

/// The node of a key, by the slot that a node says it has; there is only one without a cluster.
pub fn node_of(slot: &Reply) -> anyhow::Result<usize> {
    let Reply::Integer(slot) = slot else { anyhow::bail!("a slot that is no number") };
    let slot = usize::try_from(*slot)?;
    let begins = |place: &usize| SLOTS * place / MASTERS <= slot;
    (0..MASTERS).filter(begins).max().context("a slot below the first")
}

async fn is_well(node: &mut Connection) -> anyhow::Result<bool> {
    let Reply::Text(info) = node.command(["CLUSTER", "INFO"]).await? else { return Ok(false) };
    Ok(info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_is_at_the_node_that_was_given_it() {
        for (slot, node) in [(0, 0), (5_460, 0), (5_461, 1), (10_921, 1), (10_922, 2), (16_383, 2)]
        {
            assert_eq!(node_of(&Reply::Integer(slot)).unwrap(), node, "{slot}");
        }
        assert!(node_of(&Reply::Nil).is_err());
    }
}
