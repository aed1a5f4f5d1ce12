//! What a layout asks of a trigger beside the keys that every trigger has, and what it was given.
//!
//! It is apart because `docs`, `check` and the parser all read the same declarations.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::read::Name;

/// One declared parameter of a layout.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Declaration")]
pub struct Parameter {
    /// What it takes.
    pub kind: ParameterKind,
    /// One sentence for people.
    pub doc: String,
    /// A value that is valid.
    pub example: String,
    /// Whether a trigger must give it.
    pub required: bool,
    /// Other names of the same parameter.
    pub aliases: Vec<String>,
}

/// What a parameter takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterKind {
    /// One or more Redis keys or queue names, comma-separated, `\,` for a comma in a name.
    Keys,
    /// One name, taken as it is.
    Name,
    /// One of these words.
    Choice {
        /// The words.
        choices: Vec<String>,
        /// The word that holds when none is given.
        default: String,
    },
}

/// A parameter as the file writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    r#type: TypeWord,
    doc: String,
    example: String,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    choices: Vec<String>,
    default: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TypeWord {
    Keys,
    Name,
    Choice,
}

impl TryFrom<Declaration> for Parameter {
    type Error = &'static str;

    fn try_from(declaration: Declaration) -> Result<Self, Self::Error> {
        let Declaration { r#type, doc, example, required, aliases, choices, default } = declaration;
        let kind = match (r#type, default) {
            (TypeWord::Choice, Some(default)) if choices.contains(&default) => {
                ParameterKind::Choice { choices, default }
            }
            (TypeWord::Choice, _) => return Err("a choice needs a default among its choices"),
            (TypeWord::Keys, None) if choices.is_empty() => ParameterKind::Keys,
            (TypeWord::Name, None) if choices.is_empty() => ParameterKind::Name,
            (TypeWord::Keys | TypeWord::Name, _) => {
                return Err("only a choice has choices and a default");
            }
        };
        Ok(Self { kind, doc, example, required, aliases })
    }
}

/// The value of one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// One or more names.
    Names(Vec<Name>),
    /// One of the parameter's words.
    Choice(String),
}

/// What a trigger gave to its layout, by parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments(BTreeMap<String, Argument>);

impl Arguments {
    /// Sets the value of a parameter.
    pub fn set(&mut self, parameter: &str, argument: Argument) {
        self.0.insert(parameter.to_owned(), argument);
    }

    /// The word that was chosen for a parameter.
    #[must_use]
    pub fn choice(&self, parameter: &str) -> Option<&str> {
        match self.0.get(parameter)? {
            Argument::Choice(word) => Some(word),
            Argument::Names(_) => None,
        }
    }

    /// Every value of a parameter as bytes; none if it was not given.
    #[must_use]
    pub fn values(&self, parameter: &str) -> Vec<&[u8]> {
        match self.0.get(parameter) {
            Some(Argument::Names(names)) => names.iter().map(Name::as_bytes).collect(),
            Some(Argument::Choice(word)) => vec![word.as_bytes()],
            None => vec![],
        }
    }
}
