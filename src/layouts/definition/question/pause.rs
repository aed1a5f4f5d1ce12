//! What keeps workers from taking jobs, as a definition writes it.

use serde::Deserialize;

use crate::layouts::read::{
    Read,
    flag::{Flag, Test},
};

use super::{
    super::template::{Binding, EMPTY_KEY, Template},
    role::Use,
};

/// Something that, while it is so, keeps workers from taking jobs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "read", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::layouts) enum Pause {
    /// A key exists.
    Exists { key: Template },
    /// A hash has a field.
    Field { key: Template, field: Template },
    /// A set has a member.
    Member { key: Template, member: Template },
    /// A string is this one.
    Value { key: Template, value: Template },
}

impl Pause {
    pub(super) fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Exists { key } => vec![key],
            Self::Field { key, field: named }
            | Self::Member { key, member: named }
            | Self::Value { key, value: named } => vec![key, named],
        }
    }

    /// The parameters that it names.
    pub(in crate::layouts) fn uses(&self) -> Vec<Use> {
        self.templates().into_iter().flat_map(Template::parameters).map(Use::text).collect()
    }

    /// The first mistake in it, as a message to its author.
    pub(in crate::layouts) fn flaw(&self) -> Option<&'static str> {
        match self {
            Self::Exists { key }
            | Self::Field { key, .. }
            | Self::Member { key, .. }
            | Self::Value { key, .. }
                if key.is_empty() =>
            {
                Some(EMPTY_KEY)
            }
            Self::Value { value, .. } if value.is_empty() => Some(
                "`value` is empty; a string that is not there cannot be told from an empty one",
            ),
            Self::Exists { .. } | Self::Field { .. } | Self::Member { .. } | Self::Value { .. } => {
                None
            }
        }
    }

    /// The flag to read; `None` if the binding does not say which.
    pub(super) fn flag(&self, binding: &Binding<'_>) -> Option<Read> {
        let (key, test) = match self {
            Self::Exists { key } => (key, Test::Exists),
            Self::Field { key, field } => (key, Test::Field(field.fill(binding)?)),
            Self::Member { key, member } => (key, Test::Member(member.fill(binding)?)),
            Self::Value { key, value } => (key, Test::Value(value.fill(binding)?)),
        };
        Some(Read::Flag(Flag { key: key.fill(binding)?, test }))
    }
}
