//! Which queues a trigger's patterns stand for: the keys to look for, and what a key that was found is.

use std::{
    collections::BTreeSet,
    hash::{Hash, Hasher},
    sync::Arc,
};

use crate::limits;

use super::{
    allowed::Allowed,
    definition::{Definition, shape::Shape},
    glob::Glob,
    name::Name,
    parameter::{Arguments, Pattern},
    plan::Plan,
    read::{Read, kind::Kind, member_key::MemberKey},
};

/// The keys that are looked for: those that match, and have this type where one is said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyPattern {
    /// The pattern.
    pub glob: Glob,
    /// The type.
    pub kind: Option<Kind>,
}

impl KeyPattern {
    /// Whether every key of the other is sure to be among its own.
    fn covers(&self, other: &Self) -> bool {
        self.glob.covers(&other.glob) && (self.kind.is_none() || self.kind == other.kind)
    }
}

/// A queue that was found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FoundQueue {
    /// The pattern that it matches, by its place in the trigger.
    pattern: usize,
    /// Its name.
    pub name: Name,
}

/// Patterns that make more searches than one trigger may have: each of them makes one for every form
/// that a key of its queues can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "has patterns that make {searches} searches{beside}, at most {} are allowed",
    limits::SEARCHES_PER_TRIGGER
)]
pub struct Sprawl {
    /// The parameter of the first pattern.
    pub parameter: String,
    searches: usize,
    /// The other parameters of which each value makes more of them, in words.
    beside: String,
}

/// The patterns of a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub(super) definition: Arc<Definition>,
    pub(super) arguments: Arguments,
    pub(super) shapes: Vec<Shape>,
    /// The keys that are read for the names which the trigger gives itself.
    pub(super) named: BTreeSet<Name>,
    pub(super) wilds: Vec<KeyPattern>,
    pub(super) fixed: Vec<Read>,
}

impl Hash for Search {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.arguments.patterns().hash(state);
    }
}

impl Search {
    /// The search of a trigger; `None` if it has no pattern.
    ///
    /// # Errors
    /// [`Sprawl`] if it would be too many searches. None of them is made then.
    pub(super) fn new(
        definition: &Arc<Definition>,
        arguments: &Arguments,
    ) -> Result<Option<Self>, Sprawl> {
        let Some(first) = arguments.patterns().first() else { return Ok(None) };
        let shapes = definition.shapes(arguments);
        let of_pattern = |pattern: &Pattern| {
            let own = |shape: &&Shape| shape.is_searched && shape.parameter == pattern.parameter;
            shapes.iter().filter(own).count()
        };
        let searches = arguments.patterns().iter().map(of_pattern).sum();
        if searches > limits::SEARCHES_PER_TRIGGER {
            let parameter = first.parameter.clone();
            let others = definition.multiplying(arguments).into_iter();
            let beside = others.map(|name| format!(" with each value of `{name}`")).collect();
            return Err(Sprawl { parameter, searches, beside });
        }
        let named = definition.plan(arguments);
        let named = named.reads().iter().map(|read| read.key().clone()).collect();
        let (definition, arguments) = (Arc::clone(definition), arguments.clone());
        let (wilds, fixed) = (vec![], vec![]);
        let mut search = Self { definition, arguments, shapes, named, wilds, fixed };
        search.wilds = search.find_wilds();
        search.fixed = search.find_fixed();
        Ok(Some(search))
    }

    /// The patterns as the trigger gives them.
    #[must_use]
    pub fn patterns(&self) -> &[Pattern] {
        self.arguments.patterns()
    }

    /// The patterns in words.
    #[must_use]
    pub fn describe(&self) -> Name {
        let texts: Vec<&[u8]> =
            self.patterns().iter().map(|pattern| pattern.glob.text().as_bytes()).collect();
        Name::new(texts.join(&b","[..]))
    }

    /// The keys to look for. What another of them finds as well is left out.
    #[must_use]
    pub fn wilds(&self) -> &[KeyPattern] {
        &self.wilds
    }

    fn find_wilds(&self) -> Vec<KeyPattern> {
        let of_shape = |shape: &Shape| -> Vec<KeyPattern> {
            let MemberKey { before, after } = &shape.around;
            let patterns = self.patterns().iter();
            let own = patterns.filter(|pattern| pattern.parameter == shape.parameter);
            let glob = |pattern: &Pattern| {
                let glob = pattern.glob.within(before.as_bytes(), after.as_bytes());
                (0..shape.parts_after).fold(glob, |glob, _| glob.and_a_part())
            };
            own.map(|pattern| KeyPattern { glob: glob(pattern), kind: shape.kind }).collect()
        };
        let searched = self.shapes.iter().filter(|shape| shape.is_searched);
        let all: BTreeSet<KeyPattern> = searched.flat_map(of_shape).collect();
        // Of two that cover each other, as `a*` and `a**`, one stays.
        let is_spare = |wild: &KeyPattern, other: &KeyPattern| !wild.covers(other) || other < wild;
        let is_covered =
            |wild: &KeyPattern| all.iter().any(|other| other.covers(wild) && is_spare(wild, other));
        all.iter().filter(|wild| !is_covered(wild)).cloned().collect()
    }

    /// The queue that this key belongs to, if the trigger counts it by a pattern. A key that fits
    /// several forms has the one that gives the most of it; a name that matches several patterns
    /// belongs to the first. What the trigger could not name is no name.
    #[must_use]
    pub fn queue_of(&self, key: &Name) -> Option<FoundQueue> {
        if self.named.contains(key) {
            return None;
        }
        let patterns = self.patterns();
        let of_pattern = |(place, pattern): (usize, &Pattern)| {
            let of_parameter = |shape: &&Shape| shape.parameter == pattern.parameter;
            let fitting = self.shapes.iter().filter(of_parameter);
            let fitting = fitting
                .filter_map(|shape| Some((shape.given(), shape, shape.middle(key.as_bytes())?)));
            let (given, shape, name) =
                fitting.max_by_key(|(given, shape, _)| (*given, shape.is_queue))?;
            let is_one = shape.is_queue && is_name(name) && pattern.glob.matches(name);
            let is_named = || {
                let values = self.arguments.values(&pattern.parameter);
                values.iter().any(|(value, _)| *value == name)
            };
            let given = given + pattern.glob.given().count();
            (is_one && !is_named())
                .then(|| (given, FoundQueue { pattern: place, name: Name::new(name) }))
        };
        let mut best: Option<(usize, FoundQueue)> = None;
        for (given, found) in patterns.iter().enumerate().filter_map(of_pattern) {
            let is_other = |one: &FoundQueue| {
                patterns[one.pattern].parameter != patterns[found.pattern].parameter
            };
            // Of one parameter the first pattern has it, of several the one that says more of the key.
            if best.as_ref().is_none_or(|(most, one)| is_other(one) && given > *most) {
                best = Some((given, found));
            }
        }
        best.map(|(_, found)| found)
    }

    /// The queues that these keys belong to. One with another key that may not be read is left out,
    /// unless it was found before; one such key is told.
    #[must_use]
    pub fn queues<'k>(
        &self,
        keys: impl Iterator<Item = &'k Name>,
        known: &BTreeSet<FoundQueue>,
        allowed: &Allowed,
    ) -> (BTreeSet<FoundQueue>, Option<Name>) {
        let (mut found, mut refused, mut left_out) = (BTreeSet::new(), BTreeSet::new(), None);
        for queue in keys.filter_map(|key| self.queue_of(key)) {
            if found.contains(&queue) || refused.contains(&queue) {
                continue;
            }
            let is_new = !known.contains(&queue);
            // (Channels are the same for every queue, and were asked for with the trigger.)
            match is_new.then(|| allowed.refuses(&self.reads_of(&queue), None)).flatten() {
                Some(key) => {
                    left_out.get_or_insert(key);
                    refused.insert(queue);
                }
                None => {
                    found.insert(queue);
                }
            }
        }
        (found, left_out)
    }

    /// The plan with these queues.
    #[must_use]
    pub fn plan<'f>(&self, found: impl Iterator<Item = &'f FoundQueue>, allowed: &Allowed) -> Plan {
        let patterns = self.patterns();
        let found = found.map(|FoundQueue { pattern, name }| {
            let Pattern { parameter, weight, .. } = &patterns[*pattern];
            (parameter.as_str(), name.clone(), *weight)
        });
        self.definition.plan(&self.arguments.finding(found, allowed))
    }

    /// The reads of one queue, with those that all queues have in common.
    #[must_use]
    pub fn reads_of(&self, found: &FoundQueue) -> Box<[Read]> {
        self.plan([found].into_iter(), &Allowed::all()).reads().into()
    }

    /// The plan as if the patterns were names: it is for what is said of a trigger, and never read.
    #[must_use]
    pub fn in_words(&self) -> Plan {
        let as_name = |(pattern, Pattern { glob, .. }): (usize, &Pattern)| FoundQueue {
            pattern,
            name: glob.text().clone(),
        };
        let names: Vec<FoundQueue> = self.patterns().iter().enumerate().map(as_name).collect();
        self.plan(names.iter(), &Allowed::all())
    }

    /// The reads that do not depend on which queues are found.
    #[must_use]
    pub fn fixed(&self) -> &[Read] {
        &self.fixed
    }

    /// A name that no queue can have: a control character.
    pub(super) const STAND_IN: u8 = 1;

    /// Each pattern, and what is read of a queue that it finds, with [`Self::STAND_IN`] for its name.
    pub(super) fn of_patterns(&self) -> impl Iterator<Item = (&Glob, Box<[Read]>)> {
        self.patterns().iter().enumerate().map(|(pattern, Pattern { glob, .. })| {
            (glob, self.reads_of(&FoundQueue { pattern, name: Name::new([Self::STAND_IN]) }))
        })
    }

    fn find_fixed(&self) -> Vec<Read> {
        // A name that the one in words cannot have tells which reads depend on a name.
        let other = |pattern: usize| FoundQueue { pattern, name: Name::new([Self::STAND_IN]) };
        let others: Vec<FoundQueue> = (0..self.patterns().len()).map(other).collect();
        let others = self.plan(others.iter(), &Allowed::all());
        let in_words = self.in_words();
        let is_fixed = |read: &&Read| others.reads().contains(read);
        in_words.reads().iter().filter(is_fixed).cloned().collect()
    }
}

/// Whether a trigger could name it: no control character, not too long.
fn is_name(name: &[u8]) -> bool {
    let is_text = std::str::from_utf8(name).is_ok_and(|text| !text.chars().any(char::is_control));
    is_text && name.len() <= limits::NAME_BYTES
}
