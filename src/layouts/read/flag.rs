//! Whether something is so: that a queue is paused, say.

use std::fmt;

use super::{
    super::{bytes::bytes_of_texts, count::Count, name::Name},
    contract::{AnswerKind, CountedRead, KeyRole, ReadKind},
    doubt::{Bias, Doubt},
    mismatch::LayoutMismatch,
};

/// Whether something is so.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flag {
    /// The key.
    pub key: Name,
    /// What is asked of it.
    pub test: Test,
}

/// What makes a flag stand.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Test {
    /// The key exists, whatever it holds.
    Exists,
    /// The hash has this field.
    Field(Name),
    /// The set has this member.
    Member(Name),
    /// The string is this one.
    Value(Name),
}

impl ReadKind for Flag {
    fn key(&self) -> &Name {
        &self.key
    }

    fn depends_on_time(&self) -> bool {
        false
    }

    fn role(&self) -> KeyRole {
        KeyRole::Sign
    }

    fn expected(&self) -> &'static str {
        match self.test {
            Test::Exists => "anything",
            Test::Field(_) => "a hash",
            Test::Member(_) => "a set",
            Test::Value(_) => "a string",
        }
    }

    fn footprint(&self) -> usize {
        let named = match &self.test {
            Test::Exists => None,
            Test::Field(name) | Test::Member(name) | Test::Value(name) => Some(name),
        };
        bytes_of_texts([&self.key].into_iter().chain(named))
    }
}

impl CountedRead for Flag {
    type Part = ();
    type Answer = bool;

    /// One if it stands.
    fn count(&self, (): (), stands: &bool) -> Result<Count, LayoutMismatch> {
        Ok(Count::from(u64::from(*stands)))
    }

    fn doubts(&self, (): (), _: &bool) -> Vec<(Bias, Doubt)> {
        vec![]
    }
}

impl AnswerKind for bool {
    fn counts_nothing(&self) -> bool {
        true
    }

    fn shows_a_key(&self) -> bool {
        false
    }

    fn changes_silently(&self) -> bool {
        false
    }

    fn is_exact(&self) -> bool {
        true
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, test } = self;
        match test {
            Test::Exists => write!(f, "`{key}` exists"),
            Test::Field(name) | Test::Member(name) => write!(f, "`{key}` has `{name}`"),
            Test::Value(value) => write!(f, "`{key}` is `{value}`"),
        }
    }
}
