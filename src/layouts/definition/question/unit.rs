//! The words for the unit of scores.

use serde::Deserialize;

use crate::layouts::{parameter::Arguments, read::scores::Unit};

/// The unit of scores: a word, or the choice parameter that has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum UnitWord {
    Is(Unit),
    Of(String),
}

impl Default for UnitWord {
    fn default() -> Self {
        Self::Is(Unit::Seconds)
    }
}

/// The words for units.
const UNITS: &[(&str, Unit)] = &[
    ("s", Unit::Seconds),
    ("ms", Unit::Milliseconds),
    ("ns", Unit::Nanoseconds),
    ("ms*4096", Unit::MillisecondsTimes4096),
];

pub(super) fn unit(word: &str) -> Option<Unit> {
    UNITS.iter().find(|(known, _)| *known == word).map(|(_, unit)| *unit)
}

impl TryFrom<String> for UnitWord {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(parameter) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            return Ok(Self::Of(parameter.to_owned()));
        }
        let known: Vec<&str> = UNITS.iter().map(|(word, _)| *word).collect();
        let words = known.join(", ");
        unit(&text)
            .map(Self::Is)
            .ok_or(format!("the unit must be one of {words}, or {{parameter}}"))
    }
}

impl UnitWord {
    pub(super) fn unit(&self, arguments: &Arguments) -> Unit {
        match self {
            Self::Is(unit) => *unit,
            Self::Of(parameter) => {
                arguments.choice(parameter).and_then(unit).unwrap_or(Unit::Seconds)
            }
        }
    }
}
