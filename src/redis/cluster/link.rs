//! A link to all masters of a cluster: a batch of reads in as many rounds as the flows of its triggers need.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::Arc,
    time::Duration,
};

use deadpool_redis::redis;
use futures_util::future::BoxFuture;
use tokio::{select, time::timeout};

use crate::{
    config::Node,
    layouts::{KeyPattern, Read},
    limits,
    sampling::{Changes, Fault, Flow, FlowRead, KeyPage, Link, Position, Reply, Validity},
    time::Instant,
};

use super::{
    super::{
        error::fault,
        node::Dialer,
        reads::{decode, encode},
        session::Session,
        slot::HashSlot,
        transcript::Exchange,
        wire::Response,
    },
    guard,
    member::of_node,
    members::Cluster,
    seeds,
    stages::{self, FlowPlace, Nodes},
    wire::{ClusterWire, unproved},
};

/// Answers to reads, in their order.
pub(super) type Answers = Vec<Result<Reply, Fault>>;

/// A link to all masters of a cluster.
pub(in crate::redis) struct ClusterLink {
    pub(super) session: Session<ClusterWire>,
    pub(super) cluster: Arc<Cluster>,
    /// What goes on beside the reads, until somebody takes it over.
    guard: Option<BoxFuture<'static, Fault>>,
}

impl ClusterLink {
    /// Finds a cluster by the first of these nodes that knows it, and connects to its masters.
    pub(in crate::redis) async fn connect(
        dialer: &Dialer,
        seeds: &[Node],
        changes: Changes,
    ) -> Result<Self, Fault> {
        let view = seeds::first_view(dialer, seeds).await?;
        let cluster = Cluster::new(dialer.clone(), changes);
        let now = Instant::now();
        cluster.adopt(Some(view), BTreeMap::new(), now, now);
        let mut guard: BoxFuture<'static, Fault> = Box::pin(guard::guard(Arc::clone(&cluster)));
        let settled = timeout(limits::NODE_DEADLINE, settled(&cluster));
        select! {
            biased;
            fault = &mut guard => return Err(fault),
            // Who takes longer is opened beside the reads of the others.
            _ = settled => {}
        }
        let wire = ClusterWire::new(Arc::clone(&cluster));
        Ok(Self { session: dialer.session(wire, true), cluster, guard: Some(guard) })
    }

    /// Notes every command and reply from now on.
    pub(in crate::redis) fn record(&mut self) {
        self.session.record();
    }

    pub(in crate::redis) fn take_transcript(&mut self) -> Vec<Exchange> {
        self.session.take_transcript()
    }

    async fn read_all(&mut self, reads: &[Read], flows: &[Flow]) -> Result<Answers, Fault> {
        let deadline = Instant::now() + limits::CLUSTER_READ_DEADLINE;
        if reads.iter().any(|read| matches!(read, Read::Heartbeats(_))) {
            return self.read_with_heartbeats(reads, flows, deadline).await;
        }
        self.read_in_order(reads, flows, deadline).await
    }

    /// Reads until no key moved to another node meanwhile whose place in a flow matters.
    pub(super) async fn read_in_order(
        &mut self,
        reads: &[Read],
        flows: &[Flow],
        deadline: Instant,
    ) -> Result<Answers, Fault> {
        self.session.wire.begin(deadline);
        let in_flow = |place: usize| {
            flows.iter().any(|flow| flow.len() > 1 && flow.contains(&FlowRead::Sent(place)))
        };
        let mut attempt = 1;
        loop {
            let (mut answers, unheard) = self.read_once(reads, flows).await?;
            let redirected = self.session.wire.take_redirected();
            let moved: Vec<usize> = (0..reads.len())
                .filter(|place| redirected.contains(key(&reads[*place])) && in_flow(*place))
                .collect();
            if !moved.is_empty() && attempt < limits::CLUSTER_ATTEMPTS {
                attempt += 1;
                continue;
            }
            // The order of these is not known.
            for place in moved {
                let why = "its slot keeps moving from node to node".to_owned();
                answers[place] = Err(Fault::NotReady(why));
            }
            // What these announced so far is reported before their reply is here.
            let proofs = self.session.wire.ask_nodes(&unheard, &[redis::cmd("PING")]).await;
            for (node, proof) in unheard.iter().zip(proofs) {
                if let Some(fault) = unproved(&proof) {
                    self.doubt(&mut answers, flows, node, &fault);
                }
            }
            return Ok(answers);
        }
    }

    /// Takes back what was read beside keys that were not, because this node has nothing to announce of them:
    /// that is not known now, and a job may have come to them from where it was not seen any more.
    fn doubt(&mut self, answers: &mut Answers, flows: &[Flow], node: &Node, fault: &Fault) {
        let is_there = |read: &FlowRead| match read {
            FlowRead::Kept(key) => self.session.wire.node_of(key.as_bytes()).as_ref() == Some(node),
            FlowRead::Sent(_) => false,
        };
        for flow in flows.iter().filter(|flow| flow.iter().any(is_there)) {
            for read in flow {
                if let FlowRead::Sent(place) = read {
                    answers[*place] = Err(of_node(node, fault));
                }
            }
        }
    }

    /// Reads everything once, in as many rounds as the flows need. Tells also which nodes are to be heard
    /// once more.
    async fn read_once(
        &mut self,
        reads: &[Read],
        flows: &[Flow],
    ) -> Result<(Answers, Vec<Node>), Fault> {
        let mut nodes = Nodes::default();
        let mut number = |key: &[u8]| nodes.number(self.session.wire.node_of(key));
        let places: Vec<usize> = reads.iter().map(|read| number(key(read))).collect();
        let mut place = |read: &FlowRead| match read {
            FlowRead::Sent(place) => FlowPlace::Sent(*place),
            FlowRead::Kept(key) => FlowPlace::Kept(number(key.as_bytes())),
        };
        let flows: Vec<Vec<FlowPlace<usize>>> =
            flows.iter().map(|flow| flow.iter().map(&mut place).collect()).collect();
        let stages = stages::stages(&places, &flows);
        let mut answers: Vec<Option<Result<Reply, Fault>>> = reads.iter().map(|_| None).collect();
        for stage in 0..=stages.iter().copied().max().unwrap_or(0) {
            let now: Vec<usize> =
                (0..reads.len()).filter(|place| stages[*place] == stage).collect();
            let clocks = self.clocks(reads, &now).await;
            let told = |place: &&usize| !matches!(clocks.get(*place), Some(Err(_)));
            let asked: Vec<usize> = now.iter().filter(told).copied().collect();
            let nows: Vec<Duration> = asked
                .iter()
                .map(|place| match clocks.get(place) {
                    Some(Ok(now)) => *now,
                    Some(Err(_)) | None => Duration::ZERO,
                })
                .collect();
            let batch: Vec<Read> = asked.iter().map(|place| reads[*place].clone()).collect();
            let within = |read: &FlowPlace<usize>| match read {
                FlowPlace::Sent(place) => asked.binary_search(place).ok(),
                FlowPlace::Kept(_) => None,
            };
            let along: Vec<Vec<usize>> =
                flows.iter().map(|flow| flow.iter().filter_map(within).collect()).collect();
            let replies = self.session.answer(&batch, &nows, &along).await?;
            for (place, reply) in asked.into_iter().zip(replies) {
                answers[place] = Some(reply.map(|reply| self.lasting(&reads[place], reply)));
            }
            for (place, clock) in clocks {
                if let Err(fault) = clock {
                    answers[place] = Some(Err(fault));
                }
            }
        }
        let unheard = stages::unheard(&places, &stages, &flows);
        let unheard = unheard.into_iter().filter_map(|number| nodes.named(number)).collect();
        let missing = || Err(Fault::Unexpected("a read that was not answered".to_owned()));
        let answers = answers.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect();
        Ok((answers, unheard))
    }

    /// The time of the node of each of these reads that depends on it.
    async fn clocks(
        &mut self,
        reads: &[Read],
        places: &[usize],
    ) -> HashMap<usize, Result<Duration, Fault>> {
        let mut by_node: BTreeMap<Node, Vec<usize>> = BTreeMap::new();
        for place in places.iter().filter(|place| reads[**place].depends_on_time()) {
            let node = self.session.wire.node_of(key(&reads[*place]));
            // Without a node it fails by itself.
            if let Some(node) = node {
                by_node.entry(node).or_default().push(*place);
            }
        }
        let nodes: Vec<Node> = by_node.keys().cloned().collect();
        let replies = self.session.wire.ask_nodes(&nodes, &[encode::time()]).await;
        let time = |replies: &[Response]| match replies {
            [Ok(value)] => decode::time(value),
            [Err(error)] => Err(fault(error)),
            _ => Err(Fault::Unexpected("no time".to_owned())),
        };
        let times = by_node.into_values().zip(replies);
        times
            .flat_map(|(places, replies)| {
                let time = time(&replies);
                places.into_iter().map(move |place| (place, time.clone()))
            })
            .collect()
    }

    /// A reply whose changes may come about without being announced lasts for no known time.
    fn lasting(&self, read: &Read, reply: Reply) -> Reply {
        let vouched = self.cluster.vouches(HashSlot::of(key(read)));
        Reply { lasts: if vouched { reply.lasts } else { Validity::Unknown }, ..reply }
    }

    async fn prove_all(&mut self, clock: bool) -> Result<Option<Duration>, Fault> {
        let mut commands = vec![redis::cmd("PING")];
        commands.extend(clock.then(encode::time));
        let nodes = self.cluster.up();
        let sent_at = Instant::now();
        self.session.wire.begin(sent_at + limits::CLUSTER_STEP_DEADLINE);
        let replies = self.session.wire.ask_nodes(&nodes, &commands).await;
        let heard_at = Instant::now();
        for (node, replies) in nodes.iter().zip(replies) {
            let why = replies.first().and_then(|reply| reply.as_ref().err()).map(fault);
            // As with one server: one that is not ready does not hear of what it should announce.
            if let Some(fault @ Fault::NotReady(_)) = why {
                self.cluster.fail_now(node, &fault);
            }
            let time = replies.get(1).and_then(|reply| reply.as_ref().ok());
            let time = time.and_then(|time| decode::time(time).ok());
            self.cluster.clock_said(node, time, sent_at, heard_at);
        }
        // Each node has a clock of its own, which is looked after here.
        self.cluster.lost().map_or(Ok(None), Err)
    }
}

impl Link for ClusterLink {
    fn tracked(&self) -> bool {
        self.cluster.may_vouch()
    }

    async fn read(&mut self, reads: &[Read], flows: &[Flow]) -> Result<Answers, Fault> {
        let Some(mut guard) = self.guard.take() else {
            return self.read_all(reads, flows).await;
        };
        let answers = select! {
            answers = self.read_all(reads, flows) => answers,
            fault = &mut guard => return Err(fault),
        };
        self.guard = Some(guard);
        answers
    }

    async fn scan(
        &mut self,
        wild: &KeyPattern,
        from: Option<&Position>,
    ) -> Result<Result<KeyPage, Fault>, Fault> {
        let Some(mut guard) = self.guard.take() else {
            return Ok(self.step(wild, from).await);
        };
        let page = select! {
            page = self.step(wild, from) => page,
            fault = &mut guard => return Err(fault),
        };
        self.guard = Some(guard);
        Ok(page)
    }

    fn confirmed_until(&self, sent_at: Instant) -> Instant {
        self.cluster.confirmed_until(sent_at)
    }

    async fn prove(&mut self, clock: bool) -> Result<Option<Duration>, Fault> {
        self.prove_all(clock).await
    }

    fn guard(&mut self) -> impl Future<Output = Fault> + Send + 'static {
        let guard = self.guard.take();
        async move {
            match guard {
                Some(guard) => guard.await,
                None => std::future::pending().await,
            }
        }
    }
}

fn key(read: &Read) -> &[u8] {
    let key = read.key();
    key.as_bytes()
}

/// Comes when each node was opened, with what it says that it serves, or could not be.
async fn settled(cluster: &Arc<Cluster>) {
    loop {
        let settled = cluster.settled.notified();
        if !cluster.is_settling() {
            return;
        }
        settled.await;
    }
}
