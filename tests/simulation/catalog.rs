//! The keys of the model and the triggers that are asked about, the same for every seed.
//!
//! They are small, and chosen so that reads are shared, keys change roles, and every kind of read is among
//! them.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use penstock::{
    layouts::{Members, Name, Read, Registry, Size},
    sampling::Subject,
    trigger::Trigger,
};

/// What a key holds, as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Jobs in a list or set.
    List,
    /// Jobs in a sorted set.
    SortedSet,
    /// A number as text.
    Text,
    /// A stream with at most one consumer group.
    Stream,
}

/// The keys. A job moves from an earlier to a later one only.
pub const KEYS: [(&str, Kind); 8] = [
    ("later", Kind::SortedSet),
    ("a", Kind::List),
    ("b", Kind::List),
    ("doing", Kind::List),
    ("leases", Kind::SortedSet),
    ("number", Kind::Text),
    ("s", Kind::Stream),
    ("t", Kind::Stream),
];

const TRIGGERS: &[&[(&str, &str)]] = &[
    &[("queue", "a")],
    &[("waiting", "a"), ("inFlight", "doing"), ("gap", "0")],
    &[("waiting", "b"), ("inFlight", "doing"), ("gap", "0")],
    &[("waiting", "a,b"), ("inFlight", "doing"), ("gap", "0"), ("staleFor", "4s")],
    &[("scheduled", "later"), ("waiting", "a"), ("inFlight", "doing,leases"), ("gap", "0")],
    &[("inFlight", "leases"), ("gap", "0"), ("orphans", "ignore")],
    &[
        ("scheduled", "later"),
        ("waiting", "b"),
        ("inFlight", "leases"),
        ("gap", "0"),
        ("orphans", "ignore"),
        ("unit", "ms"),
    ],
    &[("waiting", "doing"), ("inFlight", "leases"), ("gap", "0"), ("signal", "waiting")],
    &[("scheduled", "later"), ("activation", "2")],
    &[("queue", "number")],
    &[("layout", "stream"), ("queue", "s"), ("group", "g")],
    &[("layout", "stream"), ("queue", "s,t"), ("group", "g"), ("missingGroup", "unknown")],
    &[("waiting", "a"), ("inFlight", "doing"), ("gap", "0"), ("activityWindow", "800ms")],
    &[("queue", "b"), ("activityWindow", "300ms")],
];

/// What is asked about.
pub struct Catalog {
    /// The distinct reads of all triggers.
    pub reads: Vec<Read>,
    /// The triggers.
    pub topics: Vec<Topic>,
}

/// One trigger.
#[derive(Clone)]
pub struct Topic {
    /// As the sampler is asked about it.
    pub subject: Arc<Subject>,
    /// Its reads by their place in the catalog, in the order of its plan.
    pub reads: Vec<usize>,
    /// Its activity window.
    pub window: Option<Duration>,
}

impl Topic {
    /// The same trigger of another object, which the sampler does not know yet.
    pub fn renamed(&self, number: usize) -> Self {
        let name = format!("object-{number}");
        let Subject { namespace, trigger, .. } = &*self.subject;
        let subject = Subject::new(namespace.clone(), name, Arc::clone(trigger));
        Self { subject, ..self.clone() }
    }
}

/// The catalog.
pub static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let mut catalog = Catalog { reads: vec![], topics: vec![] };
    for (number, pairs) in TRIGGERS.iter().enumerate() {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let trigger = Trigger::parse(pairs.collect::<Vec<_>>(), Registry::builtin()).unwrap();
        let reads = trigger.plan.reads().iter().map(|read| catalog.place(read)).collect();
        let window = trigger.activity_window;
        let (namespace, name) = ("ns".to_owned(), format!("trigger-{number}"));
        let subject = Subject::new(namespace, name, Arc::new(trigger));
        catalog.topics.push(Topic { subject, reads, window });
    }
    catalog
});

impl Catalog {
    fn place(&mut self, read: &Read) -> usize {
        self.find(read).unwrap_or_else(|| {
            self.reads.push(read.clone());
            self.reads.len() - 1
        })
    }

    /// The place of a read.
    pub fn find(&self, read: &Read) -> Option<usize> {
        self.reads.iter().position(|known| known == read)
    }
}

/// The key that a read is about, by its place in [`KEYS`].
pub fn key_of(read: &Read) -> usize {
    let name = read.key();
    KEYS.iter().position(|(key, _)| Name::from(*key) == *name).unwrap()
}

/// Which members of its key a read counts.
pub fn members_of(read: &Read) -> Members {
    match read {
        Read::Size(Size { members, .. }) => *members,
        Read::Number(_)
        | Read::Oldest(_)
        | Read::Group(_)
        | Read::Idle(_)
        | Read::Flag(_)
        | Read::PerMember(_)
        | Read::Heartbeats(_) => Members::All,
    }
}
