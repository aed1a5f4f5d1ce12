//! Heartbeats that workers publish on channels: how many jobs each of them has begun.
//!
//! No key holds this: what was not heard is unknown, and a heartbeat is true only for a while.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    super::{
        bytes::{boxed, bytes_of_texts, list, of_names, of_strings},
        count::Count,
        glob::Glob,
        name::Name,
    },
    contract::{AnswerKind, CountedRead, KeyRole, ReadKind},
    doubt::{Bias, Doubt},
    member_key::MemberKey,
    mismatch::LayoutMismatch,
};

/// How many jobs the workers of one pool, or of some queues, say that they have begun.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Heartbeats {
    /// The channels, and the form of their messages.
    pub format: Arc<HeartbeatFormat>,
    /// Whose jobs count.
    pub workers: WorkerFilter,
}

/// What workers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatsAnswer {
    /// How many jobs they have begun.
    pub jobs: u64,
    /// How many workers run something.
    pub busy: u64,
    /// How many jobs they ended since each was heard first.
    pub finished: u64,
    /// How many workers do not name their queues, where those are what counts: theirs are not in it.
    pub nameless: u64,
    /// How many workers are silent and are taken to run something: that is in it.
    pub silent: u64,
}

/// What of what workers say counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeartbeatsPart {
    /// The jobs that they have begun.
    Jobs,
    /// The workers that run something.
    Busy,
    /// The jobs that they ended, as far as they were heard. It falls when a worker goes.
    Finished,
}

/// Which workers count.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkerFilter {
    /// Those whose name matches this pattern.
    Pool(Glob),
    /// Those that say that they serve one of these queues.
    Queues(Box<[Name]>),
}

impl WorkerFilter {
    /// Whether a worker of this name that serves these queues counts; `None` if that cannot be said,
    /// since it does not name its queues.
    #[must_use]
    pub fn includes(&self, worker: &str, serves: Option<&[String]>) -> Option<bool> {
        match self {
            Self::Pool(pattern) => Some(pattern.matches(worker.as_bytes())),
            Self::Queues(queues) => {
                let is_served = |queue: &String| {
                    queues.iter().any(|wanted| wanted.as_bytes() == queue.as_bytes())
                };
                Some(serves?.iter().any(is_served))
            }
        }
    }
}

/// Channels on which workers publish heartbeats, and the form of these messages.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeartbeatFormat {
    /// The name under which its changes are reported: that of its first channel.
    pub key: Name,
    /// Where a worker says that it lives and what it does.
    pub alive: Box<[Channel]>,
    /// Where it says that it ends.
    pub gone: Box<[Channel]>,
    /// The JSON pointer to a text in base64 that is the message proper; without it the message is
    /// what was published.
    pub body: Option<String>,
    /// The JSON pointer to the worker's name.
    pub worker: String,
    /// The JSON pointer to how many jobs it has begun and not ended.
    pub jobs: String,
    /// The JSON pointer to how many jobs it has begun at all, if it says so.
    pub begun: Option<String>,
    /// The JSON pointer to the seconds until it speaks again.
    pub every: String,
    /// The JSON pointers to the list of queues that it serves: the first that is there.
    pub queues: Box<[String]>,
    /// How often workers are expected to speak.
    pub interval: Duration,
    /// What it means when a worker falls silent without a farewell; without it, that the worker is gone.
    pub silence: Option<Silence>,
}

/// Workers that may say nothing while they run a job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Silence {
    /// For how long one is taken to run something.
    pub at_most: Duration,
    /// The JSON pointers to how many jobs it runs at once: the first that is there. Without one it runs one.
    pub slots: Box<[String]>,
    /// Where workers are listed that have not ended in their own way, also those that were not heard yet.
    pub roll: Option<Roll>,
}

/// A set whose members name workers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Roll {
    /// The set.
    pub collection: Name,
    /// What stands around the name of a worker in a member.
    pub around: MemberKey,
}

impl Roll {
    /// The worker that a member names, if it is of the form.
    #[must_use]
    pub fn worker(&self, member: &[u8]) -> Option<String> {
        let MemberKey { before, after } = &self.around;
        let name = member.strip_prefix(before.as_bytes())?.strip_suffix(after.as_bytes())?;
        let name = std::str::from_utf8(name).ok()?;
        (!name.is_empty()).then(|| name.to_owned())
    }
}

/// The name of a channel: these pieces, with the number of the database between them. Pub/Sub knows
/// no databases, so that frameworks put the number into the name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel(pub Box<[Name]>);

impl Channel {
    /// The name on this database.
    #[must_use]
    pub fn on(&self, database: u32) -> Name {
        let number = database.to_string();
        let pieces: Vec<&[u8]> = self.0.iter().map(Name::as_bytes).collect();
        Name::new(pieces.join(number.as_bytes()))
    }
}

impl HeartbeatFormat {
    /// The set that is read beside its channels.
    #[must_use]
    pub fn roll(&self) -> Option<&Roll> {
        self.silence.as_ref()?.roll.as_ref()
    }

    /// The names of all its channels on this database.
    pub fn channels(&self, database: u32) -> impl Iterator<Item = Name> {
        self.alive.iter().chain(&self.gone).map(move |channel| channel.on(database))
    }
}

impl ReadKind for Heartbeats {
    fn key(&self) -> &Name {
        &self.format.key
    }

    fn keys(&self) -> Vec<&Name> {
        self.format.roll().map(|roll| &roll.collection).into_iter().collect()
    }

    fn channels(&self, database: u32) -> Vec<Name> {
        self.format.channels(database).collect()
    }

    fn depends_on_time(&self) -> bool {
        false
    }

    fn role(&self) -> KeyRole {
        KeyRole::Shared
    }

    fn expected(&self) -> &'static str {
        "what workers say"
    }

    fn footprint(&self) -> usize {
        let workers = match &self.workers {
            WorkerFilter::Pool(glob) => bytes_of_texts([glob.text()]),
            WorkerFilter::Queues(queues) => of_names(queues),
        };
        boxed(self.format.as_ref(), HeartbeatFormat::footprint) + workers
    }
}

impl HeartbeatFormat {
    fn footprint(&self) -> usize {
        let Self {
            key,
            alive,
            gone,
            body,
            worker,
            jobs,
            begun,
            every,
            queues,
            interval: _,
            silence,
        } = self;
        let of_channel = |Channel(pieces): &Channel| of_names(pieces);
        let channels = bytes_of_texts([key]) + list(alive, of_channel) + list(gone, of_channel);
        let pointers = bytes_of_texts([worker, jobs, every].into_iter().chain(body).chain(begun))
            + of_strings(queues);
        let of_roll =
            |Roll { collection, around }: &Roll| bytes_of_texts([collection]) + around.footprint();
        let of_silence = |Silence { at_most: _, slots, roll }: &Silence| {
            of_strings(slots) + roll.as_ref().map_or(0, of_roll)
        };
        channels + pointers + silence.as_ref().map_or(0, of_silence)
    }
}

impl CountedRead for Heartbeats {
    type Part = HeartbeatsPart;
    type Answer = HeartbeatsAnswer;

    fn count(
        &self,
        part: HeartbeatsPart,
        answer: &HeartbeatsAnswer,
    ) -> Result<Count, LayoutMismatch> {
        Ok(Count::from(match part {
            HeartbeatsPart::Jobs => answer.jobs,
            HeartbeatsPart::Busy => answer.busy,
            HeartbeatsPart::Finished => answer.finished,
        }))
    }

    fn describe(&self, part: HeartbeatsPart) -> String {
        match part {
            HeartbeatsPart::Jobs => self.to_string(),
            HeartbeatsPart::Busy => format!("busy of {self}"),
            HeartbeatsPart::Finished => format!("finished of {self}"),
        }
    }

    fn doubts(&self, _: HeartbeatsPart, answer: &HeartbeatsAnswer) -> Vec<(Bias, Doubt)> {
        let HeartbeatsAnswer { nameless, silent, .. } = *answer;
        let key = || self.format.key.clone();
        let silent = (silent > 0).then(|| (Bias::High, Doubt::Silent(key(), silent)));
        let nameless = (nameless > 0).then(|| (Bias::Low, Doubt::Nameless(key(), nameless)));
        silent.into_iter().chain(nameless).collect()
    }
}

impl AnswerKind for HeartbeatsAnswer {
    fn counts_nothing(&self) -> bool {
        self.jobs == 0
    }

    fn shows_a_key(&self) -> bool {
        self.jobs > 0
    }

    fn changes_silently(&self) -> bool {
        false
    }

    fn is_exact(&self) -> bool {
        self.nameless == 0 && self.silent == 0
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, piece) in self.0.iter().enumerate() {
            let between = if place == 0 { "" } else { "{database}" };
            write!(f, "{between}{piece}")?;
        }
        Ok(())
    }
}

impl fmt::Display for WorkerFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(pattern) => write!(f, "the workers `{pattern}`"),
            Self::Queues(queues) => {
                let names: Vec<String> = queues.iter().map(|queue| format!("`{queue}`")).collect();
                write!(f, "the workers of {}", names.join(", "))
            }
        }
    }
}

impl fmt::Display for Heartbeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on `{}`", self.workers, self.format.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_has_the_number_of_the_database_in_its_place() {
        let channel = Channel(["app:/".into(), ".events".into()].into());
        assert_eq!(channel.on(12), "app:/12.events".into());
        assert_eq!(channel.to_string(), "app:/{database}.events");
        assert_eq!(Channel(["events".into()].into()).on(3), "events".into());
    }

    #[test]
    fn a_member_of_a_roll_names_a_worker_or_none() {
        let around = MemberKey { before: "\x06\x16".into(), after: ".pidbox".into() };
        let roll = Roll { collection: "roll".into(), around };
        let named = |member: &[u8]| roll.worker(member);
        assert_eq!(named(b"\x06\x16emails@a.pidbox"), Some("emails@a".to_owned()));
        for member in
            [&b"\x06\x16.pidbox"[..], b"emails@a.pidbox", b"\x06\x16a", b"\x06\x16\xff.pidbox"]
        {
            assert_eq!(named(member), None, "{}", member.escape_ascii());
        }
    }
}
