//! What was said while a fault lasted, and which of it was a lie.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Lies that are told in full.
const TOLD: usize = 10;

/// A zero or a `false` about a queue that has jobs.
#[derive(Debug, Clone)]
pub struct Nothing {
    pub member: usize,
    pub what: &'static str,
    pub asked_at: Instant,
    pub answered_at: Instant,
}

#[derive(Debug, Default)]
struct Notes {
    answers: u64,
    unavailable: u64,
    slowest: Duration,
    nothings: Vec<Nothing>,
    /// When the data was gone: from the kill until what was filled in again must be known.
    gone: Vec<(Instant, Instant)>,
    /// What no fault explains.
    wrong: Vec<String>,
}

/// The notes of a run, which several tasks take.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Notes>);

/// What came of one round.
#[derive(Debug, Default)]
pub struct Judged {
    pub answers: u64,
    pub unavailable: u64,
    pub slowest: Duration,
    pub lies: Vec<String>,
    pub wrong: Vec<String>,
}

impl Tally {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer came, or UNAVAILABLE.
    pub fn answered(&self, is_known: bool, took: Duration) {
        let mut notes = self.notes();
        notes.answers += 1;
        notes.unavailable += u64::from(!is_known);
        notes.slowest = notes.slowest.max(took);
    }

    /// A steady queue was said to have nothing.
    pub fn nothing(&self, nothing: Nothing) {
        self.notes().nothings.push(nothing);
    }

    /// The data was gone.
    pub fn gone(&self, from: Instant, until: Instant) {
        self.notes().gone.push((from, until));
    }

    /// Something happened that no fault explains.
    pub fn wrong(&self, what: String) {
        self.notes().wrong.push(what);
    }

    /// What the round comes to; the next one begins empty.
    pub fn judge(&self) -> Judged {
        let mut notes = self.notes();
        let Notes { answers, unavailable, slowest, nothings, gone, wrong } =
            std::mem::take(&mut *notes);
        let is_lie = |nothing: &&Nothing| {
            let overlaps = |(from, until): &(Instant, Instant)| {
                nothing.answered_at >= *from && nothing.asked_at <= *until
            };
            !gone.iter().any(overlaps)
        };
        let lies: Vec<&Nothing> = nothings.iter().filter(is_lie).collect();
        let told = |lie: &&Nothing| format!("{} of q{}", lie.what, lie.member);
        let mut lies: Vec<String> = lies.iter().map(told).collect();
        if lies.len() > TOLD {
            let more = lies.split_off(TOLD).len();
            lies.push(format!("and {more} more"));
        }
        // A time that reaches into the next round is still good for it.
        notes.gone = gone.into_iter().filter(|(_, until)| *until > Instant::now()).collect();
        Judged { answers, unavailable, slowest, lies, wrong }
    }
}
