//! One connection to Redis: what a worker asks of it, and how its rounds travel.
//!
//! How a batch of reads is answered is in `answering.rs`. It does not know why a read is done.

use std::{
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};

use deadpool_redis::redis::{Cmd, aio::MultiplexedConnection};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::timeout_at;

use crate::{
    layouts::{HeartbeatFormat, KeyPattern, Read},
    limits,
    sampling::{Fault, Flow, FlowRead, KeyPage, Link, Position, Reply},
    time::Instant,
};

use super::{
    decode,
    encode::{self},
    error::{self, fault},
    fields::KnownFields,
    heartbeats::HeartbeatTracker,
    known_tails::KnownTails,
    known_types::KnownTypes,
    login::Login,
    role::Asker,
    scan,
    transcript::Exchange,
    wire::{Response, Wire},
};

/// A connection that one worker holds.
pub struct RedisLink {
    wire: Option<Wire>,
    pub(super) tracked: bool,
    pub(super) types: KnownTypes,
    pub(super) fields: KnownFields,
    pub(super) tails: KnownTails,
    transcript: Option<Vec<Exchange>>,
    /// What is heard on it; `None` where nothing is pushed.
    pub(super) tracker: Option<HeartbeatTracker>,
    /// The heartbeat formats whose channels it is subscribed to.
    pub(super) subscribed: Vec<Arc<HeartbeatFormat>>,
    /// Whether SCAN takes a type.
    scans_types: bool,
    /// Whether several questions may be put at one moment.
    pub(super) transacts: bool,
    /// How many moments its answers were given names for.
    pub(super) moments: u64,
    /// When the batch under way has to have its answers, where that is not the wire's own matter.
    until: Option<Instant>,
    /// About its server, where nobody configured the address.
    found: Option<FoundServer>,
}

/// A server whose address was found.
struct FoundServer {
    /// How errors name it.
    whom: String,
    /// Comes when it is not the right one any more; whoever asks for the guard takes it.
    left: Option<BoxFuture<'static, Fault>>,
}

impl RedisLink {
    pub(super) fn new(
        wire: Wire,
        tracked: bool,
        types: KnownTypes,
        fields: KnownFields,
        tracker: Option<HeartbeatTracker>,
    ) -> Self {
        Self {
            wire: Some(wire),
            tracked,
            types,
            fields,
            tails: KnownTails::default(),
            transcript: None,
            tracker,
            subscribed: Vec::new(),
            scans_types: true,
            transacts: true,
            moments: 0,
            until: None,
            found: None,
        }
    }

    /// Holds it to a server whose address was found. Errors name it `whom`, and it is of no more use when
    /// `left` comes.
    pub(super) fn held_as(
        mut self,
        whom: String,
        left: impl Future<Output = Fault> + Send + 'static,
    ) -> Self {
        self.found = Some(FoundServer { whom, left: Some(left.boxed()) });
        self
    }

    /// A server that was found is left when it loads its data or has lost its master: there may be another
    /// one by now.
    fn may_stay(&self, not_ready: Option<Fault>) -> Result<(), Fault> {
        match (&self.found, not_ready) {
            (Some(found), Some(fault)) => Err(error::about(&found.whom, fault)),
            (Some(_), None) | (None, _) => Ok(()),
        }
    }

    /// Whether anything can be announced on it.
    pub(super) fn takes_pushes(&self) -> bool {
        self.tracker.is_some()
    }

    /// Another hold of the connection to one server.
    pub(super) fn multiplexed(&self) -> Option<MultiplexedConnection> {
        match self.wire.as_ref()? {
            Wire::Node(node) => Some(MultiplexedConnection::clone(&node.connection)),
            Wire::Cluster(_) => None,
        }
    }

    /// What takes the commands.
    pub(super) fn wire(&mut self) -> &mut Wire {
        self.wire.as_mut().expect("the wire is only taken when the link is dropped")
    }

    /// Notes every command and reply from now on.
    pub fn record(&mut self) {
        self.transcript = Some(Vec::new());
    }

    /// What was noted.
    pub fn take_transcript(&mut self) -> Vec<Exchange> {
        self.transcript.take().unwrap_or_default()
    }

    /// Notes one exchange more, if they are noted.
    pub(super) fn note(&mut self, exchange: impl FnOnce() -> Exchange) {
        if let Some(transcript) = &mut self.transcript {
            transcript.push(exchange());
        }
    }

    /// The connection to one server.
    pub(super) fn connection(&mut self) -> Option<&mut MultiplexedConnection> {
        match self.wire() {
            Wire::Node(node) => Some(&mut node.connection),
            Wire::Cluster(_) => None,
        }
    }

    /// Who we are to one server.
    pub(super) fn login(&mut self) -> Option<&mut Login> {
        match self.wire() {
            Wire::Node(node) => Some(&mut node.login),
            Wire::Cluster(_) => None,
        }
    }

    /// Asks beside the reads, over the same connection.
    pub(super) fn asker(&self) -> Asker {
        let connection = self.multiplexed();
        Asker::new(connection.expect("only a link to one server is asked beside its reads"))
    }

    /// Sends commands in one pipeline and returns one reply for each.
    pub(super) async fn round(&mut self, commands: Vec<Cmd>) -> Result<Vec<Response>, Fault> {
        self.send(&commands).await
    }

    pub(super) async fn send(&mut self, commands: &[Cmd]) -> Result<Vec<Response>, Fault> {
        if commands.is_empty() {
            return Ok(vec![]);
        }
        let (replies, nodes) = match self.wire() {
            Wire::Node(node) => (node.round(commands).await?, vec![]),
            Wire::Cluster(wire) => wire.round(commands).await,
        };
        if let Some(transcript) = &mut self.transcript {
            let mut nodes = nodes.into_iter();
            let exchanges = commands.iter().zip(&replies);
            transcript.extend(
                exchanges
                    .map(|(command, reply)| Exchange::new(nodes.next().flatten(), command, reply)),
            );
        }
        Ok(replies)
    }

    /// The same for a question that came up on the way; `None` when the batch has no more time for it,
    /// so that its reads fail alone, before the link is given up for all.
    pub(super) async fn further_round(
        &mut self,
        commands: Vec<Cmd>,
    ) -> Result<Option<Vec<Response>>, Fault> {
        let Some(until) = self.until else { return self.round(commands).await.map(Some) };
        match timeout_at(until, self.round(commands)).await {
            Ok(replies) => replies.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Authenticates again where the password was renewed. A cluster's nodes have links of their own.
    async fn authenticate_again(&mut self) -> Result<(), Fault> {
        match self.wire() {
            Wire::Node(node) => node.authenticate_again().await,
            Wire::Cluster(_) => Ok(()),
        }
    }

    /// Redis's own time. The inner fault is that this user may not ask for it.
    async fn time(&mut self) -> Result<Result<Duration, Fault>, Fault> {
        let replies = self.round(vec![encode::time()]).await?;
        Ok(match replies.as_slice() {
            [Ok(value)] => decode::time(value),
            [Err(error)] => Err(fault(error)),
            _ => Err(Fault::Unexpected("no time".to_owned())),
        })
    }

    /// Asks for what is in keys.
    pub(super) async fn ask(
        &mut self,
        reads: &[Read],
        flows: &[Vec<usize>],
    ) -> Result<Vec<Result<Reply, Fault>>, Fault> {
        if !reads.iter().any(Read::depends_on_time) {
            return self.answer(reads, &vec![Duration::ZERO; reads.len()], flows).await;
        }
        match self.time().await? {
            Ok(now) => self.answer(reads, &vec![now; reads.len()], flows).await,
            Err(fault) => {
                // Only what depends on the time fails with it.
                let timeless = |read: &&Read| !read.depends_on_time();
                let others: Vec<Read> = reads.iter().filter(timeless).cloned().collect();
                let nows = vec![Duration::ZERO; others.len()];
                let mut answers = self.answer(&others, &nows, &[]).await?.into_iter();
                let mut next = || answers.next().unwrap_or_else(|| Err(fault.clone()));
                let each = reads
                    .iter()
                    .map(|read| if read.depends_on_time() { Err(fault.clone()) } else { next() });
                Ok(each.collect())
            }
        }
    }
}

impl Link for RedisLink {
    fn tracked(&self) -> bool {
        self.tracked
    }

    async fn read(
        &mut self,
        reads: &[Read],
        flows: &[Flow],
    ) -> Result<Vec<Result<Reply, Fault>>, Fault> {
        self.until = Some(Instant::now() + limits::FOLLOW_UP_DEADLINE);
        self.authenticate_again().await?;
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
        self.authenticate_again().await?;
        self.stop_unused().await?;
        let mut commands = vec![deadpool_redis::redis::cmd("PING")];
        commands.extend(clock.then(encode::time));
        let replies = self.round(commands).await?;
        // Any reply will do, also that this user may not say PING: it came over this link, after
        // everything that was announced before it. But a server that is not ready, such as a
        // replica without its master, does not hear of the changes that it should announce.
        let error = replies.first().and_then(|reply| reply.as_ref().err());
        match error.map(fault) {
            Some(Fault::NotReady(why)) => Err(Fault::NotReady(why)),
            Some(
                Fault::Unreachable(_)
                | Fault::Timeout
                | Fault::Refused(_)
                | Fault::Credentials(_)
                | Fault::Listening(_)
                | Fault::Looking { .. }
                | Fault::Unexpected(_),
            )
            | None => {
                let time = replies.get(1).and_then(|reply| reply.as_ref().ok());
                Ok(time.and_then(|time| decode::time(time).ok()))
            }
        }
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
        let mut replies = self.round(vec![scan::command(wild, typed, from)]).await?;
        if typed.is_some() && scan::is_option_unknown(&replies) {
            self.scans_types = false;
            replies = self.round(vec![scan::command(wild, None, from)]).await?;
        }
        let page = scan::page(&replies);
        self.may_stay(error::not_ready(&page))?;
        Ok(page)
    }
}

/// The places of the reads of a flow that are sent.
pub(super) fn sent(flow: &Flow) -> impl Iterator<Item = usize> {
    flow.iter().filter_map(|read| match read {
        FlowRead::Sent(place) => Some(*place),
        FlowRead::Kept(_) => None,
    })
}

impl Drop for RedisLink {
    fn drop(&mut self) {
        // A link is given up because it is broken or its process ends, so its connection must not
        // go back to the pool for somebody else.
        match self.wire.take() {
            Some(Wire::Node(node)) => node.connection.end(),
            Some(Wire::Cluster(_)) | None => {}
        }
    }
}
