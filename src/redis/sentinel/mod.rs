//! The master that sentinels name: found, proved by its own ROLE, and left as soon as they name
//! another.
//!
//! It is apart from a single server because the address is an answer here, which may be wrong or
//! old. A link is never trusted for its address alone: a master that was replaced while it hung, or
//! was cut off, still takes commands.

mod line;
pub(super) mod offline;
mod votes;
mod watch;

use std::{fmt, future::Future, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout_at};

use crate::{
    config::{Node, Sentinels},
    layouts::{Read, Wild},
    limits,
    sampling::{Changes, Fault, Flow, KeyPage, Link, Position, Reply},
    telemetry::SentinelMetrics,
    time::Instant,
};

use super::{connection::Dialer, error, identity::Identity, link::RedisLink, role::Role};

pub(super) use line::rules;
pub use line::sentinel_acl;
use watch::Watch;

/// What is left of the time to connect when a master has not answered, to say which it was.
const TO_SAY_SO: Duration = Duration::from_millis(50);

/// A database of the master that sentinels name.
#[derive(Clone)]
pub(super) struct SentinelSource {
    dialer: Dialer,
    watch: Arc<Watch>,
}

/// A link to that master.
pub(super) struct SentinelLink {
    inner: RedisLink,
    node: Node,
    watch: Arc<Watch>,
}

impl SentinelSource {
    /// `identity` is who we are to the master.
    pub(super) fn new(
        (sentinels, metrics): (&Sentinels, SentinelMetrics),
        (identity, database): (Identity, u32),
    ) -> Self {
        let to_sentinels = Dialer::to_sentinels(identity.to_sentinels(sentinels));
        let watch = Watch::new(sentinels, to_sentinels, metrics);
        Self { dialer: Dialer::new(identity, database), watch: Arc::new(watch) }
    }

    pub(super) async fn connect(&self, changes: &Changes) -> Result<SentinelLink, Fault> {
        let until = Instant::now() + limits::CONNECT_DEADLINE.saturating_sub(TO_SAY_SO);
        let mut node = self.watch.master().await?;
        loop {
            // A master that hangs is not waited for when there is a new one.
            tokio::select! {
                link = timeout_at(until, self.open(&node, changes)) => {
                    let link = link.unwrap_or(Err(Fault::Timeout));
                    return link.map_err(|fault| about(&node, fault));
                }
                other = self.watch.other_than(&node) => node = other,
            }
        }
    }

    async fn open(&self, node: &Node, changes: &Changes) -> Result<SentinelLink, Fault> {
        let inner = self.dialer.dial(node, changes).await?;
        inner.asker().role().await.and_then(must_be_master)?;
        Ok(SentinelLink { inner, node: node.clone(), watch: Arc::clone(&self.watch) })
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

impl SentinelLink {
    pub(super) fn node_link(&mut self) -> &mut RedisLink {
        &mut self.inner
    }

    /// Why the server is no master any more, if it says that it loads its data or has lost its master.
    fn not_ready<T>(&self, reply: &Result<T, Fault>) -> Option<Fault> {
        error::not_ready(reply).map(|fault| about(&self.node, fault))
    }
}

impl Link for SentinelLink {
    fn tracked(&self) -> bool {
        self.inner.tracked()
    }

    async fn read(
        &mut self,
        reads: &[Read],
        flows: &[Flow],
    ) -> Result<Vec<Result<Reply, Fault>>, Fault> {
        let replies = self.inner.read(reads, flows).await?;
        match replies.iter().find_map(|reply| self.not_ready(reply)) {
            Some(fault) => Err(fault),
            None => Ok(replies),
        }
    }

    async fn scan(
        &mut self,
        wild: &Wild,
        from: Option<&Position>,
    ) -> Result<Result<KeyPage, Fault>, Fault> {
        let page = self.inner.scan(wild, from).await?;
        match self.not_ready(&page) {
            Some(fault) => Err(fault),
            None => Ok(page),
        }
    }

    fn heard_until(&self, sent_at: Instant) -> Instant {
        self.inner.heard_until(sent_at)
    }

    async fn prove(&mut self, clock: bool) -> Result<Option<Duration>, Fault> {
        self.inner.prove(clock).await
    }

    fn guard(&mut self) -> impl Future<Output = Fault> + Send + 'static {
        let (node, watch) = (self.node.clone(), Arc::clone(&self.watch));
        let mut asker = self.inner.asker();
        let demoted = async move {
            loop {
                sleep(limits::SENTINEL_INTERVAL).await;
                if let Err(fault) = asker.role().await.and_then(must_be_master) {
                    return fault;
                }
            }
        };
        async move {
            tokio::select! {
                fault = is_left(&watch, &node) => fault,
                fault = demoted => about(&node, fault),
            }
        }
    }
}

/// Comes when the sentinels name another master than this.
async fn is_left(watch: &Watch, node: &Node) -> Fault {
    let other = watch.other_than(node).await;
    about(node, Fault::NotReady(format!("the sentinels name another master, {other}")))
}

fn must_be_master(role: Role) -> Result<(), Fault> {
    match role {
        Role::Master => Ok(()),
        Role::Replica => Err(Fault::NotReady("it says that it is a replica".to_owned())),
        Role::Sentinel => Err(Fault::NotReady("it says that it is a sentinel".to_owned())),
    }
}

/// A fault with the server that it came from, which nobody configured by its address.
fn about(node: &Node, fault: Fault) -> Fault {
    error::about(&format_args!("{node}, whom the sentinels name master"), fault)
}
