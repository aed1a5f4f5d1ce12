//! A question about heartbeats, as a definition writes it.
//!
//! It asks for all queues of a trigger at once, since the jobs of a worker that serves two of them count
//! once.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;

use crate::limits;

use crate::layouts::{
    expression::Expression,
    measure::Measure,
    name::Name,
    parameter::Arguments,
    plan::Summand,
    read::{
        Part, Read,
        heartbeats::{
            Channel, HeartbeatFormat, Heartbeats, HeartbeatsPart, Roll, Silence, WorkerFilter,
        },
        member_key::MemberKey,
    },
    weight::Weight,
};

use super::{
    super::template::{Binding, Template},
    contract::QuestionKind,
    per_member::MemberKeyTemplate,
    role::{ParameterRole, Use},
    when::{When, is_met},
};

/// How many jobs workers say that they have begun. `Q` is a question of any kind.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::layouts) struct HeartbeatsQuestion<Q> {
    /// What of them counts.
    #[serde(default)]
    count: CountWord,
    /// What else the same workers tell, each for the measure of its name.
    #[serde(default)]
    also: Vec<CountWord>,
    alive: Alive,
    #[serde(default)]
    gone: Vec<ChannelTemplate>,
    /// What stands for the number of the database where a parameter brings it into the name.
    database: Option<String>,
    /// The pointer to a text in base64 that is the message proper.
    base64: Option<String>,
    worker: String,
    jobs: String,
    /// The pointer to how many jobs a worker has begun since it started.
    begun: Option<String>,
    every: String,
    #[serde(default)]
    queues: Vec<String>,
    /// The parameter that has the queues.
    queue: String,
    /// The parameter that has a pattern of workers' names. With a value it says whose jobs count.
    pool: String,
    /// The duration parameter that says how often workers speak.
    interval: String,
    /// The duration parameter that says for how long a worker that falls silent is taken to run something.
    /// Without a value silent workers are gone.
    silence: Option<String>,
    /// Pointers to how many jobs such a worker runs at once.
    #[serde(default)]
    slots: Vec<String>,
    /// Where workers are listed that were not heard yet.
    roll: Option<RollQuestion>,
    #[serde(default)]
    when: When,
    /// What counts in its place if all of it together is more.
    #[serde(default = "Vec::new")]
    pub(super) or: Vec<Q>,
}

/// What of what workers say counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CountWord {
    #[default]
    Jobs,
    /// The same jobs, as how many run and not as how much they weigh.
    Running,
    Busy,
    Finished,
}

impl CountWord {
    fn part(self) -> HeartbeatsPart {
        match self {
            Self::Jobs | Self::Running => HeartbeatsPart::Jobs,
            Self::Busy => HeartbeatsPart::Busy,
            Self::Finished => HeartbeatsPart::Finished,
        }
    }

    /// What it is when it stands beside what counts.
    fn measure(self) -> Measure {
        match self {
            Self::Jobs | Self::Running => Measure::Running,
            Self::Busy => Measure::Busy,
            Self::Finished => Measure::Finished,
        }
    }
}

/// A set whose members name workers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RollQuestion {
    collection: Template,
    name: MemberKeyTemplate,
}

impl RollQuestion {
    fn templates(&self) -> [&Template; 3] {
        [&self.collection, &self.name.before, &self.name.after]
    }

    fn fill(&self, binding: &Binding<'_>) -> Option<Roll> {
        let [collection, before, after] = self.templates().map(|template| template.fill(binding));
        Some(Roll { collection: collection?, around: MemberKey { before: before?, after: after? } })
    }
}

/// At least one channel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<ChannelTemplate>")]
struct Alive(Vec<ChannelTemplate>);

impl TryFrom<Vec<ChannelTemplate>> for Alive {
    type Error = &'static str;

    fn try_from(channels: Vec<ChannelTemplate>) -> Result<Self, &'static str> {
        if channels.is_empty() { Err("`alive` names no channel") } else { Ok(Self(channels)) }
    }
}

/// The name of a channel, with or without `{database}` in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct ChannelTemplate(Vec<Template>);

impl TryFrom<String> for ChannelTemplate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parse =
            |piece: &str| piece.parse::<Template>().map_err(|error| format!("`{text}`: {error}"));
        text.split("{database}").map(parse).collect::<Result<_, _>>().map(Self)
    }
}

impl ChannelTemplate {
    fn fill(&self, binding: &Binding<'_>, database: Option<&str>) -> Option<Channel> {
        let mut pieces = vec![];
        for piece in &self.0 {
            let name = piece.fill(binding)?;
            match (std::str::from_utf8(name.as_bytes()), database) {
                (Ok(text), Some(word)) => pieces.extend(text.split(word).map(Name::from)),
                (Ok(_), None) | (Err(_), _) => pieces.push(name),
            }
        }
        Some(Channel(pieces.into()))
    }
}

impl<Q> QuestionKind for HeartbeatsQuestion<Q> {
    fn when(&self) -> &When {
        &self.when
    }

    fn key(&self) -> Option<&Template> {
        None
    }

    /// Those in the names of its channels and of the list of workers, each of which has one value.
    fn parameters(&self) -> Vec<&str> {
        let channels = self.alive.0.iter().chain(&self.gone);
        let of_roll = self.roll.iter().flat_map(RollQuestion::templates);
        let templates = channels.flat_map(|channel| &channel.0).chain(of_roll);
        templates.flat_map(Template::parameters).collect()
    }

    fn uses(&self) -> Vec<Use> {
        let named = |parameter: &str, as_a| Use { parameter: parameter.to_owned(), as_a };
        let own =
            self.parameters().into_iter().map(|parameter| named(parameter, ParameterRole::Single));
        let more = [
            named(&self.queue, ParameterRole::Text),
            named(&self.pool, ParameterRole::Pattern),
            named(&self.interval, ParameterRole::Duration),
        ];
        let silence = self.silence.iter().map(|silence| named(silence, ParameterRole::Duration));
        own.chain(more).chain(silence).collect()
    }

    fn flaw(&self) -> Option<&'static str> {
        let Self { base64, worker, jobs, begun, every, queues, slots, .. } = self;
        let pointers = [worker, jobs, every].into_iter().chain(base64).chain(begun).chain(queues);
        let tells_finished =
            self.also.iter().chain([&self.count]).any(|word| *word == CountWord::Finished);
        if pointers.chain(slots).any(|pointer| !pointer.starts_with('/')) {
            Some(
                "`base64`, `worker`, `jobs`, `begun`, `every`, `queues` and `slots` are pointers, as `/hostname`",
            )
        } else if self
            .also
            .iter()
            .enumerate()
            .any(|(place, word)| self.also[..place].contains(word))
        {
            Some("`also` has the same word twice")
        } else if tells_finished && begun.is_none() {
            Some("what is `finished` is told by `begun`, and it is not there")
        } else if self.database.as_ref().is_some_and(String::is_empty) {
            Some("`database` is empty; write what stands for its number in a parameter, as `{db}`")
        } else if self.silence.is_none() && (self.roll.is_some() || !slots.is_empty()) {
            Some("`slots` and `roll` say what `silence` means, and it is not there")
        } else {
            None
        }
    }
}

impl<Q: Clone> HeartbeatsQuestion<Q> {
    /// What it also tells, as questions of their own.
    pub(super) fn also(&self) -> impl Iterator<Item = (Measure, Self)> {
        self.also.iter().map(|word| {
            let alone = Self { count: *word, also: vec![], or: vec![], ..self.clone() };
            (word.measure(), alone)
        })
    }
}

impl<Q> HeartbeatsQuestion<Q> {
    /// For how long a job may be counted nowhere because its worker has not spoken since it took it:
    /// one message may be late, and one lost.
    pub(in crate::layouts) fn gap(&self, arguments: &Arguments) -> Option<Duration> {
        is_met(&self.when, arguments).then(|| 4 * self.interval(arguments))
    }

    fn interval(&self, arguments: &Arguments) -> Duration {
        arguments.duration(&self.interval).unwrap_or_default()
    }

    /// What of it cannot be told with these arguments, and why: a worker that is silent while it works says that
    /// nothing runs until it is late.
    pub(in crate::layouts) fn untold(&self, arguments: &Arguments) -> Option<String> {
        let silence = self.silence.as_ref().filter(|_| self.count == CountWord::Finished)?;
        let is_silent = arguments.duration(silence).is_some_and(|time| !time.is_zero());
        is_silent.then(|| {
            format!("cannot be told beside `{silence}`: workers that are silent while they work do not say what runs")
        })
    }

    /// What it asks for, or `others` if all of them together are more.
    pub(super) fn summand(
        &self,
        binding: &Binding<'_>,
        others: Box<[Summand]>,
        arguments: &Arguments,
    ) -> Option<Summand> {
        let word = self.database.as_deref();
        let fill = |channels: &[ChannelTemplate]| -> Option<Box<[Channel]>> {
            channels.iter().map(|channel| channel.fill(binding, word)).collect()
        };
        let alive = fill(&self.alive.0)?;
        let format = HeartbeatFormat {
            key: alive.first()?.to_string().as_str().into(),
            alive,
            gone: fill(&self.gone)?,
            body: self.base64.clone(),
            worker: self.worker.clone(),
            jobs: self.jobs.clone(),
            begun: self.begun.clone(),
            every: self.every.clone(),
            queues: self.queues.clone().into(),
            interval: self.interval(arguments),
            silence: match self.silence.as_ref().and_then(|name| arguments.duration(name)) {
                None | Some(Duration::ZERO) => None,
                Some(at_most) => Some(Silence {
                    at_most: at_most.min(limits::SILENCE_MAX),
                    slots: self.slots.clone().into(),
                    roll: match &self.roll {
                        Some(roll) => Some(roll.fill(binding)?),
                        None => None,
                    },
                }),
            },
        };
        let queues = arguments.values(&self.queue);
        let workers = match arguments.pattern(&self.pool) {
            Some(pattern) => WorkerFilter::Pool(pattern.clone()),
            None => {
                WorkerFilter::Queues(queues.iter().map(|(queue, _)| Name::new(*queue)).collect())
            }
        };
        // A heartbeat does not say which queue a job is of, so each counts as much as any may.
        let heaviest = queues.iter().map(|(_, weight)| *weight).max().unwrap_or(Weight::ONE);
        let weight = if self.count == CountWord::Jobs { heaviest } else { Weight::ONE };
        let read = Read::Heartbeats(Heartbeats { format: Arc::new(format), workers });
        let heard = Expression::Leaf((read, Part::Heartbeats(self.count.part()))).times(weight);
        // What workers say is read last, after what it may have moved from.
        Some(if others.is_empty() {
            heard
        } else {
            Expression::Max(Box::new([Expression::Sum(others), heard]))
        })
    }
}

#[cfg(test)]
mod tests;
