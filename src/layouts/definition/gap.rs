//! The gap of a framework: how long a job may be in no key while it is moved.

use std::time::Duration;

use serde::Deserialize;

use crate::time;

use super::{
    super::parameter::Arguments,
    question::{ParameterRole, Use, When, is_met, uses_of_when},
};

/// How long a job may be in no key while the framework moves it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::layouts) struct Gap {
    lasts: Length,
    /// When that is, and how it is known.
    pub(in crate::layouts) doc: String,
    #[serde(default)]
    when: When,
}

/// How long a gap lasts: a time, or the duration parameter that has it, in braces.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
enum Length {
    For(Duration),
    Of(String),
}

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(parameter) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            return Ok(Self::Of(parameter.to_owned()));
        }
        let lasts = time::parse_duration(&text).map(Self::For);
        lasts.map_err(|error| format!("`lasts`: `{text}` {error}"))
    }
}

impl Gap {
    /// How long it lasts with these arguments; `None` where there is none.
    pub(in crate::layouts) fn lasts(&self, arguments: &Arguments) -> Option<Duration> {
        let lasts = match &self.lasts {
            Length::For(duration) => Some(*duration),
            Length::Of(parameter) => arguments.duration(parameter),
        };
        lasts.filter(|_| is_met(&self.when, arguments))
    }

    /// The parameters that it names, and as what.
    pub(in crate::layouts) fn uses(&self) -> Vec<Use> {
        let mut uses = uses_of_when(&self.when);
        if let Length::Of(parameter) = &self.lasts {
            uses.push(Use { parameter: parameter.clone(), as_a: ParameterRole::Duration });
        }
        uses
    }
}
