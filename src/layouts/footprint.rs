//! How much memory what was made of a trigger holds: an estimate, so that what is kept of triggers can
//! be bounded by bytes and not by their number alone.
//!
//! Names and texts dominate. What several places share (a name, a pattern) is counted for each, so
//! that the sum is rather too much than too little.

use std::slice;

use crate::limits;

use super::{
    definition::shape::Shape,
    expression::Expression,
    name::Name,
    parameter::{Argument, Arguments, Pattern},
    plan::{Plan, Term},
    read::{
        Read, Test,
        heartbeats::{Channel, HeartbeatFormat, Heartbeats, Roll, Silence, WorkerFilter},
        member_key::MemberKey,
        per_member::{Ask, Filter, Matching, PerMember, Wanted},
    },
    search::{KeyPattern, Search},
    weight::Weight,
};

/// What an allocation costs beside its bytes, with the two counters of what is shared.
const ALLOCATION: usize = 32;

/// Quota charged for `keys` keys that hold `bytes`: each key has [`limits::KEY_FOOTPRINT`] free, and
/// what they hold beyond that counts for as many more as it is.
#[must_use]
pub fn share_of(keys: usize, bytes: usize) -> usize {
    let beyond = bytes.saturating_sub(keys.saturating_mul(limits::KEY_FOOTPRINT));
    keys + beyond.div_ceil(limits::KEY_FOOTPRINT)
}

impl Plan {
    /// For how many keys they count of what a namespace may have.
    #[must_use]
    pub fn share(&self) -> usize {
        share_of(self.keys(), footprint(self, None))
    }
}

/// How many bytes a plan and its search hold, about.
#[must_use]
pub fn footprint(plan: &Plan, search: Option<&Search>) -> usize {
    let terms = plan.terms().iter().map(|(_, summands)| list(summands, of_term));
    list(plan.reads(), of_read) + terms.sum::<usize>() + search.map_or(0, of_search)
}

/// How many bytes these texts hold, beside where each is kept.
pub fn bytes_of_texts<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> usize {
    texts.into_iter().map(|text| ALLOCATION + text.as_ref().len()).sum()
}

fn of_names(names: &[Name]) -> usize {
    list(names, |name| bytes_of_texts([name]))
}

fn of_strings(texts: &[String]) -> usize {
    list(texts, |text| bytes_of_texts([text]))
}

/// What is in a box or shared.
fn boxed<T>(item: &T, of_item: impl Fn(&T) -> usize) -> usize {
    list(slice::from_ref(item), of_item)
}

/// A slice that is not empty, and what its items hold beside their own size.
fn list<T>(items: &[T], of_one: impl Fn(&T) -> usize) -> usize {
    let allocation = if items.is_empty() { 0 } else { ALLOCATION };
    allocation + size_of_val(items) + items.iter().map(of_one).sum::<usize>()
}

fn of_term(term: &Expression<Term>) -> usize {
    match term {
        Expression::Leaf(_) => 0,
        Expression::Sum(all) => list(all, of_term),
        Expression::Difference(both) | Expression::Max(both) => list(both.as_ref(), of_term),
        Expression::Unless(_, of) | Expression::Times(_, of) => boxed(of.as_ref(), of_term),
    }
}

fn of_read(read: &Read) -> usize {
    match read {
        Read::Size { key, .. } | Read::Flag { key, test: Test::Exists } => bytes_of_texts([key]),
        Read::Group { key, group: other }
        | Read::Idle { key, group: other, .. }
        | Read::Flag { key, test: Test::Field(other) | Test::Member(other) | Test::Value(other) } => {
            bytes_of_texts([key, other])
        }
        Read::PerMember(each) => boxed(each.as_ref(), of_per_member),
        Read::Heartbeats(Heartbeats { format, workers }) => {
            let workers = match workers {
                WorkerFilter::Pool(glob) => bytes_of_texts([glob.text()]),
                WorkerFilter::Queues(queues) => of_names(queues),
            };
            boxed(format.as_ref(), of_format) + workers
        }
    }
}

fn of_member_key(MemberKey { before, after }: &MemberKey) -> usize {
    bytes_of_texts([before, after])
}

fn of_per_member(PerMember { collection, kind: _, ask, filter }: &PerMember) -> usize {
    let key = match ask {
        Ask::Exists(key) | Ask::Length(key) | Ask::Values(key) | Ask::Text(key) => {
            of_member_key(key)
        }
        Ask::Field => 0,
    };
    let of_filter = |Filter { pointer, is, only_if }: &Filter| {
        let is = match is {
            Wanted::Name(name) => bytes_of_texts([name]),
            Wanted::Matching(matching) => boxed(matching.as_ref(), of_matching),
        };
        let only_if = only_if.iter().flat_map(|(pointer, text)| [pointer, text]);
        bytes_of_texts(only_if.chain([pointer])) + is
    };
    bytes_of_texts([collection]) + key + filter.as_ref().map_or(0, of_filter)
}

fn of_matching(Matching { glob, but_names, but_globs, keys, allowed: _ }: &Matching) -> usize {
    let but_globs = list(but_globs, |but| bytes_of_texts([but.text()]));
    bytes_of_texts([glob.text()]) + of_names(but_names) + but_globs + list(keys, of_member_key)
}

fn of_format(format: &HeartbeatFormat) -> usize {
    let HeartbeatFormat {
        key,
        alive,
        gone,
        body,
        worker,
        jobs,
        every,
        queues,
        interval: _,
        silence,
    } = format;
    let of_channel = |Channel(pieces): &Channel| of_names(pieces);
    let channels = bytes_of_texts([key]) + list(alive, of_channel) + list(gone, of_channel);
    let pointers =
        bytes_of_texts([worker, jobs, every].into_iter().chain(body)) + of_strings(queues);
    let of_silence = |Silence { at_most: _, slots, roll }: &Silence| {
        let of_roll = |Roll { collection, around }: &Roll| {
            bytes_of_texts([collection]) + of_member_key(around)
        };
        of_strings(slots) + roll.as_ref().map_or(0, of_roll)
    };
    channels + pointers + silence.as_ref().map_or(0, of_silence)
}

fn of_search(search: &Search) -> usize {
    let Search { definition: _, arguments, shapes, named, wilds, fixed } = search;
    let of_wild = |KeyPattern { glob, kind: _ }: &KeyPattern| bytes_of_texts([glob.text()]);
    let of_shape =
        |shape: &Shape| bytes_of_texts([&shape.parameter]) + of_member_key(&shape.around);
    let shapes = list(shapes, of_shape) + list(wilds, of_wild) + list(fixed, of_read);
    // The nodes of a tree are half full at least.
    let named = 2 * size_of::<Name>() * named.len() + bytes_of_texts(named);
    of_arguments(arguments) + shapes + named
}

fn of_arguments(Arguments { given, patterns, found, allowed: _ }: &Arguments) -> usize {
    let weighed = |names: &Vec<(Name, Weight)>| list(names, |(name, _)| bytes_of_texts([name]));
    let of_argument = |argument: &Argument| match argument {
        Argument::Names(names) => weighed(names),
        Argument::Pattern(glob) => bytes_of_texts([glob.text()]),
        Argument::Duration(_) => 0,
        Argument::Choice(word) => bytes_of_texts([word]),
    };
    let of_pattern = |Pattern { parameter, glob, weight: _ }: &Pattern| {
        bytes_of_texts([parameter]) + bytes_of_texts([glob.text()])
    };
    let entries = 2 * size_of::<(String, Argument)>() * (given.len() + found.len());
    let given = bytes_of_texts(given.keys()) + given.values().map(of_argument).sum::<usize>();
    let found = bytes_of_texts(found.keys()) + found.values().map(weighed).sum::<usize>();
    entries + given + found + list(patterns, of_pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_the_bytes_of_names_and_what_keeps_them() {
        let name = Name::new(vec![b'x'; 1_000]);
        let one = ALLOCATION + 1_000;
        assert_eq!((bytes_of_texts([&name, &name]), bytes_of_texts::<&Name>([])), (2 * one, 0));
        let read = Read::Group { key: name.clone(), group: name };
        assert_eq!(of_read(&read), 2 * one);
        assert_eq!(boxed(&read, of_read), ALLOCATION + size_of::<Read>() + 2 * one);
        assert_eq!((list(&[], of_read), footprint(&Plan::default(), None)), (0, 0));
    }

    #[test]
    fn a_key_counts_once_unless_it_holds_more_than_keys_do() {
        let free = limits::KEY_FOOTPRINT;
        assert_eq!((share_of(0, 0), share_of(3, 0), share_of(3, 3 * free)), (0, 3, 3));
        assert_eq!((share_of(3, 3 * free + 1), share_of(1, 10 * free)), (4, 10));
        assert_eq!(share_of(0, usize::MAX), usize::MAX.div_ceil(free));
    }
}
