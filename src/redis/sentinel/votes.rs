//! Who the master is, by what the sentinels say. It is pure.
//!
//! A sentinel may be of another deployment, lag behind or lie, and a Redis that it names may well say that it
//! is a master, and hold no job.
//!
//! At least half of the sentinels that are configured must name the same server. More than half cannot
//! be outvoted; where two servers have half each, the higher configuration epoch wins, which Sentinel
//! raises with every failover.
//! (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/#configuration-epochs>)

use std::collections::BTreeMap;

use crate::{config::Node, sampling::Fault};

/// Servers that a message repeats.
const NAMED: usize = 4;

/// What one sentinel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// This is the master, since the failover of this epoch; the epoch is not known to everybody.
    Names(Node, Option<u64>),
    /// It watches no master of that name.
    NoSuchMaster,
    /// It cannot be asked.
    Silent(Fault),
}

/// What the sentinels said in one round.
#[derive(Debug, Default)]
pub(super) struct Votes {
    configured: usize,
    words: Vec<Word>,
}

impl Votes {
    /// No word yet of this many sentinels.
    pub(super) fn of(configured: usize) -> Self {
        Self { configured, words: vec![] }
    }

    pub(super) fn add(&mut self, word: Word) {
        self.words.push(word);
    }

    /// The master that no further word can change.
    pub(super) fn settled(&self) -> Option<&Node> {
        let mut candidates = self.candidates().into_iter();
        candidates.find(|(_, (votes, _))| *votes > self.configured / 2).map(|(node, _)| node)
    }

    /// The master, when all that will answer have answered.
    pub(super) fn master(&self) -> Option<&Node> {
        let mut named: Vec<(&Node, Option<u64>)> = (self.candidates().into_iter())
            .filter(|(_, (votes, _))| *votes >= self.configured.div_ceil(2))
            .map(|(node, (_, epoch))| (node, epoch))
            .collect();
        named.sort_by_key(|(_, epoch)| std::cmp::Reverse(*epoch));
        match named.as_slice() {
            [] => None,
            [(node, _)] => Some(node),
            // Which is the later one is unknown without both epochs.
            [(node, Some(epoch)), (_, Some(other)), ..] if epoch > other => Some(node),
            [_, _, ..] => None,
        }
    }

    /// Whether any sentinel named another server than this one.
    pub(super) fn name_other_than(&self, node: &Node) -> bool {
        self.candidates().keys().any(|named| *named != node)
    }

    /// Why there is no master.
    pub(super) fn fault(&self, master: &str) -> Fault {
        let count =
            |wanted: fn(&Word) -> bool| self.words.iter().filter(|word| wanted(word)).count();
        let strangers = count(|word| matches!(word, Word::NoSuchMaster));
        let mut silent: Vec<&Fault> = Vec::new();
        for word in &self.words {
            match word {
                Word::Silent(fault) => silent.push(fault),
                Word::Names(..) | Word::NoSuchMaster => {}
            }
        }
        let candidates = self.candidates();
        let mut parts: Vec<String> = (candidates.iter().take(NAMED))
            .map(|(node, (votes, _))| format!("{votes} name {node}"))
            .collect();
        if candidates.len() > NAMED {
            parts.push(format!("{} name still others", candidates.len() - NAMED));
        }
        if strangers > 0 {
            parts.push(format!("{strangers} know no master `{master}`"));
        }
        if let Some(first) = silent.first() {
            parts.push(format!("{} cannot be asked ({first})", silent.len()));
        }
        let (all, needed) = (self.configured, self.configured.div_ceil(2));
        let what =
            format!("{needed} of {all} sentinels must name the same master; {}", parts.join(", "));
        match silent.first() {
            Some(Fault::Refused(_)) if silent.len() == all => Fault::Refused(what),
            Some(Fault::Credentials(_)) if silent.len() == all => Fault::Credentials(what),
            Some(_) if silent.len() == all => Fault::Unreachable(what),
            Some(_) | None => Fault::NotReady(what),
        }
    }

    fn candidates(&self) -> BTreeMap<&Node, (usize, Option<u64>)> {
        let mut candidates: BTreeMap<&Node, (usize, Option<u64>)> = BTreeMap::new();
        for word in &self.words {
            match word {
                Word::Names(node, epoch) => {
                    let (votes, highest) = candidates.entry(node).or_default();
                    *votes += 1;
                    *highest = (*highest).max(*epoch);
                }
                Word::NoSuchMaster | Word::Silent(_) => {}
            }
        }
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Node {
        Node { host: name.to_owned(), port: 6379 }
    }

    /// `a5` names `a` with the epoch 5, `a` without one, `?` knows no such master, `-` is silent.
    fn votes(words: &[&str]) -> Votes {
        let mut votes = Votes::of(words.len());
        for word in words.iter().filter(|word| !word.is_empty()) {
            votes.add(match word.split_at(1) {
                ("?", _) => Word::NoSuchMaster,
                ("-", _) => Word::Silent(Fault::Timeout),
                (name, epoch) => Word::Names(node(name), epoch.parse().ok()),
            });
        }
        votes
    }

    #[test]
    fn at_least_half_of_the_configured_sentinels_name_the_master() {
        for (words, wanted) in [
            (&["a1"][..], Some("a")),
            (&["-"], None),
            (&["?"], None),
            (&["a1", "-"], Some("a")),
            (&["a1", "b2"], Some("b")),
            (&["a2", "b1"], Some("a")),
            (&["a1", "b1"], None),
            (&["a1", "b"], None),
            (&["a1", "a1", "b9"], Some("a")),
            (&["a1", "a1", "-"], Some("a")),
            (&["a1", "b2", "-"], None),
            (&["a1", "-", "-"], None),
            (&["a1", "b2", "c3"], None),
            (&["a1", "a1", "b2", "b2"], Some("b")),
            (&["a1", "a1", "b2", "-"], Some("a")),
            (&["a1", "a1", "-", "-"], Some("a")),
            (&["a1", "b2", "c3", "-"], None),
        ] {
            let votes = votes(words);
            assert_eq!(votes.master(), wanted.map(node).as_ref(), "{words:?}");
        }
    }

    #[test]
    fn only_more_than_half_are_not_waited_for() {
        for (words, wanted) in [
            (&["a1"][..], Some("a")),
            (&["a1", ""], None),
            (&["a1", "a1", ""], Some("a")),
            (&["a1", "", ""], None),
            (&["a1", "a1", "", ""], None),
            (&["a1", "b1", "a1", "a2", ""], Some("a")),
        ] {
            let votes = votes(words);
            assert_eq!(votes.settled(), wanted.map(node).as_ref(), "{words:?}");
        }
    }

    #[test]
    fn a_round_without_a_master_says_what_each_sentinel_said() {
        let said = |words: &[&str]| votes(words).fault("mymaster");
        assert_eq!(
            said(&["a1", "b2", "?", "-", "-"]),
            Fault::NotReady(
                "3 of 5 sentinels must name the same master; 1 name a:6379, 1 name b:6379, 1 know no \
                 master `mymaster`, 2 cannot be asked (Redis did not answer in time)"
                    .to_owned()
            )
        );
        let many = said(&["a", "b", "c", "d", "e", "f"]).to_string();
        assert!(many.ends_with("1 name d:6379, 2 name still others"), "{many}");
        assert!(matches!(said(&["-", "-"]), Fault::Unreachable(_)));
        assert!(matches!(said(&["?", "?"]), Fault::NotReady(_)));
        let mut refused = Votes::of(1);
        refused.add(Word::Silent(Fault::Refused("NOAUTH".to_owned())));
        assert!(matches!(refused.fault("m"), Fault::Refused(_)));
    }
}
