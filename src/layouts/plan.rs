//! What a layout makes of one trigger's arguments: the reads in the order of the flow, and how
//! their answers add up to counts.
//!
//! It is apart from the layout because a plan is bound to names and cheap to compare: equal plans
//! ask the same questions. It does not know how or when the reads are done.

use std::collections::HashMap;

use super::{
    answer::{Answer, LayoutMismatch},
    count::{Count, Counts},
    expression::Expression,
    footprint::{Footprint, share_of},
    read::{Members, Read, Test},
};

/// Which part of an answer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The size or number of a key.
    Size,
    /// What a group has not been given yet.
    GroupWaiting(MissingGroup),
    /// What a group was given and has not acknowledged.
    GroupPending(MissingGroup),
    /// What a group was given and nobody has looked after for long.
    GroupIdle,
    /// Whether a flag stands: one or zero.
    Flag,
    /// What the members of a collection have.
    PerMember(Overflow),
    /// What workers say that they have begun.
    Heartbeats,
}

/// What the members count that are too many to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// One each: too many is safe.
    Count,
    /// Nothing, where they are counted elsewhere.
    Skip,
    /// Nobody can say.
    Unknown,
}

/// What a stream without the group means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MissingGroup {
    /// The workers will create it at 0: every entry waits. KEDA 2.20 counts the same way for
    /// `lagCount` (`pkg/scalers/redis_streams_scaler.go`).
    All,
    /// The workers will create it at `$`: nothing waits.
    Nothing,
    /// Nobody can say: the trigger's value is unknown.
    Unknown,
}

/// A leaf of a state's arithmetic: a part of the answer to one of the plan's reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Term {
    /// The read, by its place in [`Plan::reads`].
    pub read: usize,
    /// The part of its answer.
    pub part: Part,
}

/// The states, each a sum.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct States<T> {
    /// Scheduled jobs whose time has come.
    pub scheduled: Box<[T]>,
    /// Jobs that are ready to be taken.
    pub waiting: Box<[T]>,
    /// Jobs that are taken and not finished.
    pub in_flight: Box<[T]>,
    /// Jobs whose workers are gone, where they keep a worker awake without adding any.
    pub orphaned: Box<[T]>,
}

impl<T> Default for States<T> {
    fn default() -> Self {
        Self { scheduled: [].into(), waiting: [].into(), in_flight: [].into(), orphaned: [].into() }
    }
}

/// The reads of one trigger and how they add up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Plan {
    reads: Box<[Read]>,
    terms: States<Expression<Term>>,
}

impl Plan {
    /// A plan of these summands. Reads are ordered along the flow (scheduled, waiting, in flight),
    /// so that a job which moves between two of them is counted twice rather than missed; equal
    /// reads become one.
    #[must_use]
    pub fn new(states: States<Expression<(Read, Part)>>) -> Self {
        let (mut reads, mut places) = (Vec::new(), HashMap::new());
        let mut leaf = |(read, part)| Term { read: index_of(&mut reads, &mut places, read), part };
        let mut place = |summands: Box<[Expression<(Read, Part)>]>| -> Box<[Expression<Term>]> {
            summands.into_iter().map(|summand| summand.map(&mut leaf)).collect()
        };
        let terms = States {
            scheduled: place(states.scheduled),
            waiting: place(states.waiting),
            in_flight: place(states.in_flight),
            orphaned: place(states.orphaned),
        };
        Self { reads: reads.into(), terms }
    }

    /// The distinct reads, in the order in which they are to be done.
    #[must_use]
    pub fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// How many keys the reads name. One that several of them name counts for each.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.reads.iter().map(|read| read.keys().len()).sum()
    }

    /// For how many keys they count of what a namespace may have.
    #[must_use]
    pub fn share(&self) -> usize {
        share_of(self.keys(), self.footprint())
    }

    /// The summands of each state.
    #[must_use]
    pub fn terms(&self) -> &States<Expression<Term>> {
        &self.terms
    }

    /// How many summands the largest state has. One that has more than a trigger may have was not
    /// made whole.
    #[must_use]
    pub fn largest_state(&self) -> usize {
        let States { scheduled, waiting, in_flight, orphaned } = &self.terms;
        [scheduled, waiting, in_flight, orphaned]
            .map(|state| state.len())
            .into_iter()
            .max()
            .unwrap_or(0)
    }

    /// The counts that these answers give, one answer for each of [`Plan::reads`].
    ///
    /// # Errors
    /// [`LayoutMismatch`] for the first answer that counts nothing.
    pub fn counts(&self, answers: &[&Answer]) -> Result<Counts, LayoutMismatch> {
        let sum = |summands: &[Expression<Term>]| -> Result<Count, LayoutMismatch> {
            summands.iter().map(|one| one.evaluate(&|term| self.count(term, answers))).sum()
        };
        Ok(Counts {
            due: sum(&self.terms.scheduled)?,
            waiting: sum(&self.terms.waiting)?,
            in_flight: sum(&self.terms.in_flight)?,
            orphaned: sum(&self.terms.orphaned)?,
        })
    }

    /// The count of one summand.
    ///
    /// # Errors
    /// [`LayoutMismatch`] when what Redis holds is not what the term counts.
    pub fn count(&self, term: &Term, answers: &[&Answer]) -> Result<Count, LayoutMismatch> {
        count_of(&self.reads[term.read], term.part, answers[term.read])
    }
}

fn index_of(reads: &mut Vec<Read>, places: &mut HashMap<Read, usize>, read: Read) -> usize {
    *places.entry(read).or_insert_with_key(|read| {
        reads.push(read.clone());
        reads.len() - 1
    })
}

/// What one part of one answer counts. Every pair is decided here: nothing falls through to 0.
fn count_of(read: &Read, part: Part, answer: &Answer) -> Result<Count, LayoutMismatch> {
    let wrong_type = |found: &str, expected: &'static str| LayoutMismatch::WrongType {
        key: read.keys()[0].clone(),
        found: found.to_owned(),
        expected,
    };
    match (part, answer) {
        (_, Answer::Missing) => Ok(Count::ZERO),
        (_, Answer::WrongType(found)) => Err(wrong_type(found, expected(read))),
        (Part::Flag, Answer::Flag(stands)) => Ok(Count::from(u64::from(*stands))),
        (Part::Size, Answer::Size(members)) => Ok(Count::from(*members)),
        (Part::Size, Answer::Number(number)) => {
            Count::new(*number).ok_or_else(|| not_a_number(read))
        }
        (_, Answer::NotANumber) => Err(not_a_number(read)),
        (Part::GroupWaiting(_), Answer::Group(group)) => Ok(Count::from(group.waiting.entries())),
        (Part::GroupPending(_), Answer::Group(group)) => Ok(Count::from(group.pending)),
        (Part::GroupWaiting(MissingGroup::All), Answer::MissingGroup { entries }) => {
            Ok(Count::from(*entries))
        }
        (
            Part::GroupWaiting(MissingGroup::Nothing)
            | Part::GroupPending(MissingGroup::All | MissingGroup::Nothing),
            Answer::MissingGroup { .. },
        ) => Ok(Count::ZERO),
        (
            Part::GroupWaiting(MissingGroup::Unknown) | Part::GroupPending(MissingGroup::Unknown),
            Answer::MissingGroup { .. },
        ) => Err(missing_group(read)),
        (Part::PerMember(rest), Answer::PerMember { counted, examined, overflow, .. }) => {
            let counted = Count::from(*counted);
            match rest {
                Overflow::Count => Ok(counted + Count::from(*overflow)),
                Overflow::Skip => Ok(counted),
                Overflow::Unknown if *overflow == 0 => Ok(counted),
                Overflow::Unknown => Err(too_many(read, examined.saturating_add(*overflow))),
            }
        }
        (Part::GroupIdle, Answer::Idle { entries, .. }) => Ok(Count::from(*entries)),
        // A group that is not there was given nothing.
        (Part::GroupIdle, Answer::MissingGroup { .. }) => Ok(Count::ZERO),
        (Part::Heartbeats, Answer::Heartbeats { jobs, .. }) => Ok(Count::from(*jobs)),
        // Answers to another read than the part's own, which nothing mixes up.
        (
            _,
            Answer::Size(_)
            | Answer::Number(_)
            | Answer::Group(_)
            | Answer::MissingGroup { .. }
            | Answer::Idle { .. }
            | Answer::Flag(_)
            | Answer::PerMember { .. }
            | Answer::Heartbeats { .. },
        ) => Err(wrong_type("of another read", expected(read))),
    }
}

fn expected(read: &Read) -> &'static str {
    match read {
        Read::Size { members: Members::AllOf(kind), .. } => kind.described(),
        Read::Size { .. } => "a list, set, zset, hash, stream or string",
        Read::Group { .. } | Read::Idle { .. } => "a stream",
        Read::PerMember(each) => each.kind.type_name(),
        Read::Flag { test: Test::Exists, .. } => "anything",
        Read::Flag { test: Test::Field(_), .. } => "a hash",
        Read::Flag { test: Test::Member(_), .. } => "a set",
        Read::Flag { test: Test::Value(_), .. } => "a string",
        Read::Heartbeats(_) => "what workers say",
    }
}

fn too_many(read: &Read, members: u64) -> LayoutMismatch {
    let most = match read {
        Read::PerMember(each) => each.most(),
        Read::Size { .. }
        | Read::Group { .. }
        | Read::Idle { .. }
        | Read::Flag { .. }
        | Read::Heartbeats(_) => 0,
    };
    LayoutMismatch::TooMany { key: read.keys()[0].clone(), members, most }
}

fn not_a_number(read: &Read) -> LayoutMismatch {
    LayoutMismatch::NotANumber { key: read.keys()[0].clone() }
}

fn missing_group(read: &Read) -> LayoutMismatch {
    match read {
        Read::Group { key, group } => {
            LayoutMismatch::MissingGroup { key: key.clone(), group: group.clone() }
        }
        Read::Size { .. }
        | Read::Idle { .. }
        | Read::Flag { .. }
        | Read::PerMember(_)
        | Read::Heartbeats(_) => not_a_number(read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layouts::{Group, Waiting};

    fn size(key: &str) -> Read {
        Read::Size { key: key.into(), members: Members::All }
    }

    fn leaf(read: Read, part: Part) -> Expression<(Read, Part)> {
        Expression::Leaf((read, part))
    }

    fn group(key: &str) -> Read {
        Read::Group { key: key.into(), group: "g".into() }
    }

    fn stream_plan(missing: MissingGroup) -> Plan {
        Plan::new(States {
            waiting: [leaf(group("s"), Part::GroupWaiting(missing))].into(),
            in_flight: [leaf(group("s"), Part::GroupPending(missing))].into(),
            ..States::default()
        })
    }

    #[test]
    fn reads_follow_the_flow_and_equal_reads_are_one() {
        let plan = Plan::new(States {
            scheduled: [leaf(size("later"), Part::Size)].into(),
            waiting: [leaf(size("now"), Part::Size), leaf(size("later"), Part::Size)].into(),
            in_flight: [leaf(size("doing"), Part::Size)].into(),
            ..States::default()
        });
        assert_eq!(plan.reads(), [size("later"), size("now"), size("doing")]);
        let answers = [&Answer::Size(2), &Answer::Size(3), &Answer::Missing];
        let counts = plan.counts(&answers).unwrap();
        assert_eq!(counts.to_string(), "waiting 5, due 2, in flight 0");
    }

    #[test]
    fn a_group_gives_waiting_and_in_flight_from_one_read() {
        let plan = stream_plan(MissingGroup::All);
        assert_eq!(plan.reads().len(), 1);
        let answer = Answer::Group(Group { waiting: Waiting::Exact(6), pending: 2 });
        let counts = plan.counts(&[&answer]).unwrap();
        assert_eq!((counts.waiting, counts.in_flight), (Count::from(6), Count::from(2)));
    }

    #[test]
    fn a_missing_group_is_what_the_trigger_says_it_is() {
        let answer = Answer::MissingGroup { entries: 9 };
        let waiting = |missing| stream_plan(missing).counts(&[&answer]).map(|c| c.waiting);
        assert_eq!(waiting(MissingGroup::All), Ok(Count::from(9)));
        assert_eq!(waiting(MissingGroup::Nothing), Ok(Count::ZERO));
        assert!(matches!(waiting(MissingGroup::Unknown), Err(LayoutMismatch::MissingGroup { .. })));
    }

    #[test]
    fn a_wrong_type_names_the_key_and_counts_nothing() {
        let plan = stream_plan(MissingGroup::All);
        let mismatch = plan.counts(&[&Answer::WrongType("list".to_owned())]).unwrap_err();
        assert_eq!(mismatch.to_string(), "key `s` holds the Redis type list, expected a stream");
    }

    #[test]
    fn no_answer_that_counts_nothing_becomes_a_number() {
        let plan = Plan::new(States {
            waiting: [leaf(size("k"), Part::Size)].into(),
            ..States::default()
        });
        for answer in [Answer::NotANumber, Answer::Number(f64::NAN), Answer::Number(-1.0)] {
            assert!(plan.counts(&[&answer]).is_err(), "{answer:?}");
        }
    }
}
