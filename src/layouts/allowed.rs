//! Which keys may be read: the rule `keys` of a connection.
//!
//! A trigger's own keys are held against it before anything is read, and keys that a pattern finds when they
//! are found.

use std::sync::Arc;

use super::{
    glob::Glob,
    per_member::MemberKey,
    read::{Name, Read},
};

/// Patterns of which one must match a key. Clones share them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Allowed(Arc<[Glob]>);

impl Allowed {
    /// The keys that match one of these.
    #[must_use]
    pub fn new(globs: Vec<Glob>) -> Self {
        Self(globs.into())
    }

    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self::new(Glob::parse("*").into_iter().collect())
    }

    /// The patterns.
    #[must_use]
    pub fn globs(&self) -> &[Glob] {
        &self.0
    }

    /// Whether this key may be read.
    #[must_use]
    pub fn includes(&self, key: &[u8]) -> bool {
        self.0.iter().any(|glob| glob.matches(key))
    }

    /// Whether any key that matches the pattern might be allowed, as far as that can be told.
    #[must_use]
    pub fn may_include(&self, pattern: &Glob) -> bool {
        !self.0.iter().all(|glob| glob.excludes(pattern))
    }

    /// The first key that these reads would touch and may not, or channel if a database is given. The
    /// keys of members, which nobody can foresee, need a pattern that includes all there could be; they
    /// are written with `*` in the member's place.
    #[must_use]
    pub fn refuses(&self, reads: &[Read], database: Option<u32>) -> Option<Name> {
        let is_refused = |key: &Name| !self.includes(key.as_bytes());
        let own = reads.iter().flat_map(|read| read.touches(database)).find(is_refused);
        // What does not include one of them is soon told; to prove that it includes all takes longer.
        let of_any_member = |around: &&MemberKey| {
            let one = around.key(b"*");
            let mut likely = self.0.iter().filter(|glob| glob.matches(one.as_bytes()));
            !likely.any(|glob| glob.includes_all(around))
        };
        let mut of_members = reads.iter().filter_map(Read::member_key);
        own.or_else(|| Some(of_members.find(of_any_member)?.key(b"*")))
    }
}
