//! Metadata in, trigger or every problem out, in one step.

use std::{cell::LazyCell, collections::BTreeSet, sync::Arc, time::Duration};

use crate::{
    layouts::{Arguments, Layout, Plan, Read, Registry},
    limits::{self, DATABASE_NUMBER},
    metadata::{Entry, Irregularity, Metadata, plain_key},
    signals::Signal,
    time,
};

use super::{
    Activation, Family, Problems, Target, Trigger,
    arguments::{ArgumentReader, DEFAULT_LAYOUT, Written},
    auto_target,
    family::{self, COMMON, Fields, IGNORED, OWN, belongs_to_connection},
    measures::{has_measures, leave_out},
    metric_name::metric_name,
    names,
    nearest::nearest,
    problem::shown,
    settings::SettingsReader,
};

/// The connection of a trigger that names none, and of a `--redis` without a name.
pub const DEFAULT_CONNECTION: &str = "default";

impl Trigger {
    /// Parses a trigger from the map that KEDA sends.
    ///
    /// # Errors
    /// [`Problems`] with everything that is wrong, never with a value of an unknown or refused key.
    pub fn parse<I>(map: I, registry: &Registry) -> Result<Self, Problems>
    where
        I: IntoIterator<Item = (String, String)>,
        I::IntoIter: ExactSizeIterator,
    {
        let (metadata, irregularities) = Metadata::collect(map);
        let mut problems = Problems::default();
        let kept_nothing = irregularities.iter().any(Irregularity::is_all);
        for irregularity in irregularities {
            irregular(irregularity, &mut problems);
        }
        if kept_nothing {
            return Err(problems);
        }
        let trigger = Parser { metadata: &metadata, registry, problems: &mut problems }.parse();
        match trigger {
            Some(trigger) if problems.is_empty() => Ok(trigger),
            _ => Err(problems),
        }
    }
}

fn irregular(irregularity: Irregularity, problems: &mut Problems) {
    match irregularity {
        Irregularity::TooManyEntries(entries) => problems.add(
            "metadata",
            format!("has {entries} entries, at most {} are allowed", limits::METADATA_ENTRIES),
        ),
        Irregularity::LongKey(key) => problems
            .add(&key, format!("the key is longer than {} bytes", limits::METADATA_KEY_BYTES)),
        Irregularity::LongValue(key) => problems
            .add(&key, format!("the value is longer than {} bytes", limits::METADATA_VALUE_BYTES)),
        Irregularity::Twice(key) => {
            problems.add(&key, "is given twice, or with and without FromEnv; keep one");
        }
    }
}

struct Parser<'a> {
    metadata: &'a Metadata,
    registry: &'a Registry,
    problems: &'a mut Problems,
}

impl<'a> Parser<'a> {
    fn parse(mut self) -> Option<Trigger> {
        let family = self.family();
        let fields = match family {
            Family::Own => Fields::own(self.metadata),
            Family::Redis => family::from_redis(self.metadata, self.problems),
            Family::RedisStreams => family::from_streams(self.metadata, self.problems),
        };
        let layout = self.layout(&fields);
        self.refuse_keys(layout);
        let connection = self.connection();
        let database = self.database();
        let stale_for = self.duration("staleFor");
        let activity_window = self.activity_window();
        let signal = self.signal(&fields);
        let has_auto_target = self.has_auto_target(&fields, signal, family);
        let reader = SettingsReader::new(self.metadata, self.problems);
        let settings = signal.and_then(|signal| reader.read(signal, has_auto_target));
        let target = if has_auto_target {
            settings.and_then(|settings| auto_target(&settings, settings.task_time))
        } else {
            self.target(&fields, signal)
        };
        let activation = self.activation(&fields);
        let layout = layout?;
        let (mut arguments, Written { names, hint }) = self.arguments(layout, &fields);
        leave_out(self.problems, signal.zip(settings), layout, (&fields, &mut arguments));
        if let Some([first, second]) = layout.meeting_patterns(&arguments) {
            let what = format!("is a pattern, and so is `{second}`; one read may have only one");
            self.problems.add(first, what);
        }
        // What is too much, or no name, makes no plan.
        if !self.problems.is_empty() {
            return None;
        }
        let plan = layout.plan(&arguments);
        let search = match layout.search(&arguments) {
            Ok(search) => search.map(Arc::new),
            Err(sprawl) => {
                self.problems.add(&sprawl.parameter, sprawl.to_string());
                return None;
            }
        };
        let in_words = search.as_ref().map_or_else(|| plan.clone(), |search| search.in_words());
        self.fits(&plan, &in_words);
        let (signal, settings, target, activation) = (signal?, settings?, target?, activation?);
        let counts_jobs = in_words.counts_jobs();
        has_measures(self.problems, (signal, &settings), (layout, &arguments), &in_words);
        Some(Trigger {
            metric_name: metric_name(layout.name(), &in_words, signal),
            connection,
            database: database?,
            layout: layout.name().to_owned(),
            plan,
            counts_jobs,
            signal,
            target,
            has_auto_target,
            activation,
            stale_for: stale_for?,
            settings,
            activity_window: activity_window?,
            gap: if counts_jobs { layout.gap(&arguments) } else { Duration::ZERO },
            invisible: layout.invisible(&arguments),
            hint,
            names,
            search,
            family,
        })
    }

    /// The family of the trigger; every key that belongs to another one is a problem.
    fn family(&mut self) -> Family {
        let is_own = |key: &str| OWN.contains(&key) || self.registry.has_parameter(key);
        let of_key =
            |key: &str| Family::of_keda_key(key).or_else(|| is_own(key).then_some(Family::Own));
        let keys: Vec<(&str, Family)> = (self.metadata.entries())
            .filter_map(|(key, entry)| Some((entry.spelled.as_str(), of_key(key)?)))
            .collect();
        let has = |wanted: &Family| keys.iter().any(|(_, family)| family == wanted);
        let families = [Family::Own, Family::Redis, Family::RedisStreams];
        let chosen = families.into_iter().find(has).unwrap_or(Family::Own);
        for (key, family) in keys.iter().filter(|(_, family)| *family != chosen) {
            let (theirs, ours) = (family.describe(), chosen.describe());
            self.problems
                .add(key, format!("belongs to {theirs}, other keys to {ours}; use one set"));
        }
        chosen
    }

    fn layout(&mut self, fields: &Fields) -> Option<&'a Layout> {
        let name = fields.get("layout").map_or(DEFAULT_LAYOUT, |entry| entry.value.as_str());
        let layout = self.registry.get(name);
        if layout.is_none() {
            let known: Vec<&str> = self.registry.layouts().map(Layout::name).collect();
            self.problems.add("layout", one_of(name, &known));
        }
        layout
    }

    /// Every key that means nothing here, or must not be given here, is a problem. Their values
    /// are never shown: KEDA may have resolved a secret into them.
    fn refuse_keys(&mut self, layout: Option<&Layout>) {
        let registry = self.registry;
        let metadata = self.metadata;
        let every_key = LazyCell::new(|| every_key(registry, metadata));
        let mut guesses = limits::PROBLEMS_LISTED;
        for (key, entry) in self.metadata.entries() {
            let of_layout = layout.is_some_and(|layout| layout.parameter(key).is_some());
            let known = COMMON.contains(&key) || OWN.contains(&key) || IGNORED.contains(&key);
            if known || of_layout || Family::of_keda_key(key).is_some() {
                continue;
            }
            let what = if belongs_to_connection(key) {
                "belongs to the connection, which the administrator configures; remove it and name \
                 the connection with `redis`"
                    .to_owned()
            } else if self.registry.has_parameter(key) {
                match layout {
                    Some(layout) => format!("is no key of the layout `{}`", layout.name()),
                    None => continue,
                }
            } else if guesses > 0 {
                guesses -= 1;
                unknown(key, &every_key)
            } else {
                // No answer lists it, and a guess costs more than all else about a key.
                unknown(key, &[])
            };
            self.problems.add(&entry.spelled, what);
        }
    }

    fn connection(&mut self) -> String {
        let Some(entry) = self.metadata.get("redis") else {
            return DEFAULT_CONNECTION.to_owned();
        };
        if let Err(error) = names::parse_literal(&entry.value) {
            self.problems.add(&entry.spelled, error.to_string());
        }
        entry.value.clone()
    }

    /// The outer `None` is a problem, the inner one "not given".
    fn database(&mut self) -> Option<Option<u32>> {
        let given = ["database", "databaseIndex"].map(|key| self.metadata.get(key));
        let entry = match given {
            [Some(_), Some(second)] => {
                self.problems.add(&second.spelled, "is the same key as `database`; keep one");
                return None;
            }
            [None, None] => return Some(None),
            [Some(entry), None] | [None, Some(entry)] => entry,
        };
        let digits = Some(entry.value.trim()).filter(|text| !text.starts_with('+'));
        let number = digits.and_then(|text| text.parse().ok()).filter(|n| *n <= DATABASE_NUMBER);
        if number.is_none() {
            let what = format!(
                "`{}` is no database, a number from 0 to {DATABASE_NUMBER}",
                shown(&entry.value)
            );
            self.problems.add(&entry.spelled, what);
        }
        number.map(Some)
    }

    /// The outer `None` is a problem, the inner one "not given".
    fn activity_window(&mut self) -> Option<Option<Duration>> {
        let window = self.duration("activityWindow")?.filter(|window| !window.is_zero());
        if window.is_some_and(|window| window > limits::ACTIVITY_WINDOW_MAX) {
            let hours = limits::ACTIVITY_WINDOW_MAX.as_secs() / 3_600;
            self.problems.add("activityWindow", format!("is longer than {hours}h"));
            return None;
        }
        Some(window)
    }

    /// The outer `None` is a problem, the inner one "not given".
    fn duration(&mut self, key: &str) -> Option<Option<Duration>> {
        let Some(entry) = self.metadata.get(key) else { return Some(None) };
        match time::parse_duration(&entry.value) {
            Ok(duration) => Some(Some(duration)),
            Err(error) => {
                self.problems.add(&entry.spelled, format!("`{}` {error}", shown(&entry.value)));
                None
            }
        }
    }

    fn signal(&mut self, fields: &Fields) -> Option<Signal> {
        let Some(entry) = fields.get("signal") else { return Some(Signal::default()) };
        let signal = Signal::named(&entry.value);
        if signal.is_none() {
            let known: Vec<&str> = Signal::all().map(Signal::name).collect();
            self.problems.add(&entry.spelled, one_of(&entry.value, &known));
        }
        signal
    }

    /// Whether a plan, and the same with its patterns as if they were names, is one and not too much.
    fn fits(&mut self, plan: &Plan, in_words: &Plan) {
        if in_words.reads().is_empty() {
            self.problems.add("layout", "these keys leave the layout nothing to read");
        }
        if plan.reads().iter().map(Read::key).any(|key| key.as_bytes().is_empty()) {
            self.problems.add("layout", "reads a key without a name with these keys");
        }
        let most = limits::KEYS_PER_TRIGGER;
        if plan.reads().len() > most || plan.most_summands() > most {
            self.problems.add("queue", format!("makes more than {most} reads with these keys"));
        }
    }

    /// Whether the target is made of the settings. Of a signal whose value is no jobs it cannot be.
    fn has_auto_target(&self, fields: &Fields, signal: Option<Signal>, family: Family) -> bool {
        let is_auto = fields.get("target").is_some_and(|entry| entry.value.trim() == "auto");
        let can_be = signal.is_none_or(|signal| signal.meta().auto_target);
        is_auto && can_be && family == Family::Own
    }

    fn target(&mut self, fields: &Fields, signal: Option<Signal>) -> Option<Target> {
        let Some(entry) = fields.get("target") else {
            let default = signal?.meta().default_target.and_then(Target::new);
            if default.is_none() {
                self.problems.add("target", "is required by this signal");
            }
            return default;
        };
        if entry.value.trim() == "auto" && !fields.literal {
            self.problems
                .add(&entry.spelled, "`auto` is for the signals backlog and waiting alone");
            return None;
        }
        let target = Target::parse(&entry.value);
        target.map_err(|error| self.refuse_value(entry, &error.to_string())).ok()
    }

    fn activation(&mut self, fields: &Fields) -> Option<Activation> {
        let Some(entry) = fields.get("activation") else { return Some(Activation::default()) };
        let activation = Activation::parse(&entry.value);
        activation.map_err(|error| self.refuse_value(entry, &error.to_string())).ok()
    }

    fn refuse_value(&mut self, entry: &Entry, allowed: &str) {
        self.problems.add(&entry.spelled, format!("`{}` {allowed}", shown(&entry.value)));
    }

    fn arguments(&mut self, layout: &Layout, fields: &Fields) -> (Arguments, Written) {
        let mut reader = ArgumentReader::new(fields, self.registry, self.problems);
        for (name, parameter) in layout.parameters() {
            reader.read(name, parameter);
        }
        reader.finish(layout)
    }
}

fn one_of(value: &str, known: &[&str]) -> String {
    let nearest = nearest(value, known.iter().copied());
    let hint = nearest.map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
    format!("`{}` must be one of {}{hint}", shown(value), known.join(", "))
}

/// Every key that some trigger may have and this one has not, under none of its names. Many layouts
/// have parameters of one name.
fn every_key<'r>(registry: &'r Registry, metadata: &Metadata) -> Vec<&'r str> {
    let is_given = |key: &str| metadata.get(key).is_some();
    let mut known: Vec<&str> = OWN.iter().copied().chain(Family::keda_keys()).collect();
    let of_database = COMMON.iter().filter(|key| key.starts_with("database"));
    let is_chosen = of_database.clone().any(|key| is_given(key));
    known.extend(
        COMMON.iter().filter(|key| !is_chosen || !of_database.clone().any(|one| one == *key)),
    );
    for (name, parameter) in registry.layouts().flat_map(Layout::parameters) {
        let aliases = parameter.aliases.iter().map(String::as_str);
        if !aliases.clone().any(is_given) && !is_given(name) {
            known.push(name);
            known.extend(aliases);
        }
    }
    let mut seen = BTreeSet::new();
    known.retain(|key| !is_given(key) && seen.insert(*key));
    known
}

fn unknown(key: &str, known: &[&str]) -> String {
    match nearest(plain_key(key), known.iter().copied()) {
        Some(word) => format!("is unknown; did you mean `{word}`?"),
        None => "is unknown; docs/triggers.md lists every key".to_owned(),
    }
}
