//! What a trigger has read, of what its layout can tell, for what its signal is made of.

use crate::{
    layouts::{Arguments, Layout, Measure, Plan},
    signals::{Setting, Settings, Signal},
};

use super::{Problems, family::Fields};

/// Has nothing read that the signal makes nothing of. (Jobs it always does: they say whether the workload is
/// active.) A key that is for that alone is a problem.
pub(super) fn leave_out(
    problems: &mut Problems,
    signal: Option<(Signal, Settings)>,
    layout: &Layout,
    (fields, arguments): (&Fields, &mut Arguments),
) {
    let Some((signal, settings)) = signal else { return };
    let is_unused = |measure: &Measure| !measure.is_of_jobs() && !signal.uses(*measure, &settings);
    let unused: Vec<Measure> = Measure::ALL.into_iter().filter(is_unused).collect();
    unused.iter().for_each(|measure| arguments.leave_out(*measure));
    for name in layout.parameters_for_alone(&unused) {
        let aliases = layout.parameter(name).map_or(&[][..], |parameter| &parameter.aliases);
        let names = aliases.iter().map(String::as_str).chain([name]);
        for entry in names.filter_map(|name| fields.get(name)) {
            let what = format!("is not used by the signal `{}`", signal.name());
            problems.add(&entry.spelled, what);
        }
    }
}

/// Whether what the signal is made of is read, where that is not jobs.
pub(super) fn has_measures(
    problems: &mut Problems,
    (signal, settings): (Signal, &Settings),
    (layout, arguments): (&Layout, &Arguments),
    plan: &Plan,
) {
    let is_needed =
        |measure: &Measure| !measure.is_of_jobs() && signal.is_made_of(*measure, settings);
    let tells_running = plan.reads_for(Measure::Running) || plan.reads_for(Measure::InFlight);
    if settings.measures_task_time && !tells_running {
        let key = Setting::TaskTime.key();
        problems.add(key, "`taskTime: measured` needs `inFlight`, which says how many jobs run");
    }
    for measure in Measure::ALL.into_iter().filter(is_needed) {
        let Some(what) = layout.lacks(measure, arguments, plan) else { continue };
        let is_extra = !signal.meta().made_of.contains(&measure);
        let setting = settings.asks_for(measure).filter(|_| is_extra);
        let name = match setting {
            Some(Setting::TaskTime) => "taskTime: measured",
            Some(other) => other.key(),
            None => signal.name(),
        };
        let key = setting.map_or("signal", Setting::key);
        problems.add(key, format!("`{name}` {what}"));
    }
}
