//! A layout's parameters, read from a trigger's fields as the layout declares them.

use std::collections::BTreeMap;

use crate::{
    layouts::{
        Argument, Arguments, Glob, Layout, Name, Parameter, ParameterKind, Pattern, Registry,
        Weight, words,
    },
    limits,
    metadata::Entry,
    time,
};

use super::{
    Problem, Problems,
    family::Fields,
    names::{self, Listed, NameError},
    problem::shown,
};

/// The layout of a trigger that names none.
pub(super) const DEFAULT_LAYOUT: &str = "keys";

pub(super) struct ArgumentReader<'a> {
    fields: &'a Fields,
    registry: &'a Registry,
    problems: &'a mut Problems,
    arguments: Arguments,
    /// Which key named each Redis key first; a key that counts twice is a mistake.
    named: BTreeMap<Name, String>,
    /// Whether a parameter was given that could not be read, so that it is not called missing.
    given: Vec<String>,
    /// The names that were given, each with the key that gives it, before a layout keeps only a part.
    written: Vec<(String, Name)>,
}

/// The names of a trigger as they are written.
pub(super) struct Written {
    pub(super) names: Box<[Name]>,
    /// What one of them looks like that is no queue's.
    pub(super) hint: Option<Problem>,
}

impl<'a> ArgumentReader<'a> {
    pub(super) fn new(
        fields: &'a Fields,
        registry: &'a Registry,
        problems: &'a mut Problems,
    ) -> Self {
        Self {
            fields,
            registry,
            problems,
            arguments: Arguments::default(),
            named: BTreeMap::new(),
            given: Vec::new(),
            written: Vec::new(),
        }
    }

    /// Reads one declared parameter.
    pub(super) fn read(&mut self, name: &str, parameter: &Parameter) {
        let Some(entry) = self.entry(name, parameter) else {
            if let Some(default) = parameter.default_argument() {
                self.arguments.set(name, default);
            } else if parameter.required && !self.fields.literal {
                // (What is missing from KEDA's own keys was told in their words.)
                let what =
                    format!("is required. {} For example `{}`", parameter.doc, parameter.example);
                self.problems.add(name, what);
            }
            return;
        };
        self.given.push(name.to_owned());
        if let Some(argument) = self.argument(name, parameter, &entry) {
            self.arguments.set(name, argument);
        }
    }

    /// What the layout was given, and the names in it.
    pub(super) fn finish(self, layout: &Layout) -> (Arguments, Written) {
        let needs = layout.needs();
        if !self.fields.literal
            && !needs.is_empty()
            && !needs.iter().any(|need| self.given.contains(need))
        {
            let lead = layout.parameter(&needs[0]).and_then(|parameter| parameter.aliases.first());
            let others = needs.join("`, `");
            self.problems.add(
                lead.unwrap_or(&needs[0]),
                format!("is required, unless one of `{others}` is given"),
            );
        }
        if let Some((name, beside)) = layout.missing(&self.arguments)
            && !self.given.iter().any(|given| given == name)
            && let Some(parameter) = layout.parameter(name)
        {
            let (doc, example) = (&parameter.doc, &parameter.example);
            let what = format!("is required with {beside}. {doc} For example `{example}`");
            self.problems.add(name, what);
        }
        if self.named.len() > limits::KEYS_PER_TRIGGER {
            let (keys, most) = (self.named.len(), limits::KEYS_PER_TRIGGER);
            self.problems.add("metadata", format!("names {keys} keys, at most {most} are allowed"));
        }
        let (patterns, most) = (self.arguments.patterns().len(), limits::PATTERNS_PER_TRIGGER);
        if patterns > most {
            let what = format!("has {patterns} patterns, at most {most} are allowed");
            self.problems.add("metadata", what);
        }
        let of =
            |(key, name): &(String, Name)| hint(self.registry, layout, &self.arguments, key, name);
        let hint = self.written.iter().find_map(of);
        let names = self.written.into_iter().map(|(_, name)| name).collect();
        (self.arguments, Written { names, hint })
    }

    /// The entry of a parameter under its name or one alias; more than one is a problem.
    fn entry(&mut self, name: &str, parameter: &Parameter) -> Option<Entry> {
        let names = [name].into_iter().chain(parameter.aliases.iter().map(String::as_str));
        let mut given = names.filter_map(|name| self.fields.get(name));
        let first = given.next()?.clone();
        if let Some(second) = given.next() {
            let what = format!("is the same key as `{}`; keep one", first.spelled);
            self.problems.add(&second.spelled, what);
        }
        Some(first)
    }

    fn argument(&mut self, name: &str, parameter: &Parameter, entry: &Entry) -> Option<Argument> {
        match &parameter.kind {
            ParameterKind::Keys => self.keys(name, parameter, entry),
            ParameterKind::Name { .. } if parameter.may_be_empty && entry.value.is_empty() => {
                Some(Argument::Names(vec![("".into(), Weight::ONE)]))
            }
            // (A default may have bytes that nobody may write, such as Celery's separator.)
            ParameterKind::Name { default: Some(default) } if *default == entry.value => {
                parameter.default_argument()
            }
            ParameterKind::Name { .. } => self.name(parameter, entry),
            ParameterKind::Pattern => {
                let pattern = names::parse_literal(self.as_meant(&entry.value))
                    .map_err(|error| error.to_string())
                    .and_then(|_| {
                        let refused = |error| format!("`{}` {error}", shown(&entry.value));
                        Glob::parse(self.as_meant(&entry.value)).map_err(refused)
                    });
                let refuse = |what| self.problems.add(&entry.spelled, what);
                pattern.map(Argument::Pattern).map_err(refuse).ok()
            }
            ParameterKind::Words { .. } => match names::parse_literal(&entry.value) {
                Ok(_) if entry.value.split(',').count() > limits::WORDS => {
                    let what = format!("lists more than {} words", limits::WORDS);
                    self.problems.add(&entry.spelled, what);
                    None
                }
                Ok(_) => Some(words(&entry.value)),
                Err(error) => {
                    self.refuse(entry, &[error]);
                    None
                }
            },
            ParameterKind::Duration { .. } => {
                let duration = time::parse_duration(&entry.value);
                let refuse = |error| {
                    let what = format!("`{}` {error}", shown(&entry.value));
                    self.problems.add(&entry.spelled, what);
                };
                duration.map(Argument::Duration).map_err(refuse).ok()
            }
            ParameterKind::Choice { choices, .. } => {
                let chosen = choices.iter().find(|choice| **choice == entry.value);
                if chosen.is_none() {
                    let given = shown(&entry.value);
                    let what = match parameter.refused.get(&entry.value) {
                        Some(why) => format!("`{given}` cannot be counted: {why}"),
                        None => format!("`{given}` must be one of {}", choices.join(", ")),
                    };
                    self.problems.add(&entry.spelled, what);
                }
                chosen.cloned().map(Argument::Choice)
            }
        }
    }

    /// One name, with what the framework puts after it. A name of nothing else is none.
    fn name(&mut self, parameter: &Parameter, entry: &Entry) -> Option<Argument> {
        let meant = self.as_meant(&entry.value);
        let is_only_end = parameter.ends_with.as_deref() == Some(meant);
        match names::parse_literal(if is_only_end { "" } else { meant }) {
            Ok(_) => Some(Argument::Names(vec![(parameter.name(meant), Weight::ONE)])),
            Err(error) => {
                self.refuse(entry, &[error]);
                None
            }
        }
    }

    /// Names with their weights; the patterns among them are kept apart.
    fn keys(&mut self, name: &str, parameter: &Parameter, entry: &Entry) -> Option<Argument> {
        let listed = self.listed(entry)?;
        let (patterns, names): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|listed| listed.glob.is_some());
        let mut names: Vec<_> =
            names.into_iter().map(|listed| (listed.name, listed.weight)).collect();
        let written = names.iter().map(|(name, _)| (entry.spelled.clone(), name.clone()));
        self.written.extend(written);
        if parameter.word_only {
            names.iter_mut().for_each(|(name, _)| *name = words_of(name));
            if names.iter().any(|(name, _)| name.as_bytes().is_empty()) {
                let what =
                    "has a name without any letter, digit or `_`; the framework drops the rest";
                self.problems.add(&entry.spelled, what);
                return None;
            }
        }
        let given = names.iter().map(|(name, _)| name);
        let all = given.chain(patterns.iter().map(|listed| &listed.name)).cloned();
        self.count_once(&all.collect::<Vec<_>>(), entry);
        for Listed { glob, weight, .. } in patterns {
            self.pattern(name, parameter, glob?, weight, entry);
        }
        Some(Argument::Names(names))
    }

    /// Spaces around a name are no part of it, except to KEDA's own triggers.
    fn as_meant<'v>(&self, value: &'v str) -> &'v str {
        if self.fields.literal { value } else { value.trim_matches(' ') }
    }

    fn listed(&mut self, entry: &Entry) -> Option<Vec<Listed>> {
        let listed = if self.fields.literal {
            let whole = names::parse_literal(&entry.value).map_err(|error| vec![error]);
            whole.map(|name| vec![Listed { name, glob: None, weight: Weight::ONE }])
        } else {
            names::parse_list(&entry.value)
        };
        match listed {
            Ok(listed) => Some(listed),
            Err(errors) => {
                self.refuse(entry, &errors);
                None
            }
        }
    }

    fn refuse(&mut self, entry: &Entry, errors: &[NameError]) {
        for error in errors {
            let hint = match error {
                NameError::Control(name) => self.of_layout(name),
                NameError::Empty
                | NameError::Long(_)
                | NameError::Weight(_)
                | NameError::Glob(..)
                | NameError::Twice(_) => None,
            };
            let hint = hint.unwrap_or_default();
            self.problems.add(&entry.spelled, format!("{error}{hint}"));
        }
    }

    /// Bytes that separate the parts of a framework's keys are written by its layout alone.
    fn of_layout(&self, name: &str) -> Option<String> {
        let (layout, queue) = self.registry.layouts_with_key(name.as_bytes()).into_iter().next()?;
        let queue = shown(&queue.to_string());
        Some(format!(
            "; it is a key of the layout `{layout}`, which makes it itself: write `layout: {layout}` \
             and `queue: {queue}`"
        ))
    }

    /// A pattern in the place of a name. Where only some characters of a name are kept, a pattern with
    /// others would match nothing.
    fn pattern(
        &mut self,
        name: &str,
        parameter: &Parameter,
        glob: Glob,
        weight: Weight,
        entry: &Entry,
    ) {
        let given = Name::new(glob.given().collect::<Vec<u8>>());
        if parameter.word_only && words_of(&given) != given {
            let pattern = shown(&glob.to_string());
            let what = format!(
                "`{pattern}` may contain only letters, digits and `_`; the framework drops the rest"
            );
            self.problems.add(&entry.spelled, what);
        }
        self.arguments.add_pattern(Pattern { parameter: name.to_owned(), glob, weight });
    }

    fn count_once(&mut self, names: &[Name], entry: &Entry) {
        for name in names {
            if let Some(first) = self.named.insert(name.clone(), entry.spelled.clone()) {
                let name = shown(&name.to_string());
                let what = format!("names `{name}`, which `{first}` names too and counts already");
                self.problems.add(&entry.spelled, what);
            }
        }
    }
}

/// What a name looks like that is no queue's: a key of its layout, which makes its keys itself, or among
/// plain keys that of a framework, whose layout counts more than this key.
fn hint(
    registry: &Registry,
    layout: &Layout,
    arguments: &Arguments,
    key: &str,
    name: &Name,
) -> Option<Problem> {
    let written = shown(&name.to_string());
    let what = if layout.name() == DEFAULT_LAYOUT {
        let layouts = registry.layouts_with_key(name.as_bytes());
        let (first, queue) = layouts.first()?;
        let all: Vec<String> = layouts.iter().map(|(layout, _)| format!("`{layout}`")).collect();
        let queue = shown(&queue.to_string());
        format!(
            "`{written}` looks like a key of the layout {}: `layout: {first}` with `queue: {queue}` \
             counts all states of that queue",
            all.join(" or ")
        )
    } else {
        let queue = shown(&layout.queue_within(name.as_bytes(), arguments)?.to_string());
        let layout = layout.name();
        format!(
            "`{written}` is written as a key of the layout `{layout}`, which makes its keys itself of \
             the queue's own name: write `{queue}` if that is it"
        )
    };
    Some(Problem { key: shown(key), what })
}

/// The letters, digits and `_` of a name.
fn words_of(name: &Name) -> Name {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    Name::new(name.as_bytes().iter().copied().filter(is_word).collect::<Vec<u8>>())
}
