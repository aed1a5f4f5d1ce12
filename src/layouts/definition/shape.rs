//! The forms of the keys that the queues of a pattern have.

use super::super::read::{kind::Kind, member_key::MemberKey};

/// The form of a key of a queue: what stands before and after the queue's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::layouts) struct Shape {
    pub(in crate::layouts) parameter: String,
    pub(in crate::layouts) around: MemberKey,
    /// Parts that follow, each after a colon.
    pub(in crate::layouts) parts_after: usize,
    pub(in crate::layouts) kind: Option<Kind>,
    /// Whether keys of this form are looked for.
    pub(in crate::layouts) is_searched: bool,
    /// Whether it is the form of a queue's key at all, or only looks so.
    pub(in crate::layouts) is_queue: bool,
}

impl Shape {
    /// The form of a key that is the queue's name alone.
    pub(in crate::layouts) fn of(parameter: &str) -> Self {
        Self {
            parameter: parameter.to_owned(),
            around: MemberKey { before: "".into(), after: "".into() },
            parts_after: 0,
            kind: None,
            is_searched: false,
            is_queue: true,
        }
    }

    pub(in crate::layouts) fn given(&self) -> usize {
        self.around.before.as_bytes().len() + self.around.after.as_bytes().len()
    }

    /// What stands in the place of the queue's name.
    pub(in crate::layouts) fn middle<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        let rest = key.strip_prefix(self.around.before.as_bytes())?;
        let mut middle = rest;
        for _ in 0..self.parts_after {
            middle = &middle[..middle.iter().rposition(|byte| *byte == b':')?];
        }
        let middle = middle.strip_suffix(self.around.after.as_bytes())?;
        (!middle.is_empty()).then_some(middle)
    }
}
