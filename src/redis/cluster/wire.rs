//! Commands on their way to the nodes of a cluster: each to the node that serves its key, all nodes at once,
//! and on to another node where one says so. Of a command it knows only the key.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use deadpool_redis::redis::{self, Arg, Cmd, RedisError};
use futures_util::future::join_all;
use tokio::time::timeout_at;

use crate::{config::Node, limits, sampling::Fault, time::Instant};

use super::{
    super::{
        error::{brief, carried, fault},
        slot::{self, HashSlot},
        wire::{Response, Round, Wire, first_word, send, unauthenticated},
    },
    member::{Lookup, of_node},
    members::Cluster,
};

/// What takes commands to the nodes of a cluster, for one link.
pub(in crate::redis) struct ClusterWire {
    pub(super) cluster: Arc<Cluster>,
    /// When what was begun has to end.
    pub(super) deadline: Option<Instant>,
    /// Keys that the node they were asked at does not have, while it gives their slot to another node,
    /// which has to be asked. This is so for one batch.
    asks: HashMap<Vec<u8>, Node>,
    /// Keys whose commands were sent on.
    redirected: HashSet<Vec<u8>>,
}

/// Where a command goes.
#[derive(Debug, Clone)]
enum CommandTarget {
    /// To whoever serves this key.
    Key(Vec<u8>),
    /// To a node, and whether ASKING precedes the command.
    Node(Node, bool),
}

/// A node that a command is sent on to.
#[derive(Debug, PartialEq, Eq)]
struct Redirect {
    slot: HashSlot,
    to: Node,
    /// Whether only this command goes there, since the slot is not the node's yet.
    only_now: bool,
}

impl ClusterWire {
    pub(super) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, deadline: None, asks: HashMap::new(), redirected: HashSet::new() }
    }

    /// Begins something new that has to end by then.
    pub(super) fn begin(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
        self.asks.clear();
        self.redirected.clear();
    }

    /// The node that would be asked for a key.
    pub(super) fn node_of(&self, key: &[u8]) -> Option<Node> {
        self.asks.get(key).cloned().or_else(|| self.cluster.owner(HashSlot::of(key)))
    }

    /// The keys whose commands were sent on since the last call.
    pub(super) fn take_redirected(&mut self) -> HashSet<Vec<u8>> {
        std::mem::take(&mut self.redirected)
    }

    /// Sends each of these nodes the same commands and returns the replies of each.
    pub(super) async fn ask_nodes(
        &mut self,
        nodes: &[Node],
        commands: &[Cmd],
    ) -> Vec<Vec<Response>> {
        let all: Vec<Cmd> = nodes.iter().flat_map(|_| commands.iter().cloned()).collect();
        let to = |node: &Node| CommandTarget::Node(node.clone(), false);
        let targets = nodes.iter().flat_map(|node| commands.iter().map(move |_| to(node)));
        let replies = self.exchange(&all, targets.collect()).await;
        let mut replies = replies.into_iter().map(|(reply, _)| reply);
        nodes.iter().map(|_| replies.by_ref().take(commands.len()).collect()).collect()
    }

    async fn exchange(
        &mut self,
        commands: &[Cmd],
        mut targets: Vec<CommandTarget>,
    ) -> Vec<(Response, Option<Node>)> {
        let mut done: Vec<Option<(Response, Option<Node>)>> =
            commands.iter().map(|_| None).collect();
        for _ in 0..=limits::REDIRECTS {
            let mut groups: BTreeMap<(Node, bool), Vec<usize>> = BTreeMap::new();
            for place in 0..commands.len() {
                if done[place].is_some() {
                    continue;
                }
                match self.destination(&targets[place]) {
                    Ok(destination) => groups.entry(destination).or_default().push(place),
                    Err(fault) => done[place] = Some((Err(carried(fault)), None)),
                }
            }
            let deadline = self.deadline;
            let rounds = groups.into_iter().map(|((node, asking), places)| {
                let cluster = Arc::clone(&self.cluster);
                let commands: Vec<&Cmd> = places.iter().map(|place| &commands[*place]).collect();
                async move {
                    let replies = ask(&cluster, &node, &commands, asking, deadline).await;
                    (node, places, replies)
                }
            });
            for (node, places, replies) in join_all(rounds).await {
                let replies = match replies {
                    Ok(replies) => replies,
                    Err(fault) => places.iter().map(|_| Err(carried(fault.clone()))).collect(),
                };
                for (place, reply) in places.into_iter().zip(replies) {
                    match self.redirect(&reply, &targets[place], &node) {
                        Some(target) => targets[place] = target,
                        None => done[place] = Some((final_reply(reply, &node), Some(node.clone()))),
                    }
                }
            }
            if done.iter().all(Option::is_some) {
                break;
            }
        }
        let unsettled = || {
            let why = "the cluster keeps moving a key from node to node".to_owned();
            (Err(carried(Fault::NotReady(why))), None)
        };
        done.into_iter().map(|reply| reply.unwrap_or_else(unsettled)).collect()
    }

    fn destination(&self, target: &CommandTarget) -> Result<(Node, bool), Fault> {
        match target {
            CommandTarget::Node(node, asking) => Ok((node.clone(), *asking)),
            CommandTarget::Key(key) => match self.asks.get(key) {
                Some(node) => Ok((node.clone(), true)),
                None => {
                    let slot = HashSlot::of(key);
                    let owner = self.cluster.owner(slot).map(|node| (node, false));
                    owner.ok_or_else(|| Fault::NotReady(format!("no node serves slot {slot}")))
                }
            },
        }
    }

    /// Where a command goes on to, by the reply of the node that was asked.
    fn redirect(
        &mut self,
        reply: &Response,
        target: &CommandTarget,
        asked: &Node,
    ) -> Option<CommandTarget> {
        let Err(error) = reply else { return None };
        let Redirect { slot, to, only_now } = Redirect::parse(error, asked)?;
        if !only_now {
            self.cluster.moved(slot, &to);
        }
        if let CommandTarget::Key(key) = target {
            self.redirected.insert(key.clone());
            if only_now {
                self.asks.insert(key.clone(), to);
            } else {
                self.asks.remove(key);
            }
            return Some(CommandTarget::Key(key.clone()));
        }
        Some(CommandTarget::Node(to, only_now))
    }
}

impl Wire for ClusterWire {
    /// Each command goes to the node that serves its key. What a node does not answer is a fault of its own
    /// commands.
    async fn round(&mut self, commands: &[Cmd]) -> Result<Round, Fault> {
        let targets = keys_of(commands).into_iter().map(CommandTarget::Key).collect();
        let replies = self.exchange(commands, targets).await;
        let (replies, nodes) = replies
            .into_iter()
            .map(|(reply, node)| (reply, node.map(|node| node.to_string())))
            .unzip();
        Ok(Round { replies, nodes })
    }

    fn is_shared(&self, one: &[u8], other: &[u8]) -> bool {
        slot::is_shared(one, other)
    }
}

impl Redirect {
    /// `MOVED 3999 host:port` or `ASK 3999 host:port`; without a host it is the one that was asked.
    fn parse(error: &RedisError, asked: &Node) -> Option<Self> {
        let only_now = match error.code()? {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let (slot, address) = error.detail()?.trim().split_once(' ')?;
        let (host, port) = address.rsplit_once(':')?;
        let host = if host.is_empty() || host == "?" { &asked.host } else { host };
        let port = port.parse().ok()?;
        let slot = HashSlot::new(slot.parse().ok()?)?;
        let to = Node::named(host.trim_start_matches('[').trim_end_matches(']'), port)?;
        Some(Self { slot, to, only_now })
    }
}

/// A reply that is not followed. One that should be and names no node is told as what it is.
fn final_reply(reply: Response, node: &Node) -> Response {
    reply.map_err(|error| match error.code() {
        Some("MOVED" | "ASK") => {
            let what = format!("it sends a key on to no node ({})", brief(&error));
            carried(of_node(node, &Fault::Unexpected(what)))
        }
        Some(_) | None => error,
    })
}

/// Sends commands to one node and waits for it no longer than a node may take. A node that takes longer
/// is set aside, unless there was less time left.
async fn ask(
    cluster: &Cluster,
    node: &Node,
    commands: &[&Cmd],
    asking: bool,
    deadline: Option<Instant>,
) -> Result<Vec<Response>, Fault> {
    let (mut connection, opening) = loop {
        let settled = cluster.settled.notified();
        match cluster.look_up(node, asking) {
            Lookup::Up(connection, opening) => break (connection, opening),
            Lookup::Fault(fault) => return Err(fault),
            Lookup::Wait(until) => {
                let until = deadline.map_or(until, |deadline| deadline.min(until));
                let settled = timeout_at(until, settled).await;
                settled.map_err(|_| of_node(node, &Fault::Timeout))?;
            }
        }
    };
    let sent: Vec<Cmd> = commands
        .iter()
        .flat_map(|command| {
            asking.then(|| redis::cmd("ASKING")).into_iter().chain([(*command).clone()])
        })
        .collect();
    let sent_at = Instant::now();
    let left = deadline.map(|deadline| deadline.saturating_duration_since(sent_at));
    let patience = left.unwrap_or(limits::NODE_DEADLINE).min(limits::NODE_DEADLINE);
    match send(&mut connection, &sent, patience).await {
        Ok(replies) => {
            if let Some(fault) = unauthenticated(&replies) {
                cluster.unauthenticated(node, opening);
                cluster.fail(node, opening, &fault);
                return Err(of_node(node, &fault));
            }
            cluster.heard(node, opening, sent_at);
            let step = if asking { 2 } else { 1 };
            Ok(replies.into_iter().skip(step - 1).step_by(step).collect())
        }
        Err(Fault::Timeout) if patience < limits::NODE_DEADLINE => {
            Err(of_node(node, &Fault::Timeout))
        }
        Err(fault) => {
            cluster.fail(node, opening, &fault);
            Err(of_node(node, &fault))
        }
    }
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

/// The keys that commands are about. MULTI goes where the command after it does, EXEC where the one before.
fn keys_of(commands: &[Cmd]) -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = Vec::with_capacity(commands.len());
    for (place, command) in commands.iter().enumerate() {
        keys.push(match first_word(command) {
            Some(b"MULTI") => commands.get(place + 1).map(key_of).unwrap_or_default(),
            Some(b"EXEC") => keys.last().cloned().unwrap_or_default(),
            Some(_) | None => key_of(command),
        });
    }
    keys
}

/// The key that a command is about: its first argument, but for XINFO, which has a word before it.
fn key_of(command: &Cmd) -> Vec<u8> {
    let mut words = command.args_iter().filter_map(|argument| {
        let Arg::Simple(bytes) = argument else { return None };
        Some(bytes)
    });
    let key = match words.next() {
        Some(b"XINFO") => words.nth(1),
        Some(_) | None => words.next(),
    };
    key.unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::{Value, make_extension_error};

    use super::{super::super::error::fault, *};

    fn asked() -> Node {
        Node { host: "10.0.0.1".to_owned(), port: 7000 }
    }

    fn redirect(code: &str, detail: &str) -> Option<(usize, String, bool)> {
        let error = make_extension_error(code.to_owned(), Some(detail.to_owned()));
        let redirect = Redirect::parse(&error, &asked())?;
        Some((redirect.slot.index(), redirect.to.to_string(), redirect.only_now))
    }

    #[test]
    fn a_redirect_names_a_slot_and_a_node() {
        let to = |slot, node: &str, only_now| Some((slot, node.to_owned(), only_now));
        assert_eq!(redirect("MOVED", "3999 127.0.0.1:6381"), to(3999, "127.0.0.1:6381", false));
        assert_eq!(redirect("ASK", "0 node.example:1"), to(0, "node.example:1", true));
        assert_eq!(redirect("MOVED", "1 :7001"), to(1, "10.0.0.1:7001", false));
        assert_eq!(redirect("MOVED", "1 ?:7001"), to(1, "10.0.0.1:7001", false));
        assert_eq!(redirect("MOVED", "1 fd00::1:7001"), to(1, "[fd00::1]:7001", false));
        for (code, detail) in [
            ("MOVED", "16384 h:1"),
            ("MOVED", "1 h:0"),
            ("MOVED", "1 h"),
            ("MOVED", ""),
            ("ASK", "x h:1"),
            ("CLUSTERDOWN", "1 h:1"),
        ] {
            assert_eq!(redirect(code, detail), None, "{code} {detail}");
        }
    }

    #[test]
    fn a_redirect_to_no_node_is_told_as_that() {
        let error = make_extension_error("MOVED".to_owned(), Some("5 nowhere".to_owned()));
        let told = fault(&final_reply(Err(error), &asked()).unwrap_err()).to_string();
        let wanted = "node 10.0.0.1:7000: it sends a key on to no node (MOVED 5 nowhere)";
        assert!(told.contains(wanted), "{told}");
    }

    #[test]
    fn the_key_of_a_command_is_found() {
        let command = |words: &[&str]| {
            let mut command = Cmd::new();
            for word in words {
                command.arg(*word);
            }
            String::from_utf8(key_of(&command)).unwrap()
        };
        assert_eq!(command(&["LLEN", "q"]), "q");
        assert_eq!(command(&["XINFO", "GROUPS", "s"]), "s");
        assert_eq!(command(&["GETRANGE", "k", "0", "64"]), "k");
        assert_eq!(command(&["PING"]), "");
    }

    #[test]
    fn a_reply_that_is_no_redirect_stays_where_it_is() {
        let replies: [Response; 2] =
            [Ok(Value::Int(1)), Err(make_extension_error("WRONGTYPE".to_owned(), None))];
        for reply in replies {
            let error = reply.err();
            assert!(error.is_none_or(|error| Redirect::parse(&error, &asked()).is_none()));
        }
    }
}
