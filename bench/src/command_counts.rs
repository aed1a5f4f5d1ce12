//! How many commands Redis was sent by anybody but the bench, by Redis's own count.
//!
//! The bench sends commands that the service never sends; so whatever else is counted is the service's, also
//! a command that nobody thought of.

use std::collections::BTreeMap;

use anyhow::bail;

use crate::resp::{CLIENT_NAME, Connection, Reply};

/// What the bench itself sends (`CLIENT` as a whole before Redis 7), and the two commands that a
/// link costs whatever is asked: the proof that it lives, and Redis's time. What a cluster is asked about
/// itself is shown beside them.
const NOT_COUNTED: &[&str] = &[
    "client",
    "client|list",
    "client|setname",
    "cluster|info",
    "cluster|keyslot",
    "cluster|nodes",
    "cluster|slots",
    "del",
    "incr",
    "info",
    "lpush",
    "ping",
    "publish",
    "rpop",
    "rpush",
    "sadd",
    "subscribe",
    "time",
    "xack",
    "xadd",
    "xgroup",
    "xgroup|create",
    "xreadgroup",
    "zadd",
];

/// Calls by command, since the server started.
#[derive(Debug)]
pub struct CommandCounts(BTreeMap<String, u64>);

impl CommandCounts {
    /// What Redis has counted so far.
    pub async fn read(redis: &mut Connection) -> anyhow::Result<Self> {
        Self::of_all(std::slice::from_mut(redis)).await
    }

    /// What all of these nodes have counted so far, together.
    pub async fn of_all(nodes: &mut [Connection]) -> anyhow::Result<Self> {
        let mut counts = BTreeMap::new();
        for node in nodes {
            let Reply::Text(text) = node.command(["INFO", "commandstats"]).await? else {
                bail!("INFO is no text");
            };
            for (name, calls) in text.lines().filter_map(count) {
                *counts.entry(name).or_default() += calls;
            }
        }
        Ok(Self(counts))
    }

    /// The service's commands since an earlier count.
    pub fn since(&self, before: &Self) -> u64 {
        let commands = self.0.keys().filter(|name| !NOT_COUNTED.contains(&name.as_str()));
        commands.map(|name| self.of(name, before)).sum()
    }

    /// The calls of one command since an earlier count.
    pub fn of(&self, name: &str, before: &Self) -> u64 {
        let calls = |counts: &Self| counts.0.get(name).copied().unwrap_or(0);
        calls(self).saturating_sub(calls(before))
    }
}

/// A line such as `cmdstat_llen:calls=3,usec=…`.
fn count(line: &str) -> Option<(String, u64)> {
    let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
    let (calls, _) = rest.split_once(',')?;
    Some((name.to_owned(), calls.parse().ok()?))
}

/// How many connections others than the bench hold to all of these nodes.
pub async fn connections(nodes: &mut [Connection]) -> anyhow::Result<u64> {
    let own = format!(" name={CLIENT_NAME} ");
    let mut others = 0;
    for node in nodes {
        let Reply::Text(text) = node.command(["CLIENT", "LIST"]).await? else {
            bail!("CLIENT LIST is no text");
        };
        others += text.lines().filter(|line| !line.contains(&own)).count();
    }
    Ok(u64::try_from(others)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_bench_does_not_send_is_counted() {
        let counts = |lines: &str| CommandCounts(lines.lines().filter_map(count).collect());
        let before = counts("cmdstat_llen:calls=3,usec=1\ncmdstat_lpush:calls=1,usec=1");
        let after = counts(
            "# Commandstats\ncmdstat_llen:calls=5,usec=9\ncmdstat_lpush:calls=9,usec=1\n\
             cmdstat_xinfo|groups:calls=2,usec=1\ncmdstat_ping:calls=7,usec=1",
        );
        assert_eq!(after.since(&before), 4);
    }
}
