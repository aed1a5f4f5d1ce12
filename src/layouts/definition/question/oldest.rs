//! Questions about when the oldest ready job became ready, as a definition writes them.

use std::sync::Arc;

use serde::Deserialize;

use crate::layouts::{
    expression::Expression,
    parameter::Arguments,
    plan::Summand,
    read::{
        Part, Read,
        member_key::MemberKey,
        oldest::{
            End, GroupJobs, JobPlace, JobsOf, ListedJobs, Oldest, Place, ScoredJobs, Stamps, TimeOf,
        },
    },
};

use super::{
    super::template::{Binding, EMPTY_KEY, Template},
    contract::QuestionKind,
    end::EndWord,
    group::policy,
    per_member::MemberKeyTemplate,
    role::{ParameterRole, Use},
    unit::UnitWord,
    when::When,
};

/// When the oldest job of a list became ready.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::layouts) struct OldestQuestion {
    key: Template,
    /// The end at which workers take.
    taken: EndWord,
    /// Another end at which an old job may come to stand.
    other_end: Option<EndWord>,
    /// Where its job is, if not in the list itself.
    job: Option<JobQuestion>,
    times: Vec<TimeTemplate>,
    /// Times before which a job is not ready, where it has them.
    #[serde(default)]
    not_before: Vec<TimeTemplate>,
    /// What to do where no job says a time.
    remedy: String,
    #[serde(default)]
    when: When,
}

/// When the oldest member of a sorted set became ready: its score.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::layouts) struct OldestScoreQuestion {
    key: Template,
    #[serde(default)]
    unit: UnitWord,
    /// The key that exists while a member runs.
    unless: Option<MemberKeyTemplate>,
    #[serde(default)]
    when: When,
}

/// When the oldest entry was added that a consumer group has not been given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::layouts) struct OldestGroupQuestion {
    key: Template,
    group: Template,
    /// The choice parameter that says what a stream without the group means.
    missing_group: String,
    #[serde(default)]
    when: When,
}

/// Where the job of an element of a list is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum JobQuestion {
    Hash(MemberKeyTemplate),
    FieldOf(Template),
}

/// `PLACE`, or `PLACE + PLACE` for a time and how much later.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct TimeTemplate {
    at: PlaceTemplate,
    plus: Option<PlaceTemplate>,
}

/// A place in a job.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PlaceTemplate {
    Text(Template),
    LeadingMicroseconds,
}

impl TryFrom<String> for TimeTemplate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let place = |text: &str| match text {
            "leading-microseconds" => Ok(PlaceTemplate::LeadingMicroseconds),
            text => text
                .parse::<Template>()
                .map(PlaceTemplate::Text)
                .map_err(|error| format!("`{text}`: {error}")),
        };
        let (at, plus) = text.split_once(" + ").map_or((&*text, None), |(at, by)| (at, Some(by)));
        Ok(Self { at: place(at)?, plus: plus.map(place).transpose()? })
    }
}

impl TimeTemplate {
    fn templates(&self) -> impl Iterator<Item = &Template> {
        [&self.at].into_iter().chain(&self.plus).filter_map(|place| match place {
            PlaceTemplate::Text(template) => Some(template),
            PlaceTemplate::LeadingMicroseconds => None,
        })
    }

    fn is_odd(&self, is_hash: bool) -> bool {
        let mut all = [&self.at].into_iter().chain(&self.plus);
        let is_leading = all.any(|place| *place == PlaceTemplate::LeadingMicroseconds);
        is_leading && (is_hash || self.plus.is_some())
    }

    fn fill(&self, binding: &Binding<'_>, is_hash: bool) -> Option<TimeOf> {
        let plus = match &self.plus {
            Some(place) => Some(place.fill(binding, is_hash)?),
            None => None,
        };
        Some(TimeOf { at: self.at.fill(binding, is_hash)?, plus })
    }
}

impl PlaceTemplate {
    /// In a job that is no hash there are no fields, and what is named without a slash is a key of it.
    fn fill(&self, binding: &Binding<'_>, is_hash: bool) -> Option<Place> {
        let Self::Text(template) = self else { return Some(Place::LeadingMicroseconds) };
        let name = template.fill(binding)?;
        let text = std::str::from_utf8(name.as_bytes()).ok()?;
        let is_key = !is_hash && !text.is_empty() && !text.starts_with('/');
        Some(if is_key { Place::from(&*format!("/{text}")) } else { Place::from(text) })
    }
}

impl MemberKeyTemplate {
    fn fill(&self, binding: &Binding<'_>) -> Option<MemberKey> {
        Some(MemberKey { before: self.before.fill(binding)?, after: self.after.fill(binding)? })
    }
}

impl OldestQuestion {
    fn is_hash(&self) -> bool {
        matches!(self.job, Some(JobQuestion::Hash(_)))
    }

    fn templates(&self) -> impl Iterator<Item = &Template> {
        let of_job: Vec<&Template> = match &self.job {
            Some(JobQuestion::Hash(key)) => vec![&key.before, &key.after],
            Some(JobQuestion::FieldOf(hash)) => vec![hash],
            None => vec![],
        };
        let times = self.times.iter().chain(&self.not_before);
        let of_times = times.flat_map(TimeTemplate::templates);
        [&self.key].into_iter().chain(of_job).chain(of_times)
    }

    pub(super) fn summand(&self, binding: &Binding<'_>, arguments: &Arguments) -> Option<Summand> {
        let taken = self.taken.end(arguments)?;
        let other_end = self.other_end.as_ref().and_then(|word| word.end(arguments));
        let job = match &self.job {
            None => JobPlace::Element,
            Some(JobQuestion::Hash(key)) => JobPlace::Hash(key.fill(binding)?),
            Some(JobQuestion::FieldOf(hash)) => JobPlace::FieldOf(hash.fill(binding)?),
        };
        let is_hash = self.is_hash();
        let filled = |times: &[TimeTemplate]| {
            let times = times.iter().map(|time| time.fill(binding, is_hash));
            times.collect::<Option<Box<[TimeOf]>>>()
        };
        let stamps = Stamps { times: filled(&self.times)?, not_before: filled(&self.not_before)? };
        let remedy = self.remedy.as_str().into();
        let jobs = ListedJobs { taken, other_end, job, stamps, remedy };
        oldest(&self.key, binding, JobsOf::List(Arc::new(jobs)))
    }
}

impl OldestScoreQuestion {
    fn templates(&self) -> impl Iterator<Item = &Template> {
        let unless = self.unless.iter().flat_map(|key| [&key.before, &key.after]);
        [&self.key].into_iter().chain(unless)
    }

    pub(super) fn summand(&self, binding: &Binding<'_>, arguments: &Arguments) -> Option<Summand> {
        let unless = match &self.unless {
            Some(key) => Some(key.fill(binding)?),
            None => None,
        };
        let jobs = ScoredJobs { unit: self.unit.unit(arguments), unless };
        oldest(&self.key, binding, JobsOf::Scores(jobs))
    }
}

impl OldestGroupQuestion {
    pub(super) fn summand(&self, binding: &Binding<'_>, arguments: &Arguments) -> Option<Summand> {
        let missing = policy(arguments.choice(&self.missing_group));
        let jobs = GroupJobs { group: self.group.fill(binding)?, missing };
        oldest(&self.key, binding, JobsOf::Group(jobs))
    }
}

fn oldest(key: &Template, binding: &Binding<'_>, of: JobsOf) -> Option<Summand> {
    let read = Oldest { key: key.fill(binding)?, of };
    Some(Expression::Leaf((Read::Oldest(Arc::new(read)), Part::Oldest(()))))
}

impl QuestionKind for OldestQuestion {
    fn when(&self) -> &When {
        &self.when
    }

    fn key(&self) -> Option<&Template> {
        Some(&self.key)
    }

    fn parameters(&self) -> Vec<&str> {
        self.templates().flat_map(Template::parameters).collect()
    }

    fn uses(&self) -> Vec<Use> {
        let mut uses: Vec<Use> = self.parameters().into_iter().map(Use::text).collect();
        for end in [&self.taken].into_iter().chain(&self.other_end) {
            if let EndWord::Of(parameter) = end {
                uses.push(Use { parameter: parameter.clone(), as_a: ParameterRole::End });
            }
        }
        uses
    }

    fn flaw(&self) -> Option<&'static str> {
        let is_lowest = |word: &EndWord| *word == EndWord::Is(End::Lowest);
        let of_scores = [&self.taken].into_iter().chain(&self.other_end).any(is_lowest);
        if self.key.is_empty() {
            Some(EMPTY_KEY)
        } else if self.times.is_empty() {
            Some("`times` names no place of a time")
        } else if self.times.iter().chain(&self.not_before).any(|time| time.is_odd(self.is_hash()))
        {
            Some(
                "`leading-microseconds` stand before a job that is no hash, and nothing is added to them",
            )
        } else if self.other_end.is_some() && (of_scores || self.job.is_some()) {
            Some("`other_end` is for lists whose elements are the jobs")
        } else {
            None
        }
    }
}

impl QuestionKind for OldestScoreQuestion {
    fn when(&self) -> &When {
        &self.when
    }

    fn key(&self) -> Option<&Template> {
        Some(&self.key)
    }

    fn parameters(&self) -> Vec<&str> {
        self.templates().flat_map(Template::parameters).collect()
    }

    fn uses(&self) -> Vec<Use> {
        let mut uses: Vec<Use> = self.parameters().into_iter().map(Use::text).collect();
        if let UnitWord::Of(parameter) = &self.unit {
            uses.push(Use { parameter: parameter.clone(), as_a: ParameterRole::Unit });
        }
        uses
    }

    fn flaw(&self) -> Option<&'static str> {
        self.key.is_empty().then_some(EMPTY_KEY)
    }
}

impl QuestionKind for OldestGroupQuestion {
    fn when(&self) -> &When {
        &self.when
    }

    fn key(&self) -> Option<&Template> {
        Some(&self.key)
    }

    fn parameters(&self) -> Vec<&str> {
        self.key.parameters().chain(self.group.parameters()).collect()
    }

    fn uses(&self) -> Vec<Use> {
        let missing_group =
            Use { parameter: self.missing_group.clone(), as_a: ParameterRole::Choice };
        self.parameters().into_iter().map(Use::text).chain([missing_group]).collect()
    }

    fn flaw(&self) -> Option<&'static str> {
        self.key.is_empty().then_some(EMPTY_KEY)
    }
}
