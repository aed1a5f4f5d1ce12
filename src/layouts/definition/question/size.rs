//! A question about the size of a key, as a definition writes it.

use serde::Deserialize;

use crate::layouts::{
    expression::Expression,
    parameter::Arguments,
    plan::Summand,
    read::{
        Part, Read,
        kind::Kind,
        scores::Scores,
        size::{Members, Size},
    },
};

use super::{
    super::template::{Binding, EMPTY_KEY, Template},
    contract::QuestionKind,
    role::{ParameterRole, Use},
    unit::UnitWord,
    when::When,
};

const TYPE_OF_SOME: &str =
    "`type` is for a key of which all members count, without `members` and `slack`";

/// The size of a key, or of what is left of it. `Q` is a question of any kind.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::layouts) struct SizeQuestion<Q> {
    key: Template,
    #[serde(default)]
    members: MembersWord,
    #[serde(default)]
    unit: UnitWord,
    /// The type that the key has in its framework, where that is one alone: another is a mistake.
    r#type: Option<Kind>,
    /// The duration parameter by which the count is wider. Without a value `all` members count.
    slack: Option<String>,
    #[serde(default)]
    when: When,
    /// What is counted in it and does not belong to it.
    minus: Option<Box<Q>>,
    /// What counts in its place if it is more.
    or: Option<Box<Q>>,
}

/// What of a sorted set counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
enum MembersWord {
    #[default]
    All,
    Due,
    Leased,
}

impl<Q> QuestionKind for SizeQuestion<Q> {
    fn when(&self) -> &When {
        &self.when
    }

    fn key(&self) -> Option<&Template> {
        Some(&self.key)
    }

    /// Those of its key. What others name has one value each, which is looked up when they are asked for.
    fn parameters(&self) -> Vec<&str> {
        self.key.parameters().collect()
    }

    fn uses(&self) -> Vec<Use> {
        let mut uses: Vec<Use> = self.key.parameters().map(Use::text).collect();
        let slack = self.slack.iter().cloned();
        uses.extend(slack.map(|parameter| Use { parameter, as_a: ParameterRole::Duration }));
        if let UnitWord::Of(parameter) = &self.unit {
            uses.push(Use { parameter: parameter.clone(), as_a: ParameterRole::Unit });
        }
        uses
    }

    fn flaw(&self) -> Option<&'static str> {
        let is_of_sorted_sets = self.members != MembersWord::All || self.slack.is_some();
        if self.key.is_empty() {
            Some(EMPTY_KEY)
        } else {
            (self.r#type.is_some() && is_of_sorted_sets).then_some(TYPE_OF_SOME)
        }
    }
}

impl<Q> SizeQuestion<Q> {
    pub(super) fn others(&self) -> impl Iterator<Item = &Q> {
        self.minus.iter().chain(&self.or).map(Box::as_ref)
    }

    /// What these parameters of its parts have to be: what is taken off or taken instead is one thing for
    /// each key.
    pub(super) fn singles<'a>(&self, of_parts: impl Iterator<Item = &'a str>) -> Vec<Use> {
        let own = self.parameters();
        let others = of_parts.filter(|parameter| !own.contains(parameter));
        let single = |name: &str| Use { parameter: name.to_owned(), as_a: ParameterRole::Single };
        others.map(single).collect()
    }

    /// What it asks for; `of_part` is what a part of it asks for. One that is not asked for, or that has no
    /// value, is left out.
    pub(super) fn summand(
        &self,
        binding: &Binding<'_>,
        arguments: &Arguments,
        of_part: impl Fn(&Q) -> Option<Summand>,
    ) -> Option<Summand> {
        let key = self.key.fill(binding)?;
        let read = Read::Size(Size { key, members: self.members(arguments) });
        let mut all = Expression::Leaf((read, Part::Size(())));
        if let Some(part) = self.minus.as_deref().and_then(&of_part) {
            all = Expression::Difference(Box::new([all, part]));
        }
        if let Some(more) = self.or.as_deref().and_then(of_part) {
            all = Expression::Max(Box::new([all, more]));
        }
        Some(all)
    }

    fn members(&self, arguments: &Arguments) -> Members {
        let slack = self.slack.as_deref().and_then(|name| arguments.duration(name));
        let unit = self.unit.unit(arguments);
        let scores = Scores { unit, slack: slack.unwrap_or_default() };
        match (self.members, slack) {
            (MembersWord::All, None) => self.r#type.map_or(Members::All, Members::AllOf),
            (MembersWord::All, Some(_)) | (MembersWord::Leased, _) => Members::Leased(scores),
            (MembersWord::Due, _) => Members::Due(scores),
        }
    }
}
