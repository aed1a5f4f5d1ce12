//! How much memory what was made of a trigger holds: an estimate, so that what is kept of triggers can
//! be bounded by bytes and not by their number alone.
//!
//! It is apart because it asks the same of many types. What several of them share (a name, a pattern) is
//! counted for each, so that the sum is rather too much than too little.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::limits;

use super::{
    expression::{Expression, Weight},
    glob::Glob,
    heartbeats::{Channel, HeartbeatFormat, Heartbeats, Roll, Silence, WorkerFilter},
    parameter::{Argument, Pattern},
    per_member::{Ask, Filter, Matching, MemberKey, PerMember, Wanted},
    plan::{Plan, States, Term},
    read::{Name, Read, Test},
    search::KeyPattern,
};

/// What an allocation costs beside its bytes.
const ALLOCATION: usize = 16;
/// The two counters of what is shared.
const COUNTERS: usize = 2 * size_of::<usize>();

/// What holds memory beside its own size.
pub trait Footprint {
    /// How many bytes, about.
    fn footprint(&self) -> usize;
}

/// For how many keys of a share these count, which hold so many bytes: each has
/// [`limits::KEY_FOOTPRINT`] free, and what they hold beyond that counts for as many more as it is.
#[must_use]
pub fn share_of(keys: usize, bytes: usize) -> usize {
    let beyond = bytes.saturating_sub(keys.saturating_mul(limits::KEY_FOOTPRINT));
    keys + beyond.div_ceil(limits::KEY_FOOTPRINT)
}

fn allocated(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes + ALLOCATION }
}

impl<T: Footprint> Footprint for [T] {
    fn footprint(&self) -> usize {
        allocated(size_of_val(self)) + self.iter().map(Footprint::footprint).sum::<usize>()
    }
}

impl<T: Footprint> Footprint for Box<[T]> {
    fn footprint(&self) -> usize {
        self.as_ref().footprint()
    }
}

impl<T: Footprint> Footprint for Vec<T> {
    fn footprint(&self) -> usize {
        let spare = (self.capacity() - self.len()) * size_of::<T>();
        self.as_slice().footprint() + spare
    }
}

impl<T: Footprint> Footprint for Option<T> {
    fn footprint(&self) -> usize {
        self.as_ref().map_or(0, Footprint::footprint)
    }
}

impl<T: Footprint> Footprint for Arc<T> {
    fn footprint(&self) -> usize {
        ALLOCATION + COUNTERS + size_of::<T>() + self.as_ref().footprint()
    }
}

impl<K: Footprint, V: Footprint> Footprint for BTreeMap<K, V> {
    fn footprint(&self) -> usize {
        // The nodes of a tree are half full at least.
        let entries = 2 * self.len() * (size_of::<K>() + size_of::<V>());
        let of_entry = |(key, value): (&K, &V)| key.footprint() + value.footprint();
        allocated(entries) + self.iter().map(of_entry).sum::<usize>()
    }
}

impl<T: Footprint> Footprint for BTreeSet<T> {
    fn footprint(&self) -> usize {
        let entries = 2 * self.len() * size_of::<T>();
        allocated(entries) + self.iter().map(Footprint::footprint).sum::<usize>()
    }
}

impl<A: Footprint, B: Footprint> Footprint for (A, B) {
    fn footprint(&self) -> usize {
        self.0.footprint() + self.1.footprint()
    }
}

impl Footprint for String {
    fn footprint(&self) -> usize {
        allocated(self.capacity())
    }
}

impl Footprint for Weight {
    fn footprint(&self) -> usize {
        0
    }
}

impl Footprint for Duration {
    fn footprint(&self) -> usize {
        0
    }
}

impl Footprint for Name {
    fn footprint(&self) -> usize {
        ALLOCATION + COUNTERS + self.as_bytes().len()
    }
}

impl Footprint for Glob {
    fn footprint(&self) -> usize {
        self.text().footprint()
    }
}

impl Footprint for KeyPattern {
    fn footprint(&self) -> usize {
        self.glob.footprint()
    }
}

impl Footprint for Pattern {
    fn footprint(&self) -> usize {
        self.parameter.footprint() + self.glob.footprint()
    }
}

impl Footprint for Argument {
    fn footprint(&self) -> usize {
        match self {
            Self::Names(names) => names.footprint(),
            Self::Pattern(glob) => glob.footprint(),
            Self::Duration(duration) => duration.footprint(),
            Self::Choice(word) => word.footprint(),
        }
    }
}

impl Footprint for MemberKey {
    fn footprint(&self) -> usize {
        self.before.footprint() + self.after.footprint()
    }
}

impl Footprint for Matching {
    fn footprint(&self) -> usize {
        let Self { glob, but_names, but_globs, keys, allowed: _ } = self;
        let but = but_names.footprint() + but_globs.footprint();
        glob.footprint() + but + keys.footprint()
    }
}

impl Footprint for Filter {
    fn footprint(&self) -> usize {
        let is = match &self.is {
            Wanted::Name(name) => name.footprint(),
            Wanted::Matching(matching) => allocated(size_of::<Matching>()) + matching.footprint(),
        };
        self.pointer.footprint() + is + self.only_if.footprint()
    }
}

impl Footprint for PerMember {
    fn footprint(&self) -> usize {
        let key = match &self.ask {
            Ask::Exists(key) | Ask::Length(key) | Ask::Values(key) | Ask::Text(key) => {
                key.footprint()
            }
            Ask::Field => 0,
        };
        self.collection.footprint() + key + self.filter.footprint()
    }
}

impl Footprint for Channel {
    fn footprint(&self) -> usize {
        self.0.footprint()
    }
}

impl Footprint for HeartbeatFormat {
    fn footprint(&self) -> usize {
        let Self { key, alive, gone, body, worker, jobs, every, queues, interval: _, silence } =
            self;
        let channels = key.footprint() + alive.footprint() + gone.footprint();
        let pointers = [worker, jobs, every].map(Footprint::footprint).iter().sum::<usize>();
        let silence = silence.as_ref().map_or(0, |Silence { at_most: _, slots, roll }| {
            let of_roll = |Roll { collection, around }: &Roll| {
                collection.footprint() + around.before.footprint() + around.after.footprint()
            };
            slots.footprint() + roll.as_ref().map_or(0, of_roll)
        });
        channels + pointers + body.footprint() + queues.footprint() + silence
    }
}

impl Footprint for Heartbeats {
    fn footprint(&self) -> usize {
        let workers = match &self.workers {
            WorkerFilter::Pool(glob) => glob.footprint(),
            WorkerFilter::Queues(queues) => queues.footprint(),
        };
        self.format.footprint() + workers
    }
}

impl Footprint for Read {
    fn footprint(&self) -> usize {
        match self {
            Self::Size { key, .. } | Self::Flag { key, test: Test::Exists } => key.footprint(),
            Self::Group { key, group: other }
            | Self::Idle { key, group: other, .. }
            | Self::Flag {
                key,
                test: Test::Field(other) | Test::Member(other) | Test::Value(other),
            } => key.footprint() + other.footprint(),
            Self::PerMember(each) => each.footprint(),
            Self::Heartbeats(heartbeats) => heartbeats.footprint(),
        }
    }
}

impl Footprint for Expression<Term> {
    fn footprint(&self) -> usize {
        let boxed = |of: &[Self]| of.footprint();
        match self {
            Self::Leaf(_) => 0,
            Self::Sum(all) => all.footprint(),
            Self::Difference(both) | Self::Max(both) => boxed(both.as_ref()),
            Self::Unless(_, of) | Self::Times(_, of) => {
                allocated(size_of::<Self>()) + of.as_ref().footprint()
            }
        }
    }
}

impl Footprint for Plan {
    fn footprint(&self) -> usize {
        let States { scheduled, waiting, in_flight, orphaned } = self.terms();
        let terms = [scheduled, waiting, in_flight, orphaned].map(Footprint::footprint);
        self.reads().footprint() + terms.iter().sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_the_bytes_of_names_and_what_keeps_them() {
        let name = Name::new(vec![b'x'; 1_000]);
        assert_eq!(name.footprint(), 1_032);
        let names = [name.clone(), name.clone()];
        let wild = KeyPattern { glob: Glob::parse("a*").unwrap(), kind: None };
        assert_eq!(names.as_slice().footprint(), 2 * (1_032 + size_of::<Name>()) + 16);
        assert_eq!(vec![wild].footprint(), 34 + size_of::<KeyPattern>() + 16);
        assert_eq!((Vec::<Name>::new().footprint(), None::<Name>.footprint()), (0, 0));
        let read = Read::Group { key: name.clone(), group: name };
        assert_eq!(read.footprint(), 2 * 1_032);
    }

    #[test]
    fn a_key_counts_once_unless_it_holds_more_than_keys_do() {
        let free = limits::KEY_FOOTPRINT;
        assert_eq!((share_of(0, 0), share_of(3, 0), share_of(3, 3 * free)), (0, 3, 3));
        assert_eq!((share_of(3, 3 * free + 1), share_of(1, 10 * free)), (4, 10));
        assert_eq!(share_of(0, usize::MAX), usize::MAX.div_ceil(free));
    }
}
