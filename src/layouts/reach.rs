//! The access that some triggers need to Redis, as patterns of keys and channels. How a right is written is the
//! matter of `redis/rights.rs`.

use std::collections::BTreeSet;

use super::{
    glob::{self, Glob},
    plan::Plan,
    read::{Name, Read},
    search::Search,
};

/// What some triggers ask of one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequiredAccess {
    /// Patterns of the keys, as KEYS and ACLs have them.
    pub keys: BTreeSet<Name>,
    /// Patterns of the channels.
    pub channels: BTreeSet<Name>,
    /// The reads. A queue that is found by a pattern has a name of no meaning in them.
    pub reads: BTreeSet<Read>,
    /// Whether anything is looked for.
    pub searches: bool,
}

impl RequiredAccess {
    /// What a trigger with this plan, and this search, asks of this database.
    #[must_use]
    pub fn of((plan, search): (&Plan, Option<&Search>), database: u32) -> Self {
        let mut reach = Self { searches: search.is_some(), ..Self::default() };
        plan.reads().iter().for_each(|read| reach.add(read, None, database));
        for (pattern, reads) in search.into_iter().flat_map(Search::of_patterns) {
            reads.iter().for_each(|read| reach.add(read, Some(pattern), database));
        }
        reach
    }

    /// Adds what others ask.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.channels.extend(other.channels);
        self.reads.extend(other.reads);
        self.searches |= other.searches;
    }

    /// Adds a read, in which this pattern may stand in the place of [`Search::STAND_IN`].
    fn add(&mut self, read: &Read, pattern: Option<&Glob>, database: u32) {
        let whole = |name: &Name| Name::new(with_pattern(name.as_bytes(), pattern));
        match read {
            Read::Heartbeats(heartbeats) => {
                self.channels.extend(heartbeats.format.channels(database).map(|name| whole(&name)));
                self.keys.extend(heartbeats.format.roll().map(|roll| whole(&roll.collection)));
            }
            Read::PerMember(each) => {
                self.keys.insert(whole(&each.collection));
                self.keys.extend(each.member_key().map(|around| {
                    let [before, after] = [&around.before, &around.after].map(whole);
                    Name::new([before.as_bytes(), after.as_bytes()].join(&b'*'))
                }));
            }
            Read::Size { key, .. }
            | Read::Group { key, .. }
            | Read::Idle { key, .. }
            | Read::Flag { key, .. } => {
                self.keys.insert(whole(key));
            }
        }
        self.reads.insert(read.clone());
    }
}

/// A name as a pattern that matches it alone, or those with whatever matches in the stand-in's place.
fn with_pattern(name: &[u8], pattern: Option<&Glob>) -> Vec<u8> {
    let Some(pattern) = pattern else { return glob::escape(name) };
    let pieces: Vec<Vec<u8>> =
        name.split(|byte| *byte == Search::STAND_IN).map(glob::escape).collect();
    pieces.join(pattern.text().as_bytes())
}
