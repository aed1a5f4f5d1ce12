//! `load`: how full the workers are, so that a target of 80 gives as many as are 80 % full.

use crate::{
    layouts::{Count, Counts, Measure},
    signals::{Meta, Setting, Settings, SignalKind},
};

pub(in crate::signals) struct Load;

static META: Meta = Meta {
    name: "load",
    doc: "How full one worker would be with all of it, in percent: what fills it is 100.",
    formula: "100 × (waiting + due + in flight) / slots",
    made_of: &[Measure::Waiting, Measure::Due, Measure::InFlight],
    helped_by: &[],
    takes: &[Setting::Slots],
    needs: &[Setting::Slots],
    default_target: None,
    auto_target: false,
};

impl SignalKind for Load {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn value(&self, counts: &Counts, settings: &Settings) -> Count {
        counts.sum(META.made_of).scaled(100.0 / settings.slots())
    }

    fn steps(&self, counts: &Counts, settings: &Settings) -> Vec<String> {
        let [waiting, due, in_flight] =
            [Measure::Waiting, Measure::Due, Measure::InFlight].map(|measure| counts[measure]);
        let slots = settings.slots();
        let value = self.value(counts, settings);
        vec![format!(
            "{} = 100 × ({waiting} + {due} + {in_flight}) / {slots} = {value}",
            META.formula
        )]
    }

    fn against_target(&self, target: f64) -> Option<String> {
        (target > 100.0).then(|| {
            format!(
                "{target} % is more jobs than a worker has slots, so that some wait while the HPA \
                 sees nothing to do; 80 leaves room for what comes next"
            )
        })
    }
}
