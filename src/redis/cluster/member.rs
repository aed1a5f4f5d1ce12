//! One node of a cluster and its state: to be opened, being opened, or up.

use std::sync::Arc;

use deadpool_redis::redis::aio::MultiplexedConnection;

use crate::{
    config::Node,
    layouts::Name,
    limits,
    sampling::{Clock, Fault, KeySet, Link},
    time::Instant,
};

use super::super::{
    error,
    node::NodeLink,
    slot::{HashSlot, SlotSet},
};

pub(super) struct Member {
    pub(super) slots: Arc<SlotSet>,
    pub(super) standing: NodeStanding,
    /// Its id and its configuration epoch, as it last said.
    pub(super) said: Option<(String, u64)>,
    /// The number of the attempt to open it that its standing is due to.
    pub(super) opening: u64,
    /// Attempts that failed since it was up for a while.
    pub(super) failures: u32,
    /// When it last served a slot or was named by another node.
    pub(super) needed_at: Instant,
}

pub(super) enum NodeStanding {
    /// To be opened when its time has come.
    Waiting(Option<Fault>, Instant),
    /// Being opened; commands wait for the first attempt until then.
    Opening(Result<Instant, Fault>),
    Up(Box<Up>),
}

/// A node that answers.
pub(super) struct Up {
    pub(super) link: NodeLink,
    pub(super) since: Instant,
    /// When what it last answered was sent.
    pub(super) heard_at: Instant,
    /// Whether it tells which slots it is giving away; without that it is unknown where a key that
    /// does not exist will be written.
    pub(super) tells: bool,
    pub(super) clock: Clock,
}

/// What can be done with a node.
pub(super) enum Lookup {
    /// Send it something; the number is that of its connection.
    Up(MultiplexedConnection, u64),
    /// Wait for it until then.
    Wait(Instant),
    Fault(Fault),
}

impl Member {
    /// A node that is to be opened now.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            slots: Arc::default(),
            standing: NodeStanding::Waiting(None, now),
            said: None,
            opening: 0,
            failures: 0,
            needed_at: now,
        }
    }

    /// It, if it answers.
    pub(super) fn up(&self) -> Option<&Up> {
        match &self.standing {
            NodeStanding::Up(up) => Some(up),
            NodeStanding::Waiting(..) | NodeStanding::Opening(_) => None,
        }
    }

    /// The next attempt after one more failure.
    pub(super) fn put_off(&self, fault: Fault, now: Instant) -> NodeStanding {
        let failures = self.failures.saturating_add(1);
        let pause = limits::RECONNECT_PAUSES.spread_after(failures);
        NodeStanding::Waiting(Some(fault), now + pause)
    }
}

impl Up {
    /// Whether every change of its keys is announced.
    pub(super) fn vouches(&self) -> bool {
        self.link.tracked() && self.tells
    }
}

/// The keys in these slots.
pub(super) fn keys(slots: Arc<SlotSet>, valid_until: Option<Instant>) -> KeySet {
    KeySet::new(move |key: &Name| slots.contains(HashSlot::of(key.as_bytes())), valid_until)
}

/// A fault that says which node it is about.
pub(super) fn of_node(node: &Node, fault: &Fault) -> Fault {
    error::about(&format_args!("node {node}"), fault.clone())
}
