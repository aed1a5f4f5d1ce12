//! A link to a replica: the link to its server, and the bound that each answer has to keep.
//!
//! It is apart from how a replica is found because it is about what may be believed of one. An answer
//! counts only when the replica says *after* it, on the same connection, that it is connected to its
//! master all the same, and has not announced that it threw its data away: a replica whose copying
//! failed half-way is empty, and answers.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    config::Node,
    layouts::{Read, Wild},
    sampling::{Fault, Flow, KeyPage, Link, Position, Reply},
    time::Instant,
};

use super::{
    super::{error, link::RedisLink, role::Asker},
    Attempt,
    bound::{Bound, MasterLine},
    gate::Gate,
    record::Record,
};

/// A link to a replica.
pub(in crate::redis) struct ReplicaLink {
    // Before the link, so that its end is not taken for that of the link which follows it.
    gate: Gate,
    inner: RedisLink,
    node: Node,
    bound: Bound,
    asker: Asker,
    /// Asks the master, until the guard has it.
    line: Option<MasterLine>,
    is_named: bool,
    /// Comes when the master is another one.
    left: Option<BoxFuture<'static, Fault>>,
    /// As of when the last answers are what the master held.
    as_of: Option<Instant>,
    stay: Option<Stay>,
}

/// How long the link was kept, for the record.
struct Stay {
    record: Arc<Record>,
    since: Instant,
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.record.lost(self.since);
    }
}

impl ReplicaLink {
    pub(super) fn of(attempt: Attempt, line: MasterLine) -> Self {
        let Attempt { gate, link: mut inner, asker, bound, node, is_named } = attempt;
        inner.name(&node);
        let as_of = bound.proved_at();
        let (line, left, stay) = (Some(line), None, None);
        Self { gate, inner, node, bound, asker, line, is_named, left, as_of, stay }
    }

    /// How long it is kept is written down.
    pub(super) fn recorded(mut self, record: Arc<Record>) -> Self {
        self.stay = Some(Stay { record, since: Instant::now() });
        self
    }

    /// It is of no more use when this comes.
    pub(in crate::redis) fn until(
        mut self,
        left: impl Future<Output = Fault> + Send + 'static,
    ) -> Self {
        self.left = Some(left.boxed());
        self
    }

    pub(in crate::redis) fn node(&self) -> &Node {
        &self.node
    }

    pub(in crate::redis) fn node_link(&mut self) -> &mut RedisLink {
        &mut self.inner
    }

    /// Notes what the next answers will be worth.
    fn begin(&mut self) {
        self.as_of = self.bound.proved_at();
    }

    /// Whether what was answered since may be believed.
    async fn confirm(&mut self) -> Result<(), Fault> {
        let heard = self.bound.hear(&mut self.asker).await;
        heard.map_err(|fault| about(&self.node, fault))?;
        let emptied = || Fault::NotReady("it threw its data away".to_owned());
        let emptied = self.gate.was_emptied().then(emptied);
        match emptied.or_else(|| self.bound.exceeded(self.as_of)) {
            Some(fault) => Err(about(&self.node, fault)),
            None => Ok(()),
        }
    }
}

impl Link for ReplicaLink {
    fn tracked(&self) -> bool {
        self.inner.tracked()
    }

    async fn read(
        &mut self,
        reads: &[Read],
        flows: &[Flow],
    ) -> Result<Vec<Result<Reply, Fault>>, Fault> {
        self.begin();
        let replies = self.inner.read(reads, flows).await?;
        match replies.iter().find_map(error::not_ready) {
            Some(fault) => Err(about(&self.node, fault)),
            None => self.confirm().await.map(|()| replies),
        }
    }

    async fn scan(
        &mut self,
        wild: &Wild,
        from: Option<&Position>,
    ) -> Result<Result<KeyPage, Fault>, Fault> {
        self.begin();
        let page = self.inner.scan(wild, from).await?;
        match error::not_ready(&page) {
            Some(fault) => Err(about(&self.node, fault)),
            None => self.confirm().await.map(|()| page),
        }
    }

    fn as_of(&self) -> Option<Instant> {
        self.as_of
    }

    async fn prove(&mut self, clock: bool) -> Result<Option<Duration>, Fault> {
        // The offset that proves it came over the same connection, after everything announced before.
        self.begin();
        self.inner.prove(clock).await
    }

    fn guard(&mut self) -> impl Future<Output = Fault> + Send + 'static {
        let (node, bound, asker) = (self.node.clone(), self.bound.clone(), self.inner.asker());
        let (line, left, is_named) = (self.line.take(), self.left.take(), self.is_named);
        async move {
            let named = is_named.then_some(&node);
            let held = async {
                match line {
                    Some(line) => about(&node, bound.hold((line, asker), named).await),
                    None => std::future::pending().await,
                }
            };
            let left = async {
                match left {
                    Some(left) => left.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                fault = held => fault,
                fault = left => fault,
            }
        }
    }
}

fn about(node: &Node, fault: Fault) -> Fault {
    error::about(&format_args!("the replica {node}"), fault)
}
