//! What a parameter must be where a definition names it.

use std::fmt;

use crate::layouts::parameter::ParameterKind;

use super::{end::end, unit::unit};

/// A parameter that is named somewhere, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::layouts) struct Use {
    pub(in crate::layouts) parameter: String,
    pub(in crate::layouts) as_a: ParameterRole,
}

/// What a parameter must be where it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::layouts) enum ParameterRole {
    /// Anything.
    Any,
    /// Anything that has text.
    Text,
    /// Text of one value.
    Single,
    /// A pattern.
    Pattern,
    /// A duration.
    Duration,
    /// A choice.
    Choice,
    /// A choice that may be this word.
    Word(String),
    /// A choice among units.
    Unit,
    /// A choice among ends.
    End,
}

impl Use {
    pub(in crate::layouts) fn text(parameter: &str) -> Self {
        Self { parameter: parameter.to_owned(), as_a: ParameterRole::Text }
    }
}

impl ParameterRole {
    /// Whether a parameter of this kind can be it.
    pub(in crate::layouts) fn fits(&self, kind: &ParameterKind) -> bool {
        match (self, kind) {
            (Self::Any, _) => true,
            (Self::Text, kind) => !matches!(kind, ParameterKind::Duration { .. }),
            (Self::Single, kind) => {
                matches!(kind, ParameterKind::Name { .. } | ParameterKind::Choice { .. })
            }
            (Self::Pattern, kind) => matches!(kind, ParameterKind::Pattern),
            (Self::Duration, kind) => matches!(kind, ParameterKind::Duration { .. }),
            (Self::Choice, kind) => matches!(kind, ParameterKind::Choice { .. }),
            (Self::Word(word), ParameterKind::Choice { choices, .. }) => choices.contains(word),
            (Self::Unit, ParameterKind::Choice { choices, .. }) => {
                choices.iter().all(|word| unit(word).is_some())
            }
            (Self::End, ParameterKind::Choice { choices, .. }) => {
                choices.iter().all(|word| end(word).is_some())
            }
            (Self::Word(_) | Self::Unit | Self::End, _) => false,
        }
    }
}

impl fmt::Display for ParameterRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Text => f.write_str("text"),
            Self::Single => f.write_str("one value beside the key's own"),
            Self::Pattern => f.write_str("a pattern"),
            Self::Duration => f.write_str("a duration"),
            Self::Choice => f.write_str("a choice"),
            Self::Word(word) => write!(f, "a choice that may be `{word}`"),
            Self::Unit => f.write_str("a choice among the units of scores"),
            Self::End => f.write_str("a choice among left, right and lowest"),
        }
    }
}
