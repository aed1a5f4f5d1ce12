//! Whether a lower count than before is believed.
//!
//! Pure. While a framework moves a job, the job may be in no key for a moment (the layout's gap), and
//! keys that are read one after the other can miss one that moves back. A reading that is lower than
//! the one before may therefore be wrong, and a rise never is. So a fall is confirmed by reading again,
//! within the call that sees it: until nothing has changed for as long as the gap, or, where everything
//! changes all the time, for a bounded time of which the highest reading counts. Only a gap that is
//! longer than a call can wait holds what was counted before, from when the fall happened.

use std::{collections::VecDeque, time::Duration};

use crate::{
    layouts::{Count, Measure},
    limits,
    time::Instant,
    trigger::Verdict,
};

/// Falls of a long gap that are kept apart; more are taken together, and held longer rather than shorter.
const FALLS: usize = 8;

/// One reading of all that a subject counts.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// What it comes to.
    pub verdict: Verdict,
    /// When the newest of its answers was asked for.
    pub read_at: Instant,
    /// When what it tells happened, if that was announced; else now.
    pub happened_at: Instant,
    /// Until when all changes of what it was made of are known.
    pub confirmed_until: Instant,
    /// Whether all of it was true at one moment.
    pub whole: bool,
    /// Whether nothing changed since the reading before it; `None` where changes are not announced.
    pub quiet: Option<bool>,
}

/// What was counted lately, and what of it is believed.
#[derive(Debug, Clone, Default)]
pub struct Falls {
    /// The last reading that was believed.
    believed: Option<Verdict>,
    /// When the last reading was asked for, believed or not.
    noted_at: Option<Instant>,
    /// A fall that is not confirmed yet.
    doubt: Option<FallDoubt>,
    /// What the last reading is taken for, where it is not taken as it is.
    instead: Option<Verdict>,
    /// With a long gap: what was counted before each fall and until when it stands. Each is less than
    /// the one before it, and stands for longer.
    held: VecDeque<(Verdict, Instant)>,
}

#[derive(Debug, Clone, Copy)]
struct FallDoubt {
    began_at: Instant,
    /// The reading since which nothing has changed.
    quiet_since: Instant,
    highest: Verdict,
    last: Verdict,
    /// How many readings there were, and how many of the last ones in a row said the same.
    readings: usize,
    alike: usize,
    again_at: Instant,
}

impl Falls {
    /// Takes in a reading; one that was taken in before changes nothing.
    pub fn note(&mut self, reading: &Reading, gap: Duration, now: Instant) {
        if self.noted_at.replace(reading.read_at) == Some(reading.read_at) {
            return;
        }
        self.held.retain(|(_, until)| *until > now);
        let believed = if is_long(gap) {
            self.hold(reading, gap);
            reading.verdict
        } else if self.is_doubtful(reading, gap) {
            let Some(confirmed) = self.confirm(reading, gap, now) else { return };
            confirmed
        } else {
            reading.verdict
        };
        self.doubt = None;
        self.instead = (believed != reading.verdict).then_some(believed);
        self.believed = Some(believed);
    }

    /// Drops the doubt about a fall: what was read counts nothing that could confirm it.
    pub fn give_up(&mut self) {
        (self.doubt, self.instead) = (None, None);
    }

    /// When the last reading was asked for.
    #[must_use]
    pub fn noted_at(&self) -> Option<Instant> {
        self.noted_at
    }

    /// When the next reading is wanted to confirm a fall. Until then nothing new can be said.
    #[must_use]
    pub fn again_at(&self) -> Option<Instant> {
        self.doubt.map(|doubt| doubt.again_at)
    }

    /// Whether the last reading is taken for a higher one, so that who asks later needs a reading after it:
    /// when everything comes to rest there is no change that would bring one.
    #[must_use]
    pub fn is_provisional(&self) -> bool {
        self.instead.is_some()
    }

    /// What is told for the last reading, which came to this: of a long gap the highest value that
    /// still stands, and active if any of it was.
    #[must_use]
    pub fn told(&self, verdict: Verdict, now: Instant) -> Verdict {
        let verdict = self.instead.unwrap_or(verdict);
        self.standing(now).map(|(fallen, _)| *fallen).fold(verdict, most)
    }

    /// When the next of the counts that a long gap holds no longer stands.
    #[must_use]
    pub fn until(&self, now: Instant) -> Option<Instant> {
        self.standing(now).map(|(_, until)| *until).min()
    }

    /// A fall; or nothing at all, of which it is not known what was there before.
    fn is_doubtful(&self, reading: &Reading, gap: Duration) -> bool {
        let is_exact = reading.whole && gap.is_zero();
        let fell = |before: Verdict| {
            let of = |count: fn(&Verdict) -> Count| count(&reading.verdict) < count(&before);
            of(total) || of(kept)
        };
        !is_exact && self.believed.map_or(!total(&reading.verdict).is_positive(), fell)
    }

    /// What is believed if the doubt is over with this reading.
    fn confirm(&mut self, reading: &Reading, gap: Duration, now: Instant) -> Option<Verdict> {
        let Some(doubt) = &mut self.doubt else {
            self.doubt = Some(FallDoubt {
                began_at: now,
                quiet_since: reading.read_at,
                highest: reading.verdict,
                last: reading.verdict,
                readings: 1,
                alike: 1,
                again_at: now + gap,
            });
            return None;
        };
        doubt.alike = if alike(&doubt.last, &reading.verdict) { doubt.alike + 1 } else { 1 };
        doubt.readings += 1;
        (doubt.last, doubt.highest) = (reading.verdict, most(doubt.highest, reading.verdict));
        if reading.quiet == Some(false) {
            doubt.quiet_since = reading.read_at;
        }
        let quiet_until = doubt.quiet_since + gap;
        doubt.again_at = if reading.quiet == Some(true) { now.max(quiet_until) } else { now };
        let is_settled = reading.quiet.unwrap_or(doubt.alike >= limits::CONFIRMING_READINGS);
        if is_settled && reading.confirmed_until >= quiet_until {
            return Some(reading.verdict);
        }
        // Everything changes all the time: what was true at any moment since is true enough.
        let is_long = now >= doubt.began_at + gap + limits::CONFIRMATION;
        (is_long && doubt.readings >= limits::BUSY_READINGS).then_some(doubt.highest)
    }

    /// Lets what was believed stand until the gap after a fall is over.
    fn hold(&mut self, reading: &Reading, gap: Duration) {
        let Some(last) = self.believed.filter(|last| total(&reading.verdict) < total(last)) else {
            return;
        };
        let (mut last, mut until) = (last, reading.happened_at + gap);
        while self.held.len() == FALLS
            || self.held.back().is_some_and(|(fallen, _)| total(fallen) <= total(&last))
        {
            let Some((fallen, stands)) = self.held.pop_back() else { break };
            (last, until) = (most(last, fallen), until.max(stands));
        }
        self.held.push_back((last, until));
    }

    fn standing(&self, now: Instant) -> impl Iterator<Item = &(Verdict, Instant)> {
        self.held.iter().filter(move |(_, until)| *until > now)
    }
}

/// Whether both count the same jobs, whatever other numbers say meanwhile.
fn alike(one: &Verdict, other: &Verdict) -> bool {
    let mut of_jobs = Measure::ALL.into_iter().filter(|measure| measure.is_of_jobs());
    of_jobs.all(|measure| one.counts[measure] == other.counts[measure])
}

/// Whether a gap is longer than a call waits.
#[must_use]
pub fn is_long(gap: Duration) -> bool {
    gap > limits::GAP_WAITED_FOR
}

/// The higher value with the counts that it was made of, the more jobs where both are the same, and active if either is.
fn most(one: Verdict, other: Verdict) -> Verdict {
    let of = |verdict: &Verdict| (verdict.value, total(verdict));
    let higher = if of(&one) < of(&other) { other } else { one };
    Verdict { active: one.active || other.active, ..higher }
}

/// What does not change when a job moves.
fn total(verdict: &Verdict) -> Count {
    kept(verdict) + verdict.counts[Measure::Orphaned]
}

/// The part of it that has a worker or waits for one. A job whose mark was looked for after it moved back
/// is taken for one whose worker is gone.
fn kept(verdict: &Verdict) -> Count {
    verdict.counts.backlog()
}

#[cfg(test)]
mod tests;
