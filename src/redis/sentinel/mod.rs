//! The master that sentinels name: found, proved by its own ROLE, and left as soon as they name another.
//!
//! The address is an answer here, which may be wrong or old. A link is never trusted for its address alone: a
//! master that was replaced while it hung, or was cut off, still takes commands.

mod line;
pub(super) mod offline;
mod votes;
mod watch;

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout_at};

use crate::{
    config::{Node, Sentinels},
    limits,
    sampling::{Changes, Fault},
    telemetry::SentinelMetrics,
    time::Instant,
};

use super::{
    credentials::Credentials,
    error,
    node::{Asker, Dialer, NodeLink, Role},
};

pub(super) use line::rules;
pub use line::sentinel_acl;
use watch::MasterWatch;

/// What is left of the time to connect when a master has not answered, to say which it was.
const TO_SAY_SO: Duration = Duration::from_millis(50);

/// A database of the master that sentinels name.
#[derive(Clone)]
pub(super) struct SentinelSource {
    dialer: Dialer,
    watch: Arc<MasterWatch>,
}

impl SentinelSource {
    /// `credentials` are those for the master.
    pub(super) fn new(
        sentinels: &Sentinels,
        metrics: SentinelMetrics,
        credentials: Credentials,
        database: u32,
    ) -> Self {
        let to_sentinels = Dialer::to_sentinels(credentials.to_sentinels(sentinels));
        let watch = MasterWatch::new(sentinels, to_sentinels, metrics);
        Self { dialer: Dialer::new(credentials, database), watch: Arc::new(watch) }
    }

    pub(super) async fn connect(&self, changes: &Changes) -> Result<NodeLink, Fault> {
        let until = Instant::now() + limits::CONNECT_DEADLINE.saturating_sub(TO_SAY_SO);
        let mut node = self.watch.master().await?;
        loop {
            // A master that hangs is not waited for when there is a new one.
            tokio::select! {
                link = timeout_at(until, self.open(&node, changes)) => {
                    let link = link.unwrap_or(Err(Fault::Timeout));
                    return link.map_err(|fault| error::about(&described(&node), fault));
                }
                other = self.watch.other_than(&node) => node = other,
            }
        }
    }

    async fn open(&self, node: &Node, changes: &Changes) -> Result<NodeLink, Fault> {
        let link = self.dialer.dial(node, changes).await?;
        let mut asker = link.asker();
        asker.role().await.and_then(must_be_master)?;
        let left = replaced(node.clone(), asker, Arc::clone(&self.watch));
        Ok(link.held_as(described(node), left))
    }

    /// Comes when the sentinels announce another master.
    pub(super) async fn moved(&self) {
        self.watch.hinted().await;
    }
}

impl fmt::Debug for SentinelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentinelSource").field("dialer", &self.dialer).finish_non_exhaustive()
    }
}

/// Comes when this server says that it is no master any more, or the sentinels name another.
async fn replaced(node: Node, mut asker: Asker, watch: Arc<MasterWatch>) -> Fault {
    let demoted = async {
        loop {
            sleep(limits::SENTINEL_INTERVAL).await;
            if let Err(fault) = asker.role().await.and_then(must_be_master) {
                return fault;
            }
        }
    };
    let fault = tokio::select! {
        other = watch.other_than(&node) => {
            Fault::NotReady(format!("the sentinels name another master, {other}"))
        }
        fault = demoted => fault,
    };
    error::about(&described(&node), fault)
}

fn must_be_master(role: Role) -> Result<(), Fault> {
    match role {
        Role::Master => Ok(()),
        Role::Replica => Err(Fault::NotReady("it says that it is a replica".to_owned())),
        Role::Sentinel => Err(Fault::NotReady("it says that it is a sentinel".to_owned())),
    }
}

/// How errors name the master, whose address is not in the configuration.
fn described(node: &Node) -> String {
    format!("{node}, the master that the sentinels name")
}
