//! How much a key holds: the length of a list, set, sorted set, hash or stream, or the number in a string. The
//! type is detected.

use std::fmt;

use super::{
    super::{bytes::bytes_of_texts, count::Count, name::Name},
    contract::{AnswerKind, CountedRead, KeyRole, ReadKind},
    doubt::{Bias, Doubt},
    kind::Kind,
    mismatch::LayoutMismatch,
    scores::Scores,
};

/// How much a key holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Size {
    /// The key.
    pub key: Name,
    /// Which members of a sorted set count.
    pub members: Members,
}

/// Which members of a sorted set count. Every member of any other type always counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Members {
    /// All of them.
    All,
    /// All of them, of a key that always has this type in its framework.
    AllOf(Kind),
    /// Those whose score has come: score ≤ now + slack.
    Due(Scores),
    /// Those whose score is still to come: score > now - slack.
    Leased(Scores),
}

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SizeAnswer {
    /// Members of a list, set, sorted set, hash or stream.
    Members(u64),
    /// The number in a string: finite, at least 0.
    Number(f64),
    /// A string that holds no such number.
    NotANumber,
}

impl ReadKind for Size {
    fn key(&self) -> &Name {
        &self.key
    }

    fn depends_on_time(&self) -> bool {
        match self.members {
            Members::All | Members::AllOf(_) => false,
            Members::Due(_) | Members::Leased(_) => true,
        }
    }

    fn role(&self) -> KeyRole {
        KeyRole::OfQueue
    }

    fn expected(&self) -> &'static str {
        match self.members {
            Members::AllOf(kind) => kind.described(),
            Members::All | Members::Due(_) | Members::Leased(_) => {
                "a list, set, zset, hash, stream or string"
            }
        }
    }

    fn footprint(&self) -> usize {
        bytes_of_texts([&self.key])
    }
}

impl CountedRead for Size {
    type Part = ();
    type Answer = SizeAnswer;

    fn count(&self, (): (), answer: &SizeAnswer) -> Result<Count, LayoutMismatch> {
        let number = match answer {
            SizeAnswer::Members(members) => return Ok(Count::from(*members)),
            SizeAnswer::Number(number) => Count::new(*number),
            SizeAnswer::NotANumber => None,
        };
        number.ok_or_else(|| LayoutMismatch::NotANumber { key: self.key.clone() })
    }

    fn doubts(&self, (): (), _: &SizeAnswer) -> Vec<(Bias, Doubt)> {
        vec![]
    }
}

impl AnswerKind for SizeAnswer {
    fn counts_nothing(&self) -> bool {
        match self {
            Self::Members(members) => *members == 0,
            Self::Number(number) => *number == 0.0,
            Self::NotANumber => false,
        }
    }

    fn shows_a_key(&self) -> bool {
        *self != Self::Members(0)
    }

    fn changes_silently(&self) -> bool {
        false
    }

    fn is_exact(&self) -> bool {
        true
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.members {
            Members::All | Members::AllOf(_) => "size of",
            Members::Due(_) => "due in",
            Members::Leased(_) => "leased in",
        };
        write!(f, "{what} `{}`", self.key)
    }
}
