//! The access that some triggers need to Redis, as patterns of keys and channels. How a right is written is the
//! matter of `redis/rights.rs`.

use std::collections::BTreeSet;

use super::{
    allowed::Allowed,
    glob::{self, Glob},
    name::Name,
    plan::Plan,
    read::{Read, member_key::MemberKey},
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
    pub fn of(plan: &Plan, search: Option<&Search>, database: u32) -> Self {
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
        self.channels.extend(read.channels(database).iter().map(whole));
        self.keys.extend(read.touches(None).iter().map(whole));
        self.keys.extend(read.member_key().map(|around| {
            let [before, after] = [&around.before, &around.after].map(whole);
            Name::new([before.as_bytes(), after.as_bytes()].join(&b'*'))
        }));
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

impl Allowed {
    /// The first key that these reads would touch and may not, or channel if a database is given. The
    /// keys of members, which cannot be foreseen, need a pattern that includes all there could be; they
    /// are written with `*` in the member's place.
    #[must_use]
    pub fn refuses(&self, reads: &[Read], database: Option<u32>) -> Option<Name> {
        let is_refused = |key: &Name| !self.includes(key.as_bytes());
        let own = reads.iter().flat_map(|read| read.touches(database)).find(is_refused);
        // What does not include one of them is soon told; to prove that it includes all takes longer.
        let of_any_member = |around: &&MemberKey| {
            let one = around.key(b"*");
            let mut likely = self.globs().iter().filter(|glob| glob.matches(one.as_bytes()));
            !likely.any(|glob| glob.includes_all(around))
        };
        let mut of_members = reads.iter().filter_map(Read::member_key);
        own.or_else(|| Some(of_members.find(of_any_member)?.key(b"*")))
    }
}
