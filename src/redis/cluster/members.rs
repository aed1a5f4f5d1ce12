//! The nodes of one cluster, the slots that each serves, and the state of each. Links, surveys and
//! announcements read and change them from several places at once.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tracing::warn;

use crate::{
    config::Node,
    limits,
    sampling::{Change, Changes, Fault, Link},
    time::Instant,
};

use super::{
    super::{
        node::Dialer,
        slot::{HashSlot, SlotSet},
    },
    map::SlotMap,
    member::{Lookup, Member, NodeStanding, Up, keys},
    said::{Own, View},
    turns::{Survey, Turns},
};

/// The nodes of a cluster, and what each serves.
pub(super) struct Cluster {
    pub(super) dialer: Dialer,
    pub(super) changes: Changes,
    state: Mutex<MembersState>,
    /// Rung when a node is to be opened, or asked who serves what.
    pub(super) bell: Notify,
    /// Rung when a node was opened, or could not be, and when the map was made anew.
    pub(super) settled: Notify,
    /// Rung when something tells that the map is out of date.
    pub(super) outdated: Notify,
}

/// What is known of them.
pub(super) struct MembersState {
    pub(super) map: SlotMap,
    pub(super) members: BTreeMap<Node, Member>,
    /// What was said in the last survey.
    pub(super) said: (Option<View>, BTreeMap<Node, Own>),
    pub(super) surveyed_at: Instant,
    /// Whether something told that the map is out of date since the last survey began.
    pub(super) outdated: bool,
    /// Whether the map was changed by something else than the last survey.
    pub(super) patched: bool,
    /// Whether it was told that a node does not say what it serves.
    suppressed: bool,
    turns: Turns,
    openings: u64,
}

impl Cluster {
    /// A cluster of which nothing is known.
    pub(super) fn new(dialer: Dialer, changes: Changes) -> Arc<Self> {
        let now = Instant::now();
        let state = MembersState {
            map: SlotMap::empty(),
            members: BTreeMap::new(),
            said: (None, BTreeMap::new()),
            surveyed_at: now,
            outdated: false,
            patched: false,
            suppressed: false,
            turns: Turns::new(now),
            openings: 0,
        };
        let (bell, settled, outdated) = (Notify::new(), Notify::new(), Notify::new());
        Arc::new(Self { dialer, changes, state: Mutex::new(state), bell, settled, outdated })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, MembersState> {
        self.state.lock()
    }

    /// Who serves a slot.
    pub(super) fn owner(&self, slot: HashSlot) -> Option<Node> {
        self.state().map.owner(slot).cloned()
    }

    /// Whether every change of a key in this slot is announced.
    pub(super) fn vouches(&self, slot: HashSlot) -> bool {
        let state = self.state();
        let up = state.map.owner(slot).and_then(|owner| state.members.get(owner)?.up());
        up.is_some_and(Up::vouches)
    }

    /// Whether changes are announced anywhere, or may be once a node is up.
    pub(super) fn may_vouch(&self) -> bool {
        let state = self.state();
        let mut up = state.members.values().map(|member| member.up());
        up.any(|up| up.is_none_or(|up| up.link.tracked()))
    }

    /// Notes that a node does not say what it serves, which is logged once. What was taken for unchanged
    /// because it said so before is invalidated.
    pub(super) fn suppressed(&self, node: &Node, fault: &Fault) {
        let (first, invalidated) = {
            let mut state = self.state();
            let until = state.surveyed_at;
            let invalidated = state.members.get_mut(node).and_then(|member| {
                let NodeStanding::Up(up) = &mut member.standing else { return None };
                let told = std::mem::take(&mut up.tells);
                told.then(|| keys(Arc::clone(&member.slots), Some(until)))
            });
            (!std::mem::replace(&mut state.suppressed, true), invalidated)
        };
        if let Some(invalidated) = invalidated {
            self.changes.report(Change::Keys(invalidated));
        }
        if first {
            let connection = self.dialer.name();
            warn!(connection, %node, reason = %fault, "a node of the cluster does not say which slots it gives away; its keys are polled instead");
        }
    }

    /// What can be done with a node; one that is not known yet is to be opened. A redirect to it keeps it in
    /// memory; merely asking it does not.
    pub(super) fn look_up(&self, node: &Node, is_sent_to: bool) -> Lookup {
        let now = Instant::now();
        let mut state = self.state();
        let is_full = state.members.len() > 2 * limits::CLUSTER_MASTERS;
        let member = match state.members.get_mut(node) {
            Some(member) => member,
            None if is_full => {
                return Lookup::Fault(Fault::NotReady(format!(
                    "the cluster names one node after another, {node} now"
                )));
            }
            None => {
                self.bell.notify_one();
                state.members.entry(node.clone()).or_insert_with(|| Member::new(now))
            }
        };
        if is_sent_to {
            member.needed_at = now;
        }
        match &member.standing {
            NodeStanding::Up(up) => Lookup::Up(up.link.multiplexed(), member.opening),
            NodeStanding::Waiting(None, _) => Lookup::Wait(now + limits::NODE_DEADLINE),
            NodeStanding::Opening(Ok(until)) => Lookup::Wait(*until),
            NodeStanding::Waiting(Some(fault), _) | NodeStanding::Opening(Err(fault)) => {
                Lookup::Fault(fault.clone())
            }
        }
    }

    /// Every node that is up.
    pub(super) fn up(&self) -> Vec<Node> {
        let state = self.state();
        let up = state.members.iter().filter(|(_, member)| member.up().is_some());
        up.map(|(node, _)| node.clone()).collect()
    }

    /// Whether the first attempt at some node is not over.
    pub(super) fn is_settling(&self) -> bool {
        self.state().members.values().any(|member| match &member.standing {
            NodeStanding::Waiting(None, _) | NodeStanding::Opening(Ok(_)) => true,
            NodeStanding::Waiting(Some(_), _)
            | NodeStanding::Opening(Err(_))
            | NodeStanding::Up(_) => false,
        })
    }

    /// Why nothing can be read at all, if so.
    pub(super) fn lost(&self) -> Option<Fault> {
        let state = self.state();
        let mut last = unserved();
        for member in state.members.values() {
            match &member.standing {
                NodeStanding::Up(_)
                | NodeStanding::Waiting(None, _)
                | NodeStanding::Opening(Ok(_)) => {
                    return None;
                }
                NodeStanding::Waiting(Some(fault), _) | NodeStanding::Opening(Err(fault)) => {
                    last = fault.clone()
                }
            }
        }
        Some(last)
    }

    /// Until when all changes of all nodes that are up were announced, none of them later than `sent_at`.
    pub(super) fn confirmed_until(&self, sent_at: Instant) -> Instant {
        let state = self.state();
        let heard = state.members.values().filter_map(Member::up).map(|up| up.heard_at);
        heard.fold(sent_at, Instant::min)
    }

    /// Notes that a node answered what was sent to it at `sent_at`.
    pub(super) fn heard(&self, node: &Node, opening: u64, sent_at: Instant) {
        if let Some(up) = self.state().up_since(node, opening) {
            up.heard_at = up.heard_at.max(sent_at);
        }
    }

    /// Whether a survey should not wait for its time.
    pub(super) fn is_outdated(&self) -> bool {
        self.state().outdated
    }

    /// The nodes to ask in a survey that begins now, and since when what they say may have changed. `None` if
    /// no node is up.
    pub(super) fn asked_next(&self, now: Instant) -> Option<(Survey, Instant)> {
        let up = self.up();
        let mut state = self.state();
        // What is told from now on may not be in what they say.
        state.outdated = false;
        let known = state.known().max(up.len());
        let asked = state.turns.next(&up, known, now)?;
        let since = asked.since.map_or(state.surveyed_at, |since| since.min(state.surveyed_at));
        Some((asked, since))
    }

    /// Whether a node that is being opened is asked what it serves before anything else. In a large
    /// cluster that all come up at once has to wait for their turn.
    pub(super) fn asks_first(&self, node: &Node, now: Instant) -> bool {
        let mut state = self.state();
        let known = state.known();
        state.turns.may_begin(node, known, now)
    }

    /// The nodes to be opened now, each with the number of the attempt; and when to look again.
    pub(super) fn to_open(&self) -> (Vec<(Node, u64)>, Option<Instant>) {
        let now = Instant::now();
        let mut state = self.state();
        let (mut due, mut next) = (Vec::new(), None::<Instant>);
        let MembersState { members, openings, .. } = &mut *state;
        for (node, member) in members {
            let NodeStanding::Waiting(fault, at) = &member.standing else { continue };
            if *at > now {
                next = Some(next.map_or(*at, |next| next.min(*at)));
                continue;
            }
            member.standing = NodeStanding::Opening(match fault {
                None => Ok(now + limits::NODE_DEADLINE),
                Some(fault) => Err(fault.clone()),
            });
            *openings += 1;
            member.opening = *openings;
            due.push((node.clone(), *openings));
        }
        (due, next)
    }
}

/// That there is no master at all.
pub(super) fn unserved() -> Fault {
    Fault::NotReady("no node of the cluster serves any slot".to_owned())
}

impl MembersState {
    /// A node that is still up by the same connection.
    pub(super) fn up_since(&mut self, node: &Node, opening: u64) -> Option<&mut Up> {
        let member = self.members.get_mut(node).filter(|member| member.opening == opening)?;
        match &mut member.standing {
            NodeStanding::Up(up) => Some(up),
            NodeStanding::Waiting(..) | NodeStanding::Opening(_) => None,
        }
    }

    /// The slots that a node is being given.
    pub(super) fn arriving(&self, node: &Node) -> SlotSet {
        let said = self.members.get(node).and_then(|member| member.said.as_ref());
        said.map(|(id, _)| self.map.arriving(id)).unwrap_or_default()
    }

    /// The configuration epoch that a node last said it has.
    pub(super) fn epoch(&self, node: &Node) -> Option<u64> {
        self.members.get(node)?.said.as_ref().map(|(_, epoch)| *epoch)
    }

    /// How many nodes each tells of, for all that is known.
    fn known(&self) -> usize {
        let masters = self.said.0.as_ref().map_or(1, |view| view.masters().count());
        self.said.1.values().map(|own| own.known).max().unwrap_or(1).max(masters)
    }

    /// Takes note of who it is that says something of itself.
    pub(super) fn note(&mut self, node: &Node, own: &Own) {
        let known = self.known();
        self.turns.more(own.known.saturating_sub(known), Instant::now());
        if let Some(member) = self.members.get_mut(node) {
            member.said = Some((own.id.clone(), own.epoch));
            if let NodeStanding::Up(up) = &mut member.standing {
                up.tells = true;
            }
        }
    }

    /// Takes in what a node said of itself when it was opened. Tells the slots that are another's by
    /// that, or about to be.
    pub(super) fn joined(&mut self, node: &Node, own: Own, now: Instant) -> SlotSet {
        self.note(node, &own);
        let map = self.map.joined(node, &own, |node| self.epoch(node));
        let changed = map.changed_since(&self.map);
        self.said.1.insert(node.clone(), own);
        if !changed.is_empty() {
            self.patched = true;
            self.serve(map, now);
        }
        changed
    }

    /// Has each node serve what it does by this map.
    pub(super) fn serve(&mut self, map: SlotMap, now: Instant) {
        let masters = map.masters();
        for (node, member) in &mut self.members {
            if !masters.contains_key(node) {
                member.slots = Arc::default();
            }
        }
        for (node, slots) in masters {
            let member = self.members.entry(node).or_insert_with(|| Member::new(now));
            (member.slots, member.needed_at) = (Arc::new(slots), now);
        }
        self.map = map;
    }

    /// Lets nodes go that are not needed any more.
    pub(super) fn forget(&mut self, now: Instant) {
        self.members.retain(|_, member| {
            !member.slots.is_empty()
                || now.saturating_duration_since(member.needed_at) < limits::NODE_MEMORY
        });
    }
}
