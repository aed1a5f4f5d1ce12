//! What happens to the nodes of a cluster: they come up, are lost, give slots away, and say what they serve.
//!
//! Each of these invalidates keys: those of a node that was lost, since it was last heard, and those of slots
//! that moved. That is reported when the new standing is there, so that what is read for it goes the new way.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tracing::{info, warn};

use crate::{
    config::Node,
    limits,
    sampling::{Change, Changes, Clock, Fault, KeySet},
    time::Instant,
};

use super::{
    super::{
        node::NodeLink,
        slot::{HashSlot, SlotSet},
    },
    guard,
    member::{Member, NodeStanding, Up, keys, of_node},
    members::Cluster,
    said::{Own, View},
};

impl Cluster {
    /// Notes what the clock of a node said that was asked and heard at these two moments. When it was
    /// set, what was counted by it is reported.
    pub(super) fn clock_said(
        &self,
        node: &Node,
        time: Option<Duration>,
        sent_at: Instant,
        heard_at: Instant,
    ) {
        let keys = {
            let mut state = self.state();
            let Some(member) = state.members.get_mut(node) else { return };
            let slots = Arc::clone(&member.slots);
            let NodeStanding::Up(up) = &mut member.standing else { return };
            let last_heard_at = up.heard_at;
            up.clock.was_set(time, sent_at, heard_at).then(|| keys(slots, Some(last_heard_at)))
        };
        self.report(keys);
    }

    /// Sets a node aside: its keys are invalidated since it was last heard.
    pub(super) fn fail(&self, node: &Node, opening: u64, fault: &Fault) {
        let (invalidated, link) = {
            let mut state = self.state();
            if state.up_since(node, opening).is_none() {
                return;
            }
            let arriving = state.arriving(node);
            let Some(member) = state.members.get_mut(node) else { return };
            let now = Instant::now();
            if member.up().is_some_and(|up| {
                now.saturating_duration_since(up.since) > limits::RECONNECT_PAUSES.longest
            }) {
                member.failures = 0;
            }
            let fault = of_node(node, fault);
            if member.failures == 0 {
                let connection = self.dialer.name();
                warn!(connection, %node, reason = %fault, "a node of the cluster cannot be read; known values of its keys are held for the stale budget");
            }
            let slots = Arc::new(member.slots.iter().chain(arriving.iter()).collect());
            let put_off = member.put_off(fault, now);
            let standing = std::mem::replace(&mut member.standing, put_off);
            member.failures = member.failures.saturating_add(1);
            state.outdated = true;
            let NodeStanding::Up(up) = standing else { return };
            (keys(slots, Some(up.heard_at)), up.link)
        };
        drop(link);
        self.report(Some(invalidated));
        self.bell.notify_one();
        self.outdated.notify_one();
    }

    /// Sets a node aside that is up.
    pub(super) fn fail_now(&self, node: &Node, fault: &Fault) {
        let opening = self.state().members.get(node).map(|member| member.opening);
        if let Some(opening) = opening {
            self.fail(node, opening, fault);
        }
    }

    /// Notes that a node serves a slot that another one was asked for.
    pub(super) fn moved(&self, slot: HashSlot, to: &Node) {
        let invalidated = {
            let mut state = self.state();
            state.outdated = true;
            let from = state.map.owner(slot).cloned();
            if from.as_ref() == Some(to) {
                return;
            }
            state.patched = true;
            state.map.moved(slot, to.clone());
            let state = &mut *state;
            if let Some(member) = from.and_then(|from| state.members.get_mut(&from)) {
                Arc::make_mut(&mut member.slots).remove(slot);
            }
            if let Some(member) = state.members.get_mut(to) {
                Arc::make_mut(&mut member.slots).insert(slot);
            }
            keys(Arc::new(SlotSet::from_iter([slot])), Some(state.surveyed_at))
        };
        self.report(Some(invalidated));
        self.outdated.notify_one();
    }

    /// Takes in what was said in one survey that began at `asked_at`; what differs may have changed since
    /// `since`.
    pub(super) fn adopt(
        &self,
        view: Option<View>,
        owns: BTreeMap<Node, Own>,
        asked_at: Instant,
        since: Instant,
    ) {
        let invalidated = {
            let mut state = self.state();
            state.surveyed_at = asked_at;
            for (node, own) in &owns {
                state.note(node, own);
            }
            let patched = std::mem::take(&mut state.patched);
            if !patched && state.said.0 == view && state.said.1 == owns {
                state.forget(asked_at);
                return;
            }
            let (map, others) = state.map.merged(view.as_ref(), &owns, |node| state.epoch(node));
            let changed = map.changed_since(&state.map);
            state.serve(map, asked_at);
            for node in others {
                let member = state.members.entry(node).or_insert_with(|| Member::new(asked_at));
                member.needed_at = asked_at;
            }
            state.said = (view, owns);
            state.forget(asked_at);
            (!changed.is_empty()).then(|| keys(Arc::new(changed), Some(since)))
        };
        self.report(invalidated);
        self.settled.notify_waiters();
        self.bell.notify_one();
    }

    /// Opens a node, which comes up or waits for its next attempt.
    pub(super) async fn open(self: Arc<Self>, node: Node, opening: u64) {
        let lost = Arc::new(AtomicBool::new(false));
        let begun_at = Instant::now();
        let reporter: (Weak<Self>, Node, Arc<AtomicBool>) =
            (Arc::downgrade(&self), node.clone(), Arc::clone(&lost));
        let changes = Changes::new(move |change| {
            let (cluster, node, lost) = &reporter;
            let Some(cluster) = cluster.upgrade() else { return };
            if change == Change::LinkLost {
                lost.store(true, Ordering::SeqCst);
                let fault = Fault::Unreachable("the connection was closed".to_owned());
                cluster.fail(node, opening, &fault);
            } else {
                cluster.changes.report(change);
            }
        });
        let dialled = async {
            let mut link = self.dialer.dial(&node, &changes).await?;
            let asks = self.asks_first(&node, begun_at);
            let own = if asks { guard::own(&self, &node, &mut link).await? } else { None };
            Ok((link, own))
        };
        let dialled = tokio::time::timeout(limits::CONNECT_DEADLINE, dialled).await;
        self.opened(&node, opening, dialled.unwrap_or(Err(Fault::Timeout)), begun_at);
        if lost.load(Ordering::SeqCst) {
            let fault = Fault::Unreachable("the connection was closed".to_owned());
            self.fail(&node, opening, &fault);
        }
        self.settled.notify_waiters();
        self.bell.notify_one();
        self.outdated.notify_one();
    }

    fn opened(
        &self,
        node: &Node,
        opening: u64,
        dialled: Result<(NodeLink, Option<Own>), Fault>,
        begun_at: Instant,
    ) {
        let (invalidated, moved) = {
            let mut state = self.state();
            state.outdated = true;
            let Some(member) = state.members.get_mut(node) else { return };
            if member.opening != opening {
                return;
            }
            let now = Instant::now();
            let mut said = None;
            match dialled {
                Ok((link, own)) => {
                    said = own;
                    if member.failures > 0 {
                        info!(connection = self.dialer.name(), %node, "a node of the cluster can be read again");
                    }
                    let (tells, clock) = (false, Clock::default());
                    member.standing = NodeStanding::Up(Box::new(Up {
                        link,
                        since: now,
                        heard_at: begun_at,
                        tells,
                        clock,
                    }));
                }
                Err(fault) => {
                    let fault = of_node(node, &fault);
                    if member.failures == 0 {
                        warn!(connection = self.dialer.name(), %node, reason = %fault, "a node of the cluster cannot be reached");
                    }
                    member.standing = member.put_off(fault, now);
                    member.failures = member.failures.saturating_add(1);
                }
            }
            let served = Arc::clone(&member.slots);
            let until = state.surveyed_at;
            let changed = said.map(|own| state.joined(node, own, now)).unwrap_or_default();
            let moved = (!changed.is_empty()).then(|| keys(Arc::new(changed), Some(until)));
            (keys(served, None), moved)
        };
        // Nothing was announced while there was no link.
        self.report(Some(invalidated));
        self.report(moved);
    }

    fn report(&self, keys: Option<KeySet>) {
        if let Some(keys) = keys {
            self.changes.report(Change::Keys(keys));
        }
    }
}
