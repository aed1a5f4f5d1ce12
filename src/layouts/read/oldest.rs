//! When the job became ready that has waited longest, by a time that its framework or its sender wrote down.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    super::{
        bytes::{boxed, bytes_of_texts, list},
        count::Count,
        name::Name,
    },
    contract::{AnswerKind, CountedRead, KeyRole, ReadKind},
    doubt::{Bias, Doubt},
    group::MissingGroup,
    kind::Kind,
    member_key::MemberKey,
    mismatch::LayoutMismatch,
    scores::Unit,
};

/// When the oldest ready job of a key became ready.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Oldest {
    /// The key whose jobs wait.
    pub key: Name,
    /// Where in it the oldest one is, and where that says when it became ready.
    pub of: JobsOf,
}

/// How jobs stand in a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobsOf {
    /// In a list, or in a sorted set whose scores are no times.
    List(Arc<ListedJobs>),
    /// In a sorted set, whose scores are the times.
    Scores(ScoredJobs),
    /// In a stream, as what a consumer group has not been given; their ids are times.
    Group(GroupJobs),
}

/// Jobs in a list, or in a sorted set whose scores are no times.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListedJobs {
    /// The end at which workers take.
    pub taken: End,
    /// Another end at which an old job may come to stand.
    pub other_end: Option<End>,
    /// What is looked at for an element of the list.
    pub job: JobPlace,
    /// Where that says when it became ready.
    pub stamps: Stamps,
    /// What to do where no job says it, as a sentence.
    pub remedy: Box<str>,
}

/// Jobs in a sorted set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScoredJobs {
    /// What the scores are written in.
    pub unit: Unit,
    /// The key that exists while a member runs and waits no more.
    pub unless: Option<MemberKey>,
}

/// Jobs in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupJobs {
    /// The consumer group.
    pub group: Name,
    /// What a stream without it means.
    pub missing: MissingGroup,
}

/// Where workers take from a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// The end of a list of LPOP.
    Left,
    /// The end of a list of RPOP.
    Right,
    /// The lowest score of a sorted set, which is a priority.
    Lowest,
}

/// Where a job says when it became ready.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stamps {
    /// The times in it, of which at least one has to be there. The latest counts.
    pub times: Box<[TimeOf]>,
    /// Times before which it is not ready, if it has any.
    pub not_before: Box<[TimeOf]>,
}

/// What is looked at for an element of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobPlace {
    /// The element itself.
    Element,
    /// A hash of its own.
    Hash(MemberKey),
    /// A field, named by it, of one hash for all.
    FieldOf(Name),
}

/// A time, or a time and how much later.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeOf {
    /// The time.
    pub at: Place,
    /// A duration in the unit of the time, which counts if it is there.
    pub plus: Option<Place>,
}

/// A place in a job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A number or a text.
    Text {
        /// The field of its hash; empty where it is no hash.
        field: String,
        /// The JSON pointer (RFC 6901) in that; empty for all of it.
        pointer: String,
    },
    /// Its first eight bytes, the highest first: microseconds since the Unix epoch.
    LeadingMicroseconds,
}

impl Place {
    /// The field of its hash; empty where it is no hash.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Text { field, .. } => field,
            Self::LeadingMicroseconds => "",
        }
    }

    /// The JSON pointer in that, if not all of it is meant.
    #[must_use]
    pub fn pointer(&self) -> Option<&str> {
        match self {
            Self::Text { pointer, .. } => Some(pointer.as_str()).filter(|text| !text.is_empty()),
            Self::LeadingMicroseconds => None,
        }
    }
}

impl From<&str> for Place {
    /// What is before the first slash is the field, and the rest the pointer.
    fn from(text: &str) -> Self {
        let (field, pointer) = text.split_at(text.find('/').unwrap_or(text.len()));
        Self::Text { field: field.to_owned(), pointer: pointer.to_owned() }
    }
}

/// When the oldest job of a key became ready, and how much was read for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldestAnswer {
    /// When.
    pub ready: ReadyAt,
    /// Bytes of the jobs that were looked at.
    pub bytes: u64,
}

/// When the oldest job became ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyAt {
    /// At this time since the Unix epoch, which may be still to come.
    Time(Duration),
    /// There are members, and none of them waits.
    NoneWaits,
    /// There are jobs, and none of those that were looked at says it.
    Unsaid,
    /// None of those that were looked at is ready, and there are others behind them.
    Unseen,
    /// The stream has no such group yet, and the trigger says that nothing of it waits then.
    NoGroupYet,
    /// The stream has no such group, and the trigger says not to guess.
    NoGroup(Name),
}

impl ReadKind for Arc<Oldest> {
    fn key(&self) -> &Name {
        &self.key
    }

    fn keys(&self) -> Vec<&Name> {
        let hash = match &self.of {
            JobsOf::List(jobs) => match &jobs.job {
                JobPlace::FieldOf(hash) => Some(hash),
                JobPlace::Element | JobPlace::Hash(_) => None,
            },
            JobsOf::Scores(_) | JobsOf::Group(_) => None,
        };
        [&self.key].into_iter().chain(hash).collect()
    }

    fn member_key(&self) -> Option<&MemberKey> {
        match &self.of {
            JobsOf::List(jobs) => match &jobs.job {
                JobPlace::Hash(key) => Some(key),
                JobPlace::Element | JobPlace::FieldOf(_) => None,
            },
            JobsOf::Scores(ScoredJobs { unless, .. }) => unless.as_ref(),
            JobsOf::Group(_) => None,
        }
    }

    /// How long ago it was does, by Redis's clock.
    fn depends_on_time(&self) -> bool {
        true
    }

    /// What it says of jobs is no number of them.
    fn role(&self) -> KeyRole {
        KeyRole::Sign
    }

    fn expected(&self) -> &'static str {
        match self.of {
            JobsOf::List(ref jobs) => match jobs.taken {
                End::Left | End::Right => Kind::List.described(),
                End::Lowest => Kind::SortedSet.described(),
            },
            JobsOf::Scores(_) => Kind::SortedSet.described(),
            JobsOf::Group(_) => Kind::Stream.described(),
        }
    }

    fn footprint(&self) -> usize {
        boxed(self.as_ref(), |oldest| bytes_of_texts([&oldest.key]) + oldest.of.footprint())
    }
}

impl JobsOf {
    /// What to do where no job says when it became ready.
    fn remedy(&self) -> &str {
        match self {
            Self::List(jobs) => &jobs.remedy,
            Self::Scores(_) => {
                "its scores have to be times since the Unix epoch, and the first thousand may not all run"
            }
            Self::Group(_) => "let Redis make the ids of its entries (XADD with *)",
        }
    }

    fn footprint(&self) -> usize {
        match self {
            Self::List(jobs) => boxed(jobs.as_ref(), ListedJobs::footprint),
            Self::Scores(ScoredJobs { unit: _, unless }) => {
                unless.as_ref().map_or(0, MemberKey::footprint)
            }
            Self::Group(GroupJobs { group, missing: _ }) => bytes_of_texts([group]),
        }
    }
}

impl ListedJobs {
    fn footprint(&self) -> usize {
        let Self { taken: _, other_end: _, job, stamps: Stamps { times, not_before }, remedy } =
            self;
        let job = match job {
            JobPlace::Element => 0,
            JobPlace::Hash(key) => key.footprint(),
            JobPlace::FieldOf(hash) => bytes_of_texts([hash]),
        };
        let of_place =
            |place: &Place| bytes_of_texts([place.field(), place.pointer().unwrap_or_default()]);
        let of_time =
            |TimeOf { at, plus }: &TimeOf| of_place(at) + plus.as_ref().map_or(0, of_place);
        let remedy = bytes_of_texts([remedy.as_bytes()]);
        job + list(times, of_time) + list(not_before, of_time) + remedy
    }
}

/// A time is counted as its seconds since the Unix epoch.
impl CountedRead for Arc<Oldest> {
    type Part = ();
    type Answer = OldestAnswer;

    fn count(&self, (): (), answer: &OldestAnswer) -> Result<Count, LayoutMismatch> {
        match answer.ready {
            ReadyAt::Time(at) => Ok(Count::of_time(at)),
            ReadyAt::NoneWaits | ReadyAt::NoGroupYet => Ok(Count::ZERO),
            ReadyAt::Unsaid => {
                let (key, remedy) = (self.key.clone(), self.of.remedy().into());
                Err(LayoutMismatch::NoStamp { key, remedy })
            }
            ReadyAt::Unseen => Err(LayoutMismatch::NoneReady { key: self.key.clone() }),
            ReadyAt::NoGroup(ref group) => {
                let (key, group) = (self.key.clone(), group.clone());
                Err(LayoutMismatch::MissingGroup { key, group })
            }
        }
    }

    fn doubts(&self, (): (), _: &OldestAnswer) -> Vec<(Bias, Doubt)> {
        vec![]
    }
}

impl AnswerKind for OldestAnswer {
    fn counts_nothing(&self) -> bool {
        self.ready == ReadyAt::NoneWaits
    }

    fn shows_a_key(&self) -> bool {
        true
    }

    /// What a job says is not changed while it waits.
    fn changes_silently(&self) -> bool {
        false
    }

    fn is_exact(&self) -> bool {
        true
    }
}

impl fmt::Display for Oldest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oldest in `{}`", self.key)
    }
}
