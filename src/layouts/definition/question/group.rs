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
    super::template::{Binding, EMPTY_KEY, Template},
    contract::QuestionKind,
    role::{ParameterRole, Use},
    when::{When, is_met, uses_of_when},
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

impl QuestionKind for GroupQuestion {
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
        let of_minus = self.minus.iter().flat_map(IdleQuestion::every_use);
        let own = self.parameters().into_iter().map(Use::text);
        own.chain([missing_group]).chain(of_minus).collect()
    }

    fn flaw(&self) -> Option<&'static str> {
        let of_minus = || self.minus.as_ref().and_then(QuestionKind::flaw);
        self.key.is_empty().then_some(EMPTY_KEY).or_else(of_minus)
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

impl QuestionKind for IdleQuestion {
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
        let of_minus = self.minus.iter().flat_map(|minus| minus.every_use());
        let own = self.parameters().into_iter().map(Use::text);
        own.chain(self.after.0.iter().map(duration)).chain(of_minus).collect()
    }

    fn flaw(&self) -> Option<&'static str> {
        let of_minus = || self.minus.as_ref().and_then(|minus| minus.flaw());
        self.key.is_empty().then_some(EMPTY_KEY).or_else(of_minus)
    }
}

impl IdleQuestion {
    /// The parameters that it and its condition name, as a part of another question.
    fn every_use(&self) -> Vec<Use> {
        uses_of_when(&self.when).into_iter().chain(self.uses()).collect()
    }

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

/// What is left without the entries that do not belong to it, if it is said which those are, and asked.
fn without(
    of: Summand,
    minus: Option<&IdleQuestion>,
    (binding, arguments): (&Binding<'_>, &Arguments),
) -> Summand {
    let minus = minus.filter(|minus| is_met(&minus.when, arguments));
    match minus.and_then(|minus| minus.summand(binding, arguments)) {
        Some(idle) => Expression::Difference(Box::new([of, idle])),
        None => of,
    }
}

/// An unknown word means that the count is unknown.
pub(super) fn policy(word: Option<&str>) -> MissingGroup {
    match word {
        Some("all") => MissingGroup::All,
        Some("none") => MissingGroup::Nothing,
        _ => MissingGroup::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::layouts::{Argument, Arguments, Layout, Read};

    const LAYOUT: &str = r#"
        doc = "Acme."
        params.queue = { type = "keys", required = true, doc = "Q.", example = "q" }
        params.group = { type = "name", required = true, doc = "G.", example = "g" }
        params.after = { type = "duration", default = "1m", doc = "A.", example = "1m" }
        params.missing = { type = "choice", choices = ["all", "none"], default = "all", doc = "M.", example = "all" }
        params.orphans = { type = "choice", choices = ["count", "ignore"], default = "count", doc = "O.", example = "count" }
        [[in_flight]]
        read = "group-pending"
        key = "{queue}"
        group = "{group}"
        missing_group = "missing"
        minus = { key = "{queue}", group = "{group}", after = ["after"], when = { orphans = "ignore" } }
    "#;

    fn reads(orphans: &str) -> usize {
        let layout = Layout::parse("acme", LAYOUT).unwrap();
        let mut arguments = Arguments::default();
        for name in ["queue", "group"] {
            arguments.set(name, Argument::Names(vec![(name.into(), crate::layouts::Weight::ONE)]));
        }
        arguments.set("after", Argument::Duration(Duration::from_secs(60)));
        for (name, word) in [("missing", "all"), ("orphans", orphans)] {
            arguments.set(name, Argument::Choice(word.to_owned()));
        }
        let plan = layout.plan(&arguments);
        plan.reads().iter().filter(|read| matches!(read, Read::Idle(_))).count()
    }

    #[test]
    fn what_does_not_belong_is_taken_off_only_where_that_is_asked() {
        assert_eq!((reads("count"), reads("ignore")), (0, 1));
    }

    #[test]
    fn a_part_is_held_to_the_rules_of_a_question() {
        for (from, to, told) in [
            ("minus = { key = \"{queue}\"", "minus = { key = \"\"", "`key` is empty"),
            ("orphans = \"ignore\" } }", "orphans = \"wake\" } }", "a choice that may be `wake`"),
            ("orphans = \"ignore\" } }", "elsewhere = \"wake\" } }", "elsewhere"),
        ] {
            assert!(LAYOUT.contains(from), "{from}");
            let refused = Layout::parse("acme", &LAYOUT.replace(from, to)).unwrap_err().to_string();
            assert!(refused.contains(told), "{refused}");
        }
    }
}
