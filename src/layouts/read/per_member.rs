//! Questions about each member of a collection: how many of the jobs that a process works on are of this
//! queue, which of the jobs that are taken still have a lock.
//!
//! They take several round trips, and a bound on how many members are looked at.

use std::{fmt, sync::Arc};

use serde::Deserialize;

use crate::limits;

use super::{
    super::{
        allowed::Allowed,
        bytes::{boxed, bytes_of_texts, list, of_names},
        count::Count,
        glob::Glob,
        name::Name,
    },
    contract::{AnswerKind, CountedRead, KeyRole, ReadKind},
    doubt::{Bias, Doubt},
    kind::Kind,
    member_key::MemberKey,
    mismatch::LayoutMismatch,
};

/// One question for each member of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PerMember {
    /// The collection.
    pub collection: Name,
    /// What it is.
    pub kind: CollectionType,
    /// What is asked of each member.
    pub ask: Ask,
    /// Which values count; all of them without one.
    pub filter: Option<Filter>,
}

impl PerMember {
    /// Whether both look at the same members in the same way and differ in the texts that count at
    /// most, so that what is fetched for one answers the other.
    #[must_use]
    pub fn looks_alike(&self, other: &Self) -> bool {
        let is_same_place = match (&self.filter, &other.filter) {
            (None, None) => true,
            (Some(one), Some(other)) => {
                (&one.pointer, &one.only_if) == (&other.pointer, &other.only_if)
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        is_same_place
            && (&self.collection, self.kind, &self.ask)
                == (&other.collection, other.kind, &other.ask)
    }

    /// How many members are looked at one by one: more where their values are remembered.
    #[must_use]
    pub fn most(&self) -> usize {
        match self.ask {
            Ask::Field => limits::FIELDS_EXAMINED,
            Ask::Exists(_) | Ask::Length(_) | Ask::Values(_) | Ask::Text(_) => {
                limits::MEMBERS_EXAMINED
            }
        }
    }
}

/// A collection whose members are looked at one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CollectionType {
    /// The members of a set.
    Set,
    /// The elements of a list, from its left end.
    List,
    /// The members of a sorted set, those of the lowest scores first.
    SortedSet,
    /// The fields of a hash.
    Hash,
}

impl CollectionType {
    /// The Redis type.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Set => Kind::Set,
            Self::List => Kind::List,
            Self::SortedSet => Kind::SortedSet,
            Self::Hash => Kind::Hash,
        }
    }
}

/// What the members count that are too many to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// One each: too many is safe.
    Count,
    /// Nothing, where they are counted elsewhere.
    Skip,
    /// Unknown.
    #[default]
    Unknown,
}

/// What the members of a collection have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerMemberAnswer {
    /// What counts, of those that were looked at.
    pub counted: u64,
    /// How many members were looked at.
    pub examined: u64,
    /// How many more members there are.
    pub overflow: u64,
    /// How many of what counts do not tell their queue, so that they count for every trigger.
    pub unsure: u64,
}

/// What is asked of each member.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ask {
    /// Whether a key of it exists.
    Exists(MemberKey),
    /// How long a list of it is.
    Length(MemberKey),
    /// The values of a hash of it.
    Values(MemberKey),
    /// The string of it.
    Text(MemberKey),
    /// The value of the field itself. It is looked at once: what stands in a field of such a hash
    /// never changes while it is there.
    Field,
}

/// Which JSON values count: those with this text in this place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Filter {
    /// A JSON pointer (RFC 6901), as `/queue` or `/2`.
    pub pointer: String,
    /// The text.
    pub is: Wanted,
    /// Where another text must be this one for the first to tell anything: pointer and text. A value
    /// where it is another counts, since it may belong.
    pub only_if: Option<(String, String)>,
}

impl Filter {
    /// Whether the text in its place is the wanted one.
    #[must_use]
    pub fn is_met(&self, text: &[u8]) -> bool {
        match &self.is {
            Wanted::Name(name) => text == name.as_bytes(),
            Wanted::Matching(matching) => matching.includes(text),
        }
    }
}

/// The texts that count.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wanted {
    /// This one.
    Name(Name),
    /// The names of queues that match a pattern.
    Matching(Box<Matching>),
}

/// The names that one pattern of a trigger stands for, where no key has to be found for them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Matching {
    /// The pattern.
    pub glob: Glob,
    /// Names that the trigger gives itself, which count for themselves.
    pub but_names: Vec<Name>,
    /// Patterns of the trigger that come before this one.
    pub but_globs: Vec<Glob>,
    /// The keys that would be read for a queue of such a name.
    pub keys: Vec<MemberKey>,
    /// The keys that may be read: a queue with another one is none that may be counted.
    pub allowed: Allowed,
}

impl Matching {
    fn includes(&self, name: &[u8]) -> bool {
        self.glob.matches(name)
            && !self.but_names.iter().any(|but| but.as_bytes() == name)
            && !self.but_globs.iter().any(|but| but.matches(name))
            && self.keys.iter().all(|around| self.allowed.includes(around.key(name).as_bytes()))
    }
}

impl From<Name> for Wanted {
    fn from(name: Name) -> Self {
        Self::Name(name)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Matching(matching) => matching.glob.fmt(f),
        }
    }
}

impl ReadKind for Arc<PerMember> {
    fn key(&self) -> &Name {
        &self.collection
    }

    fn member_key(&self) -> Option<&MemberKey> {
        match &self.ask {
            Ask::Exists(key) | Ask::Length(key) | Ask::Values(key) | Ask::Text(key) => Some(key),
            Ask::Field => None,
        }
    }

    fn depends_on_time(&self) -> bool {
        false
    }

    fn role(&self) -> KeyRole {
        KeyRole::Shared
    }

    fn expected(&self) -> &'static str {
        self.kind.kind().type_name()
    }

    fn footprint(&self) -> usize {
        boxed(self.as_ref(), PerMember::footprint)
    }
}

impl PerMember {
    fn footprint(&self) -> usize {
        let Self { collection, kind: _, ask, filter } = self;
        let key = match ask {
            Ask::Exists(key) | Ask::Length(key) | Ask::Values(key) | Ask::Text(key) => {
                key.footprint()
            }
            Ask::Field => 0,
        };
        let of_filter = |Filter { pointer, is, only_if }: &Filter| {
            let is = match is {
                Wanted::Name(name) => bytes_of_texts([name]),
                Wanted::Matching(matching) => boxed(matching.as_ref(), Matching::footprint),
            };
            let only_if = only_if.iter().flat_map(|(pointer, text)| [pointer, text]);
            bytes_of_texts(only_if.chain([pointer])) + is
        };
        bytes_of_texts([collection]) + key + filter.as_ref().map_or(0, of_filter)
    }
}

impl Matching {
    fn footprint(&self) -> usize {
        let Self { glob, but_names, but_globs, keys, allowed: _ } = self;
        let but_globs = list(but_globs, |but| bytes_of_texts([but.text()]));
        bytes_of_texts([glob.text()])
            + of_names(but_names)
            + but_globs
            + list(keys, MemberKey::footprint)
    }
}

impl CountedRead for Arc<PerMember> {
    type Part = Overflow;
    type Answer = PerMemberAnswer;

    fn count(&self, rest: Overflow, answer: &PerMemberAnswer) -> Result<Count, LayoutMismatch> {
        let PerMemberAnswer { counted, examined, overflow, .. } = *answer;
        match rest {
            Overflow::Count => Ok(Count::from(counted) + Count::from(overflow)),
            Overflow::Unknown if overflow > 0 => {
                let (key, members) = (self.collection.clone(), examined.saturating_add(overflow));
                Err(LayoutMismatch::TooMany { key, members, most: self.most() })
            }
            Overflow::Skip | Overflow::Unknown => Ok(Count::from(counted)),
        }
    }

    fn doubts(&self, rest: Overflow, answer: &PerMemberAnswer) -> Vec<(Bias, Doubt)> {
        let PerMemberAnswer { overflow, unsure, .. } = *answer;
        let key = || self.collection.clone();
        let unseen = (overflow > 0).then(|| match rest {
            Overflow::Skip => (Bias::Low, Doubt::LeftOut(key(), overflow)),
            Overflow::Count | Overflow::Unknown => (Bias::High, Doubt::Unseen(key(), overflow)),
        });
        let unsure = (unsure > 0).then(|| (Bias::High, Doubt::Unsure(key(), unsure)));
        unseen.into_iter().chain(unsure).collect()
    }
}

impl AnswerKind for PerMemberAnswer {
    fn counts_nothing(&self) -> bool {
        self.counted == 0 && self.overflow == 0
    }

    /// Its collection is often one for all queues, so that only what counts says anything.
    fn shows_a_key(&self) -> bool {
        self.counted > 0
    }

    /// A member's own key is none whose changes are waited for.
    fn changes_silently(&self) -> bool {
        self.examined > 0
    }

    fn is_exact(&self) -> bool {
        self.overflow == 0 && self.unsure == 0
    }
}

impl fmt::Display for PerMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ask {
            Ask::Exists(key) => write!(f, "`{key}` exists")?,
            Ask::Length(key) => write!(f, "length of `{key}`")?,
            Ask::Values(key) => write!(f, "values of `{key}`")?,
            Ask::Text(key) => write!(f, "`{key}`")?,
            Ask::Field => f.write_str("values")?,
        }
        if let Some(Filter { pointer, is, .. }) = &self.filter {
            write!(f, " with {pointer} = `{is}`")?;
        }
        write!(f, " for each of `{}`", self.collection)
    }
}
