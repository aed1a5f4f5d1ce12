//! A question about a consumer group, as a definition writes it.
//!
//! It is apart from the other questions because it has words of its own.

use serde::Deserialize;

use super::{
    super::{
        Arguments,
        expression::Expression,
        plan::{MissingGroup, Part},
        read::Read,
        template::{Binding, Template},
    },
    Role, Summand, Use, When,
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
    pub(super) when: When,
}

impl GroupQuestion {
    /// What of it can mean nothing, in words for who wrote it.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        self.key.is_empty().then_some(super::EMPTY_KEY)
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.key.parameters().chain(self.group.parameters())
    }

    pub(super) fn uses(&self, uses: &mut Vec<Use>) {
        uses.extend(self.parameters().map(Use::text));
        uses.push(Use { parameter: self.missing_group.clone(), as_a: Role::Choice });
    }

    pub(super) fn summand(
        &self,
        binding: &Binding<'_>,
        arguments: &Arguments,
        part: fn(MissingGroup) -> Part,
    ) -> Option<Summand> {
        let read = Read::Group { key: self.key.fill(binding)?, group: self.group.fill(binding)? };
        let missing_group = policy(arguments.choice(&self.missing_group));
        Some(Expression::Leaf((read, part(missing_group))))
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
