//! What a trigger says of its workers and of what it wants, read as its signal takes it.

use std::{ops::RangeInclusive, time::Duration};

use crate::{
    limits,
    metadata::Metadata,
    signals::{Setting, Settings, Signal},
    time,
};

use super::{Problems, problem::shown};

/// What a target is made of that is computed.
const AUTO_TARGET: &[Setting] = &[Setting::Slots, Setting::MaxWait, Setting::TaskTime];

pub(super) struct SettingsReader<'a> {
    metadata: &'a Metadata,
    problems: &'a mut Problems,
}

impl<'a> SettingsReader<'a> {
    pub(super) fn new(metadata: &'a Metadata, problems: &'a mut Problems) -> Self {
        Self { metadata, problems }
    }

    /// The settings of a signal, and of a target that is made of them; `None` if there is a problem with them.
    pub(super) fn read(mut self, signal: Signal, has_auto_target: bool) -> Option<Settings> {
        let of_target = if has_auto_target { AUTO_TARGET } else { &[] };
        let takes = |setting: &Setting| {
            signal.meta().takes.contains(setting) || of_target.contains(setting)
        };
        for setting in Setting::ALL.iter().filter(|setting| !takes(setting)) {
            if let Some(entry) = self.metadata.get(setting.key()) {
                let what = format!("is not used by the signal `{}`", signal.name());
                self.problems.add(&entry.spelled, what);
            }
        }
        let needed = signal.meta().needs.iter().map(|need| (need, signal.name()));
        let needed = needed.chain(of_target.iter().map(|need| (need, "target: auto")));
        let is_missing = |(need, _): &(&Setting, &str)| self.metadata.get(need.key()).is_none();
        let missing: Vec<(&Setting, &str)> = needed.filter(is_missing).collect();
        for (setting, by) in &missing {
            let what = if *by == signal.name() { "the signal `" } else { "`" };
            self.problems.add(setting.key(), format!("is required by {what}{by}`"));
        }
        let of = |setting: Setting| takes(&setting).then_some(setting);
        let slots = of(Setting::Slots).map(|setting| self.slots(setting));
        let max_wait = of(Setting::MaxWait).map(|setting| self.time(setting, &limits::JOB_TIME));
        let task_time = of(Setting::TaskTime).map(|setting| self.task_time(setting));
        let keep_up = of(Setting::KeepUp).map(|setting| self.flag(setting));
        let window = of(Setting::Window).map(|setting| self.time(setting, &limits::RATE_WINDOW));
        let (task_time, measures_task_time) = task_time.unwrap_or(Some((None, false)))?;
        let settings = Settings {
            window: window.unwrap_or(Some(None))?,
            slots: slots.unwrap_or(Some(None))?,
            max_wait: max_wait.unwrap_or(Some(None))?,
            task_time,
            measures_task_time,
            keep_up: keep_up.unwrap_or(Some(false))?,
        };
        if missing.is_empty() { self.together(signal, settings) } else { None }
    }

    /// What some of them need beside them.
    fn together(&mut self, signal: Signal, settings: Settings) -> Option<Settings> {
        let watches = settings.keep_up || !signal.meta().takes.contains(&Setting::KeepUp);
        let watches = watches && signal.meta().takes.contains(&Setting::Window);
        if settings.window.is_some() && !watches {
            self.refuse(Setting::Window, "needs `keepUp: true` beside this signal");
            return None;
        }
        let needs_task_time =
            [(Setting::MaxWait, settings.max_wait.is_some()), (Setting::KeepUp, settings.keep_up)];
        let needing = needs_task_time.into_iter().find(|(_, is_given)| *is_given);
        let has_task_time = settings.task_time.is_some() || settings.measures_task_time;
        if !has_task_time && let Some((setting, _)) = needing {
            self.refuse(setting, "needs `taskTime`, how long a job runs");
            return None;
        }
        if has_task_time && needing.is_none() {
            self.refuse(Setting::TaskTime, "needs `maxWait` or `keepUp: true` beside it");
            return None;
        }
        let window = settings.window.unwrap_or(limits::RATE_WINDOW_DEFAULT);
        Some(Settings { window: watches.then_some(window), ..settings })
    }

    /// The outer `None` is a problem, the inner one "not given".
    fn slots(&mut self, setting: Setting) -> Option<Option<u32>> {
        let Some(entry) = self.metadata.get(setting.key()) else { return Some(None) };
        let digits = Some(entry.value.trim()).filter(|text| !text.starts_with('+'));
        let slots = digits.and_then(|text| text.parse().ok());
        let slots = slots.filter(|slots| limits::WORKER_SLOTS.contains(slots));
        if slots.is_none() {
            let (least, most) = (limits::WORKER_SLOTS.start(), limits::WORKER_SLOTS.end());
            let given = shown(&entry.value);
            let what = format!(
                "`{given}` must be the jobs that one worker runs at a time, {least} to {most}"
            );
            self.refuse(setting, &what);
        }
        slots.map(Some)
    }

    /// The outer `None` is a problem, the inner one "not given".
    fn time(
        &mut self,
        setting: Setting,
        within: &RangeInclusive<Duration>,
    ) -> Option<Option<Duration>> {
        let Some(entry) = self.metadata.get(setting.key()) else { return Some(None) };
        duration(&entry.value, within).map_err(|what| self.refuse(setting, &what)).ok().map(Some)
    }

    /// `30s`, `measured`, or `measured,30s` with what it is taken for until it was measured.
    fn task_time(&mut self, setting: Setting) -> Option<(Option<Duration>, bool)> {
        let Some(entry) = self.metadata.get(setting.key()) else { return Some((None, false)) };
        let (is_measured, given) = match entry.value.trim().strip_prefix("measured") {
            Some("") => return Some((None, true)),
            Some(rest) => (true, rest.trim_start().strip_prefix(',').map(str::trim)),
            None => (false, Some(entry.value.as_str())),
        };
        let Some(given) = given else {
            let given = shown(&entry.value);
            let what = format!("`{given}` must be how long a job runs, measured, or measured,30s");
            self.refuse(setting, &what);
            return None;
        };
        let time = duration(given, &limits::JOB_TIME);
        let time = time.map_err(|what| self.refuse(setting, &what)).ok()?;
        Some((Some(time), is_measured))
    }

    fn flag(&mut self, setting: Setting) -> Option<bool> {
        let Some(entry) = self.metadata.get(setting.key()) else { return Some(false) };
        match entry.value.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                let what = format!("`{}` must be one of true, false", shown(other));
                self.refuse(setting, &what);
                None
            }
        }
    }

    fn refuse(&mut self, setting: Setting, what: &str) {
        let entry = self.metadata.get(setting.key());
        self.problems.add(entry.map_or(setting.key(), |entry| &entry.spelled), what);
    }
}

/// A duration within these bounds, or what is wrong with it.
fn duration(text: &str, within: &RangeInclusive<Duration>) -> Result<Duration, String> {
    match time::parse_duration(text) {
        Ok(duration) if within.contains(&duration) => Ok(duration),
        Ok(_) => {
            let [least, most] = [within.start(), within.end()].map(|end| time::written(*end));
            Err(format!("must be from {least} to {most}"))
        }
        Err(error) => Err(format!("`{}` {error}", shown(text))),
    }
}
