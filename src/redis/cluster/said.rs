//! What nodes say of each other (`CLUSTER SLOTS`) and of themselves (`CLUSTER NODES`). It is pure, and must
//! hold against whatever a server says.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the client library's values may grow; what is not named here is read as text or a list"
)]

use std::collections::BTreeMap;

use deadpool_redis::redis::Value;

use crate::{config::Node, limits, sampling::Fault};

use super::super::{
    reads::decode,
    slot::{HashSlot, SLOTS, SlotSet},
};

/// What one node says of all of them (`CLUSTER SLOTS`): who is the master of which slots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct View(pub(super) Vec<Range>);

/// Slots that one master serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: HashSlot,
    pub(super) last: HashSlot,
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
    pub(super) leaving: BTreeMap<HashSlot, String>,
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
        // A slot that is named twice would also be work without end.
        if ranges.iter().map(Range::len).sum::<usize>() > usize::from(SLOTS) {
            return Err(unexpected("more slots than there are"));
        }
        let view = Self(ranges);
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
        let slot = |value| decode::count(value).ok().and_then(HashSlot::new).ok_or_else(wrong);
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
        Ok(Self { first, last, id: short(&id).ok_or_else(wrong)?, node })
    }

    fn len(&self) -> usize {
        self.last.index() - self.first.index() + 1
    }

    /// Each of its slots.
    pub(super) fn slots(&self) -> impl Iterator<Item = HashSlot> {
        let (first, last) = (self.first.index() as u64, self.last.index() as u64);
        (first..=last).filter_map(HashSlot::new)
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
        if text.len() > limits::SURVEY_BYTES {
            return Err(unexpected("more text about nodes than is read"));
        }
        let wrong = || unexpected("a node of another form");
        let is_own = |line: &&str| {
            line.split(' ')
                .nth(2)
                .is_some_and(|flags| flags.split(',').any(|flag| flag == "myself"))
        };
        let line =
            text.lines().find(is_own).ok_or_else(|| unexpected("no node that is the asked one"))?;
        let mut words = line.split(' ');
        let mut fields = [""; 8];
        for field in &mut fields {
            *field = words.next().ok_or_else(wrong)?;
        }
        let [id, _, flags, _, _, _, epoch, _] = fields;
        let mut own = Self {
            id: short(id).ok_or_else(wrong)?,
            epoch: epoch.parse().map_err(|_| wrong())?,
            is_master: flags.split(',').any(|flag| flag == "master"),
            slots: SlotSet::default(),
            leaving: BTreeMap::new(),
            known: text.lines().count(),
        };
        let slot = |text: &str| text.parse().ok().and_then(HashSlot::new).ok_or_else(wrong);
        let mut named = 0;
        for word in words {
            if let Some(moving) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
                // What comes from another node (`-<-`) is that node's until it has come.
                if let Some((number, target)) = moving.split_once("->-") {
                    own.leaving.insert(slot(number)?, short(target).ok_or_else(wrong)?);
                }
                continue;
            }
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let (first, last) = (slot(first)?.index() as u64, slot(last)?.index() as u64);
            named += last.saturating_sub(first) + 1;
            if named > u64::from(SLOTS) {
                return Err(unexpected("more slots than there are"));
            }
            (first..=last).filter_map(HashSlot::new).for_each(|slot| own.slots.insert(slot));
        }
        Ok(own)
    }
}

/// The id of a node, unless it is longer than any (40 characters in Redis and Valkey).
fn short(id: &str) -> Option<String> {
    (id.len() <= limits::NODE_ID_BYTES).then(|| id.to_owned())
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

    fn slot(number: u64) -> HashSlot {
        HashSlot::new(number).unwrap()
    }

    #[test]
    fn what_is_no_range_of_slots_is_a_fault() {
        for wrong in [
            Value::Nil,
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![row([5, 4], bulk("h"), 1, "a")]),
            Value::Array(vec![row([0, 16_384], bulk("h"), 1, "a")]),
            Value::Array(vec![row([-1, 4], bulk("h"), 1, "a")]),
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(1)])]),
        ] {
            assert!(View::parse(&wrong, &node(1)).is_err(), "{wrong:?}");
        }
        let own = "i a myself,master - 0 0 1 c";
        for wrong in [
            "",
            "a b c",
            "id addr myself,master - 0 0 x connected",
            "id addr myself,master - 0 0 1",
            "i a master - 0 0 1 c 0-5",
            &format!("{own} 99999"),
            &format!("{own} 0-16384"),
            &format!("{own} x-5"),
            &format!("{own} [5-x->-b]"),
            &format!("{own} [16384->-b]"),
            &format!("{own} [5->-{}]", "b".repeat(limits::NODE_ID_BYTES + 1)),
            &format!("{} a myself,master - 0 0 1 c", "i".repeat(limits::NODE_ID_BYTES + 1)),
        ] {
            assert!(Own::parse(&bulk(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_slot_that_is_claimed_twice_in_one_breath_is_a_fault() {
        let whole = |id| row([0, 16_383], bulk("10.0.0.9"), 1, id);
        assert!(View::parse(&Value::Array(vec![whole("a")]), &node(1)).is_ok());
        assert!(View::parse(&Value::Array(vec![whole("a"), whole("b")]), &node(1)).is_err());
        let own = |slots: &str| Own::parse(&bulk(&format!("i a myself,master - 0 0 1 c {slots}")));
        assert_eq!(own("0-16383").unwrap().slots.count(), 16_384);
        assert!(own("0-16383 7").is_err());
    }

    #[test]
    fn what_has_no_end_is_given_up_early() {
        // Each of these would be thousands of millions of steps.
        let whole = row([0, 16_383], bulk("10.0.0.9"), 1, "a");
        let rows = Value::Array(vec![whole; usize::from(SLOTS)]);
        assert!(View::parse(&rows, &node(1)).is_err());
        let line = format!("i a myself,master - 0 0 1 c {}", "0-16383 ".repeat(500_000));
        assert!(Own::parse(&bulk(&line)).is_err());
        let long = "x".repeat(limits::SURVEY_BYTES + 1);
        assert!(Own::parse(&bulk(&long)).is_err());
        let single = |n| row([n, n], bulk("10.0.0.9"), 1 + n % 5_000, &format!("n{}", n % 5_000));
        let fault = View::parse(&Value::Array((0..16_384).map(single).collect()), &node(1));
        let told = "the cluster has 5000 masters, at most 1000 are read";
        assert!(fault.unwrap_err().to_string().contains(told));
    }

    #[test]
    fn of_a_thousand_masters_only_the_own_line_is_kept() {
        let id = |n: u64| format!("{n:040x}");
        let line = |n: u64| {
            let (first, last) = (16 * n, 16 * n + 15);
            let flags = if n == 700 { "myself,master" } else { "master" };
            let address = format!("10.0.{}.{}:6379@16379,node-{n}.example", n / 250, n % 250);
            format!("{} {address} {flags} - 0 1700000000000 {n} connected {first}-{last}\n", id(n))
        };
        let replicas = (1_000..3_000).map(|n| {
            format!(
                "{} 10.1.0.1:{n}@1{n} slave {} 0 1700000000000 1 connected\n",
                id(n),
                id(n % 1_000)
            )
        });
        let text: String = (0..1_000).map(line).chain(replicas).collect();
        let own = Own::parse(&bulk(&text)).unwrap();
        assert_eq!((own.id, own.epoch, own.known), (id(700), 700, 3_000));
        let slots: Vec<usize> = own.slots.iter().map(HashSlot::index).collect();
        assert_eq!(slots, (11_200..11_216).collect::<Vec<_>>());
        assert!(own.leaving.is_empty());
    }

    #[test]
    fn a_node_says_what_it_serves_and_what_it_is_giving_away() {
        let own = Own::parse(&bulk(
            "b2 10.0.0.2:1@2,host master - 0 0 7 connected 9\n\
                       a1 :0@0 myself,master - 0 0 12 connected 0-2 5 [5->-b2] [9-<-b2]\n",
        ))
        .unwrap();
        assert_eq!((own.id.as_str(), own.epoch, own.is_master, own.known), ("a1", 12, true, 2));
        assert_eq!(own.slots.iter().map(HashSlot::index).collect::<Vec<_>>(), [0, 1, 2, 5]);
        assert_eq!(own.leaving, BTreeMap::from([(slot(5), "b2".to_owned())]));
    }
}
