//! Which subjects are told counts that are knowingly not exact, and what the log says of that: when it
//! begins, and when it has been over for a while. It is pure, and no value depends on it.

use crate::{layouts::Answer, limits, time::Instant, trigger::cut};

use super::{
    state::{Note, State},
    subscriptions::SubscriptionId,
};

/// Reasons that one line of the log has.
const REASONS: usize = 3;

/// Whether what one subject is told is exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exactness {
    /// When it was not for the last time.
    last: Option<Instant>,
    /// Whether the log said that it is not.
    told: bool,
    /// Whether it is a bound now.
    is_bound: bool,
}

impl Exactness {
    /// Whether what was told last is no more than a bound.
    #[must_use]
    pub fn is_bound(self) -> bool {
        self.is_bound
    }

    /// Takes in whether what is told now is no more than a bound, and tells whether that is to be said: once,
    /// until it was exact for a while.
    fn note(&mut self, is_bound: bool, at: Instant) -> bool {
        self.is_bound = is_bound;
        if is_bound {
            self.last = Some(at);
        }
        is_bound && !std::mem::replace(&mut self.told, true)
    }

    /// Whether it has been exact for so long that this is to be said.
    fn is_over(&mut self, now: Instant) -> bool {
        let is_calm = self.last.is_none_or(|last| now >= last + limits::EXACT_AGAIN);
        let is_over = self.told && !self.is_bound && is_calm;
        self.told &= !is_over;
        is_over
    }
}

impl State {
    /// Takes note of whether what a subject is told is exact.
    pub(super) fn note_exactness(&mut self, id: SubscriptionId, at: Instant) {
        let subscription = self.subscriptions.get(id);
        let known = |read| self.cache.slot(read).known.as_ref().map(|known| &known.answer);
        let answers = subscription.reads.iter().map(|read| known(*read));
        let is_exact = answers.clone().flatten().all(Answer::is_exact);
        if is_exact && !subscription.exactness.is_bound() {
            return;
        }
        let Some(answers) = answers.collect::<Option<Vec<&Answer>>>() else { return };
        let plan = match &subscription.queues {
            Some(queues) => &queues.plan,
            None => &subscription.subject.trigger.plan,
        };
        let why = plan.inexact(&answers);
        if self.subscriptions.note_exactness(id, |exactness| exactness.note(!why.is_empty(), at)) {
            let mut reasons: Vec<String> =
                why.iter().take(REASONS).map(ToString::to_string).collect();
            if why.len() > REASONS {
                reasons.push(format!("and {} more", why.len() - REASONS));
            }
            let why = cut(&reasons.join("; "), limits::TRIGGER_CHARS_SHOWN * REASONS);
            let subject = self.subscriptions.get(id).subject.clone();
            self.notes.push(Note::NotExact(subject, why));
        }
    }

    /// Takes note of the subjects that have been exact again for a while.
    pub(super) fn note_exact_again(&mut self, now: Instant) {
        for id in self.subscriptions.ids() {
            if self.subscriptions.note_exactness(id, |exactness| exactness.is_over(now)) {
                self.notes.push(Note::ExactAgain(self.subscriptions.get(id).subject.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bound_is_told_when_it_begins_and_when_it_was_over_for_a_while() {
        let (start, mut exactness) = (Instant::now(), Exactness::default());
        let second = |second| start + Duration::from_secs(second);
        assert!(!exactness.note(false, second(0)) && !exactness.is_over(second(0)));
        assert!(exactness.note(true, second(1)) && exactness.is_bound());
        assert!(!exactness.note(true, second(2)), "it was told");
        assert!(!exactness.is_over(second(600)), "it is one still");
        assert!(!exactness.note(false, second(601)) && !exactness.is_bound());
        assert!(!exactness.note(true, second(602)) && !exactness.note(false, second(603)));
        let calm = second(602) + limits::EXACT_AGAIN;
        assert!(!exactness.is_over(calm - Duration::from_secs(1)));
        assert!(exactness.is_over(calm) && !exactness.is_over(calm));
        assert!(exactness.note(true, calm), "it begins again");
    }
}
