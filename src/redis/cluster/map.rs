//! Which node serves which slot, made of what the nodes say. It is pure.
//!
//! A node knows best what it serves itself (its own line of `CLUSTER NODES`). If two claim a slot, the one
//! with the later configuration epoch is right, which is the cluster's own rule. A slot that no queried node
//! claims is taken from another node's `CLUSTER SLOTS`, which names each node as the administrator wants
//! clients to know it.

use std::{collections::BTreeMap, sync::Arc};

use crate::config::Node;

use super::{
    super::slot::{HashSlot, SLOTS, SlotSet},
    said::{Own, View},
};

/// Who serves which slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SlotMap {
    owners: Box<[Option<Arc<Node>>]>,
    leaving: BTreeMap<HashSlot, String>,
}

impl SlotMap {
    /// A map without any node.
    pub(super) fn empty() -> Self {
        Self { owners: vec![None; usize::from(SLOTS)].into(), leaving: BTreeMap::new() }
    }

    /// Who serves a slot.
    pub(super) fn owner(&self, slot: HashSlot) -> Option<&Node> {
        self.owners[slot.index()].as_deref()
    }

    /// Notes what a node said that was asked for a slot which it does not serve.
    pub(super) fn moved(&mut self, slot: HashSlot, to: Node) {
        self.owners[slot.index()] = Some(Arc::new(to));
        self.leaving.remove(&slot);
    }

    /// Each master, and what it serves.
    pub(super) fn masters(&self) -> BTreeMap<Node, SlotSet> {
        let mut masters = BTreeMap::<Node, SlotSet>::new();
        for slot in HashSlot::all() {
            if let Some(owner) = self.owner(slot) {
                match masters.get_mut(owner) {
                    Some(slots) => slots.insert(slot),
                    None => drop(masters.insert(owner.clone(), SlotSet::from_iter([slot]))),
                }
            }
        }
        masters
    }

    /// The slots that are about to be given to the node of this id.
    pub(super) fn arriving(&self, id: &str) -> SlotSet {
        self.leaving.iter().filter(|(_, to)| *to == id).map(|(slot, _)| *slot).collect()
    }

    /// Whether any slot is about to be given away.
    pub(super) fn is_moving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// What the map becomes by what was said in one round: a view of all, and what each node said of
    /// itself. The claim of the later epoch counts, also against who was not asked in this round, by the
    /// epochs that are known of those. Also tells the masters of which it is not known yet what they say of
    /// themselves.
    pub(super) fn merged(
        &self,
        view: Option<&View>,
        owns: &BTreeMap<Node, Own>,
        epoch: impl Fn(&Node) -> Option<u64>,
    ) -> (Self, Vec<Node>) {
        let mut map = self.clone();
        // One server may be known by several names; who was asked goes by the name it was asked by.
        let asked: BTreeMap<&str, &Node> =
            owns.iter().rev().map(|(node, own)| (own.id.as_str(), node)).collect();
        let mut others = Vec::new();
        if let Some(view) = view {
            map.owners.fill(None);
            for range in &view.0 {
                let node = asked.get(range.id.as_str()).copied().or(range.node.as_ref());
                let node = node.cloned().map(Arc::new);
                range.slots().for_each(|slot| map.owners[slot.index()].clone_from(&node));
            }
            let unasked = view.masters().filter(|(id, _)| !asked.contains_key(id));
            others.extend(unasked.filter_map(|(_, node)| node.cloned()));
        }
        // The epoch from which on a claim takes a slot from its owner.
        let unasked = |owner: &Node| (!owns.contains_key(owner)).then(|| epoch(owner)).flatten();
        let of_owner = |slot| map.owner(slot).and_then(unasked).unwrap_or(0);
        let mut claims: Vec<u64> = HashSlot::all().map(of_owner).collect();
        for (node, own) in
            owns.iter().filter(|(node, own)| asked.get(own.id.as_str()) == Some(node))
        {
            map.leaving.retain(|slot, _| self.owner(*slot) != Some(node));
            if !own.is_master {
                continue;
            }
            let owner = Some(Arc::new(node.clone()));
            for slot in own.slots.iter() {
                let claim = &mut claims[slot.index()];
                if *claim <= own.epoch {
                    *claim = own.epoch.saturating_add(1);
                    map.owners[slot.index()].clone_from(&owner);
                }
            }
        }
        owns.iter().for_each(|(node, own)| map.note_leaving(node, own));
        (map, others)
    }

    /// What the map becomes by what a node said of itself when it was opened. What others serve by the map
    /// becomes its own if its claim is the later one, by the epochs that are known of them.
    pub(super) fn joined(
        &self,
        node: &Node,
        own: &Own,
        epoch: impl Fn(&Node) -> Option<u64>,
    ) -> Self {
        let mut map = self.clone();
        map.leaving.retain(|slot, _| self.owner(*slot) != Some(node));
        if own.is_master {
            let owner = Some(Arc::new(node.clone()));
            for slot in own.slots.iter() {
                let other = self.owner(slot).filter(|other| *other != node).and_then(&epoch);
                if other.is_none_or(|epoch| epoch < own.epoch) {
                    map.owners[slot.index()].clone_from(&owner);
                }
            }
        }
        map.note_leaving(node, own);
        map
    }

    fn note_leaving(&mut self, node: &Node, own: &Own) {
        for (slot, to) in &own.leaving {
            if self.owner(*slot) == Some(node) {
                self.leaving.insert(*slot, to.clone());
            }
        }
    }

    /// The slots that another node serves now, or that are about to be given away or no longer so. What
    /// Redis announces of a key that does not exist is not to be relied on for these: it was asked for
    /// at another node than the one where it will be written.
    pub(super) fn changed_since(&self, before: &Self) -> SlotSet {
        let differs = |slot: &HashSlot| {
            self.owner(*slot) != before.owner(*slot)
                || self.leaving.get(slot) != before.leaving.get(slot)
        };
        HashSlot::all().filter(differs).collect()
    }
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::Value;

    use super::*;

    fn node(port: u16) -> Node {
        Node { host: "10.0.0.9".to_owned(), port }
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn slot(number: u64) -> HashSlot {
        HashSlot::new(number).unwrap()
    }

    fn row(slots: [i64; 2], endpoint: Value, port: i64, id: &str) -> Value {
        let master = vec![endpoint, Value::Int(port), bulk(id), Value::Array(vec![])];
        Value::Array(vec![Value::Int(slots[0]), Value::Int(slots[1]), Value::Array(master)])
    }

    fn view(rows: Vec<Value>) -> View {
        View::parse(&Value::Array(rows), &node(1)).unwrap()
    }

    fn own(line: &str) -> Own {
        Own::parse(&bulk(line)).unwrap()
    }

    fn owns(lines: &[(u16, &str)]) -> BTreeMap<Node, Own> {
        lines.iter().map(|(port, line)| (node(*port), own(line))).collect()
    }

    #[test]
    fn a_node_without_an_address_of_its_own_is_where_the_asked_one_is() {
        let details = vec![bulk("ip"), bulk("10.1.2.3")];
        let unnamed = Value::Array(vec![
            Value::Int(3),
            Value::Int(3),
            Value::Array(vec![bulk("?"), Value::Int(7), bulk("d"), Value::Array(details)]),
        ]);
        let view = view(vec![
            row([0, 0], Value::Nil, 7, "a"),
            row([1, 1], bulk(""), 8, "b"),
            row([2, 2], bulk("node.example"), 9, "c"),
            unnamed,
            row([4, 4], bulk("?"), 7, "e"),
            row([5, 5], bulk("fd00::1"), 7, "f"),
        ]);
        let (map, _) = SlotMap::empty().merged(Some(&view), &BTreeMap::new(), |_| None);
        let owner = |n| map.owner(slot(n)).map(Node::to_string);
        let owners: Vec<_> = (0..7).map(owner).collect();
        let known = ["10.0.0.9:7", "10.0.0.9:8", "node.example:9", "10.1.2.3:7"]
            .map(|a| Some(a.to_owned()));
        assert_eq!(owners[..4], known);
        assert_eq!(owners[4..], [None, Some("[fd00::1]:7".to_owned()), None]);
    }

    #[test]
    fn a_node_knows_better_than_another_what_it_serves() {
        let lagging = view(vec![
            row([0, 9], bulk("10.0.0.9"), 1, "a"),
            row([10, 19], bulk("10.0.0.9"), 2, "b"),
        ]);
        let said = owns(&[
            (1, "a x myself,master - 0 0 1 connected 0-8"),
            (2, "b x myself,master - 0 0 2 connected 9-19"),
        ]);
        let (map, others) = SlotMap::empty().merged(Some(&lagging), &said, |_| None);
        assert_eq!((map.owner(slot(8)), map.owner(slot(9))), (Some(&node(1)), Some(&node(2))));
        assert!(others.is_empty());
        let (alone, others) = SlotMap::empty().merged(Some(&lagging), &BTreeMap::new(), |_| None);
        assert_eq!(alone.owner(slot(9)), Some(&node(1)));
        assert_eq!(others, [node(1), node(2)], "who was not asked is to be asked");
    }

    #[test]
    fn of_two_that_claim_a_slot_the_later_epoch_is_right() {
        for lines in [
            [(1, "a x myself,master - 0 0 9 c 0-5"), (2, "b x myself,master - 0 0 3 c 0-5")],
            [(2, "b x myself,master - 0 0 3 c 0-5"), (1, "a x myself,master - 0 0 9 c 0-5")],
        ] {
            let (map, _) = SlotMap::empty().merged(None, &owns(&lines), |_| None);
            assert_eq!(map.owner(slot(3)), Some(&node(1)));
        }
        let demoted =
            owns(&[(1, "a x myself,slave b 0 0 9 c"), (2, "b x myself,master - 0 0 9 c 0-5")]);
        let (map, _) = SlotMap::empty().merged(None, &demoted, |_| None);
        assert_eq!(map.owner(slot(3)), Some(&node(2)));
    }

    #[test]
    fn who_is_not_asked_in_a_round_keeps_what_an_earlier_epoch_claims() {
        let of_new = view(vec![row([0, 5], bulk("10.0.0.9"), 2, "b")]);
        let of_old = owns(&[(1, "a x myself,master - 0 0 3 c 0-5")]);
        let (before, _) = SlotMap::empty().merged(Some(&of_new), &BTreeMap::new(), |_| None);
        for view in [Some(&of_new), None] {
            let owner = |epoch: Option<u64>| {
                let known = |of: &Node| epoch.filter(|_| *of == node(2));
                before.merged(view, &of_old, known).0.owner(slot(3)).map(|node| node.port)
            };
            assert_eq!(owner(Some(9)), Some(2));
            assert_eq!(owner(Some(2)), Some(1), "it was given away since");
            assert_eq!(owner(Some(3)), Some(1), "of two that are the same the newer word counts");
            assert_eq!(owner(None), Some(1));
        }
        // Who is asked speaks for itself.
        let both =
            owns(&[(1, "a x myself,master - 0 0 3 c 0-5"), (2, "b x myself,slave a 0 0 3 c")]);
        let (map, _) = before.merged(Some(&of_new), &both, |_| Some(9));
        assert_eq!(map.owner(slot(3)), Some(&node(1)));
    }

    #[test]
    fn what_a_node_says_when_it_is_opened_counts_by_its_epoch() {
        let (map, _) = SlotMap::empty().merged(
            Some(&view(vec![
                row([0, 9], bulk("10.0.0.9"), 1, "a"),
                row([10, 19], bulk("10.0.0.9"), 2, "b"),
            ])),
            &BTreeMap::new(),
            |_| None,
        );
        let line = "a x myself,master - 0 0 5 c 0-12 [3->-b] [11->-b]";
        let owner = |epoch: Option<u64>| {
            let joined = map.joined(&node(1), &own(line), |of| epoch.filter(|_| *of == node(2)));
            let owners = [3, 11, 13, 20].map(|n| joined.owner(slot(n)).map(|node| node.port));
            let changed: Vec<_> = joined.changed_since(&map).iter().map(HashSlot::index).collect();
            (owners, joined.arriving("b").count(), changed)
        };
        let later = ([Some(1), Some(1), Some(2), None], 2, vec![3, 10, 11, 12]);
        assert_eq!(owner(None), later, "the other has not said anything");
        assert_eq!(owner(Some(4)), later);
        let earlier = ([Some(1), Some(2), Some(2), None], 1, vec![3]);
        assert_eq!(owner(Some(5)), earlier);
        let demoted = own("a x myself,slave b 0 0 9 c 0-12");
        assert_eq!(map.joined(&node(1), &demoted, |_| None), map);
    }

    #[test]
    fn one_server_by_two_names_is_one_server() {
        let line = "a x myself,master - 0 0 1 c 0-5";
        let view = view(vec![row([0, 5], bulk("other.name"), 1, "a")]);
        let (map, others) =
            SlotMap::empty().merged(Some(&view), &owns(&[(1, line), (2, line)]), |_| None);
        assert_eq!(map.masters().keys().collect::<Vec<_>>(), [&node(1)]);
        assert!(others.is_empty());
    }

    #[test]
    fn slots_that_move_begin_to_move_or_stop_moving_are_told() {
        let at_rest =
            owns(&[(1, "a x myself,master - 0 0 1 c 0-5"), (2, "b x myself,master - 0 0 2 c 6-9")]);
        let leaving = owns(&[
            (1, "a x myself,master - 0 0 1 c 0-5 [5->-b]"),
            (2, "b x myself,master - 0 0 2 c 6-9 [5-<-a]"),
        ]);
        let moved =
            owns(&[(1, "a x myself,master - 0 0 1 c 0-4"), (2, "b x myself,master - 0 0 3 c 5-9")]);
        let after = |map: &SlotMap, said| {
            let next = map.merged(None, said, |_| None).0;
            let changed = next.changed_since(map).iter().map(HashSlot::index).collect::<Vec<_>>();
            (next, changed)
        };
        let (first, all) = after(&SlotMap::empty(), &at_rest);
        assert_eq!(all.len(), 10);
        assert_eq!(after(&first, &at_rest).1, [0; 0]);
        let (second, changed) = after(&first, &leaving);
        assert_eq!(changed, [5]);
        assert_eq!(after(&second, &leaving).1, [0; 0]);
        assert_eq!(after(&second, &at_rest).1, [5], "it stays after all");
        assert_eq!(after(&second, &moved).1, [5]);
    }
}
