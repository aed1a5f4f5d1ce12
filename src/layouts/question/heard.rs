//! A question that no key answers, as a definition writes it: what workers say on channels.
//!
//! It is apart from the other questions because it has words of its own, and because it asks for all
//! queues of a trigger at once: a worker that serves two of them counts its jobs once.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;

use super::{
    super::{
        Arguments,
        expression::{Expression, Weight},
        heard::{Channel, Heard, Station, Whose},
        plan::Part,
        read::{Name, Read},
        template::{Binding, Template},
    },
    Question, Role, Summand, Use, When,
};

/// How many jobs workers say that they have begun.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::layouts) struct HeardQuestion {
    alive: Alive,
    #[serde(default)]
    gone: Vec<ChannelTemplate>,
    /// The pointer to a text in base64 that is the message proper.
    base64: Option<String>,
    worker: String,
    jobs: String,
    every: String,
    #[serde(default)]
    queues: Vec<String>,
    /// The parameter that has the queues.
    queue: String,
    /// The parameter that has a pattern of workers' names. With a value it says whose jobs count.
    pool: String,
    /// The duration parameter that says how often workers speak.
    interval: String,
    #[serde(default)]
    pub(super) when: When,
    /// What counts in its place if all of it together is more.
    #[serde(default)]
    or: Vec<Question>,
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
    fn fill(&self, binding: &Binding<'_>) -> Option<Channel> {
        self.0.iter().map(|piece| piece.fill(binding)).collect::<Option<Box<[Name]>>>().map(Channel)
    }
}

impl HeardQuestion {
    /// What of it can mean nothing, in words for who wrote it.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        let Self { base64, worker, jobs, every, queues, .. } = self;
        let mut pointers = [worker, jobs, every].into_iter().chain(base64).chain(queues);
        if pointers.any(|pointer| !pointer.starts_with('/')) {
            Some("`base64`, `worker`, `jobs`, `every` and `queues` are pointers, as `/hostname`")
        } else {
            self.or.iter().find_map(Question::flaw)
        }
    }

    /// The parameters in the names of its channels, each of which has one value.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        let channels = self.alive.0.iter().chain(&self.gone);
        channels.flat_map(|channel| &channel.0).flat_map(Template::parameters)
    }

    pub(super) fn uses(&self, uses: &mut Vec<Use>) {
        let named = |parameter: &str, as_a| Use { parameter: parameter.to_owned(), as_a };
        uses.extend(self.parameters().map(|parameter| named(parameter, Role::Single)));
        uses.push(named(&self.queue, Role::Text));
        uses.push(named(&self.pool, Role::Pattern));
        uses.push(named(&self.interval, Role::Duration));
        uses.extend(self.or.iter().flat_map(Question::uses));
    }

    /// For how long a job may be counted nowhere because its worker has not spoken since it took it:
    /// one message may be late, and one lost.
    pub(in crate::layouts) fn blind_window(&self, arguments: &Arguments) -> Option<Duration> {
        super::holds(&self.when, arguments).then(|| 4 * self.interval(arguments))
    }

    fn interval(&self, arguments: &Arguments) -> Duration {
        arguments.duration(&self.interval).unwrap_or_default()
    }

    pub(super) fn summand(&self, binding: &Binding<'_>, arguments: &Arguments) -> Option<Summand> {
        let fill = |channels: &[ChannelTemplate]| {
            channels.iter().map(|channel| channel.fill(binding)).collect::<Option<Box<[Channel]>>>()
        };
        let alive = fill(&self.alive.0)?;
        let station = Station {
            key: alive.first()?.to_string().as_str().into(),
            alive,
            gone: fill(&self.gone)?,
            body: self.base64.clone(),
            worker: self.worker.clone(),
            jobs: self.jobs.clone(),
            every: self.every.clone(),
            queues: self.queues.clone().into(),
            interval: self.interval(arguments),
        };
        let queues = arguments.values(&self.queue);
        let whose = match arguments.pattern(&self.pool) {
            Some(pattern) => Whose::Pool(pattern.clone()),
            None => Whose::Queues(queues.iter().map(|(queue, _)| Name::new(*queue)).collect()),
        };
        // Nobody says of which queue a job is, so each counts as much as any may.
        let weight = queues.iter().map(|(_, weight)| *weight).max().unwrap_or(Weight::ONE);
        let read = Read::Heard(Heard { station: Arc::new(station), whose });
        let heard = Expression::Leaf((read, Part::Heard)).times(weight);
        let others: Box<[Summand]> =
            self.or.iter().flat_map(|other| other.summands(&[], arguments)).collect();
        // What workers say is read last, after what it may have moved from.
        Some(if others.is_empty() {
            heard
        } else {
            Expression::Max(Box::new([Expression::Sum(others), heard]))
        })
    }
}
