//! A search through the keyspace of a cluster: SCAN at one master after another.
//!
//! A key may move to a node that was looked at already. So when anything moved by the end of a search, all
//! nodes are looked at once more: a key that was on its way the first time has arrived then. The position of a
//! search is in a form of its own, which no other link understands.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    slice, str,
    sync::Arc,
};

use crate::{
    config::Node,
    layouts::KeyPattern,
    limits,
    sampling::{Fault, KeyPage, Position},
    time::Instant,
};

use super::{super::scan, guard, link::ClusterLink, members::Cluster};

/// Where a search is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    pass: Pass,
    /// What the map was when they began to be.
    map: u64,
    /// The node, and SCAN's cursor there.
    node: Node,
    cursor: Vec<u8>,
}

/// How far the nodes are all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// They are looked at.
    First,
    /// They were, and are to be asked whether anything moved.
    Check,
    /// They are looked at once more.
    Second,
}

impl Mark {
    fn first(node: Node, map: u64, pass: Pass) -> Self {
        Self { pass, map, node, cursor: b"0".to_vec() }
    }

    fn position(&self) -> Position {
        let Self { pass, map, node: Node { host, port }, cursor } = self;
        let pass = match pass {
            Pass::First => "first",
            Pass::Check => "check",
            Pass::Second => "second",
        };
        let cursor = String::from_utf8_lossy(cursor);
        Position::new(format!("{pass} {map} {cursor} {port} {host}"))
    }

    fn parse(position: &Position) -> Option<Self> {
        let text = str::from_utf8(position.as_bytes()).ok()?;
        let words: Vec<&str> = text.split(' ').collect();
        let [pass, map, cursor, port, host] = words.as_slice() else { return None };
        let pass = match *pass {
            "first" => Pass::First,
            "check" => Pass::Check,
            "second" => Pass::Second,
            _ => return None,
        };
        Some(Self {
            pass,
            map: map.parse().ok()?,
            node: Node::named(host, port.parse().ok()?)?,
            cursor: cursor.as_bytes().to_vec(),
        })
    }
}

impl ClusterLink {
    /// One step of a search.
    pub(super) async fn step(
        &mut self,
        wild: &KeyPattern,
        from: Option<&Position>,
    ) -> Result<KeyPage, Fault> {
        let unserved = || Fault::NotReady("no node of the cluster serves any slot".to_owned());
        let mark = match from {
            Some(position) => Mark::parse(position)
                .ok_or_else(|| Fault::Unexpected("a position of another link".to_owned()))?,
            None => {
                let (masters, map, _) = self.cluster.keyspace();
                Mark::first(masters.into_iter().next().ok_or_else(unserved)?, map, Pass::First)
            }
        };
        if mark.pass == Pass::Check {
            return Ok(self.check(&mark).await);
        }
        let cursor = Position::new(mark.cursor.clone());
        let command = scan::command(wild, wild.kind, Some(&cursor));
        self.session.wire.begin(Instant::now() + limits::CLUSTER_STEP_DEADLINE);
        let mut replies =
            self.session.wire.ask_nodes(slice::from_ref(&mark.node), &[command]).await;
        if replies.first().is_some_and(|replies| scan::is_option_unknown(replies)) {
            let command = scan::command(wild, None, Some(&cursor));
            replies = self.session.wire.ask_nodes(slice::from_ref(&mark.node), &[command]).await;
        }
        let replies = replies.into_iter().next().unwrap_or_default();
        let KeyPage { keys, next } = match scan::page(&replies) {
            Ok(page) => page,
            // Whoever has its slots now comes later, or another time.
            Err(_) if !self.cluster.keyspace().0.contains(&mark.node) => {
                KeyPage { keys: vec![], next: None }
            }
            Err(fault) => return Err(fault),
        };
        if let Some(cursor) = next {
            let cursor = cursor.as_bytes().to_vec();
            return Ok(KeyPage { keys, next: Some(Mark { cursor, ..mark }.position()) });
        }
        let (masters, _, _) = self.cluster.keyspace();
        if let Some(node) = masters.into_iter().find(|node| *node > mark.node) {
            let next = Mark::first(node, mark.map, mark.pass);
            return Ok(KeyPage { keys, next: Some(next.position()) });
        }
        let check = (mark.pass == Pass::First).then_some(Mark { pass: Pass::Check, ..mark });
        Ok(KeyPage { keys, next: check.map(|check| check.position()) })
    }

    /// Whether all nodes have to be looked at once more. What is known of slots that move may be a
    /// second old, so they are asked.
    async fn check(&mut self, mark: &Mark) -> KeyPage {
        guard::survey(&self.cluster, Instant::now()).await;
        let (masters, map, is_moving) = self.cluster.keyspace();
        let first = masters.into_iter().next().filter(|_| is_moving || map != mark.map);
        let next = first.map(|node| Mark::first(node, map, Pass::Second).position());
        KeyPage { keys: vec![], next }
    }
}

impl Cluster {
    /// The masters in an order of their own, a number that is another one when slots are served by other
    /// nodes, and whether any slot is being given away.
    fn keyspace(self: &Arc<Self>) -> (Vec<Node>, u64, bool) {
        let state = self.state();
        let masters = state.map.masters();
        let mut hasher = DefaultHasher::new();
        for (node, slots) in &masters {
            node.hash(&mut hasher);
            slots.iter().for_each(|slot| slot.index().hash(&mut hasher));
        }
        (masters.into_keys().collect(), hasher.finish(), state.map.is_moving())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_says_the_node_and_its_cursor() {
        for host in ["10.0.0.1", "node.example", "fd00::1"] {
            let node = Node { host: host.to_owned(), port: 7000 };
            let cursor = b"18446744073709551615".to_vec();
            let mark = Mark { pass: Pass::Second, map: u64::MAX, node, cursor };
            assert_eq!(Mark::parse(&mark.position()), Some(mark));
        }
        for words in [
            "",
            "17",
            "third 1 2 3 h",
            "first 1 2 3",
            "first 1 2 0 h",
            "first x 2 3 h",
            "first 1 2 3 h x",
            "first 1 2 3 a/b",
        ] {
            assert_eq!(Mark::parse(&Position::new(words)), None, "{words}");
        }
    }
}
