//! What a probe shows of its counts and of its value: each with the numbers that it is made of.

use crate::{
    layouts::{Answer, Expression, GroupAnswer, GroupPart, Measure, Part, Plan, Term, Waiting},
    limits, time,
    trigger::Trigger,
};

use super::Probe;

/// Whether a number is no more than the most that there can be.
fn is_bound(part: Part, answer: &Answer) -> bool {
    let is_bound = |answer: &Answer| {
        matches!(answer, Answer::Group(GroupAnswer::State { waiting: Waiting::AtMost(_), .. }))
    };
    matches!(part, Part::Group(GroupPart::Waiting(_))) && is_bound(answer)
}

impl Probe {
    /// The arithmetic of the value.
    pub(super) fn steps(&self) -> Vec<String> {
        let Trigger { signal, settings, .. } = &self.trigger;
        let mut steps = signal.steps(&self.told, settings);
        if let Some(window) = settings.window {
            let within = limits::PROBE_RATE;
            steps.push(format!(
                "arrivals are those in {within:?}; the service tells them over {window:?}"
            ));
        }
        steps
    }

    pub(super) fn states(&self) -> Vec<(Measure, &[Expression<Term>])> {
        let all = self.trigger.plan.terms().iter().map(|(measure, terms)| (measure, &**terms));
        all.filter(|(measure, _)| self.tells(*measure)).collect()
    }

    /// Whether a measure has a line: one that is read has, and so has each common state where jobs are counted at all.
    pub(super) fn tells(&self, measure: Measure) -> bool {
        let is_common = measure.is_of_jobs() && measure != Measure::Orphaned;
        self.trigger.plan.reads_for(measure) || is_common && self.trigger.counts_jobs
    }

    pub(super) fn sum(&self, measure: Measure, summands: &[Expression<Term>]) -> String {
        let answers: Vec<&Answer> = self.answers.iter().collect();
        let plan: &Plan = &self.trigger.plan;
        let term = |term: &Term| {
            let read = &plan.reads()[term.read];
            match plan.count(term, &answers) {
                Ok(count) if term.part == Part::Flag(()) => {
                    format!("({read}: {})", if count.is_positive() { "yes" } else { "no" })
                }
                Ok(count) if is_bound(term.part, &self.answers[term.read]) => {
                    format!("at most {count} ({read})")
                }
                Ok(count) if term.part == Part::Oldest(()) => {
                    let since = count.is_positive().then(|| time::written_date(count.get()));
                    format!("{} ({read})", since.unwrap_or_else(|| "none waits".to_owned()))
                }
                Ok(count) => format!("{count} ({read})"),
                Err(mismatch) => format!("unknown ({mismatch})"),
            }
        };
        if summands.is_empty() {
            return "nothing is read".to_owned();
        }
        measure.joined(summands.iter().map(|one| one.describe(&term)))
    }
}
