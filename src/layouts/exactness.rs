//! Which counts are knowingly not exact, and why: a bound where counting stops, a value that does not tell which
//! queue it belongs to.

use std::fmt;

use super::{
    count::Count,
    expression::Expression,
    plan::{Plan, Term},
    read::{
        Answer,
        doubt::{Bias, Doubt},
        mismatch::LayoutMismatch,
    },
};

/// One reason why a state is not exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inexact {
    /// The state: `waiting`, `in flight` and so on.
    pub state: &'static str,
    /// Which way it is off.
    pub bias: Bias,
    /// Why.
    pub why: Doubt,
}

impl Plan {
    /// Why the counts that these answers give are not exact; empty if they are, or if they give none.
    #[must_use]
    pub fn inexact(&self, answers: &[&Answer]) -> Vec<Inexact> {
        if answers.iter().all(|answer| answer.is_exact()) {
            return vec![];
        }
        let mut all = Vec::new();
        for (measure, summands) in self.terms().iter() {
            let state = measure.words();
            for summand in summands {
                let Ok(doubts) = self.doubts(summand, answers) else { return vec![] };
                all.extend(doubts.into_iter().map(|(bias, why)| Inexact { state, bias, why }));
            }
        }
        all
    }

    fn doubts(
        &self,
        of: &Expression<Term>,
        answers: &[&Answer],
    ) -> Result<Vec<(Bias, Doubt)>, LayoutMismatch> {
        let count = |of: &Expression<Term>| of.evaluate(&|term| self.count(term, answers));
        Ok(match of {
            Expression::Leaf(term) => {
                self.count(term, answers)?;
                self.reads()[term.read].doubts(term.part, answers[term.read])
            }
            Expression::Sum(all) => {
                let all: Result<Vec<_>, _> =
                    all.iter().map(|one| self.doubts(one, answers)).collect();
                all?.concat()
            }
            Expression::Difference(both) => {
                let [whole, part] = both.as_ref();
                let part = self.doubts(part, answers)?;
                let turned = part.into_iter().map(|(bias, why)| (bias.turned(), why));
                self.doubts(whole, answers)?.into_iter().chain(turned).collect()
            }
            Expression::Max(both) => {
                let [one, other] = both.as_ref();
                let (of_one, of_other) = (count(one)?, count(other)?);
                let mut doubts = self.mattering(one, of_one, of_other, answers)?;
                doubts.extend(self.mattering(other, of_other, of_one, answers)?);
                doubts
            }
            Expression::Unless(flag, of) => {
                if self.count(flag, answers)?.is_positive() {
                    vec![]
                } else {
                    self.doubts(of, answers)?
                }
            }
            Expression::Times(_, of) => self.doubts(of, answers)?,
        })
    }

    /// The doubts of one of two, of which the larger counts: that it is too high does not matter while the
    /// other is higher.
    fn mattering(
        &self,
        of: &Expression<Term>,
        is: Count,
        beside: Count,
        answers: &[&Answer],
    ) -> Result<Vec<(Bias, Doubt)>, LayoutMismatch> {
        let mut doubts = self.doubts(of, answers)?;
        doubts.retain(|(bias, _)| *bias == Bias::Low || is > beside);
        Ok(doubts)
    }
}

impl fmt::Display for Inexact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = match self.bias {
            Bias::High => "an upper bound",
            Bias::Low => "a lower bound",
        };
        write!(f, "{} is {bound}: {}", self.state, self.why)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::layouts::{
        Ask, CollectionType, Flag, Group, GroupAnswer, GroupPart, Idle, IdleAnswer, Measure,
        Members, Overflow, Part, PerMember, PerMemberAnswer, Read, Size, SizeAnswer, Terms, Test,
        Waiting,
    };

    type Summand = Expression<(Read, Part)>;

    fn each(overflow: Overflow) -> Summand {
        let hash = PerMember {
            collection: "h".into(),
            kind: CollectionType::Hash,
            ask: Ask::Field,
            filter: None,
        };
        Expression::Leaf((Read::PerMember(Arc::new(hash)), Part::PerMember(overflow)))
    }

    fn size() -> Summand {
        let read = Read::Size(Size { key: "k".into(), members: Members::All });
        Expression::Leaf((read, Part::Size(())))
    }

    fn group(part: Part) -> Summand {
        Expression::Leaf((Read::Group(Group { key: "s".into(), group: "g".into() }), part))
    }

    fn told(summand: Summand, answers: &[Answer]) -> Vec<String> {
        let plan = Plan::new(Terms::default().with(Measure::InFlight, [summand]));
        let answers: Vec<&Answer> = answers.iter().collect();
        plan.inexact(&answers).iter().map(ToString::to_string).collect()
    }

    fn found(counted: u64, overflow: u64, unsure: u64) -> Answer {
        Answer::PerMember(PerMemberAnswer { counted, examined: 9, overflow, unsure })
    }

    #[test]
    fn each_answer_that_is_no_more_than_a_bound_says_which_and_why() {
        let over =
            "in flight is an upper bound: 5 members of `h` are not looked at, and each counts";
        assert_eq!(told(each(Overflow::Count), &[found(1, 5, 0)]), [over]);
        let under =
            "in flight is a lower bound: 5 members of `h` are not looked at, and none counts here";
        assert_eq!(told(each(Overflow::Skip), &[found(1, 5, 0)]), [under]);
        let unsure = "in flight is an upper bound: 2 values of `h` do not tell their queue, and \
                      count for every trigger that reads it";
        assert_eq!(told(each(Overflow::Unknown), &[found(3, 0, 2)]), [unsure]);
        assert_eq!(told(each(Overflow::Count), &[found(3, 4, 2)]).len(), 2);
        assert_eq!(told(each(Overflow::Count), &[found(3, 0, 0)]), [] as [String; 0]);
        // What counts nothing at all says so by itself.
        assert_eq!(told(each(Overflow::Unknown), &[found(3, 4, 0)]), [] as [String; 0]);
    }

    #[test]
    fn the_bound_of_a_group_is_one_of_what_it_is_to_be_given_and_of_nothing_else() {
        let missing = crate::layouts::MissingGroup::All;
        let answer = Answer::Group(GroupAnswer::State { waiting: Waiting::AtMost(7), pending: 2 });
        let bound = "in flight is an upper bound: what the group of `s` has still to be given is \
                     not counted further";
        assert_eq!(
            told(group(Part::Group(GroupPart::Waiting(missing))), std::slice::from_ref(&answer)),
            [bound]
        );
        assert_eq!(
            told(group(Part::Group(GroupPart::Pending(missing))), &[answer]),
            [] as [String; 0]
        );
    }

    #[test]
    fn what_is_taken_off_turns_the_bound() {
        let less = |whole, part| Expression::Difference(Box::new([whole, part]));
        let answers = [Answer::Size(SizeAnswer::Members(9)), found(1, 5, 0)];
        let told_of = told(less(size(), each(Overflow::Count)), &answers);
        assert!(told_of[0].starts_with("in flight is a lower bound"), "{told_of:?}");
        let idle = Read::Idle(Idle {
            key: "s".into(),
            group: "g".into(),
            after: std::time::Duration::from_secs(1),
        });
        let idle = Expression::Leaf((idle, Part::Idle(())));
        let answers = [
            Answer::Size(SizeAnswer::Members(9)),
            Answer::Idle(IdleAnswer::Entries { entries: 0, busy: true, overflow: 3_000 }),
        ];
        let told_of = told(less(size(), idle), &answers);
        assert!(told_of[0].starts_with("in flight is an upper bound: 3000 pending"), "{told_of:?}");
    }

    #[test]
    fn a_bound_that_does_not_decide_is_not_told() {
        let larger = || Expression::Max(Box::new([each(Overflow::Count), size()]));
        assert_eq!(
            told(larger(), &[found(1, 5, 0), Answer::Size(SizeAnswer::Members(6))]),
            [] as [String; 0]
        );
        assert_eq!(
            told(larger(), &[found(1, 5, 0), Answer::Size(SizeAnswer::Members(5))]).len(),
            1
        );
        let flag = Read::Flag(Flag { key: "f".into(), test: Test::Exists });
        let paused = Expression::Unless((flag, Part::Flag(())), Box::new(each(Overflow::Count)));
        let answers = |stands| [Answer::Flag(stands), found(1, 5, 0)];
        assert_eq!(told(paused.clone(), &answers(true)), [] as [String; 0]);
        assert_eq!(told(paused, &answers(false)).len(), 1);
    }
}
