//! The number that a string or a field of a hash holds: of anything that somebody SETs, not only of jobs.

use std::fmt;

use super::{
    super::{bytes::bytes_of_texts, count::Count, name::Name},
    contract::{AnswerKind, CountedRead, KeyRole, ReadKind},
    doubt::{Bias, Doubt},
    mismatch::LayoutMismatch,
};

/// The number in a string or in a field of a hash, exponents included.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number {
    /// The key.
    pub key: Name,
    /// The field, if it is a hash.
    pub field: Option<Name>,
}

/// What it means that there is no such key or field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MissingNumber {
    /// Zero: a floor that was set with a time to live ends by itself.
    Zero,
    /// Nobody knows the number.
    Unknown,
}

/// What stands there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NumberAnswer {
    /// A finite number of at least 0.
    Is(f64),
    /// Something else.
    NotANumber,
}

impl ReadKind for Number {
    fn key(&self) -> &Name {
        &self.key
    }

    fn depends_on_time(&self) -> bool {
        false
    }

    fn role(&self) -> KeyRole {
        KeyRole::Number
    }

    fn expected(&self) -> &'static str {
        if self.field.is_some() { "a hash" } else { "a string" }
    }

    fn footprint(&self) -> usize {
        bytes_of_texts([&self.key].into_iter().chain(&self.field))
    }
}

impl CountedRead for Number {
    type Part = MissingNumber;
    type Answer = NumberAnswer;

    fn count(&self, _: MissingNumber, answer: &NumberAnswer) -> Result<Count, LayoutMismatch> {
        let number = match answer {
            NumberAnswer::Is(number) => Count::new(*number),
            NumberAnswer::NotANumber => None,
        };
        number.ok_or_else(|| LayoutMismatch::NoGauge { key: self.key.clone() })
    }

    fn missing(&self, part: MissingNumber) -> Result<Count, LayoutMismatch> {
        match part {
            MissingNumber::Zero => Ok(Count::ZERO),
            MissingNumber::Unknown => Err(LayoutMismatch::NoNumber { key: self.key.clone() }),
        }
    }

    fn doubts(&self, _: MissingNumber, _: &NumberAnswer) -> Vec<(Bias, Doubt)> {
        vec![]
    }
}

impl AnswerKind for NumberAnswer {
    fn counts_nothing(&self) -> bool {
        *self == Self::Is(0.0)
    }

    fn shows_a_key(&self) -> bool {
        true
    }

    fn changes_silently(&self) -> bool {
        false
    }

    fn is_exact(&self) -> bool {
        true
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            None => write!(f, "number in `{}`", self.key),
            Some(field) => write!(f, "number in `{field}` of `{}`", self.key),
        }
    }
}
