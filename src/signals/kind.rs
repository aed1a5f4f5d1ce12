//! What every signal is, and what it must be able to say.

use crate::layouts::{Count, Counts, Measure};

use super::settings::{Setting, Settings};

/// One kind of signal.
pub trait SignalKind: Sync {
    /// What it is.
    fn meta(&self) -> &'static Meta;

    /// The number that KEDA is told. Of what [`Measure::Arrived`] counts it is told how much came in a second, of
    /// [`Measure::Oldest`] how many seconds ago that is.
    fn value(&self, counts: &Counts, settings: &Settings) -> Count;

    /// What KEDA is told while it is not known how much comes in a second, only that it is at least what these counts
    /// say; `None` where nothing can be told then.
    fn value_at_least(&self, _counts: &Counts, _settings: &Settings) -> Option<Count> {
        None
    }

    /// The arithmetic of the value with its numbers, one step a line, the last of which comes to the value.
    fn steps(&self, counts: &Counts, settings: &Settings) -> Vec<String>;

    /// What speaks against a target that is allowed, to whoever wrote it; `None` if nothing does.
    fn against_target(&self, _target: f64) -> Option<String> {
        None
    }
}

/// What a signal is.
#[derive(Debug)]
pub struct Meta {
    /// The word in a trigger's `signal`.
    pub name: &'static str,
    /// One sentence for people.
    pub doc: &'static str,
    /// What its value is, in the words of measures and settings.
    pub formula: &'static str,
    /// What it is made of, whatever its settings, in the order in which people are shown it.
    pub made_of: &'static [Measure],
    /// What it makes use of where the layout tells it.
    pub helped_by: &'static [Measure],
    /// The keys of a trigger that it takes beside those of all.
    pub takes: &'static [Setting],
    /// Those of them that must be given.
    pub needs: &'static [Setting],
    /// The target per replica when the trigger names none.
    pub default_target: Option<f64>,
    /// Whether its value is jobs, so that how many of them one replica takes can be computed: `target: auto`.
    pub auto_target: bool,
}

/// The step of a value that is the sum of what it is made of.
pub(super) fn sum_step(meta: &Meta, counts: &Counts) -> Vec<String> {
    let numbers: Vec<String> =
        meta.made_of.iter().map(|measure| counts[*measure].to_string()).collect();
    let sum = counts.sum(meta.made_of);
    let steps = [meta.formula.to_owned(), numbers.join(" + "), sum.to_string()];
    // One number is its own sum.
    let shown = if numbers.len() > 1 { &steps[..] } else { &steps[..2] };
    vec![shown.join(" = ")]
}
