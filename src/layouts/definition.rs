//! A layout as it is written down: TOML in, [`Layout`] out.
//!
//! It is apart because the same format serves the built-in files and whatever else defines a
//! layout. It knows the format's rules and nothing of any framework.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    Arguments, Layout,
    parameter::Parameter,
    plan::{MissingGroup, Part, Plan, States},
    read::{Members, Name, Read, Unit},
    template::Template,
};

/// Why a layout's definition cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// It is no TOML of this format.
    #[error("layout `{layout}`: {message}")]
    Format {
        /// The layout's name.
        layout: String,
        /// What the TOML parser said.
        message: String,
    },
    /// A template or condition names a parameter that the layout does not declare.
    #[error("layout `{layout}`: `{{{parameter}}}` is no parameter of it")]
    UnknownParameter {
        /// The layout's name.
        layout: String,
        /// The parameter.
        parameter: String,
    },
}

/// The format of a layout file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    pub(super) doc: String,
    /// At least one of these parameters must be given.
    #[serde(default)]
    pub(super) needs: Vec<String>,
    #[serde(default)]
    pub(super) params: BTreeMap<String, Parameter>,
    #[serde(default)]
    scheduled: Vec<Question>,
    #[serde(default)]
    waiting: Vec<Question>,
    #[serde(default)]
    in_flight: Vec<Question>,
}

/// One summand of a state. A parameter with several values makes one read each.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "read", rename_all = "kebab-case", deny_unknown_fields)]
enum Question {
    /// The size of a key; only asked when the named parameters have these values.
    Size {
        key: Template,
        #[serde(default)]
        members: MembersText,
        unit: Option<String>,
        #[serde(default)]
        when: BTreeMap<String, String>,
    },
    /// What a consumer group has not been given.
    GroupWaiting { key: Template, group: Template, missing_group: String },
    /// What a consumer group has not acknowledged.
    GroupPending { key: Template, group: Template, missing_group: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
enum MembersText {
    #[default]
    All,
    Due,
    Leased,
}

impl Layout {
    /// Reads a definition.
    ///
    /// # Errors
    /// [`DefinitionError`] when the text is not of the format or names what it does not declare.
    pub fn parse(name: &str, toml: &str) -> Result<Self, DefinitionError> {
        let layout = name.to_owned();
        let definition: Definition = toml::from_str(toml).map_err(|error| {
            DefinitionError::Format { layout: layout.clone(), message: error.message().to_owned() }
        })?;
        let unknown = definition.names_used().find(|used| !definition.params.contains_key(used));
        match unknown {
            Some(parameter) => Err(DefinitionError::UnknownParameter { layout, parameter }),
            None => Ok(Self { name: layout, definition }),
        }
    }
}

impl Definition {
    /// Every parameter that a template, a condition or `needs` names.
    fn names_used(&self) -> impl Iterator<Item = String> {
        let questions = self.scheduled.iter().chain(&self.waiting).chain(&self.in_flight);
        questions.flat_map(Question::names_used).chain(self.needs.clone())
    }

    /// The plan for these arguments.
    pub(super) fn plan(&self, arguments: &Arguments) -> Plan {
        let all = |questions: &[Question]| -> Box<[(Read, Part)]> {
            questions.iter().flat_map(|question| question.reads(arguments)).collect()
        };
        Plan::new(States {
            scheduled: all(&self.scheduled),
            waiting: all(&self.waiting),
            in_flight: all(&self.in_flight),
        })
    }
}

impl Question {
    fn names_used(&self) -> Vec<String> {
        match self {
            Self::Size { key, unit, when, .. } => {
                let named = key.parameters().map(str::to_owned);
                named.chain(unit.clone()).chain(when.keys().cloned()).collect()
            }
            Self::GroupWaiting { key, group, missing_group }
            | Self::GroupPending { key, group, missing_group } => {
                let named = key.parameters().chain(group.parameters()).map(str::to_owned);
                named.chain([missing_group.clone()]).collect()
            }
        }
    }

    fn reads(&self, arguments: &Arguments) -> Vec<(Read, Part)> {
        match self {
            Self::Size { key, members, unit, when } => {
                let holds = |(name, word): (&String, &String)| arguments.choice(name) == Some(word);
                if !when.iter().all(holds) {
                    return vec![];
                }
                let unit = unit.as_deref().and_then(|name| arguments.choice(name));
                let members = members.with(unit);
                let read = |key| (Read::Size { key, members }, Part::Size);
                key.expand(arguments).into_iter().map(read).collect()
            }
            Self::GroupWaiting { key, group, missing_group } => {
                let part = Part::GroupWaiting(policy(arguments.choice(missing_group)));
                group_reads((key, group), part, arguments)
            }
            Self::GroupPending { key, group, missing_group } => {
                let part = Part::GroupPending(policy(arguments.choice(missing_group)));
                group_reads((key, group), part, arguments)
            }
        }
    }
}

/// The reads of every stream and group that the two templates (key, group) expand to.
fn group_reads(
    (key, group): (&Template, &Template),
    part: Part,
    arguments: &Arguments,
) -> Vec<(Read, Part)> {
    let groups = group.expand(arguments);
    let keys = key.expand(arguments);
    let of_key = |key: Name| {
        let read = move |group| (Read::Group { key: key.clone(), group }, part);
        groups.iter().cloned().map(read).collect::<Vec<_>>()
    };
    keys.into_iter().flat_map(of_key).collect()
}

impl MembersText {
    fn with(self, unit: Option<&str>) -> Members {
        let unit = if unit == Some("ms") { Unit::Milliseconds } else { Unit::Seconds };
        match self {
            Self::All => Members::All,
            Self::Due => Members::Due(unit),
            Self::Leased => Members::Leased(unit),
        }
    }
}

/// A word that is none of the known ones says that nobody knows.
fn policy(word: Option<&str>) -> MissingGroup {
    match word {
        Some("all") => MissingGroup::All,
        Some("none") => MissingGroup::Nothing,
        _ => MissingGroup::Unknown,
    }
}
