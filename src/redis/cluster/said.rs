//! What nodes say of each other (`CLUSTER SLOTS`) and of themselves (`CLUSTER NODES`).
//!
//! Pure, and apart from the map that is made of it because it must hold against whatever a server says.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the client library's values may grow; what is not named here is read as text or a list"
)]

use std::collections::BTreeMap;

use deadpool_redis::redis::Value;

use crate::{config::Node, limits, sampling::Fault};

use super::{
    super::decode,
    slot::{SLOTS, Slot, SlotSet},
};

/// What one node says of all of them (`CLUSTER SLOTS`): who is the master of which slots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct View(pub(super) Vec<Range>);

/// Slots that one master serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: Slot,
    pub(super) last: Slot,
    pub(super) id: String,
    /// Where it is; `None` if that is not told.
    pub(super) node: Option<Node>,
}

/// What a node says of itself (its line of `CLUSTER NODES`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) id: String,
    pub(super) epoch: u64,
    pub(super) is_master: bool,
    pub(super) slots: SlotSet,
    /// Slots that it is about to give to another node: a key of these that does not exist here may
    /// exist there.
    pub(super) leaving: BTreeMap<Slot, String>,
    /// How many nodes it knows.
    pub(super) known: usize,
}

impl View {
    /// Reads the reply of `CLUSTER SLOTS` of this node.
    pub(super) fn parse(value: &Value, asked: &Node) -> Result<Self, Fault> {
        let rows = decode::sequence(value).ok_or_else(|| unexpected("slots that are no list"))?;
        if rows.len() > usize::from(SLOTS) {
            return Err(unexpected("more ranges than there are slots"));
        }
        let ranges =
            rows.iter().map(|row| Range::parse(row, asked)).collect::<Result<Vec<_>, _>>()?;
        let view = Self(ranges);
        // A slot is in one range only, so that together they have no more than there are. Going through
        // all slots for each of many ranges would take seconds.
        if view.0.iter().map(Range::length).sum::<usize>() > usize::from(SLOTS) {
            return Err(unexpected("more slots in its ranges than there are"));
        }
        let masters = view.masters().count();
        if masters > limits::CLUSTER_MASTERS {
            let most = limits::CLUSTER_MASTERS;
            return Err(Fault::Unexpected(format!(
                "the cluster has {masters} masters, at most {most} are read"
            )));
        }
        Ok(view)
    }

    /// Every master with a slot, by its id.
    pub(super) fn masters(&self) -> impl Iterator<Item = (&str, Option<&Node>)> {
        let by_id: BTreeMap<&str, Option<&Node>> =
            self.0.iter().map(|range| (range.id.as_str(), range.node.as_ref())).collect();
        by_id.into_iter()
    }
}

impl Range {
    fn parse(row: &Value, asked: &Node) -> Result<Self, Fault> {
        let wrong = || unexpected("a range of slots of another form");
        let [first, last, master, ..] = decode::sequence(row).ok_or_else(wrong)? else {
            return Err(wrong());
        };
        let slot = |value| decode::count(value).ok().and_then(Slot::new).ok_or_else(wrong);
        let (first, last) = (slot(first)?, slot(last)?);
        let [endpoint, port, rest @ ..] = decode::sequence(master).ok_or_else(wrong)? else {
            return Err(wrong());
        };
        if first > last {
            return Err(wrong());
        }
        let port = decode::count(port).ok().and_then(|port| u16::try_from(port).ok());
        let host = match endpoint {
            // With `cluster-preferred-endpoint-type unknown-endpoint`: the one that was asked.
            Value::Nil => Some(asked.host.clone()),
            // A node that should have a host name and has none says `?`; its address may be beside it.
            other => match decode::text(other).ok_or_else(wrong)?.as_str() {
                "" => Some(asked.host.clone()),
                "?" => rest.get(1).and_then(address_beside),
                host => Some(host.to_owned()),
            },
        };
        let node = host.zip(port).and_then(|(host, port)| Node::named(&host, port));
        // Before Redis 4 there are no ids; then a node is known by its address.
        let id = rest.first().and_then(decode::text);
        let id = id.or_else(|| node.as_ref().map(Node::to_string)).ok_or_else(wrong)?;
        Ok(Self { first, last, id, node })
    }

    fn length(&self) -> usize {
        self.last.index() - self.first.index() + 1
    }

    /// Each of its slots.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        let (first, last) = (self.first.index() as u64, self.last.index() as u64);
        (first..=last).filter_map(Slot::new)
    }
}

/// The address among the further details of a node.
fn address_beside(details: &Value) -> Option<String> {
    let words: Vec<String> = match details {
        Value::Map(pairs) => {
            pairs.iter().flat_map(|(k, v)| [k, v]).filter_map(decode::text).collect()
        }
        other => decode::sequence(other)?.iter().filter_map(decode::text).collect(),
    };
    let mut pairs = words.chunks_exact(2);
    pairs.find(|pair| pair[0] == "ip").map(|pair| pair[1].clone()).filter(|ip| !ip.is_empty())
}

impl Own {
    /// Reads the reply of `CLUSTER NODES`: the line of the node that was asked, and how many lines
    /// there are.
    pub(super) fn parse(value: &Value) -> Result<Self, Fault> {
        let text = decode::text(value).ok_or_else(|| unexpected("nodes that are no text"))?;
        let wrong = || unexpected("a node of another form");
        let is_own = |line: &&str| {
            line.split(' ')
                .nth(2)
                .is_some_and(|flags| flags.split(',').any(|flag| flag == "myself"))
        };
        let line =
            text.lines().find(is_own).ok_or_else(|| unexpected("no node that is the asked one"))?;
        let words: Vec<&str> = line.split(' ').collect();
        let [id, _, flags, _, _, _, epoch, _, slots @ ..] = words.as_slice() else {
            return Err(wrong());
        };
        let mut own = Self {
            id: (*id).to_owned(),
            epoch: epoch.parse().map_err(|_| wrong())?,
            is_master: flags.split(',').any(|flag| flag == "master"),
            slots: SlotSet::default(),
            leaving: BTreeMap::new(),
            known: text.lines().count(),
        };
        let slot = |text: &str| text.parse().ok().and_then(Slot::new).ok_or_else(wrong);
        let mut named = 0;
        for word in slots {
            if let Some(moving) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
                // What comes from another node (`-<-`) is that node's until it has come.
                if let Some((number, target)) = moving.split_once("->-") {
                    own.leaving.insert(slot(number)?, target.to_owned());
                }
                continue;
            }
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let (first, last) = (slot(first)?.index() as u64, slot(last)?.index() as u64);
            // As above: no slot is named twice.
            named += (first..=last).count();
            if named > usize::from(SLOTS) {
                return Err(unexpected("a node with more slots than there are"));
            }
            (first..=last).filter_map(Slot::new).for_each(|slot| own.slots.insert(slot));
        }
        Ok(own)
    }
}

fn unexpected(what: &str) -> Fault {
    Fault::Unexpected(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(port: u16) -> Node {
        Node { host: "10.0.0.9".to_owned(), port }
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn row(slots: [i64; 2], endpoint: Value, port: i64, id: &str) -> Value {
        let master = vec![endpoint, Value::Int(port), bulk(id), Value::Array(vec![])];
        Value::Array(vec![Value::Int(slots[0]), Value::Int(slots[1]), Value::Array(master)])
    }

    fn slot(number: u64) -> Slot {
        Slot::new(number).unwrap()
    }

    #[test]
    fn what_is_no_range_of_slots_is_a_fault() {
        for wrong in [
            Value::Nil,
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![row([5, 4], bulk("h"), 1, "a")]),
            Value::Array(vec![row([0, 16_384], bulk("h"), 1, "a")]),
            Value::Array(vec![row([-1, 4], bulk("h"), 1, "a")]),
            Value::Array(vec![row([0, 16_383], bulk("h"), 1, "a"), row([7, 7], bulk("h"), 2, "b")]),
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(1)])]),
        ] {
            assert!(View::parse(&wrong, &node(1)).is_err(), "{wrong:?}");
        }
        for wrong in [
            "",
            "a b c",
            "id addr myself,master - 0 0 x connected",
            "i a myself - 0 0 1 c 99999",
            "i a myself - 0 0 1 c 0-16383 7",
        ] {
            assert!(Own::parse(&bulk(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_node_says_what_it_serves_and_what_it_is_giving_away() {
        let own = Own::parse(&bulk(
            "b2 10.0.0.2:1@2,host master - 0 0 7 connected 9\n\
                       a1 :0@0 myself,master - 0 0 12 connected 0-2 5 [5->-b2] [9-<-b2]\n",
        ))
        .unwrap();
        assert_eq!((own.id.as_str(), own.epoch, own.is_master, own.known), ("a1", 12, true, 2));
        assert_eq!(own.slots.iter().map(Slot::index).collect::<Vec<_>>(), [0, 1, 2, 5]);
        assert_eq!(own.leaving, BTreeMap::from([(slot(5), "b2".to_owned())]));
    }
}
