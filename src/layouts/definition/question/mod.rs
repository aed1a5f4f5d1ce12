//! One summand of a state as a definition writes it, and what it asks for given arguments.

mod contract;
mod end;
mod group;
mod heartbeats;
mod number;
mod oldest;
mod pause;
mod per_member;
mod role;
mod size;
mod unit;
mod when;

use std::time::Duration;

use serde::Deserialize;

use super::{
    super::{
        expression::Expression,
        measure::Measure,
        parameter::Arguments,
        plan::Summand,
        read::{Part, group::GroupPart},
    },
    template::{Binding, Template},
};
use contract::QuestionKind;
use group::{GroupQuestion, IdleQuestion};
use heartbeats::HeartbeatsQuestion;
use number::NumberQuestion;
use oldest::{OldestGroupQuestion, OldestQuestion, OldestScoreQuestion};
pub(in crate::layouts) use pause::Pause;
use per_member::PerMemberQuestion;
pub(in crate::layouts) use role::{ParameterRole, Use};
use size::SizeQuestion;
pub(in crate::layouts) use when::{When, is_met, uses_of_when};

/// One summand of a state. A parameter with several values makes one of each.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "read", rename_all = "kebab-case")]
pub(in crate::layouts) enum Question {
    /// The size of a key.
    Size(Box<SizeQuestion<Self>>),
    /// The number in a string or in a field of a hash.
    Number(NumberQuestion),
    /// When the oldest job of a list became ready.
    Oldest(Box<OldestQuestion>),
    /// When the oldest member of a sorted set became ready, by its score.
    OldestScore(OldestScoreQuestion),
    /// What a consumer group has not been given.
    GroupWaiting(GroupQuestion),
    /// When the oldest entry was added that a consumer group has not been given.
    GroupOldest(OldestGroupQuestion),
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

impl Question {
    fn kind(&self) -> &dyn QuestionKind {
        match self {
            Self::Size(question) => question.as_ref(),
            Self::Number(question) => question,
            Self::Oldest(question) => question.as_ref(),
            Self::OldestScore(question) => question,
            Self::GroupWaiting(question) | Self::GroupPending(question) => question,
            Self::GroupOldest(question) => question,
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
            Self::Number(_)
            | Self::Oldest(_)
            | Self::OldestScore(_)
            | Self::GroupWaiting(_)
            | Self::GroupOldest(_)
            | Self::GroupPending(_)
            | Self::GroupIdle(_)
            | Self::PerMember(_) => vec![],
        }
    }

    /// What it also tells, by measure, as questions of their own.
    pub(in crate::layouts) fn also(&self) -> Vec<(Measure, Self)> {
        let Self::Heartbeats(question) = self else { return vec![] };
        let boxed = |(measure, one)| (measure, Self::Heartbeats(Box::new(one)));
        question.also().map(boxed).collect()
    }

    /// Why it cannot tell what it is for with these arguments, if that is so.
    pub(in crate::layouts) fn untold(&self, arguments: &Arguments) -> Option<String> {
        let Self::Heartbeats(question) = self else { return None };
        question.untold(arguments)
    }

    /// Whether it tells a time, and no number.
    pub(in crate::layouts) fn is_time(&self) -> bool {
        matches!(self, Self::Oldest(_) | Self::OldestScore(_) | Self::GroupOldest(_))
    }

    pub(in crate::layouts) fn when(&self) -> &When {
        self.kind().when()
    }

    pub(in crate::layouts) fn is_met(&self, arguments: &Arguments) -> bool {
        is_met(self.when(), arguments)
    }

    /// The first mistake in it, as a message to its author.
    pub(in crate::layouts) fn flaw(&self) -> Option<&'static str> {
        self.kind().flaw().or_else(|| self.others().into_iter().find_map(Self::flaw))
    }

    /// The parameters that it names, and as what.
    pub(in crate::layouts) fn uses(&self) -> Vec<Use> {
        let mut uses = uses_of_when(self.when());
        uses.extend(self.kind().uses());
        uses.extend(self.others().into_iter().flat_map(Self::uses));
        if let Self::Size(question) = self {
            let of_parts = question.others().flat_map(|other| other.kind().parameters());
            uses.extend(question.singles(of_parts));
        }
        uses
    }

    /// The templates of the keys that it reads under a name of their own, if it is asked at all.
    pub(in crate::layouts) fn keys(&self, arguments: &Arguments) -> Vec<&Template> {
        if !is_met(self.when(), arguments) {
            return vec![];
        }
        let of_others = self.others().into_iter().flat_map(|other| other.keys(arguments));
        self.kind().key().into_iter().chain(of_others).collect()
    }

    /// The parameters without a value of which it asks nothing.
    pub(in crate::layouts) fn parameters(&self) -> Vec<&str> {
        self.kind().parameters()
    }

    /// The templates of the keys that it reads under a name of their own, whatever is asked.
    pub(in crate::layouts) fn every_key(&self) -> Vec<&Template> {
        let of_others = self.others().into_iter().flat_map(Self::every_key);
        self.kind().key().into_iter().chain(of_others).collect()
    }

    /// The parameters that each read of it has a value of, in its keys or beside them, if it is asked at
    /// all.
    pub(in crate::layouts) fn bound(&self, arguments: &Arguments) -> Vec<Vec<&str>> {
        if !is_met(self.when(), arguments) {
            return vec![];
        }
        let of_others = self.others().into_iter().flat_map(|other| other.bound(arguments));
        [self.kind().parameters()].into_iter().chain(of_others).collect()
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
        let parameters = self.kind().parameters();
        let one = |binding: &Binding<'_>| -> Option<Summand> {
            let summand = self.summand(binding, keys, arguments)?;
            // An age does not grow with the weight of the job.
            let weighted = if self.is_time() { summand } else { summand.times(binding.weight) };
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
            Self::Size(question) => question.summand(binding, arguments, |other| {
                let bound = binding.with(other.kind().parameters(), arguments)?;
                let is_asked = is_met(other.when(), arguments);
                is_asked.then(|| other.summand(&bound, keys, arguments)).flatten()
            }),
            Self::Number(question) => question.summand(binding, arguments),
            Self::Oldest(question) => question.summand(binding, arguments),
            Self::OldestScore(question) => question.summand(binding, arguments),
            Self::GroupWaiting(question) => {
                question.summand(binding, arguments, GroupPart::Waiting)
            }
            Self::GroupOldest(question) => question.summand(binding, arguments),
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
