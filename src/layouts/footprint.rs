//! How much memory what was made of a trigger holds: an estimate, so that what is kept of triggers can
//! be bounded by bytes and not by their number alone.
//!
//! Names and texts dominate.

use crate::limits;

use super::{
    bytes::{boxed, bytes_of_texts, list},
    definition::shape::Shape,
    expression::Expression,
    name::Name,
    parameter::{Argument, Arguments, Pattern},
    plan::{Plan, Term},
    read::Read,
    search::{KeyPattern, Search},
    weight::Weight,
};

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
    list(plan.reads(), Read::footprint) + terms.sum::<usize>() + search.map_or(0, of_search)
}

fn of_term(term: &Expression<Term>) -> usize {
    match term {
        Expression::Leaf(_) => 0,
        Expression::Sum(all) => list(all, of_term),
        Expression::Difference(both) | Expression::Max(both) => list(both.as_ref(), of_term),
        Expression::Unless(_, of) | Expression::Times(_, of) => boxed(of.as_ref(), of_term),
    }
}

fn of_search(search: &Search) -> usize {
    let Search { definition: _, arguments, shapes, named, wilds, fixed } = search;
    let of_wild = |KeyPattern { glob, kind: _ }: &KeyPattern| bytes_of_texts([glob.text()]);
    let of_shape = |shape: &Shape| bytes_of_texts([&shape.parameter]) + shape.around.footprint();
    let shapes = list(shapes, of_shape) + list(wilds, of_wild) + list(fixed, Read::footprint);
    // The nodes of a tree are half full at least.
    let named = 2 * size_of::<Name>() * named.len() + bytes_of_texts(named);
    of_arguments(arguments) + shapes + named
}

fn of_arguments(arguments: &Arguments) -> usize {
    let Arguments { given, patterns, found, allowed: _, left_out: _ } = arguments;
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
    use super::{super::bytes::ALLOCATION, *};
    use crate::layouts::Group;

    #[test]
    fn what_is_held_is_the_bytes_of_names_and_what_keeps_them() {
        let name = Name::new(vec![b'x'; 1_000]);
        let one = ALLOCATION + 1_000;
        assert_eq!((bytes_of_texts([&name, &name]), bytes_of_texts::<&Name>([])), (2 * one, 0));
        let read = Read::Group(Group { key: name.clone(), group: name });
        assert_eq!(read.footprint(), 2 * one);
        assert_eq!(boxed(&read, Read::footprint), ALLOCATION + size_of::<Read>() + 2 * one);
        assert_eq!((list(&[], Read::footprint), footprint(&Plan::default(), None)), (0, 0));
    }

    #[test]
    fn a_key_counts_once_unless_it_holds_more_than_keys_do() {
        let free = limits::KEY_FOOTPRINT;
        assert_eq!((share_of(0, 0), share_of(3, 0), share_of(3, 3 * free)), (0, 3, 3));
        assert_eq!((share_of(3, 3 * free + 1), share_of(1, 10 * free)), (4, 10));
        assert_eq!(share_of(0, usize::MAX), usize::MAX.div_ceil(free));
    }
}
