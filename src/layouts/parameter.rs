//! What a layout asks of a trigger beside the keys that every trigger has, and what it was given. The
//! documentation, `check` and the parser all read the same declarations.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use crate::{limits, time};

use super::{allowed::Allowed, glob::Glob, measure::Measure, name::Name, weight::Weight};

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
    /// Whether only letters, digits and `_` of a name are kept, as the framework does.
    pub word_only: bool,
    /// Whether a name may be empty.
    pub may_be_empty: bool,
    /// What the framework puts after the name, which a trigger may write or leave out.
    pub ends_with: Option<String>,
    /// Words that people would choose and that cannot be counted, each with why.
    pub refused: BTreeMap<String, String>,
}

impl Parameter {
    /// A name as templates have it: with what the framework puts after it, whether it was written or
    /// not. An empty one stays empty.
    #[must_use]
    pub fn name(&self, given: &str) -> Name {
        let end = self.ends_with.as_deref().filter(|_| !given.is_empty()).unwrap_or_default();
        let given = given.strip_suffix(end).unwrap_or(given);
        Name::new([given, end].concat())
    }

    /// What holds when nothing is given.
    #[must_use]
    pub fn default_argument(&self) -> Option<Argument> {
        match &self.kind {
            ParameterKind::Keys
            | ParameterKind::Pattern
            | ParameterKind::Name { default: None } => None,
            ParameterKind::Name { default: Some(default) } => {
                Some(Argument::Names(vec![(self.name(default), Weight::ONE)]))
            }
            ParameterKind::Words { default } => Some(words(default)),
            ParameterKind::Duration { default } => default.map(Argument::Duration),
            ParameterKind::Choice { default, .. } => Some(Argument::Choice(default.clone())),
        }
    }
}

/// What a parameter takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterKind {
    /// One or more Redis keys or queue names, comma-separated, `\,` for a comma in a name; each may
    /// have a weight, as in `emails=1,reports=3`.
    Keys,
    /// One name, taken as it is.
    Name {
        /// The name that holds when none is given; it may be empty.
        default: Option<String>,
    },
    /// A pattern of names, in the syntax of KEYS; there is no default.
    Pattern,
    /// Words, comma-separated.
    Words {
        /// The words that hold when none are given.
        default: String,
    },
    /// A duration.
    Duration {
        /// The duration that holds when none is given.
        default: Option<Duration>,
    },
    /// One of these words.
    Choice {
        /// The words.
        choices: Vec<String>,
        /// The word that holds when none is given.
        default: String,
    },
}

impl ParameterKind {
    /// What it takes, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Keys => "one or more names".to_owned(),
            Self::Name { .. } => "a name".to_owned(),
            Self::Pattern => "a pattern".to_owned(),
            Self::Words { .. } => "words".to_owned(),
            Self::Duration { .. } => "a duration".to_owned(),
            Self::Choice { choices, .. } => choices.join(" or "),
        }
    }

    /// What holds when nothing is given, for people.
    #[must_use]
    pub fn default_text(&self) -> Option<String> {
        match self {
            Self::Keys
            | Self::Pattern
            | Self::Name { default: None }
            | Self::Duration { default: None } => None,
            Self::Name { default: Some(default) }
            | Self::Words { default }
            | Self::Choice { default, .. } => Some(default.clone()),
            Self::Duration { default: Some(default) } => Some(format!("{default:?}")),
        }
    }
}

/// The words of a comma-separated text.
#[must_use]
pub fn words(text: &str) -> Argument {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    Argument::Names(words.map(|word| (word.into(), Weight::ONE)).collect())
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
    #[serde(default)]
    word_only: bool,
    #[serde(default)]
    may_be_empty: bool,
    ends_with: Option<String>,
    #[serde(default)]
    refused: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TypeWord {
    Keys,
    Name,
    Pattern,
    Words,
    Duration,
    Choice,
}

impl TryFrom<Declaration> for Parameter {
    type Error = &'static str;

    fn try_from(declaration: Declaration) -> Result<Self, Self::Error> {
        let Declaration { r#type, doc, example, required, aliases, choices, default, .. } =
            declaration;
        let Declaration { word_only, may_be_empty, ends_with, refused, .. } = declaration;
        let has_words = !(choices.is_empty() && refused.is_empty());
        if has_words && !matches!(r#type, TypeWord::Choice) {
            return Err("only a parameter of type `choice` may have `choices` and `refused`");
        }
        if refused.keys().any(|word| choices.contains(word)) {
            return Err("a word under `refused` may not be one of the `choices`");
        }
        if word_only && !matches!(r#type, TypeWord::Keys)
            || may_be_empty && !matches!(r#type, TypeWord::Name)
        {
            return Err("word_only is for keys, may_be_empty for a name");
        }
        let ends_well = |end: &String| !end.is_empty() && matches!(r#type, TypeWord::Name);
        if !ends_with.as_ref().is_none_or(ends_well) {
            return Err("ends_with is for a name, and not empty");
        }
        if required && default.is_some() {
            return Err("what has a default is never required");
        }
        let kind = match (r#type, default) {
            (TypeWord::Choice, Some(default)) if choices.contains(&default) => {
                ParameterKind::Choice { choices, default }
            }
            (TypeWord::Choice, _) => return Err("a choice needs a default among its choices"),
            (TypeWord::Keys, None) => ParameterKind::Keys,
            (TypeWord::Keys, Some(_)) => return Err("keys have no default"),
            (TypeWord::Pattern, None) => ParameterKind::Pattern,
            (TypeWord::Pattern, Some(_)) => return Err("a pattern has no default"),
            (TypeWord::Name, default) => ParameterKind::Name { default },
            (TypeWord::Words, Some(default)) => ParameterKind::Words { default },
            (TypeWord::Words, None) => return Err("words need a default"),
            (TypeWord::Duration, default) => {
                let parsed = default.map(|text| time::parse_duration(&text)).transpose();
                let default =
                    parsed.map_err(|_| "the default is no duration such as 500ms or 5m")?;
                ParameterKind::Duration { default }
            }
        };
        Ok(Self {
            kind,
            doc,
            example,
            required,
            aliases,
            word_only,
            may_be_empty,
            ends_with,
            refused,
        })
    }
}

/// The value of one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// One or more names, each with what its jobs count.
    Names(Vec<(Name, Weight)>),
    /// A pattern of names.
    Pattern(Glob),
    /// A duration.
    Duration(Duration),
    /// One of the parameter's words.
    Choice(String),
}

/// A pattern that a trigger gave in the place of a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern {
    /// The parameter that it is a value of.
    pub parameter: String,
    /// The pattern.
    pub glob: Glob,
    /// What one job of each queue counts that matches.
    pub weight: Weight,
}

/// What a trigger gave to its layout, by parameter; with patterns, also what was found for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    pub(super) given: BTreeMap<String, Argument>,
    pub(super) patterns: Vec<Pattern>,
    pub(super) found: BTreeMap<String, Vec<(Name, Weight)>>,
    /// Which keys may be read of those that a pattern finds.
    pub(super) allowed: Option<Allowed>,
    pub(super) left_out: Vec<Measure>,
}

impl Arguments {
    /// Nothing is to be read for this measure: the trigger makes nothing of it.
    pub fn leave_out(&mut self, measure: Measure) {
        self.left_out.push(measure);
    }

    /// Whether this measure is to be read.
    pub(super) fn wants(&self, measure: Measure) -> bool {
        !self.left_out.contains(&measure)
    }

    /// Sets the value of a parameter.
    pub fn set(&mut self, parameter: &str, argument: Argument) {
        self.given.insert(parameter.to_owned(), argument);
    }

    /// Adds a pattern.
    pub fn add_pattern(&mut self, pattern: Pattern) {
        self.patterns.push(pattern);
    }

    /// The patterns, in the order in which they were given.
    #[must_use]
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// These arguments with what was found for the patterns: parameter, name and weight.
    pub(super) fn finding<'f>(
        &self,
        found: impl Iterator<Item = (&'f str, Name, Weight)>,
        allowed: &Allowed,
    ) -> Self {
        let mut arguments = self.without_found();
        for (parameter, name, weight) in found {
            let names = arguments.found.entry(parameter.to_owned()).or_default();
            names.push((name, weight));
        }
        arguments.allowed = Some(allowed.clone());
        arguments
    }

    /// These arguments without what was found.
    pub(super) fn without_found(&self) -> Self {
        Self { found: BTreeMap::new(), ..self.clone() }
    }

    /// The reads that a plan of these may have.
    #[must_use]
    pub(super) fn most_reads(&self) -> usize {
        if self.patterns.is_empty() { limits::KEYS_PER_TRIGGER } else { limits::READS_FOUND }
    }

    /// Which keys may be read of those that a pattern finds.
    pub(super) fn allowed(&self) -> Allowed {
        self.allowed.clone().unwrap_or_else(Allowed::all)
    }

    /// Whether a parameter has a value, given or by default.
    #[must_use]
    pub fn is_given(&self, parameter: &str) -> bool {
        self.given.contains_key(parameter)
    }

    /// The word that was chosen for a parameter.
    #[must_use]
    pub fn choice(&self, parameter: &str) -> Option<&str> {
        match self.given.get(parameter)? {
            Argument::Choice(word) => Some(word),
            Argument::Names(_) | Argument::Pattern(_) | Argument::Duration(_) => None,
        }
    }

    /// The duration of a parameter; `None` if it was not given and has no default.
    #[must_use]
    pub fn duration(&self, parameter: &str) -> Option<Duration> {
        match self.given.get(parameter)? {
            Argument::Duration(duration) => Some(*duration),
            Argument::Names(_) | Argument::Pattern(_) | Argument::Choice(_) => None,
        }
    }

    /// The pattern of a parameter; `None` if it was not given.
    #[must_use]
    pub fn pattern(&self, parameter: &str) -> Option<&Glob> {
        match self.given.get(parameter)? {
            Argument::Pattern(glob) => Some(glob),
            Argument::Names(_) | Argument::Duration(_) | Argument::Choice(_) => None,
        }
    }

    /// Every value of a parameter as bytes, with what its jobs count: those that were given, then those
    /// that were found. A pattern is no value.
    #[must_use]
    pub fn values(&self, parameter: &str) -> Vec<(&[u8], Weight)> {
        let found = self.found.get(parameter).map(Vec::as_slice).unwrap_or_default();
        let given = match self.given.get(parameter) {
            Some(Argument::Names(names)) => names.as_slice(),
            Some(Argument::Choice(word)) => return vec![(word.as_bytes(), Weight::ONE)],
            Some(Argument::Pattern(glob)) => return vec![(glob.text().as_bytes(), Weight::ONE)],
            Some(Argument::Duration(_)) | None => &[],
        };
        given.iter().chain(found).map(|(name, weight)| (name.as_bytes(), *weight)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(more: &str) -> Result<Parameter, String> {
        let parsed = toml::from_str(&format!("doc = 'D.'\nexample = 'e'\n{more}"));
        parsed.map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn what_a_framework_puts_after_a_name_is_there_once() {
        let prefix = declared("type = 'name'\ndefault = 'bull'\nends_with = ':'").unwrap();
        let default = vec![("bull:".into(), Weight::ONE)];
        assert_eq!(prefix.default_argument(), Some(Argument::Names(default)));
        for (given, name) in [("my", "my:"), ("my:", "my:"), ("my::", "my::"), ("", "")] {
            assert_eq!(prefix.name(given), name.into(), "{given}");
        }
    }

    #[test]
    fn what_can_mean_nothing_in_a_declaration_is_refused() {
        for (more, wanted) in [
            ("type = 'name'\nends_with = ''", "ends_with is for a name"),
            ("type = 'keys'\nends_with = ':'", "ends_with is for a name"),
            ("type = 'name'\nrefused = { a = 'why' }", "may have `choices` and `refused`"),
            (
                "type = 'choice'\nchoices = ['a']\ndefault = 'a'\nrefused = { a = 'why' }",
                "may not be one of the `choices`",
            ),
        ] {
            let told = declared(more).unwrap_err();
            assert!(told.contains(wanted), "{more}: {told}");
        }
    }
}
