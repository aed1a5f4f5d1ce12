//! The key of a member whose name is left out.

use std::fmt;

use super::super::{bytes::bytes_of_texts, name::Name};

/// The key of a member, or of a queue, whose name is left out: these bytes, the name, these bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberKey {
    /// Before the member.
    pub before: Name,
    /// After it.
    pub after: Name,
}

impl MemberKey {
    /// The key of a member.
    #[must_use]
    pub fn key(&self, member: &[u8]) -> Name {
        Name::new([self.before.as_bytes(), member, self.after.as_bytes()].concat())
    }

    /// About how many bytes it holds beside its own size.
    pub(in crate::layouts) fn footprint(&self) -> usize {
        bytes_of_texts([&self.before, &self.after])
    }
}

impl fmt::Display for MemberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*{}", self.before, self.after)
    }
}
