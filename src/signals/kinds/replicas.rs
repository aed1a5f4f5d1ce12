//! `replicas`: how many workers the jobs need, so that they wait no longer than they may.
//!
//! A running job is half done on average, so that what waits and half of what runs has to be worked off within the
//! tolerated wait; more workers than jobs are of no use, and there are never fewer than work. `docs/signals.md` has the
//! arithmetic with numbers.

use crate::{
    layouts::{Count, Counts, Measure},
    signals::{Meta, Setting, Settings, SignalKind},
};

pub(in crate::signals) struct Replicas;

static META: Meta = Meta {
    name: "replicas",
    doc: "The workers that are needed: to begin every job within maxWait, to keep those that run, to keep up with what comes.",
    formula: "max(floor, min(drain, slots), sustain)",
    made_of: &[Measure::Waiting, Measure::Due, Measure::InFlight],
    helped_by: &[Measure::Busy],
    takes: &[Setting::Slots, Setting::MaxWait, Setting::TaskTime, Setting::KeepUp, Setting::Window],
    needs: &[Setting::Slots],
    default_target: Some(1.0),
    auto_target: false,
};

/// What it is the largest of. Each is in workers.
struct Terms {
    /// One slot for every job: more than that is of no use.
    slots: Count,
    /// What works off all that waits within the tolerated wait, if that is given.
    drain: Option<Count>,
    /// What runs now, and no fewer than the workers that run something where they are known.
    floor: Count,
    /// What keeps up with what comes, if it has to.
    sustain: Option<Count>,
}

impl Terms {
    fn of(counts: &Counts, settings: &Settings) -> Self {
        let (ready, in_flight) = (counts.ready(), counts[Measure::InFlight]);
        let workers = |jobs: Count| jobs.scaled(1.0 / settings.slots());
        let task_time = settings.task_time.map(|time| time.as_secs_f64());
        let drain = task_time.zip(settings.max_wait).map(|(task_time, max_wait)| {
            let work = ready + in_flight.scaled(0.5);
            // Nothing has to be worked off of what runs already.
            let work = if ready.is_positive() { work } else { Count::ZERO };
            workers(work).scaled(task_time / max_wait.as_secs_f64())
        });
        let arrived = task_time.filter(|_| settings.keep_up);
        Self {
            slots: workers(ready + in_flight),
            drain,
            floor: workers(in_flight).most(counts[Measure::Busy]),
            sustain: arrived.map(|task_time| workers(counts[Measure::Arrived]).scaled(task_time)),
        }
    }

    fn value(&self) -> Count {
        let wanted = self.drain.map_or(self.slots, |drain| drain.least(self.slots));
        wanted.most(self.floor).most(self.sustain.unwrap_or_default())
    }
}

impl SignalKind for Replicas {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn value(&self, counts: &Counts, settings: &Settings) -> Count {
        Terms::of(counts, settings).value()
    }

    /// More rather than fewer: every job gets a slot.
    fn value_at_least(&self, counts: &Counts, settings: &Settings) -> Option<Count> {
        Some(Terms { drain: None, ..Terms::of(counts, settings) }.value())
    }

    fn steps(&self, counts: &Counts, settings: &Settings) -> Vec<String> {
        let terms = Terms::of(counts, settings);
        let (ready, in_flight, slots) =
            (counts.ready(), counts[Measure::InFlight], settings.slots());
        let mut steps = vec![
            format!(
                "floor = max(busy, in flight / slots) = max({}, {in_flight} / {slots}) = {:.2}",
                counts[Measure::Busy],
                terms.floor.get()
            ),
            format!(
                "slots = (ready + in flight) / slots = ({ready} + {in_flight}) / {slots} = {:.2}",
                terms.slots.get()
            ),
        ];
        if settings.measures_task_time && settings.task_time.is_none() {
            steps.push(
                "taskTime is not known until a job has ended: every job gets a slot".to_owned(),
            );
        }
        if let (Some(drain), Some(task_time), Some(max_wait)) =
            (terms.drain, settings.task_time, settings.max_wait)
        {
            let drain = drain.get();
            steps.push(format!(
                "drain = (ready + in flight / 2) × taskTime / (slots × maxWait) = \
                 ({ready} + {in_flight} / 2) × {task_time:?} / ({slots} × {max_wait:?}) = {drain:.2}"
            ));
        }
        if let (Some(sustain), Some(task_time)) = (terms.sustain, settings.task_time) {
            let (arrived, sustain) = (counts[Measure::Arrived].get(), sustain.get());
            steps.push(format!(
                "sustain = arrived per second × taskTime / slots = \
                 {arrived:.2} × {task_time:?} / {slots} = {sustain:.2}"
            ));
        }
        let sustain = if terms.sustain.is_some() { ", sustain" } else { "" };
        let wanted = if terms.drain.is_some() { "min(drain, slots)" } else { "slots" };
        steps.push(format!("max(floor, {wanted}{sustain}) = {:.2}", terms.value().get()));
        steps
    }

    fn against_target(&self, target: f64) -> Option<String> {
        (target != 1.0).then(|| {
            format!(
                "the value is how many replicas are needed, and the HPA divides it by {target}; \
                 leave it out"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn counts(waiting: u64, in_flight: u64) -> Counts {
        Counts::default().with(Measure::Waiting, waiting).with(Measure::InFlight, in_flight)
    }

    /// Two slots, half a minute a job, and two minutes to wait.
    fn settings() -> Settings {
        Settings {
            slots: Some(2),
            task_time: Some(30 * SECOND),
            max_wait: Some(120 * SECOND),
            ..Settings::default()
        }
    }

    fn value(counts: &Counts, settings: &Settings) -> f64 {
        Replicas.value(counts, settings).get()
    }

    #[test]
    fn what_waits_is_worked_off_in_time_and_nobody_who_works_goes() {
        for (waiting, in_flight, expected) in [
            (0, 0, 0.0),
            (1, 0, 0.125),
            (40, 0, 5.0),
            (40, 10, 45.0 * 30.0 / 240.0),
            // All that runs keeps its worker, also the last of it.
            (0, 7, 3.5),
            (4, 20, 10.0),
        ] {
            let told = value(&counts(waiting, in_flight), &settings());
            assert_eq!(told, expected, "{waiting} wait and {in_flight} run");
        }
        // Six tasks that are spread over five workers.
        let spread = counts(0, 6).with(Measure::Busy, 5);
        assert_eq!(value(&spread, &settings()), 5.0);
        // Where it is measured and not yet known, every job gets a slot.
        let unknown = Settings { task_time: None, measures_task_time: true, ..settings() };
        assert_eq!(value(&counts(40, 10), &unknown), 25.0);
        // More workers than there are jobs help nobody.
        let long = Settings { task_time: Some(3_600 * SECOND), ..settings() };
        assert_eq!(value(&counts(40, 10), &long), 25.0);
        let no_wait = Settings { max_wait: None, ..settings() };
        assert_eq!(value(&counts(40, 10), &no_wait), 25.0);
    }

    #[test]
    fn what_comes_is_kept_up_with_where_that_is_asked() {
        let keep_up = Settings { keep_up: true, window: Some(60 * SECOND), ..settings() };
        // Three a second, half a minute each, two at a time.
        let comes = counts(4, 2).with(Measure::Arrived, 3);
        assert_eq!(value(&comes, &keep_up), 45.0);
        assert_eq!(value(&comes, &settings()), 1.0);
        // While nobody knows how much comes, every job has a slot.
        let unknown = |of: &Counts| Replicas.value_at_least(of, &keep_up).map(Count::get);
        assert_eq!(unknown(&counts(40, 2)), Some(21.0));
        assert_eq!(unknown(&comes), Some(45.0));
    }

    #[test]
    fn each_step_is_shown_with_its_numbers() {
        let keep_up = Settings { keep_up: true, ..settings() };
        let steps = Replicas.steps(&counts(40, 10).with(Measure::Arrived, 3), &keep_up);
        let ends: Vec<&str> =
            steps.iter().filter_map(|step| step.rsplit_once(" = ")).map(|(_, end)| end).collect();
        assert_eq!(ends, ["5.00", "25.00", "5.62", "45.00", "45.00"], "{steps:?}");
        assert!(steps[2].contains("(40 + 10 / 2) × 30s / (2 × 120s)"), "{steps:?}");
        let measures = Settings { task_time: None, measures_task_time: true, ..settings() };
        let steps = Replicas.steps(&counts(40, 10), &measures);
        assert!(steps[2].starts_with("taskTime is not known"), "{steps:?}");
        let plain = Settings { slots: Some(2), ..Settings::default() };
        assert_eq!(Replicas.steps(&counts(40, 10), &plain).len(), 3);
    }
}
