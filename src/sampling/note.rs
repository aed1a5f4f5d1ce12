//! What came up and is to be logged, as the state says it.

use std::sync::Arc;

use crate::{
    layouts::{Name, Read},
    trigger::Verdict,
};

use super::{source::Fault, subject::Subject};

/// Something that people should be able to read about later.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// A subject became active, for these counts; how many before had no line, if this one has.
    Active(Arc<Subject>, Verdict, Option<u64>),
    /// A subject is new whose work in flight is in no key, or that names a queue by what looks like a key.
    Advice(Arc<Subject>),
    /// No key of a subject was there since it is known, for so long that people are told.
    NeverSeen(Arc<Subject>),
    /// What a subject is told is a bound, for these reasons; or has been exact again for a while.
    NotExact(Arc<Subject>, String),
    ExactAgain(Arc<Subject>),
    /// A queue that a pattern finds is left out, since this key of it may not be read.
    LeftOut(Arc<Subject>, Name),
    /// A read that ended the link twice alone, with this fault, is put off longer and longer.
    PutOff(Read, Fault),
}
