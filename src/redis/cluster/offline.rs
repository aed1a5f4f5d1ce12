//! What given bytes say of a cluster's slots, without a connection. The service never uses it; fuzzing does.

use std::collections::BTreeMap;

use crate::config::Node;

use super::{
    super::{offline::ReplyReader, slot::HashSlot},
    map::SlotMap,
    said::{Own, View},
};

/// Who serves what by the words of some nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterTold {
    /// Which of the replies were understood, in their order.
    pub understood: Vec<bool>,
    /// The first and the last of some slots, and the node that serves them; in order.
    pub serves: Vec<(u16, u16, String)>,
    /// Slots that are about to be given away, by the id of the node that gets them.
    pub arriving: BTreeMap<String, Vec<u16>>,
    /// Masters that were not asked what they serve.
    pub unasked: Vec<String>,
}

/// What is known of a cluster when its nodes say these bytes: `asked:1` replies to CLUSTER SLOTS, then
/// `asked:1`, `asked:2` and so on, `nodes` of them at most, each to CLUSTER NODES.
#[must_use]
pub fn cluster_told(said: &[u8], nodes: u16) -> ClusterTold {
    let mut replies = ReplyReader::of(said);
    let asked = |port| Node { host: "asked".to_owned(), port };
    let view = replies.next().ok().and_then(|reply| View::parse(&reply.ok()?, &asked(1)).ok());
    let (mut understood, mut owns) = (vec![view.is_some()], BTreeMap::new());
    for port in 1..=nodes {
        let Ok(reply) = replies.next() else { break };
        let own = reply.ok().and_then(|reply| Own::parse(&reply).ok());
        understood.push(own.is_some());
        owns.extend(own.map(|own| (asked(port), own)));
    }
    let (map, unasked) = SlotMap::empty().merged(view.as_ref(), &owns, |_| None);
    let mut serves: Vec<(u16, u16, String)> = Vec::new();
    for (number, slot) in (0..).zip(HashSlot::all()) {
        let Some(owner) = map.owner(slot).map(Node::to_string) else { continue };
        match serves.last_mut() {
            Some((_, last, known)) if *last + 1 == number && *known == owner => *last = number,
            _ => serves.push((number, number, owner)),
        }
    }
    let receivers = owns.values().flat_map(|own| own.leaving.values());
    let arriving = receivers.map(|id| {
        let slots = map.arriving(id);
        let numbers = (0..).zip(HashSlot::all()).filter(|(_, slot)| slots.contains(*slot));
        (id.clone(), numbers.map(|(number, _)| number).collect())
    });
    ClusterTold {
        understood,
        serves,
        arriving: arriving.collect(),
        unasked: unasked.iter().map(Node::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_speak_for_themselves_outweigh_what_one_says_of_all() {
        let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
        let view = "*1\r\n*3\r\n:0\r\n:9\r\n*3\r\n+h\r\n:7\r\n+x\r\n";
        let own = bulk("a :0@0 myself,master - 0 0 1 connected 4-6 [5->-x]");
        let told = cluster_told(format!("{view}{own}_\r\n").as_bytes(), 3);
        assert_eq!(told.understood, [true, true, false]);
        let serves = [(0, 3, "h:7"), (4, 6, "asked:1"), (7, 9, "h:7")];
        assert_eq!(told.serves, serves.map(|(first, last, node)| (first, last, node.to_owned())));
        assert_eq!(told.arriving, BTreeMap::from([("x".to_owned(), vec![5])]));
        assert_eq!(told.unasked, ["h:7"]);
        assert_eq!(cluster_told(b"", 3).serves, []);
    }
}
