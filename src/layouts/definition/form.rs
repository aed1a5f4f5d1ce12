//! How a key of a queue looks.

/// Bytes that a form has to give before it says which framework a key is of. `rq:wip:` has seven, and
/// `:queue` says nothing.
const TELLING_BYTES: usize = 6;

/// How a key of a queue looks: what stands before and after the queue's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::layouts) struct Form {
    pub(in crate::layouts) before: Vec<u8>,
    pub(in crate::layouts) after: Vec<u8>,
    /// Whether something that nobody knows stands before or after these.
    pub(in crate::layouts) open_before: bool,
    pub(in crate::layouts) open_after: bool,
}

/// What stands in the place of a parameter.
pub(in crate::layouts) enum Filling {
    Is(Vec<u8>),
    Open,
}

impl Form {
    pub(in crate::layouts) fn given(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// Whether a key of this form is of that framework, as far as anybody can tell: a name that only
    /// ends like it may be anybody's, and a control character is nobody's else.
    pub(in crate::layouts) fn is_telling(&self) -> bool {
        let is_control = |byte: &u8| byte.is_ascii_control();
        let is_long = !self.before.is_empty() && self.given() >= TELLING_BYTES;
        is_long || self.before.iter().chain(&self.after).any(is_control)
    }

    /// What stands in the place of the queue's name.
    pub(in crate::layouts) fn queue_of<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        let rest = if self.open_before {
            let at = key.windows(self.before.len()).position(|part| part == self.before)?;
            &key[at + self.before.len()..]
        } else {
            key.strip_prefix(self.before.as_slice())?
        };
        let queue = if self.open_after {
            let at = rest.windows(self.after.len()).rposition(|part| part == self.after)?;
            (at + self.after.len() < rest.len()).then(|| &rest[..at])?
        } else {
            rest.strip_suffix(self.after.as_slice())?
        };
        (!queue.is_empty()).then_some(queue)
    }

    /// The same for a key that lacks the end, such as `bull:emails`.
    pub(in crate::layouts) fn begun<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        if self.before.len() < 3 || self.after.is_empty() {
            return None;
        }
        let rest = key.strip_prefix(self.before.as_slice())?;
        let ends = (1..=self.after.len()).rev().map(|end| &self.after[..end]);
        let queue = ends.into_iter().find_map(|end| rest.strip_suffix(end)).unwrap_or(rest);
        (!queue.is_empty()).then_some(queue)
    }
}
