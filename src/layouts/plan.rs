//! What a layout makes of one trigger's arguments: the reads in the order of the flow, and how
//! their answers add up to counts.
//!
//! A plan is bound to names and cheap to compare: equal plans ask the same questions. It does not know how or
//! when the reads are done.

use std::collections::HashMap;

use super::{
    count::{Count, Counts},
    expression::Expression,
    measure::{Measure, Measures},
    read::{Answer, Part, Read, mismatch::LayoutMismatch},
};

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
        self.reads.len()
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

    /// Whether anything is read for this measure.
    #[must_use]
    pub fn reads_for(&self, measure: Measure) -> bool {
        !self.terms[measure].is_empty()
    }

    /// Whether anything is read of jobs.
    #[must_use]
    pub fn counts_jobs(&self) -> bool {
        Measure::ALL.into_iter().any(|measure| measure.is_of_jobs() && self.reads_for(measure))
    }

    /// The counts that these answers give, one answer for each of [`Plan::reads`].
    ///
    /// # Errors
    /// [`LayoutMismatch`] for the first answer that counts nothing.
    pub fn counts(&self, answers: &[&Answer]) -> Result<Counts, LayoutMismatch> {
        self.counts_of(|_| true, answers)
    }

    /// The same of jobs alone, whatever else the answers say.
    ///
    /// # Errors
    /// [`LayoutMismatch`] for the first answer that counts no jobs.
    pub fn counts_of_jobs(&self, answers: &[&Answer]) -> Result<Counts, LayoutMismatch> {
        self.counts_of(Measure::is_of_jobs, answers)
    }

    fn counts_of(
        &self,
        is_counted: impl Fn(Measure) -> bool,
        answers: &[&Answer],
    ) -> Result<Counts, LayoutMismatch> {
        let mut counts = Counts::default();
        for (measure, summands) in self.terms.iter().filter(|(measure, _)| is_counted(*measure)) {
            let mut each =
                summands.iter().map(|one| one.evaluate(&|term| self.count(term, answers)));
            counts[measure] = if measure.is_time() {
                each.try_fold(Count::ZERO, |earliest, at| Ok(earliest.earlier(at?)))?
            } else {
                each.sum::<Result<Count, _>>()?
            };
        }
        Ok(counts)
    }

    /// What each summand of one measure counts.
    ///
    /// # Errors
    /// [`LayoutMismatch`] for the first answer that counts nothing.
    pub fn each(
        &self,
        measure: Measure,
        answers: &[&Answer],
    ) -> Result<Vec<Count>, LayoutMismatch> {
        let count = |one: &Expression<Term>| one.evaluate(&|term| self.count(term, answers));
        self.terms[measure].iter().map(count).collect()
    }

    /// The count of one summand.
    ///
    /// # Errors
    /// [`LayoutMismatch`] when what Redis holds is not what the term counts.
    pub fn count(&self, term: &Term, answers: &[&Answer]) -> Result<Count, LayoutMismatch> {
        self.reads[term.read].count(term.part, answers[term.read])
    }
}

fn index_of(reads: &mut Vec<Read>, places: &mut HashMap<Read, usize>, read: Read) -> usize {
    *places.entry(read).or_insert_with_key(|read| {
        reads.push(read.clone());
        reads.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layouts::{
        Group, GroupAnswer, GroupPart, Members, MissingGroup, Size, SizeAnswer, Waiting,
    };

    fn size(key: &str) -> Read {
        Read::Size(Size { key: key.into(), members: Members::All })
    }

    fn leaf(read: Read, part: Part) -> Expression<(Read, Part)> {
        Expression::Leaf((read, part))
    }

    fn group(key: &str) -> Read {
        Read::Group(Group { key: key.into(), group: "g".into() })
    }

    fn stream_plan(missing: MissingGroup) -> Plan {
        let terms = Terms::default()
            .with(Measure::Waiting, [leaf(group("s"), Part::Group(GroupPart::Waiting(missing)))])
            .with(Measure::InFlight, [leaf(group("s"), Part::Group(GroupPart::Pending(missing)))]);
        Plan::new(terms)
    }

    #[test]
    fn reads_follow_the_flow_and_equal_reads_are_one() {
        let waiting = [leaf(size("now"), Part::Size(())), leaf(size("later"), Part::Size(()))];
        let terms = Terms::default()
            .with(Measure::InFlight, [leaf(size("doing"), Part::Size(()))])
            .with(Measure::Due, [leaf(size("later"), Part::Size(()))])
            .with(Measure::Waiting, waiting);
        let plan = Plan::new(terms);
        assert_eq!(plan.reads(), [size("later"), size("now"), size("doing")]);
        let answers = [
            &Answer::Size(SizeAnswer::Members(2)),
            &Answer::Size(SizeAnswer::Members(3)),
            &Answer::Missing,
        ];
        let counts = plan.counts(&answers).unwrap();
        assert_eq!(counts.to_string(), "waiting 5, due 2, in flight 0");
    }

    #[test]
    fn a_group_gives_waiting_and_in_flight_from_one_read() {
        let plan = stream_plan(MissingGroup::All);
        assert_eq!(plan.reads().len(), 1);
        let answer = Answer::Group(GroupAnswer::State { waiting: Waiting::Exact(6), pending: 2 });
        let counts = plan.counts(&[&answer]).unwrap();
        assert_eq!(counts[Measure::Waiting], Count::from(6));
        assert_eq!(counts[Measure::InFlight], Count::from(2));
    }

    #[test]
    fn a_missing_group_is_what_the_trigger_says_it_is() {
        let answer = Answer::Group(GroupAnswer::Missing { entries: 9 });
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
            Plan::new(Terms::default().with(Measure::Waiting, [leaf(size("k"), Part::Size(()))]));
        for answer in [
            Answer::Size(SizeAnswer::NotANumber),
            Answer::Size(SizeAnswer::Number(f64::NAN)),
            Answer::Size(SizeAnswer::Number(-1.0)),
        ] {
            assert!(plan.counts(&[&answer]).is_err(), "{answer:?}");
        }
    }
}
