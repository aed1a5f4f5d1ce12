//! What every signal is, and what it must be able to say.

use crate::layouts::{Count, Counts, Measure};

/// One kind of signal.
pub trait SignalKind: Sync {
    /// What it is.
    fn meta(&self) -> &'static Meta;
    /// The number that KEDA is told; where the signal is one [per second](Meta::per_second), the counter of which it is
    /// told how much it rises.
    fn value(&self, counts: &Counts) -> Count;
}

/// What a signal is.
#[derive(Debug)]
pub struct Meta {
    /// The word in a trigger's `signal`.
    pub name: &'static str,
    /// One sentence for people.
    pub doc: &'static str,
    /// What it adds up, in the order in which people are shown it.
    pub sum_of: &'static [Measure],
    /// Whether it is how much that rises in a second, over the trigger's `window`. Of one look nothing is known then.
    pub per_second: bool,
    /// The target per replica when the trigger names none.
    pub default_target: Option<f64>,
    /// When the target per replica may become another than KEDA was told.
    pub target_change: TargetChange,
}

impl Meta {
    /// The sum that it makes, as people are shown it: each measure as `show` writes it.
    pub fn sum(&self, show: impl Fn(Measure) -> String) -> String {
        self.sum_of.iter().map(|measure| show(*measure)).collect::<Vec<_>>().join(" + ")
    }
}

/// When the target of a trigger may become another.
///
/// KEDA can have targets streamed (`StreamMetricSpec`), and patches its object three times for every
/// message and so for every stream that opens (KEDA 2.21, `controllers/keda/scaledobject_controller.go`),
/// within twenty requests a second for all objects. So nothing is streamed of a target that stays. A signal
/// whose target moves adds a variant, and whoever matches on it has to say what is streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetChange {
    /// With the metadata alone, of which KEDA knows.
    WithMetadata,
}
