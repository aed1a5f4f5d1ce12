//! Replicas in place of their master, so that the master is spared: found, proved to lag no more than
//! is allowed, and left when that cannot be proved any more.
//!
//! It is apart from the links to one server because two servers are asked here: what a replica says is
//! worth something only beside what its master says. Which server is the master is decided elsewhere.

mod bound;
mod gate;
mod lag;
mod link;
mod record;

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::{sleep, sleep_until, timeout};
use tracing::{info, warn};

use crate::{
    config::{Node, Replicas},
    limits,
    sampling::{Changes, Fault, Link as _},
    time::Instant,
};

use super::{connection::Dialer, error, link::RedisLink, role::Asker};

use bound::{Bound, MasterLine};
use gate::Gate;
pub(super) use link::ReplicaLink;
use record::Record;

/// Replicas that a message repeats.
const NAMED: usize = 4;

/// The replicas of one source. Cheap to clone; clones share what was learned.
#[derive(Debug, Clone)]
pub(super) struct Readers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dialer: Dialer,
    max_lag: Duration,
    /// Where they are, if the master is not asked for that.
    nodes: Option<Vec<Node>>,
    record: Arc<Record>,
}

impl Readers {
    pub(super) fn new(replicas: &Replicas, dialer: Dialer) -> Self {
        let Replicas { max_lag, nodes } = replicas.clone();
        Self(Arc::new(Shared { dialer, max_lag, nodes, record: Arc::default() }))
    }

    /// A link to a replica of this master that is within the bound; none if the master has to be read.
    pub(super) async fn link(&self, master: &Node, changes: &Changes) -> Option<ReplicaLink> {
        let Shared { dialer, record, .. } = &*self.0;
        // Those that were of no use a moment ago are left alone for a while.
        if record.wait_until().is_some_and(|until| Instant::now() < until) {
            return None;
        }
        match self.find(master, changes).await {
            Ok(link) => {
                record.found();
                info!(connection = dialer.name(), replica = %link.node(), %master, "reading a replica");
                Some(link.recorded(Arc::clone(record)))
            }
            Err(reason) => {
                self.failed(master, &reason);
                None
            }
        }
    }

    /// Comes when there is a replica to go back to from this master.
    pub(super) async fn come_back(self, master: Node) -> Fault {
        let Shared { record, max_lag, .. } = &*self.0;
        let unheard = Changes::new(drop);
        loop {
            let (first, _) = limits::REPLICA_PAUSES;
            sleep_until(record.wait_until().unwrap_or_else(|| Instant::now() + first)).await;
            match self.find(&master, &unheard).await {
                Ok(link) => {
                    // Whether it is read the next search decides, so the pauses go on growing until then.
                    record.due();
                    let node = link.node();
                    let what =
                        format!("the replica {node} is within {max_lag:?} and is read again");
                    return Fault::NotReady(what);
                }
                Err(reason) => self.failed(&master, &reason),
            }
        }
    }

    /// Tells why the master is read, once for each reason.
    fn failed(&self, master: &Node, reason: &Fault) {
        let Shared { dialer, record, .. } = &*self.0;
        if record.failed(reason) {
            let connection = dialer.name();
            warn!(connection, %master, %reason, "no replica can be read; reading the master");
        }
    }

    /// The first of the replicas that proves itself.
    async fn find(&self, master: &Node, changes: &Changes) -> Result<ReplicaLink, Fault> {
        let mut told = Vec::new();
        let found = timeout(limits::REPLICA_SEARCH, self.race(master, changes, &mut told)).await;
        match found {
            Ok(found) => found,
            Err(_) if told.is_empty() => Err(Fault::NotReady(format!(
                "none has shown in {:?} that it is within {:?} of its master",
                limits::REPLICA_SEARCH,
                self.0.max_lag
            ))),
            Err(_) => Err(Fault::NotReady(told.join("; "))),
        }
    }

    async fn race(
        &self,
        master: &Node,
        changes: &Changes,
        told: &mut Vec<String>,
    ) -> Result<ReplicaLink, Fault> {
        let Shared { dialer, nodes, .. } = &*self.0;
        let mut line = MasterLine::to(dialer.clone(), master.clone());
        let asked_at = Instant::now();
        let (offset, named) = line.ask().await?;
        let is_named = nodes.is_none();
        let mut candidates = nodes.clone().unwrap_or_else(|| named.into_iter().flatten().collect());
        candidates.truncate(limits::REPLICAS);
        if candidates.is_empty() {
            return Err(Fault::NotReady(format!("{master} has none")));
        }
        let attempts =
            candidates.into_iter().map(|node| self.attempt(node, (asked_at, offset), changes));
        let mut attempts = pin!(attempts.collect::<FuturesUnordered<_>>());
        while let Some(attempt) = attempts.next().await {
            let proved = match attempt {
                Ok(attempt) => attempt.prove(&mut line, is_named).await,
                Err(fault) => Err(fault),
            };
            match proved {
                Ok(attempt) => return Ok(ReplicaLink::of(attempt, line)),
                Err(fault) if told.len() < NAMED => told.push(fault.to_string()),
                Err(_) => {}
            }
        }
        Err(Fault::NotReady(told.join("; ")))
    }

    /// Connects to a replica and waits until it has what its master had when that was asked.
    async fn attempt(
        &self,
        node: Node,
        (asked_at, offset): (Instant, u64),
        changes: &Changes,
    ) -> Result<Attempt, Fault> {
        let about = |fault| error::about(&format_args!("the replica {node}"), fault);
        let (gate, gated) = Gate::before(changes);
        let link = self.0.dialer.dial(&node, &gated).await.map_err(about)?;
        if !link.tracked() {
            let what = "it announces no changes".to_owned();
            return Err(about(Fault::NotReady(what)));
        }
        let mut asker = link.asker();
        let bound = Bound::new(self.0.max_lag, (asked_at, offset));
        while !bound.hear(&mut asker).await.map_err(about)? {
            sleep(limits::REPLICA_STEP).await;
        }
        Ok(Attempt { gate, link, asker, bound, node, is_named: false })
    }
}

/// A replica that is connected to and has what its master had.
struct Attempt {
    gate: Gate,
    link: RedisLink,
    asker: Asker,
    bound: Bound,
    node: Node,
    /// Whether its master has to name it.
    is_named: bool,
}

impl Attempt {
    /// Holds it against its master once more, who may not be behind it.
    async fn prove(mut self, line: &mut MasterLine, is_named: bool) -> Result<Self, Fault> {
        self.is_named = is_named;
        let named = is_named.then_some(&self.node);
        let about = |fault| error::about(&format_args!("the replica {}", self.node), fault);
        self.bound.ask(line, named).await.and_then(|asked| asked).map_err(about)?;
        self.bound.hear(&mut self.asker).await.map_err(about)?;
        // It has what its master had when the search began, which may be too long ago already.
        match self.bound.exceeded(self.bound.proved_at()) {
            Some(fault) => Err(about(fault)),
            None => Ok(self),
        }
    }
}
