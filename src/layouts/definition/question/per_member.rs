//! A question for each member of a collection, as a definition writes it.

use std::sync::Arc;

use serde::Deserialize;

use crate::layouts::{
    expression::Expression,
    name::Name,
    parameter::{Arguments, Pattern},
    plan::Summand,
    read::{
        Part, Read,
        member_key::MemberKey,
        per_member::{Ask, CollectionType, Filter, Matching, Overflow, PerMember, Wanted},
    },
};

use super::{
    super::template::{Binding, Template},
    contract::QuestionKind,
    pause::Pause,
    role::Use,
    when::When,
};

/// A question for each member of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::layouts) struct PerMemberQuestion {
    collection: Template,
    r#type: CollectionType,
    ask: AskQuestion,
    filter: Option<FilterQuestion>,
    #[serde(default)]
    overflow: Overflow,
    #[serde(default)]
    when: When,
}

/// Which JSON values count.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterQuestion {
    pointer: String,
    is: Template,
    only_if: Option<OnlyIf>,
}

/// Another text that must be this one for the first to tell anything.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlyIf {
    pointer: String,
    is: String,
}

/// What is asked of a member, and of which key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AskQuestion {
    Exists(MemberKeyTemplate),
    Length(MemberKeyTemplate),
    Values(MemberKeyTemplate),
    Text(MemberKeyTemplate),
    Field,
}

/// The key of a member: the templates before and after the one `{member}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct MemberKeyTemplate {
    pub(super) before: Template,
    pub(super) after: Template,
}

impl TryFrom<String> for MemberKeyTemplate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split("{member}").collect::<Vec<_>>()[..] {
            [before, after] => {
                let parse = |text: &str| {
                    text.parse::<Template>().map_err(|error| format!("`{text}`: {error}"))
                };
                Ok(Self { before: parse(before)?, after: parse(after)? })
            }
            _ => Err(format!("`{text}` must have {{member}} in it, once")),
        }
    }
}

impl QuestionKind for PerMemberQuestion {
    fn when(&self) -> &When {
        &self.when
    }

    fn key(&self) -> Option<&Template> {
        Some(&self.collection)
    }

    fn parameters(&self) -> Vec<&str> {
        let filters = self.filter.iter().map(|filter| &filter.is);
        self.templates().chain(filters).flat_map(Template::parameters).collect()
    }

    fn uses(&self) -> Vec<Use> {
        self.parameters().into_iter().map(Use::text).collect()
    }

    fn flaw(&self) -> Option<&'static str> {
        let has_values = match self.ask {
            AskQuestion::Values(_) | AskQuestion::Text(_) | AskQuestion::Field => true,
            AskQuestion::Exists(_) | AskQuestion::Length(_) => false,
        };
        let filter = self.filter.as_ref();
        let pointers = filter.into_iter().flat_map(|filter| {
            let others = filter.only_if.as_ref().map(|only| &only.pointer);
            [&filter.pointer].into_iter().chain(others)
        });
        if self.collection.is_empty() {
            Some("`collection` is empty, and no collection has that name")
        } else if filter.is_some() && !has_values {
            Some("a `filter` needs values: an `ask` of values, text or \"field\"")
        } else if matches!(self.ask, AskQuestion::Field)
            && !matches!(self.r#type, CollectionType::Hash)
        {
            Some("only a collection of type `hash` can `ask` for its \"field\"")
        } else if pointers.into_iter().any(|pointer| !pointer.starts_with('/')) {
            Some("a `pointer` begins with `/`, as in `/queue`")
        } else {
            None
        }
    }
}

impl PerMemberQuestion {
    /// One question for each pattern whose queues need not be found, since the filter alone tells
    /// which values are theirs. A queue of which nothing but such a value is left counts so, too.
    pub(super) fn matching(
        &self,
        pauses: &[Pause],
        keys: &[&Template],
        arguments: &Arguments,
    ) -> Vec<Summand> {
        let Some(filter) = &self.filter else { return vec![] };
        let patterns = arguments.patterns();
        let is_told_by_filter = |parameter: &str| {
            let names = |template: &Template| template.parameters().any(|name| name == parameter);
            let is_paused = pauses.iter().flat_map(Pause::templates).any(names);
            filter.is.is_only(parameter) && !is_paused && !self.templates().any(names)
        };
        let question = |(place, pattern): (usize, &Pattern)| {
            let parameter = pattern.parameter.as_str();
            if !is_told_by_filter(parameter) {
                return vec![];
            }
            let of_parameter = |other: &&Pattern| other.parameter == parameter;
            let given = arguments.without_found();
            let names = given.values(parameter);
            let around = keys.iter().flat_map(|key| key.around(parameter, &given));
            let wanted = Wanted::Matching(Box::new(Matching {
                glob: pattern.glob.clone(),
                but_names: names.into_iter().map(|(name, _)| Name::new(name)).collect(),
                but_globs: (patterns[..place].iter().filter(of_parameter))
                    .map(|other| other.glob.clone())
                    .collect(),
                keys: around.collect(),
                allowed: arguments.allowed(),
            }));
            let others = self.templates().flat_map(Template::parameters);
            let bindings = Binding::all(others, &given);
            let summand = |binding: &Binding<'_>| {
                let weight = binding.weight.of(pattern.weight);
                Some(self.asking(binding, Some(wanted.clone()))?.times(weight))
            };
            bindings.iter().filter_map(summand).collect()
        };
        patterns.iter().enumerate().flat_map(question).collect()
    }

    /// The templates of keys.
    fn templates(&self) -> impl Iterator<Item = &Template> {
        let key = match &self.ask {
            AskQuestion::Exists(key)
            | AskQuestion::Length(key)
            | AskQuestion::Values(key)
            | AskQuestion::Text(key) => Some(key),
            AskQuestion::Field => None,
        };
        let keys = key.into_iter().flat_map(|key| [&key.before, &key.after]);
        [&self.collection].into_iter().chain(keys)
    }

    pub(super) fn summand(&self, binding: &Binding<'_>) -> Option<Summand> {
        self.asking(binding, None)
    }

    /// The question, with another filter's text where one is given.
    fn asking(&self, binding: &Binding<'_>, wanted: Option<Wanted>) -> Option<Summand> {
        let around = |MemberKeyTemplate { before, after }: &MemberKeyTemplate| {
            Some(MemberKey { before: before.fill(binding)?, after: after.fill(binding)? })
        };
        let filter = match &self.filter {
            Some(FilterQuestion { pointer, is, only_if }) => {
                let only_if = only_if.as_ref().map(|only| (only.pointer.clone(), only.is.clone()));
                let is = match wanted {
                    Some(wanted) => wanted,
                    None => is.fill(binding)?.into(),
                };
                Some(Filter { pointer: pointer.clone(), is, only_if })
            }
            None => None,
        };
        let each = PerMember {
            collection: self.collection.fill(binding)?,
            kind: self.r#type,
            ask: match &self.ask {
                AskQuestion::Exists(key) => Ask::Exists(around(key)?),
                AskQuestion::Length(key) => Ask::Length(around(key)?),
                AskQuestion::Values(key) => Ask::Values(around(key)?),
                AskQuestion::Text(key) => Ask::Text(around(key)?),
                AskQuestion::Field => Ask::Field,
            },
            filter,
        };
        Some(Expression::Leaf((Read::PerMember(Arc::new(each)), Part::PerMember(self.overflow))))
    }
}
