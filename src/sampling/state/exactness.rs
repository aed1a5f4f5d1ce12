//! Which subjects are told counts that are knowingly not exact, and why.

use crate::{layouts::Answer, limits, time::Instant, trigger::cut};

use super::{
    super::{ids::SubscriptionId, note::Note},
    State,
};

/// Reasons that one line of the log has.
const REASONS: usize = 3;

impl State {
    /// Takes note of whether what a subject is told is exact.
    pub(in crate::sampling) fn note_exactness(&mut self, id: SubscriptionId, at: Instant) {
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
    pub(in crate::sampling) fn note_exact_again(&mut self, now: Instant) {
        for id in self.subscriptions.ids() {
            if self.subscriptions.note_exactness(id, |exactness| exactness.take_over(now)) {
                self.notes.push(Note::ExactAgain(self.subscriptions.get(id).subject.clone()));
            }
        }
    }
}
