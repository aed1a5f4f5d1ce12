//! What happened in one run, line by line, in virtual time.
//!
//! Two runs of one seed are compared by it, byte by byte: nothing else may be written into it than what the
//! seed decides.

use std::fmt::{self, Arguments, Write};

use penstock::sampling::Observation;

/// A moment of a run. Moments within one millisecond are told apart by their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment {
    /// The number of the moment; no two things happen in one.
    pub number: u64,
    /// Virtual milliseconds since the run began.
    pub ms: u64,
}

/// The lines of one run.
#[derive(Debug, Default)]
pub struct Transcript {
    text: String,
}

impl Transcript {
    /// Notes what happened.
    pub fn note(&mut self, at: Moment, what: Arguments<'_>) {
        writeln!(self.text, "{:>8} ms {:>6}  {what}", at.ms, at.number).unwrap();
    }

    /// All lines.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The last lines.
    pub fn tail(&self, lines: usize) -> &str {
        let breaks = self.text.rmatch_indices('\n').map(|(place, _)| place + 1);
        breaks.skip(1).nth(lines.saturating_sub(1)).map_or(&self.text, |from| &self.text[from..])
    }
}

/// An observation in few words.
pub struct Told<'a>(pub &'a Observation);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(verdict) = self.0.verdict() else { return write!(f, "{:?}", self.0) };
        let active = if verdict.active { "active" } else { "inactive" };
        if let Observation::Stale { age, why, .. } = self.0 {
            write!(f, "Stale for {age:?} ({why}), ")?;
        } else {
            write!(f, "Fresh, ")?;
        }
        write!(f, "{} of {}, {active}", verdict.value, verdict.counts)
    }
}
