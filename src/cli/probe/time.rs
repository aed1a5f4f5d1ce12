//! What time makes of counts, in a probe: of a counter how much it rose between two looks, of a time how long ago it was.

use crate::{
    layouts::{Answer, Count, Counts, Measure, Plan},
    sampling::{Arrivals, Fault, Reply},
    time::Instant,
    trigger::Trigger,
};

/// What was said at each look.
#[derive(Default)]
pub(super) struct Watched {
    /// What the counters said.
    counters: Vec<(Instant, Vec<Count>)>,
    /// What Redis's clock said last.
    clock: Count,
}

impl Watched {
    /// Takes in one look. One that failed says nothing.
    pub(super) fn note(&mut self, plan: &Plan, replies: &[Result<Reply, Fault>]) {
        let answers: Result<Vec<&Answer>, &Fault> =
            replies.iter().map(|reply| reply.as_ref().map(|reply| &reply.answer)).collect();
        if let Ok(answers) = answers
            && let Ok(counters) = plan.each(Measure::Arrived, &answers)
        {
            self.counters.push((Instant::now(), counters));
        }
        let clocks = replies.iter().flatten().filter_map(|reply| reply.clock);
        self.clock = clocks.map(Count::of_time).fold(self.clock, Count::most);
    }

    /// The counts of the last look, with how much came in a second where the trigger looks at that, and with how long ago
    /// the oldest job became ready.
    pub(super) fn counts(&self, trigger: &Trigger, read: Counts) -> Result<Counts, &'static str> {
        let since = read[Measure::Oldest];
        let age = if since.is_positive() { self.clock.less(since) } else { Count::ZERO };
        let aged = read.with(Measure::Oldest, age);
        if trigger.settings.window.is_none() {
            return Ok(aged);
        }
        let rate = self.rate().ok_or("two looks at the counter did not tell how much it rose")?;
        Ok(aged.with(Measure::Arrived, rate))
    }

    /// How many came in a second, if two looks told.
    fn rate(&self) -> Option<Count> {
        let [(began, before), (ended, after)] = self.counters.as_slice() else { return None };
        let mut arrivals = Arrivals::new(ended.duration_since(*began));
        arrivals.note(before, *began);
        arrivals.note(after, *ended);
        arrivals.rate(*ended)
    }
}
