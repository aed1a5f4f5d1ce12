//! A link to one server: the reads of a worker, and what keeps the connection as it should be.

use std::{future::pending, sync::Arc, time::Duration};

use deadpool_redis::redis::{aio::MultiplexedConnection, cmd};
use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    layouts::{HeartbeatFormat, KeyPattern, Read},
    limits,
    sampling::{Fault, Flow, FlowRead, KeyPage, Link, Position, Reply},
    time::Instant,
};

use super::{
    super::{
        error::{self, fault},
        heartbeats::HeartbeatTracker,
        reads::{decode, encode},
        scan,
        session::Session,
    },
    login::Login,
    role::Asker,
    wire::NodeWire,
};

/// A link to one server, which one worker holds.
pub(in crate::redis) struct NodeLink {
    pub(in crate::redis) session: Session<NodeWire>,
    /// What is heard on it; `None` where nothing is pushed.
    pub(in crate::redis) tracker: Option<HeartbeatTracker>,
    /// The heartbeat formats whose channels it is subscribed to.
    pub(in crate::redis) subscribed: Vec<Arc<HeartbeatFormat>>,
    /// Whether SCAN takes a type.
    scans_types: bool,
    /// About its server, where the address was found and not configured.
    found: Option<FoundServer>,
}

/// A server whose address was found.
struct FoundServer {
    /// How errors name it.
    name: String,
    /// Comes when it is not the right one any more; whoever asks for the guard takes it.
    left: Option<BoxFuture<'static, Fault>>,
}

impl NodeLink {
    pub(super) fn new(session: Session<NodeWire>, tracker: Option<HeartbeatTracker>) -> Self {
        Self { session, tracker, subscribed: Vec::new(), scans_types: true, found: None }
    }

    /// Holds it to a server whose address was found. Errors call it `name`, and it is of no more use when
    /// `left` comes.
    pub(in crate::redis) fn held_as(
        mut self,
        name: String,
        left: impl Future<Output = Fault> + Send + 'static,
    ) -> Self {
        self.found = Some(FoundServer { name, left: Some(left.boxed()) });
        self
    }

    /// A server that was found is left when it loads its data or has lost its master: there may be another
    /// one by now.
    fn may_stay(&self, not_ready: Option<Fault>) -> Result<(), Fault> {
        match (&self.found, not_ready) {
            (Some(found), Some(fault)) => Err(error::about(&found.name, fault)),
            (Some(_), None) | (None, _) => Ok(()),
        }
    }

    /// Another hold of its connection.
    pub(in crate::redis) fn multiplexed(&self) -> MultiplexedConnection {
        MultiplexedConnection::clone(&self.session.wire.connection)
    }

    /// Who we are to the server.
    pub(in crate::redis) fn login(&mut self) -> &mut Login {
        &mut self.session.wire.login
    }

    /// Asks beside the reads, over the same connection.
    pub(in crate::redis) fn asker(&self) -> Asker {
        Asker::new(self.multiplexed())
    }

    /// Asks for what is in keys.
    pub(super) async fn ask(
        &mut self,
        reads: &[Read],
        flows: &[Vec<usize>],
    ) -> Result<Vec<Result<Reply, Fault>>, Fault> {
        let session = &mut self.session;
        if !reads.iter().any(Read::depends_on_time) {
            return session.answer(reads, &vec![Duration::ZERO; reads.len()], flows).await;
        }
        match session.time().await? {
            Ok(now) => session.answer(reads, &vec![now; reads.len()], flows).await,
            Err(fault) => {
                // Only what depends on the time fails with it.
                let timeless = |read: &&Read| !read.depends_on_time();
                let others: Vec<Read> = reads.iter().filter(timeless).cloned().collect();
                let nows = vec![Duration::ZERO; others.len()];
                let mut answers = session.answer(&others, &nows, &[]).await?.into_iter();
                let mut next = || answers.next().unwrap_or_else(|| Err(fault.clone()));
                let each = reads
                    .iter()
                    .map(|read| if read.depends_on_time() { Err(fault.clone()) } else { next() });
                Ok(each.collect())
            }
        }
    }
}

impl Link for NodeLink {
    fn tracked(&self) -> bool {
        self.session.tracked
    }

    async fn read(
        &mut self,
        reads: &[Read],
        flows: &[Flow],
    ) -> Result<Vec<Result<Reply, Fault>>, Fault> {
        self.session.until = Some(Instant::now() + limits::FOLLOW_UP_DEADLINE);
        self.session.wire.authenticate_again().await?;
        let flows: Vec<Vec<usize>> = flows.iter().map(|flow| sent(flow).collect()).collect();
        let replies = if reads.iter().any(|read| matches!(read, Read::Heartbeats(_))) {
            self.ask_with_heartbeats(reads, &flows).await?
        } else {
            self.ask(reads, &flows).await?
        };
        self.may_stay(replies.iter().find_map(error::not_ready))?;
        Ok(replies)
    }

    fn confirmed_until(&self, sent_at: Instant) -> Instant {
        sent_at
    }

    async fn prove(&mut self, clock: bool) -> Result<Option<Duration>, Fault> {
        self.session.wire.authenticate_again().await?;
        self.stop_unused().await?;
        let mut commands = vec![cmd("PING")];
        commands.extend(clock.then(encode::time));
        let replies = self.session.round(&commands).await?;
        // Any reply will do, also that this user may not say PING: it came over this link, after
        // everything that was announced before it. But a server that is not ready, such as a
        // replica without its master, does not hear of the changes that it should announce.
        let pong = replies.first().map(|reply| reply.as_ref().map_err(fault));
        if let Some(fault) = pong.as_ref().and_then(error::not_ready) {
            return Err(fault);
        }
        let time = replies.get(1).and_then(|reply| reply.as_ref().ok());
        Ok(time.and_then(|time| decode::time(time).ok()))
    }

    fn guard(&mut self) -> impl Future<Output = Fault> + Send + 'static {
        let left = self.found.as_mut().and_then(|found| found.left.take());
        async move {
            match left {
                Some(left) => left.await,
                None => pending().await,
            }
        }
    }

    async fn scan(
        &mut self,
        wild: &KeyPattern,
        from: Option<&Position>,
    ) -> Result<Result<KeyPage, Fault>, Fault> {
        // Redis knows the option TYPE since version 6. Before, what has another type is found too.
        let typed = wild.kind.filter(|_| self.scans_types);
        let mut replies = self.session.round(&[scan::command(wild, typed, from)]).await?;
        if typed.is_some() && scan::is_option_unknown(&replies) {
            self.scans_types = false;
            replies = self.session.round(&[scan::command(wild, None, from)]).await?;
        }
        let page = scan::page(&replies);
        self.may_stay(error::not_ready(&page))?;
        Ok(page)
    }
}

/// The places of the reads of a flow that are sent.
fn sent(flow: &Flow) -> impl Iterator<Item = usize> {
    flow.iter().filter_map(|read| match read {
        FlowRead::Sent(place) => Some(*place),
        FlowRead::Kept(_) => None,
    })
}
