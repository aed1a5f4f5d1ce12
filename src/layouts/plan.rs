//! What a layout makes of one trigger's arguments: the reads in the order of the flow, and how
//! their answers add up to counts.
//!
//! A plan is bound to names and cheap to compare: equal plans ask the same questions. It does not know how or
//! when the reads are done.

use std::collections::HashMap;

use super::{
    count::{Count, Counts},
    expression::Expression,
    measure::Measures,
    read::{
        Members, Read, Test,
        answer::{Answer, LayoutMismatch},
    },
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
    /// What a group was given and no worker has claimed or acknowledged for long.
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
    /// Unknown.
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
    /// The trigger's value is unknown.
    Unknown,
}

/// A leaf of the arithmetic: a part of the answer to one of the plan's reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Term {
    /// The read, by its place in [`Plan::reads`].
    pub read: usize,
    /// The part of its answer.
    pub part: Part,
}

/// A summand that is not yet given its place in a plan.
pub(super) type Summand = Expression<(Read, Part)>;

/// What each measure is the sum of.
pub type Terms<T> = Measures<Box<[Expression<T>]>>;

/// The reads of one trigger and how they add up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Plan {
    reads: Box<[Read]>,
    terms: Terms<Term>,
}

impl Plan {
    /// A plan of these summands. Its reads are in the order of the measures; equal reads become one.
    #[must_use]
    pub fn new(mut summands: Terms<(Read, Part)>) -> Self {
        let (mut reads, mut places) = (Vec::new(), HashMap::new());
        let mut leaf = |(read, part)| Term { read: index_of(&mut reads, &mut places, read), part };
        let terms = Measures::from_fn(|measure| {
            let summands = std::mem::take(&mut summands[measure]);
            summands.into_iter().map(|summand| summand.map(&mut leaf)).collect()
        });
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

    /// The summands of each measure.
    #[must_use]
    pub fn terms(&self) -> &Terms<Term> {
        &self.terms
    }

    /// How many summands the measure with the most has. One that has more than a trigger may have was not
    /// made whole.
    #[must_use]
    pub fn most_summands(&self) -> usize {
        self.terms.iter().map(|(_, summands)| summands.len()).max().unwrap_or(0)
    }

    /// The counts that these answers give, one answer for each of [`Plan::reads`].
    ///
    /// # Errors
    /// [`LayoutMismatch`] for the first answer that counts nothing.
    pub fn counts(&self, answers: &[&Answer]) -> Result<Counts, LayoutMismatch> {
        self.terms.try_map(|summands| {
            summands.iter().map(|one| one.evaluate(&|term| self.count(term, answers))).sum()
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
    use crate::layouts::{Group, Measure, Waiting};

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
        let terms = Terms::default()
            .with(Measure::Waiting, [leaf(group("s"), Part::GroupWaiting(missing))])
            .with(Measure::InFlight, [leaf(group("s"), Part::GroupPending(missing))]);
        Plan::new(terms)
    }

    #[test]
    fn reads_follow_the_flow_and_equal_reads_are_one() {
        let waiting = [leaf(size("now"), Part::Size), leaf(size("later"), Part::Size)];
        let terms = Terms::default()
            .with(Measure::InFlight, [leaf(size("doing"), Part::Size)])
            .with(Measure::Due, [leaf(size("later"), Part::Size)])
            .with(Measure::Waiting, waiting);
        let plan = Plan::new(terms);
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
        assert_eq!(counts[Measure::Waiting], Count::from(6));
        assert_eq!(counts[Measure::InFlight], Count::from(2));
    }

    #[test]
    fn a_missing_group_is_what_the_trigger_says_it_is() {
        let answer = Answer::MissingGroup { entries: 9 };
        let waiting = |missing| {
            stream_plan(missing).counts(&[&answer]).map(|counts| counts[Measure::Waiting])
        };
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
        let plan =
            Plan::new(Terms::default().with(Measure::Waiting, [leaf(size("k"), Part::Size)]));
        for answer in [Answer::NotANumber, Answer::Number(f64::NAN), Answer::Number(-1.0)] {
            assert!(plan.counts(&[&answer]).is_err(), "{answer:?}");
        }
    }
}
