//! One summand of a state as a definition writes it, and what it asks for given arguments.

mod contract;
mod group;
mod heartbeats;
mod pause;
mod per_member;
mod role;
mod unit;
mod when;

use std::time::Duration;

use serde::Deserialize;

use super::{
    super::{
        expression::Expression,
        parameter::Arguments,
        plan::Summand,
        read::{
            Part, Read,
            group::GroupPart,
            kind::Kind,
            scores::Scores,
            size::{Members, Size},
        },
    },
    template::{Binding, EMPTY_KEY, Template},
};
use contract::Words;
use group::{GroupQuestion, IdleQuestion};
use heartbeats::HeartbeatsQuestion;
pub(in crate::layouts) use pause::Pause;
use per_member::PerMemberQuestion;
pub(in crate::layouts) use role::{ParameterRole, Use};
use unit::UnitWord;
pub(in crate::layouts) use when::{When, is_met, uses_of_when};

const TYPE_OF_SOME: &str =
    "`type` is for a key of which all members count, without `members` and `slack`";

/// One summand of a state. A parameter with several values makes one of each.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "read", rename_all = "kebab-case")]
pub(in crate::layouts) enum Question {
    /// The size of a key.
    Size(SizeQuestion),
    /// What a consumer group has not been given.
    GroupWaiting(GroupQuestion),
    /// What a consumer group has not acknowledged.
    GroupPending(GroupQuestion),
    /// What a consumer group has not acknowledged and was idle for long.
    GroupIdle(IdleQuestion),
    /// What the members of a collection have.
    #[serde(rename = "each")]
    PerMember(PerMemberQuestion),
    /// What workers say on channels.
    Heartbeats(Box<HeartbeatsQuestion<Self>>),
}

/// The size of a key, or of what is left of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::layouts) struct SizeQuestion {
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
    minus: Option<Box<Question>>,
    /// What counts in its place if it is more.
    or: Option<Box<Question>>,
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

impl Question {
    fn words(&self) -> &dyn Words {
        match self {
            Self::Size(question) => question,
            Self::GroupWaiting(question) | Self::GroupPending(question) => question,
            Self::GroupIdle(question) => question,
            Self::PerMember(question) => question,
            Self::Heartbeats(question) => question.as_ref(),
        }
    }

    /// The questions that are a part of it.
    fn others(&self) -> Vec<&Self> {
        match self {
            Self::Size(question) => question.others().collect(),
            Self::Heartbeats(question) => question.or.iter().collect(),
            Self::GroupWaiting(_)
            | Self::GroupPending(_)
            | Self::GroupIdle(_)
            | Self::PerMember(_) => vec![],
        }
    }

    pub(in crate::layouts) fn when(&self) -> &When {
        self.words().when()
    }

    /// The first mistake in it, as a message to its author.
    pub(in crate::layouts) fn flaw(&self) -> Option<&'static str> {
        let empty_key = self.words().key().filter(|key| key.is_empty()).map(|_| EMPTY_KEY);
        let own = self.words().flaw().or(empty_key);
        own.or_else(|| self.others().into_iter().find_map(Self::flaw))
    }

    /// The parameters that it names, and as what.
    pub(in crate::layouts) fn uses(&self) -> Vec<Use> {
        let of_others = self.others().into_iter().flat_map(Self::uses);
        uses_of_when(self.when()).into_iter().chain(self.words().uses()).chain(of_others).collect()
    }

    /// The templates of the keys that it reads under a name of their own, if it is asked at all.
    pub(in crate::layouts) fn keys(&self, arguments: &Arguments) -> Vec<&Template> {
        if !is_met(self.when(), arguments) {
            return vec![];
        }
        let of_others = self.others().into_iter().flat_map(|other| other.keys(arguments));
        self.words().key().into_iter().chain(of_others).collect()
    }

    /// The templates of the keys that it reads under a name of their own, whatever is asked.
    pub(in crate::layouts) fn every_key(&self) -> Vec<&Template> {
        let of_others = self.others().into_iter().flat_map(Self::every_key);
        self.words().key().into_iter().chain(of_others).collect()
    }

    /// The parameters that each read of it has a value of, in its keys or beside them, if it is asked at
    /// all.
    pub(in crate::layouts) fn bound(&self, arguments: &Arguments) -> Vec<Vec<&str>> {
        if !is_met(self.when(), arguments) {
            return vec![];
        }
        let of_others = self.others().into_iter().flat_map(|other| other.bound(arguments));
        [self.words().parameters()].into_iter().chain(of_others).collect()
    }

    /// What it asks for with these arguments. It counts nothing while a pause stands, of those that
    /// its own parameters can name. `keys` are all templates by which the layout finds a queue.
    pub(in crate::layouts) fn summands(
        &self,
        pauses: &[Pause],
        keys: &[&Template],
        arguments: &Arguments,
    ) -> Vec<Summand> {
        if !is_met(self.when(), arguments) {
            return vec![];
        }
        let matching = if let Self::PerMember(question) = self {
            question.matching(pauses, keys, arguments)
        } else {
            vec![]
        };
        if matching.is_empty() {
            return self.of_values(pauses, keys, arguments);
        }
        // What is found for a pattern is among what matches it.
        let given = self.of_values(pauses, keys, &arguments.without_found());
        given.into_iter().chain(matching).collect()
    }

    fn of_values(
        &self,
        pauses: &[Pause],
        keys: &[&Template],
        arguments: &Arguments,
    ) -> Vec<Summand> {
        let parameters = self.words().parameters();
        let one = |binding: &Binding<'_>| -> Option<Summand> {
            let summand = self.summand(binding, keys, arguments)?;
            let weighted = summand.times(binding.weight);
            let paused = pauses.iter().filter_map(|pause| pause.flag(binding));
            let unless = |of, flag| Expression::Unless((flag, Part::Flag(())), Box::new(of));
            Some(paused.fold(weighted, unless))
        };
        let bindings = Binding::all(parameters.into_iter(), arguments);
        bindings.iter().filter_map(one).collect()
    }

    fn summand(
        &self,
        binding: &Binding<'_>,
        keys: &[&Template],
        arguments: &Arguments,
    ) -> Option<Summand> {
        match self {
            Self::Size(question) => question.summand(binding, keys, arguments),
            Self::GroupWaiting(question) => {
                question.summand(binding, arguments, GroupPart::Waiting)
            }
            Self::GroupPending(question) => {
                question.summand(binding, arguments, GroupPart::Pending)
            }
            Self::GroupIdle(question) => question.summand(binding, arguments),
            Self::PerMember(question) => question.summand(binding),
            Self::Heartbeats(question) => {
                let others = question.or.iter();
                let others = others.flat_map(|other| other.summands(&[], keys, arguments));
                question.summand(binding, others.collect(), arguments)
            }
        }
    }

    /// For how long what it counts may be told late, beyond the layout's own gap.
    pub(in crate::layouts) fn gap(&self, arguments: &Arguments) -> Option<Duration> {
        let Self::Heartbeats(question) = self else { return None };
        question.gap(arguments)
    }
}

impl Words for SizeQuestion {
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
        // What is taken off or taken instead is one thing for each key.
        let own = self.parameters();
        let others = self.others().flat_map(|other| other.words().parameters());
        let single = others.filter(|parameter| !own.contains(parameter));
        uses.extend(
            single.map(|name| Use { parameter: name.to_owned(), as_a: ParameterRole::Single }),
        );
        uses
    }

    fn flaw(&self) -> Option<&'static str> {
        let is_of_sorted_sets = self.members != MembersWord::All || self.slack.is_some();
        (self.r#type.is_some() && is_of_sorted_sets).then_some(TYPE_OF_SOME)
    }
}

impl SizeQuestion {
    fn others(&self) -> impl Iterator<Item = &Question> {
        self.minus.iter().chain(&self.or).map(Box::as_ref)
    }

    fn summand(
        &self,
        binding: &Binding<'_>,
        keys: &[&Template],
        arguments: &Arguments,
    ) -> Option<Summand> {
        let key = self.key.fill(binding)?;
        let mut summand = Expression::Leaf((
            Read::Size(Size { key, members: self.members(arguments) }),
            Part::Size(()),
        ));
        // A part that is not asked for, or that has no value, is left out.
        let other = |other: &Question| {
            let binding = binding.with(other.words().parameters(), arguments)?;
            let is_asked = is_met(other.when(), arguments);
            is_asked.then(|| other.summand(&binding, keys, arguments)).flatten()
        };
        if let Some(part) = self.minus.as_deref().and_then(other) {
            summand = Expression::Difference(Box::new([summand, part]));
        }
        if let Some(more) = self.or.as_deref().and_then(other) {
            summand = Expression::Max(Box::new([summand, more]));
        }
        Some(summand)
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
