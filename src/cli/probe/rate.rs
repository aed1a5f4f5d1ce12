//! A rate in a probe, for which one look is not enough: two of them, and what came in between.

use crate::{
    layouts::{Answer, Count, Measure, Plan},
    sampling::{Arrivals, Fault, Reply},
    time::Instant,
    trigger::{Trigger, Verdict},
};

/// What the counters said at each look.
#[derive(Default)]
pub(super) struct Watched(Vec<(Instant, Vec<Count>)>);

impl Watched {
    /// Takes in one look. One that failed says nothing.
    pub(super) fn note(&mut self, plan: &Plan, replies: &[Result<Reply, Fault>]) {
        let answers: Result<Vec<&Answer>, &Fault> =
            replies.iter().map(|reply| reply.as_ref().map(|reply| &reply.answer)).collect();
        if let Ok(answers) = answers
            && let Ok(counters) = plan.each(Measure::Arrived, &answers)
        {
            self.0.push((Instant::now(), counters));
        }
    }

    /// What the last look means, with the rate where that is what the trigger tells.
    pub(super) fn verdict(
        &self,
        trigger: &Trigger,
        read: Verdict,
    ) -> Result<Verdict, &'static str> {
        if trigger.window.is_none() {
            return Ok(read);
        }
        let rate = self.rate().ok_or("two looks at the counter did not tell how much it rose")?;
        Ok(trigger.verdict_with(rate, read.counts))
    }

    /// How many came in a second, if two looks told.
    fn rate(&self) -> Option<Count> {
        let [(began, before), (ended, after)] = self.0.as_slice() else { return None };
        let mut arrivals = Arrivals::new(ended.duration_since(*began));
        arrivals.note(before, *began);
        arrivals.note(after, *ended);
        arrivals.rate(*ended)
    }
}
