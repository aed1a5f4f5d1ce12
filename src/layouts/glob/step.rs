//! The signs of a pattern, one after another, as its text has them.
//!
//! A pattern keeps nothing but its text: what a tenant writes then costs what was written, and each sign is
//! read again whenever it is looked at.

use crate::limits;

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// Nothing is written.
    #[error("is an empty pattern, which matches nothing")]
    Empty,
    /// It is longer than a name may be.
    #[error("is longer than {} bytes", limits::NAME_BYTES)]
    Long,
    /// A class has no end.
    #[error("has a `[` that no `]` closes; `\\[` is a literal `[`")]
    Unclosed,
    /// A class has no members.
    #[error("has a class without members; `\\[` is a literal `[`")]
    EmptyClass,
    /// Nothing follows the last backslash.
    #[error("ends with a backslash; `\\\\` is a literal one")]
    Backslash,
}

/// One sign of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GlobStep<'t> {
    /// `*`, or several: any bytes, also none.
    Many,
    /// `?`: any one byte.
    One,
    Byte(u8),
    /// A byte of a class.
    Class(Class<'t>),
}

/// A byte within one of some ranges, or within none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Class<'t> {
    inverted: bool,
    /// What stands between the brackets.
    members: &'t [u8],
}

/// The signs of a text that is a pattern. No two stars follow each other.
#[derive(Debug, Clone)]
pub(super) struct Steps<'t>(pub(super) &'t [u8]);

impl<'t> Iterator for Steps<'t> {
    type Item = GlobStep<'t>;

    fn next(&mut self) -> Option<GlobStep<'t>> {
        let (step, rest) = first(self.0)?;
        self.0 = rest;
        Some(step)
    }
}

/// The first sign of a text that is a pattern, and what follows it; `None` at its end.
pub(super) fn first(text: &[u8]) -> Option<(GlobStep<'_>, &[u8])> {
    if text.is_empty() { None } else { read(text).ok() }
}

/// Whether the whole name matches a pattern. Only the last star is ever tried again, since an earlier
/// one could not do better: at most pattern × name steps.
pub(super) fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut rest) = (0, pattern);
    let mut last_star: Option<(&[u8], usize)> = None;
    while at < name.len() {
        match (first(rest), last_star) {
            (Some((GlobStep::Many, after)), _) => {
                rest = after;
                last_star = Some((after, at));
            }
            (Some((step, after)), _) if step.takes(name[at]) => {
                rest = after;
                at += 1;
            }
            (_, Some((after_star, from))) => {
                (rest, at) = (after_star, from + 1);
                last_star = Some((after_star, at));
            }
            (_, None) => return false,
        }
    }
    Steps(rest).all(|step| step == GlobStep::Many)
}

/// Reads the first sign of a text that has one.
///
/// # Errors
/// [`GlobError`] when it is none.
pub(super) fn read(text: &[u8]) -> Result<(GlobStep<'_>, &[u8]), GlobError> {
    match text {
        [] => Err(GlobError::Empty),
        [b'*', rest @ ..] => {
            let stars = rest.iter().take_while(|byte| **byte == b'*').count();
            Ok((GlobStep::Many, &rest[stars..]))
        }
        [b'?', rest @ ..] => Ok((GlobStep::One, rest)),
        [b'\\'] => Err(GlobError::Backslash),
        [b'\\', byte, rest @ ..] => Ok((GlobStep::Byte(*byte), rest)),
        [b'[', rest @ ..] => read_class(rest),
        [byte, rest @ ..] => Ok((GlobStep::Byte(*byte), rest)),
    }
}

/// What follows a `[`, to its `]`, which closes also as the first member.
fn read_class(text: &[u8]) -> Result<(GlobStep<'_>, &[u8]), GlobError> {
    let (inverted, text) = match text {
        [b'^', rest @ ..] => (true, rest),
        [..] => (false, text),
    };
    let mut ranges = Ranges(text);
    if ranges.by_ref().count() == 0 && !text.is_empty() {
        return Err(GlobError::EmptyClass);
    }
    match ranges.0 {
        [] => Err(GlobError::Unclosed),
        [_, rest @ ..] => {
            let members = &text[..text.len() - ranges.0.len()];
            Ok((GlobStep::Class(Class { inverted, members }), rest))
        }
    }
}

/// The ranges of a class, to the `]` that closes it or to the end of the text. As in Redis a range may
/// be written either way round, and within a range nothing is special.
struct Ranges<'t>(&'t [u8]);

impl Iterator for Ranges<'_> {
    type Item = (u8, u8);

    fn next(&mut self) -> Option<(u8, u8)> {
        let (range, rest) = match self.0 {
            [] | [b']', ..] => return None,
            [b'\\', escaped, rest @ ..] => ((*escaped, *escaped), rest),
            [low, b'-', high, rest @ ..] => ((*low.min(high), *low.max(high)), rest),
            [byte, rest @ ..] => ((*byte, *byte), rest),
        };
        self.0 = rest;
        Some(range)
    }
}

impl GlobStep<'_> {
    /// The byte that it is, if it is one.
    pub(super) fn byte(self) -> Option<u8> {
        match self {
            Self::Byte(byte) => Some(byte),
            Self::Many | Self::One | Self::Class(_) => None,
        }
    }

    /// Whether this byte may stand in its place. (A star has no place of its own.)
    pub(super) fn takes(self, byte: u8) -> bool {
        match self {
            Self::Many => false,
            Self::One => true,
            Self::Byte(own) => own == byte,
            Self::Class(class) => class.takes(byte),
        }
    }
}

impl Class<'_> {
    /// The ranges that are written.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (u8, u8)> {
        Ranges(self.members)
    }

    fn takes(&self, byte: u8) -> bool {
        self.ranges().any(|(low, high)| (low..=high).contains(&byte)) != self.inverted
    }
}

impl PartialEq for Class<'_> {
    /// However they are written.
    fn eq(&self, other: &Self) -> bool {
        self.inverted == other.inverted && self.ranges().eq(other.ranges())
    }
}

impl Eq for Class<'_> {}
