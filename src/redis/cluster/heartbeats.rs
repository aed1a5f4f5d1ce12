//! Heartbeats in a cluster, and renewed logins: what goes on beside the reads on the connection of a node.
//!
//! A message that is published on one node is passed on to all of them, so one node is subscribed to. It is
//! the one that serves the slot of the format's own name: when it is lost, that name is invalidated with its
//! keys.

use std::sync::Arc;

use deadpool_redis::redis::{self, Cmd, aio::MultiplexedConnection};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::{
    config::Node,
    layouts::{HeartbeatFormat, Heartbeats, Name, Read},
    limits,
    sampling::{Fault, Flow, FlowRead},
    time::Instant,
};

use super::{
    super::{
        error::{fault, few},
        heartbeats::{HeartbeatTracker, no_pushes},
        slot::HashSlot,
        transcript::Exchange,
        wire::send,
    },
    link::{Answers, ClusterLink},
    member::{Member, NodeStanding, Up, of_node},
    members::Cluster,
    wire::unproved,
};

/// A node with something to be said to it beside the reads.
struct Aside<T> {
    node: Node,
    opening: u64,
    connection: MultiplexedConnection,
    what: T,
}

impl ClusterLink {
    /// Answers reads of which some are about heartbeats. Redis is asked first, so that a job which moves
    /// meanwhile is counted twice; then the node that is listened to is asked for a proof that all it
    /// had to push was taken in.
    pub(super) async fn read_with_heartbeats(
        &mut self,
        reads: &[Read],
        flows: &[Flow],
        deadline: Instant,
    ) -> Result<Answers, Fault> {
        let tracker = self.cluster.dialer.tracker().clone();
        let (mut nodes, mut silent) = (Vec::new(), Vec::<(Arc<HeartbeatFormat>, Fault)>::new());
        for read in reads {
            let Read::Heartbeats(heartbeats) = read else { continue };
            match self.cluster.subscribe_to(&heartbeats.format, &tracker, deadline).await {
                Ok(node) if !nodes.contains(&(node.clone(), Arc::clone(&heartbeats.format))) => {
                    nodes.push((node, Arc::clone(&heartbeats.format)));
                }
                Ok(_) => {}
                Err(fault) => silent.push((Arc::clone(&heartbeats.format), fault)),
            }
        }
        let is_asked = |place: &usize| !matches!(reads[*place], Read::Heartbeats(_));
        let places: Vec<usize> = (0..reads.len()).filter(is_asked).collect();
        let asked: Vec<Read> = places.iter().map(|place| reads[*place].clone()).collect();
        let along = |read: &FlowRead| match read {
            FlowRead::Sent(place) => places.binary_search(place).ok().map(FlowRead::Sent),
            FlowRead::Kept(key) => Some(FlowRead::Kept(key.clone())),
        };
        let flows: Vec<Flow> =
            flows.iter().map(|flow| flow.iter().filter_map(along).collect()).collect();
        let mut answers = self.read_in_order(&asked, &flows, deadline).await?.into_iter();
        let to: Vec<Node> = nodes.iter().map(|(node, _)| node.clone()).collect();
        let proofs = self.session.wire.ask_nodes(&to, &[redis::cmd("PING")]).await;
        for ((_, format), proof) in nodes.into_iter().zip(proofs) {
            if let Some(fault) = unproved(&proof) {
                silent.push((format, fault));
            }
        }
        let mut all = Answers::with_capacity(reads.len());
        for read in reads {
            let Read::Heartbeats(heartbeats) = read else {
                all.push(answers.next().unwrap_or_else(|| Err(few())));
                continue;
            };
            all.push(match silent.iter().find(|(of, _)| *of == heartbeats.format) {
                Some((_, fault)) => Err(fault.clone()),
                None => {
                    self.note_heartbeats(heartbeats, &tracker);
                    tracker.answer(heartbeats, Instant::now())
                }
            });
        }
        Ok(all)
    }

    fn note_heartbeats(&mut self, heartbeats: &Heartbeats, tracker: &HeartbeatTracker) {
        let node = self.cluster.owner(format_slot(&heartbeats.format)).map(|node| node.to_string());
        self.session.note(|| Exchange {
            node,
            command: format!("(heard on {})", tracker.channel(&heartbeats.format)),
            reply: tracker.describe(&heartbeats.format),
        });
    }
}

impl Cluster {
    /// Subscribes to the channels of a format at the node that serves the slot of its name, unless it is
    /// subscribed already. Tells which node that is.
    async fn subscribe_to(
        &self,
        format: &Arc<HeartbeatFormat>,
        tracker: &HeartbeatTracker,
        deadline: Instant,
    ) -> Result<Node, Fault> {
        let slot = format_slot(format);
        let node = self.owner(slot);
        let node = node.ok_or_else(|| Fault::NotReady(format!("no node serves slot {slot}")))?;
        let (mut connection, opening) = {
            let state = self.state();
            let member = state.members.get(&node);
            let Some((member, up)) = member.and_then(|member| Some((member, member.up()?))) else {
                let why = "it is not connected to yet".to_owned();
                return Err(of_node(&node, &Fault::Unreachable(why)));
            };
            if up.link.tracker.is_none() {
                return Err(no_pushes());
            }
            if up.link.subscribed.contains(format) {
                return Ok(node);
            }
            (up.link.multiplexed(), member.opening)
        };
        if !tracker.has_room_for(format) {
            let most = limits::HEARTBEAT_FORMATS;
            let what = format!("more than {most} sets of channels would have to be listened to");
            return Err(Fault::Unexpected(what));
        }
        if format.roll().is_some() {
            let what =
                "workers that are silent while they run something are not looked for in a cluster";
            return Err(Fault::Unexpected(what.to_owned()));
        }
        let channels = tracker.channels(format);
        let names: Vec<&[u8]> = channels.iter().map(Name::as_bytes).collect();
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout(left.min(limits::NODE_DEADLINE), connection.subscribe(names)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(of_node(&node, &fault(&error))),
            Err(_) => {
                if left >= limits::NODE_DEADLINE {
                    self.fail(&node, opening, &Fault::Timeout);
                }
                return Err(of_node(&node, &Fault::Timeout));
            }
        }
        tracker.listen(format, Instant::now());
        if let Some(up) = self.state().up_since(&node, opening) {
            up.link.subscribed.push(Arc::clone(format));
        }
        Ok(node)
    }

    /// Says AUTH again where the password was renewed, and unsubscribes from what nobody asks about any
    /// more. What was said before stays good when a node refuses the new password.
    pub(super) async fn look_after_connections(&self) {
        let now = Instant::now();
        let logins = self.asides(|up| up.link.login().command_due(now));
        let said = logins.into_iter().map(|aside: Aside<(u64, Cmd)>| async move {
            let Aside { node, opening, mut connection, what: (version, command) } = aside;
            match send(&mut connection, &[command], limits::NODE_DEADLINE).await {
                Ok(replies) => {
                    let mut state = self.state();
                    let up = state.up_since(&node, opening);
                    if let (Some(up), Some(reply)) = (up, replies.first()) {
                        up.link.login().answered(version, reply, Instant::now());
                    }
                }
                Err(fault) => self.fail(&node, opening, &fault),
            }
        });
        join_all(said).await;
        let tracker = self.dialer.tracker();
        let channels = tracker.rest(now);
        if channels.is_empty() {
            return;
        }
        let formats = tracker.formats();
        let subscribed = self.asides(|up| {
            let before = up.link.subscribed.len();
            up.link.subscribed.retain(|format| formats.contains(format));
            (up.link.subscribed.len() < before).then_some(())
        });
        let names: Vec<&[u8]> = channels.iter().map(Name::as_bytes).collect();
        let ended = subscribed.into_iter().map(|mut aside| {
            let names = names.clone();
            async move {
                let ended = timeout(limits::NODE_DEADLINE, aside.connection.unsubscribe(names));
                if ended.await.is_err() {
                    self.fail(&aside.node, aside.opening, &Fault::Timeout);
                }
            }
        });
        join_all(ended).await;
    }

    /// Redis says that this connection is not authenticated any more.
    pub(super) fn unauthenticated(&self, node: &Node, opening: u64) {
        if let Some(up) = self.state().up_since(node, opening) {
            up.link.login().report_expired();
        }
    }

    fn asides<T>(&self, what: impl Fn(&mut Up) -> Option<T>) -> Vec<Aside<T>> {
        let mut state = self.state();
        let aside = |(node, member): (&Node, &mut Member)| {
            let NodeStanding::Up(up) = &mut member.standing else { return None };
            let what = what(up)?;
            let (opening, connection) = (member.opening, up.link.multiplexed());
            Some(Aside { node: node.clone(), opening, connection, what })
        };
        state.members.iter_mut().filter_map(aside).collect()
    }
}

fn format_slot(format: &HeartbeatFormat) -> HashSlot {
    HashSlot::of(format.key.as_bytes())
}
