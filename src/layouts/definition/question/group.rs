//! Questions about a consumer group, as a definition writes them.

use std::time::Duration;

use serde::Deserialize;

use crate::layouts::{
    expression::Expression,
    parameter::Arguments,
    plan::Summand,
    read::{
        Part, Read,
        group::{Group, GroupPart, MissingGroup},
        idle::Idle,
    },
};

use super::{
    super::template::{Binding, Template},
    contract::Words,
    role::{ParameterRole, Use},
    when::When,
};

/// A part of what a consumer group has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::layouts) struct GroupQuestion {
    key: Template,
    group: Template,
    /// The choice parameter that says what a stream without the group means.
    missing_group: String,
    #[serde(default)]
    when: When,
    /// Which of its entries do not belong to it.
    minus: Option<IdleQuestion>,
}

/// The pending entries that were neither delivered nor claimed for long.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::layouts) struct IdleQuestion {
    key: Template,
    group: Template,
    /// The duration parameters that say for how long, together. Without a value of each of them it is
    /// not asked.
    after: Durations,
    #[serde(default)]
    when: When,
    /// Which of its entries do not belong to it.
    minus: Option<Box<Self>>,
}

/// At least one duration parameter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
struct Durations(Vec<String>);

impl TryFrom<Vec<String>> for Durations {
    type Error = &'static str;

    fn try_from(parameters: Vec<String>) -> Result<Self, &'static str> {
        if parameters.is_empty() { Err("`after` names no duration") } else { Ok(Self(parameters)) }
    }
}

impl Words for GroupQuestion {
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
        let of_minus = self.minus.iter().flat_map(Words::uses);
        let own = self.parameters().into_iter().map(Use::text);
        own.chain([missing_group]).chain(of_minus).collect()
    }
}

impl GroupQuestion {
    pub(super) fn summand(
        &self,
        binding: &Binding<'_>,
        arguments: &Arguments,
        part: fn(MissingGroup) -> GroupPart,
    ) -> Option<Summand> {
        let read =
            Read::Group(Group { key: self.key.fill(binding)?, group: self.group.fill(binding)? });
        let missing_group = policy(arguments.choice(&self.missing_group));
        let of = Expression::Leaf((read, Part::Group(part(missing_group))));
        Some(without(of, self.minus.as_ref(), (binding, arguments)))
    }
}

impl Words for IdleQuestion {
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
        let duration = |parameter: &String| Use {
            parameter: parameter.clone(),
            as_a: ParameterRole::Duration,
        };
        let of_minus = self.minus.iter().flat_map(|minus| minus.uses());
        let own = self.parameters().into_iter().map(Use::text);
        own.chain(self.after.0.iter().map(duration)).chain(of_minus).collect()
    }
}

impl IdleQuestion {
    pub(super) fn summand(&self, binding: &Binding<'_>, arguments: &Arguments) -> Option<Summand> {
        let after = self.after.0.iter().map(|parameter| arguments.duration(parameter));
        let read = Read::Idle(Idle {
            key: self.key.fill(binding)?,
            group: self.group.fill(binding)?,
            after: after.sum::<Option<Duration>>()?,
        });
        let of = Expression::Leaf((read, Part::Idle(())));
        Some(without(of, self.minus.as_deref(), (binding, arguments)))
    }
}

/// What is left without the entries that do not belong to it, if it is said which those are.
fn without(
    of: Summand,
    minus: Option<&IdleQuestion>,
    (binding, arguments): (&Binding<'_>, &Arguments),
) -> Summand {
    match minus.and_then(|minus| minus.summand(binding, arguments)) {
        Some(idle) => Expression::Difference(Box::new([of, idle])),
        None => of,
    }
}

/// An unknown word means that the count is unknown.
fn policy(word: Option<&str>) -> MissingGroup {
    match word {
        Some("all") => MissingGroup::All,
        Some("none") => MissingGroup::Nothing,
        _ => MissingGroup::Unknown,
    }
}
