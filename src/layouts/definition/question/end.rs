//! The words for the ends at which workers take.

use serde::Deserialize;

use crate::layouts::{parameter::Arguments, read::oldest::End};

/// An end of a list: a word, or the choice parameter that has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum EndWord {
    Is(End),
    Of(String),
}

/// The end that a word means.
pub(super) fn end(word: &str) -> Option<End> {
    match word {
        "left" => Some(End::Left),
        "right" => Some(End::Right),
        "lowest" => Some(End::Lowest),
        _ => None,
    }
}

impl TryFrom<String> for EndWord {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if let Some(parameter) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            return Ok(Self::Of(parameter.to_owned()));
        }
        end(&text).map(Self::Is).ok_or("an end must be one of left, right, lowest, or {parameter}")
    }
}

impl EndWord {
    pub(super) fn end(&self, arguments: &Arguments) -> Option<End> {
        match self {
            Self::Is(end) => Some(*end),
            Self::Of(parameter) => end(arguments.choice(parameter)?),
        }
    }
}
