//! Listening to workers in a cluster, and saying again who we are: what goes on beside the reads on the
//! connection of a node.
//!
//! It is apart from the reads because no key is asked for. What is published on one node is passed on to
//! all of them, so one node is listened to: the one that serves the slot of the station's own name, whose
//! loss makes that name suspect as it does its keys.

use std::sync::Arc;

use deadpool_redis::redis::{self, Cmd, aio::MultiplexedConnection};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::{
    config::Node,
    layouts::{Heard, Name, Read, Station},
    limits,
    sampling::{Fault, Flow, FlowRead},
    time::Instant,
};

use super::{
    super::{
        error::fault,
        heard::{Ears, deaf},
        transcript::Exchange,
        wire::{Response, send},
    },
    Answers, ClusterLink,
    member::{Standing, of_node},
    members::Cluster,
};

/// A node with something to be said to it beside the reads.
struct Aside<T> {
    node: Node,
    opening: u64,
    connection: MultiplexedConnection,
    what: T,
}

impl ClusterLink {
    /// Answers reads of which some are heard. What is asked comes first, so that a job which moves
    /// meanwhile is counted twice; then the node that is listened to is asked for a proof that all it
    /// had to push was taken in.
    pub(super) async fn read_and_hear(
        &mut self,
        reads: &[Read],
        flows: &[Flow],
        deadline: Instant,
    ) -> Result<Answers, Fault> {
        let ears = self.cluster.dialer.ears().clone();
        let (mut nodes, mut silent) = (Vec::new(), Vec::<(Arc<Station>, Fault)>::new());
        for read in reads {
            let Read::Heard(heard) = read else { continue };
            match self.cluster.tune_in(&heard.station, &ears, deadline).await {
                Ok(node) if !nodes.contains(&(node.clone(), Arc::clone(&heard.station))) => {
                    nodes.push((node, Arc::clone(&heard.station)));
                }
                Ok(_) => {}
                Err(fault) => silent.push((Arc::clone(&heard.station), fault)),
            }
        }
        let is_asked = |place: &usize| !matches!(reads[*place], Read::Heard(_));
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
        let proofs = self.ask_nodes(&to, &[redis::cmd("PING")]).await;
        for ((_, station), proof) in nodes.into_iter().zip(proofs) {
            if let Some(fault) = unproved(&proof) {
                silent.push((station, fault));
            }
        }
        let few = || Err(Fault::Unexpected("too few replies".to_owned()));
        let mut all = Answers::with_capacity(reads.len());
        for read in reads {
            all.push(match read {
                Read::Heard(heard) => match silent.iter().find(|(of, _)| *of == heard.station) {
                    Some((_, fault)) => Err(fault.clone()),
                    None => {
                        self.note_heard(heard, &ears);
                        ears.answer(heard, Instant::now())
                    }
                },
                Read::Size { .. }
                | Read::Group { .. }
                | Read::Idle { .. }
                | Read::Flag { .. }
                | Read::Each(_) => answers.next().unwrap_or_else(few),
            });
        }
        Ok(all)
    }

    fn note_heard(&mut self, heard: &Heard, ears: &Ears) {
        let node = self.cluster.owner(station_slot(&heard.station)).map(|node| node.to_string());
        self.link.note(|| Exchange {
            node,
            command: format!("(heard on {})", ears.channel(&heard.station)),
            reply: ears.describe(&heard.station),
        });
    }
}

impl Cluster {
    /// Subscribes to the channels of a station at the node that serves the slot of its name, unless it
    /// is. Tells which node that is.
    async fn tune_in(
        &self,
        station: &Arc<Station>,
        ears: &Ears,
        deadline: Instant,
    ) -> Result<Node, Fault> {
        let slot = station_slot(station);
        let node = self.owner(slot);
        let node = node.ok_or_else(|| Fault::NotReady(format!("no node serves slot {slot}")))?;
        let (mut connection, opening) = {
            let state = self.state();
            let member = state.members.get(&node);
            let Some((member, up)) = member.and_then(|member| Some((member, member.up()?))) else {
                let why = "it is not connected to yet".to_owned();
                return Err(of_node(&node, &Fault::Unreachable(why)));
            };
            if up.link.ears.is_none() {
                return Err(deaf());
            }
            if up.link.tuned.contains(station) {
                return Ok(node);
            }
            (up.connection.clone(), member.opening)
        };
        if !ears.has_room(station) {
            let most = limits::STATIONS;
            let what = format!("more than {most} sets of channels would have to be listened to");
            return Err(Fault::Unexpected(what));
        }
        if station.roll().is_some() {
            let what =
                "workers that are silent while they run something are not looked for in a cluster";
            return Err(Fault::Unexpected(what.to_owned()));
        }
        let channels = ears.channels(station);
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
        ears.listen(station, Instant::now());
        if let Some(up) = self.state().up_since(&node, opening) {
            up.link.tuned.push(Arc::clone(station));
        }
        Ok(node)
    }

    /// Says AUTH again where the password was renewed, and unsubscribes from what nobody asks about any
    /// more. What was said before stays good when a node refuses the new password.
    pub(super) async fn look_after_connections(&self) {
        let now = Instant::now();
        let logins = self.asides(|up| up.link.login()?.command_due(now));
        let said = logins.into_iter().map(|aside: Aside<(u64, Cmd)>| async move {
            let Aside { node, opening, mut connection, what: (version, command) } = aside;
            match send(&mut connection, &[command], limits::NODE_DEADLINE).await {
                Ok(replies) => {
                    let mut state = self.state();
                    let login = state.up_since(&node, opening).and_then(|up| up.link.login());
                    if let (Some(login), Some(reply)) = (login, replies.first()) {
                        login.answered(version, reply, Instant::now());
                    }
                }
                Err(fault) => self.fail(&node, opening, &fault),
            }
        });
        join_all(said).await;
        let ears = self.dialer.ears();
        let channels = ears.rest(now);
        if channels.is_empty() {
            return;
        }
        let stations = ears.stations();
        let tuned = self.asides(|up| {
            let before = up.link.tuned.len();
            up.link.tuned.retain(|station| stations.contains(station));
            (up.link.tuned.len() < before).then_some(())
        });
        let names: Vec<&[u8]> = channels.iter().map(Name::as_bytes).collect();
        let ended = tuned.into_iter().map(|mut aside| {
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
        if let Some(login) = self.state().up_since(node, opening).and_then(|up| up.link.login()) {
            login.is_over();
        }
    }

    fn asides<T>(&self, what: impl Fn(&mut super::member::Up) -> Option<T>) -> Vec<Aside<T>> {
        let mut state = self.state();
        let aside = |(node, member): (&Node, &mut super::member::Member)| {
            let Standing::Up(up) = &mut member.standing else { return None };
            let what = what(up)?;
            let (opening, connection) = (member.opening, up.connection.clone());
            Some(Aside { node: node.clone(), opening, connection, what })
        };
        state.members.iter_mut().filter_map(aside).collect()
    }
}

fn station_slot(station: &Station) -> super::Slot {
    super::Slot::of(station.key.as_bytes())
}

/// Why it is not proved that everything pushed was taken in, if it is not.
pub(super) fn unproved(replies: &[Response]) -> Option<Fault> {
    match replies.first() {
        Some(Ok(_)) => None,
        // It came over the connection, after everything that was pushed before it.
        Some(Err(error)) => match fault(error) {
            Fault::Refused(_) => None,
            other @ (Fault::Unreachable(_)
            | Fault::Timeout
            | Fault::NotReady(_)
            | Fault::Credentials(_)
            | Fault::Listening(_)
            | Fault::Looking { .. }
            | Fault::Unexpected(_)) => Some(other),
        },
        None => Some(Fault::Unexpected("no reply".to_owned())),
    }
}
