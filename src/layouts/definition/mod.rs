//! A layout as it is written down, in TOML. The same format serves the built-in files and `[layouts.NAME]` of
//! the config. It knows the format's rules and nothing of any framework.

pub(in crate::layouts) mod flaw;
pub(in crate::layouts) mod form;
pub(in crate::layouts) mod gap;
pub(in crate::layouts) mod question;
pub(in crate::layouts) mod renamed;
pub(in crate::layouts) mod shape;
pub(in crate::layouts) mod template;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::IgnoredAny};

use self::{
    gap::Gap,
    question::{ParameterRole, Pause, Question, Use, When, is_met, uses_of_when},
    shape::Shape,
    template::Template,
};
use super::{
    measure::{Measure, Measures},
    parameter::{Arguments, Parameter},
    plan::Plan,
    read::kind::Kind,
};

/// Why a layout's definition cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// It is no TOML of this format.
    #[error("layout `{layout}`: {message}")]
    Format {
        /// The layout's name.
        layout: String,
        /// What the TOML parser said.
        message: String,
    },
    /// A template or condition names a parameter that the layout does not declare.
    #[error("layout `{layout}`: `{{{parameter}}}` is no parameter of it")]
    UnknownParameter {
        /// The layout's name.
        layout: String,
        /// The parameter.
        parameter: String,
    },
    /// A parameter cannot be what it is used as.
    #[error("layout `{layout}`: `{parameter}` is used as {wanted}, which it is not")]
    WrongKind {
        /// The layout's name.
        layout: String,
        /// The parameter.
        parameter: String,
        /// What it would have to be.
        wanted: String,
    },
    /// Something in it can mean nothing, or hides work without saying so.
    #[error("layout `{layout}`: {flaw}")]
    Senseless {
        /// The layout's name.
        layout: String,
        /// What, in words.
        flaw: String,
    },
    /// It counts nothing.
    #[error(
        "layout `{layout}`: it has none of [[waiting]], [[scheduled]], [[in_flight]], [[oldest]], [[gauge]] and [[arrived]]"
    )]
    Empty {
        /// The layout's name.
        layout: String,
    },
}

/// The format of a layout file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::layouts) struct Definition {
    pub(in crate::layouts) doc: String,
    /// At least one of these parameters must be given.
    #[serde(default)]
    pub(in crate::layouts) needs: Vec<String>,
    #[serde(default)]
    pub(in crate::layouts) params: BTreeMap<String, Parameter>,
    /// What must be given beside what.
    #[serde(default)]
    requires: Vec<Requirement>,
    /// How long a job may be in no key while it moves from one to another.
    #[serde(default)]
    pub(in crate::layouts) gap: Vec<Gap>,
    /// What `[[gap]]` was called once, so that who still writes it is told.
    #[serde(default, deserialize_with = "is_there")]
    pub(in crate::layouts) blind_window: bool,
    /// Work that leaves no trace in Redis, and what to do about it.
    #[serde(default)]
    pub(in crate::layouts) invisible: Vec<Invisible>,
    /// While one of these is so, what waits or is due does not count.
    #[serde(default)]
    pub(in crate::layouts) paused: Vec<Pause>,
    #[serde(default)]
    pub(in crate::layouts) scheduled: Vec<Question>,
    #[serde(default)]
    pub(in crate::layouts) waiting: Vec<Question>,
    #[serde(default)]
    pub(in crate::layouts) in_flight: Vec<Question>,
    #[serde(default)]
    pub(in crate::layouts) orphaned: Vec<Question>,
    #[serde(default)]
    pub(in crate::layouts) oldest: Vec<Question>,
    #[serde(default)]
    pub(in crate::layouts) busy: Vec<Question>,
    #[serde(default)]
    pub(in crate::layouts) running: Vec<Question>,
    #[serde(default)]
    pub(in crate::layouts) gauge: Vec<Question>,
    #[serde(default)]
    pub(in crate::layouts) arrived: Vec<Question>,
    #[serde(default)]
    pub(in crate::layouts) finished: Vec<Question>,
    /// What it cannot tell, by measure, and why.
    #[serde(default)]
    pub(in crate::layouts) absent: BTreeMap<String, String>,
    /// The keys by which the queues of a pattern are found, where not every key of a queue has to be
    /// looked for.
    #[serde(default)]
    found_by: Vec<FoundBy>,
    /// Keys that look like those of a queue and are none.
    #[serde(default)]
    look_alikes: Vec<Template>,
}

/// A parameter that must be given when others have these values, or when another one is given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    parameter: String,
    #[serde(default)]
    when: When,
    with: Option<String>,
}

/// A key that shows that a queue is there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct FoundBy {
    key: Template,
    /// How many parts follow it, each after a colon, that may be anything.
    #[serde(default)]
    parts_after: usize,
    /// The type without which it is no such key.
    r#type: Option<Kind>,
    #[serde(default)]
    when: When,
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Work that is in no key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::layouts) struct Invisible {
    pub(in crate::layouts) doc: String,
    #[serde(default)]
    pub(in crate::layouts) when: When,
    /// The parameter that makes it visible when it is given.
    unless: Option<String>,
}

impl Definition {
    /// The same with what its questions also tell in the places of their measures.
    pub(in crate::layouts) fn spread(mut self) -> Self {
        let also: Vec<_> = self.questions().flat_map(Question::also).collect();
        for (measure, question) in also {
            self.questions_of(measure).push(question);
        }
        self
    }

    fn questions_of(&mut self, measure: Measure) -> &mut Vec<Question> {
        match measure {
            Measure::Due => &mut self.scheduled,
            Measure::Waiting => &mut self.waiting,
            Measure::InFlight => &mut self.in_flight,
            Measure::Orphaned => &mut self.orphaned,
            Measure::Oldest => &mut self.oldest,
            Measure::Busy => &mut self.busy,
            Measure::Running => &mut self.running,
            Measure::Gauge => &mut self.gauge,
            Measure::Arrived => &mut self.arrived,
            Measure::Finished => &mut self.finished,
        }
    }

    /// What a measure is counted by.
    pub(in crate::layouts) fn of_measure(&self, measure: Measure) -> &[Question] {
        match measure {
            Measure::Due => &self.scheduled,
            Measure::Waiting => &self.waiting,
            Measure::InFlight => &self.in_flight,
            Measure::Orphaned => &self.orphaned,
            Measure::Oldest => &self.oldest,
            Measure::Busy => &self.busy,
            Measure::Running => &self.running,
            Measure::Gauge => &self.gauge,
            Measure::Arrived => &self.arrived,
            Measure::Finished => &self.finished,
        }
    }

    /// All that it asks, in the order of the measures.
    pub(in crate::layouts) fn questions(&self) -> impl Iterator<Item = &Question> {
        Measure::ALL.into_iter().flat_map(|measure| self.of_measure(measure))
    }

    /// All that it asks for these arguments.
    fn questions_for(&self, arguments: &Arguments) -> impl Iterator<Item = &Question> {
        let wanted = Measure::ALL.into_iter().filter(|measure| arguments.wants(*measure));
        wanted.flat_map(|measure| self.of_measure(measure))
    }

    /// The same except for orphans, ages, workers and what they do, which add no job.
    pub(in crate::layouts) fn counted(&self) -> impl Iterator<Item = &Question> {
        let adds = |measure: &Measure| match measure {
            Measure::Due
            | Measure::Waiting
            | Measure::InFlight
            | Measure::Gauge
            | Measure::Arrived => true,
            Measure::Orphaned
            | Measure::Oldest
            | Measure::Busy
            | Measure::Running
            | Measure::Finished => false,
        };
        let counted = Measure::ALL.into_iter().filter(adds);
        counted.flat_map(|measure| self.of_measure(measure))
    }

    /// Every parameter that a template or a condition names, and as what.
    pub(in crate::layouts) fn uses(&self) -> Vec<Use> {
        let questions = self.questions().flat_map(Question::uses);
        questions.chain(self.uses_beside()).collect()
    }

    /// Those that are named beside all questions.
    pub(in crate::layouts) fn uses_beside(&self) -> Vec<Use> {
        let pauses = self.paused.iter().flat_map(Pause::uses);
        let whens = self.invisible.iter().flat_map(|invisible| uses_of_when(&invisible.when));
        let unless = self.invisible.iter().filter_map(|invisible| invisible.unless.clone());
        let unless = unless.map(|parameter| Use { parameter, as_a: ParameterRole::Any });
        let requires = self.requires.iter().flat_map(|requirement| {
            let named = requirement.with.iter().chain([&requirement.parameter]).cloned();
            let named = named.map(|parameter| Use { parameter, as_a: ParameterRole::Any });
            uses_of_when(&requirement.when).into_iter().chain(named)
        });
        let found_by = self.found_by.iter().flat_map(|found| {
            let names = found.key.parameters().map(Use::text);
            names.chain(uses_of_when(&found.when)).collect::<Vec<_>>()
        });
        let look_alikes = self.look_alikes.iter().flat_map(Template::parameters).map(Use::text);
        let searched = found_by.chain(look_alikes);
        let gaps = self.gap.iter().flat_map(Gap::uses);
        gaps.chain(pauses).chain(whens).chain(unless).chain(requires).chain(searched).collect()
    }

    /// The plan for these arguments.
    pub(in crate::layouts) fn plan(&self, arguments: &Arguments) -> Plan {
        let keys = if arguments.patterns().is_empty() { vec![] } else { self.keys(arguments) };
        Plan::new(Measures::from_fn(|measure| {
            if !arguments.wants(measure) {
                return Box::default();
            }
            let pauses = match measure {
                Measure::Due | Measure::Waiting | Measure::Oldest => self.paused.as_slice(),
                Measure::InFlight
                | Measure::Orphaned
                | Measure::Busy
                | Measure::Running
                | Measure::Gauge
                | Measure::Arrived
                | Measure::Finished => &[],
            };
            let summands = |question: &Question| question.summands(pauses, &keys, arguments);
            self.of_measure(measure).iter().flat_map(summands).collect()
        }))
    }

    /// The first parameter that is missing beside what is given, and beside what.
    pub(in crate::layouts) fn missing(&self, arguments: &Arguments) -> Option<(&str, String)> {
        let holds = |requirement: &&Requirement| {
            let with = requirement.with.as_deref();
            is_met(&requirement.when, arguments)
                && with.is_none_or(|name| arguments.is_given(name))
                && !arguments.is_given(&requirement.parameter)
        };
        let requirement = self.requires.iter().find(holds)?;
        let words = requirement.when.iter().map(|(name, word)| format!("{name}={word}"));
        let beside: Vec<String> = words.chain(requirement.with.clone()).collect();
        Some((&requirement.parameter, beside.join(" and ")))
    }

    /// How long a job may be in no key, or not yet told of, while it moves.
    pub(in crate::layouts) fn gap(&self, arguments: &Arguments) -> Duration {
        let own = self.gap.iter().filter_map(|gap| gap.lasts(arguments));
        let told_late = self.counted().filter_map(|question| question.gap(arguments));
        own.chain(told_late).max().unwrap_or_default()
    }

    /// The keys that it reads under names of their own with these arguments.
    fn keys(&self, arguments: &Arguments) -> Vec<&Template> {
        self.questions_for(arguments).flat_map(|question| question.keys(arguments)).collect()
    }

    /// The keys that it may read under names of their own, whatever the arguments.
    pub(in crate::layouts) fn every_key(&self) -> impl Iterator<Item = &Template> {
        let questions = self.questions().flat_map(Question::every_key);
        questions.chain(self.found_by.iter().map(|found| &found.key))
    }

    /// Those of what waits.
    pub(in crate::layouts) fn waiting_keys(&self) -> impl Iterator<Item = &Template> {
        self.waiting.iter().flat_map(Question::every_key)
    }

    /// Two parameters that both have a pattern and meet in one read, in its key or in what it asks of
    /// each member: what is found for one of them does not say which keys there are for the other, and
    /// no key of both is held against what may be read.
    pub(in crate::layouts) fn meeting_patterns(&self, arguments: &Arguments) -> Option<[&str; 2]> {
        let is_pattern =
            |name: &&str| arguments.patterns().iter().any(|pattern| pattern.parameter == **name);
        let mut bound =
            self.questions_for(arguments).flat_map(|question| question.bound(arguments));
        bound.find_map(|bound| {
            let mut patterns = bound.into_iter().filter(is_pattern);
            let first = patterns.next()?;
            patterns.find(|name| *name != first).map(|second| [first, second])
        })
    }

    /// The parameters without a pattern of which each value makes another key to look for.
    pub(in crate::layouts) fn multiplying(&self, arguments: &Arguments) -> BTreeSet<&str> {
        let has_pattern =
            |name: &str| arguments.patterns().iter().any(|pattern| pattern.parameter == name);
        let templates = self.found_by.iter().map(|found| &found.key).chain(self.keys(arguments));
        let names = templates.flat_map(Template::parameters);
        names.filter(|name| !has_pattern(name) && arguments.values(name).len() > 1).collect()
    }

    /// The forms of the keys that a queue of a pattern may have, and of those that only look so.
    /// Every key of a queue is looked for, unless the layout says by which it is found.
    pub(in crate::layouts) fn shapes(&self, arguments: &Arguments) -> Vec<Shape> {
        let mut shapes: Vec<Shape> = vec![];
        let mut parameters: Vec<&str> =
            arguments.patterns().iter().map(|pattern| pattern.parameter.as_str()).collect();
        parameters.sort_unstable();
        parameters.dedup();
        for parameter in parameters {
            let shapes_of = |template: &Template, of: Shape| {
                let arounds = template.around(parameter, arguments).into_iter();
                arounds.map(|around| Shape { around, ..of.clone() }).collect::<Vec<_>>()
            };
            let found_by: Vec<Shape> = (self.found_by.iter())
                .filter(|found| is_met(&found.when, arguments))
                .flat_map(|found| {
                    let FoundBy { parts_after, r#type: kind, .. } = *found;
                    let of = Shape { kind, parts_after, is_searched: true, ..Shape::of(parameter) };
                    shapes_of(&found.key, of)
                })
                .collect();
            let of_key = Shape { is_searched: found_by.is_empty(), ..Shape::of(parameter) };
            let keys = self.keys(arguments);
            let keys = keys.into_iter().flat_map(|key| shapes_of(key, of_key.clone()));
            let other = Shape { is_queue: false, ..Shape::of(parameter) };
            let others = self.look_alikes.iter().flat_map(|key| shapes_of(key, other.clone()));
            shapes.extend(found_by.into_iter().chain(keys).chain(others));
        }
        shapes
    }

    /// The part of this trigger's work that leaves no trace in Redis.
    pub(in crate::layouts) fn invisible(&self, arguments: &Arguments) -> Option<String> {
        let holds = |invisible: &&Invisible| {
            let is_given = |name: &String| {
                !arguments.values(name).is_empty() || arguments.duration(name).is_some()
            };
            is_met(&invisible.when, arguments) && !invisible.unless.as_ref().is_some_and(is_given)
        };
        let docs: Vec<&str> =
            self.invisible.iter().filter(holds).map(|invisible| invisible.doc.as_str()).collect();
        (!docs.is_empty()).then(|| docs.join(" "))
    }
}
