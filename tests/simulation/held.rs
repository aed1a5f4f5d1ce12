//! What may be said of what is not fresh, and what is true at rest.
//!
//! A held value is judged by the history alone. The rules:
//!
//! 7. *Held.* A stale observation is within its budget, and each of its counts was true at some time
//!    not before the moment that its age names. So no zero is ever told that was not true then.
//! 8. *Unavailable.* Nothing is withheld that was fresh a moment ago, within the budget.
//! 9. *At rest.* When nothing goes wrong any more, every call and every stream tells what is true.

use std::{collections::BTreeSet, time::Duration};

use penstock::{
    layouts::{Answer, Counts, Expression, GroupAnswer, GroupPart, Part, SizeAnswer, Term},
    limits,
    sampling::Observation,
    trigger::Verdict,
};

use crate::{
    catalog::{CATALOG, Topic},
    oracle::{CLOCK_LAG_MS, LAG_MS, TURN_MS, Violation, ms},
    server::Model,
};

/// What a held value may be: the budget, and when the trigger was last told something fresh.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// How long a value is held.
    pub budget: Duration,
    /// When something fresh was last told.
    pub fresh_ms: Option<u64>,
}

/// Rule 7.
pub fn stale(
    model: &Model,
    topic: &Topic,
    verdict: &Verdict,
    age: Duration,
    budget: Duration,
) -> Result<(), Violation> {
    if age > budget {
        return Err(format!("it is held for {age:?}, its budget is {budget:?}"));
    }
    let age = u64::try_from(age.as_millis()).unwrap() + 1;
    // A value counts as true until its change was reported, however long that was on its way.
    let turn = TURN_MS + model.latest_report_ms;
    let slack = if topic.reads.iter().any(|read| CATALOG.reads[*read].depends_on_time()) {
        // A clock that was set is noticed later than it was set.
        let from = model.now.ms.saturating_sub(age + CLOCK_LAG_MS);
        let was_set = model.data.clock.set_at().is_some_and(|set| set >= from);
        let slowest = model.conns.iter().map(|conn| conn.slowest_clock_ms).max().unwrap_or(0);
        turn + ms(limits::CLOCK_DRIFT) + 2 + 2 * slowest + if was_set { CLOCK_LAG_MS } else { 0 }
    } else {
        turn
    };
    let since = model.now.ms.saturating_sub(age + slack);
    if was_true(model, topic, &verdict.counts, (since, ms(limits::READ_DEADLINE))) {
        return Ok(());
    }
    Err(format!("{:?} was not true at any time since {since} ms", verdict.counts))
}

/// Rule 8.
pub fn unavailable(model: &Model, budget: Budget) -> Result<(), Violation> {
    let budget_ms = ms(budget.budget).saturating_sub(LAG_MS);
    match budget.fresh_ms.map(|ms| model.now.ms - ms) {
        Some(age) if age < budget_ms => Err(format!("nothing is told, {age} ms after {budget:?}")),
        Some(_) | None => Ok(()),
    }
}

/// Rule 9.
pub fn at_rest(model: &Model, topic: &Topic, told: &Observation) -> Result<(), Violation> {
    let slowest = model.conns.iter().map(|conn| conn.slowest_clock_ms).max().unwrap_or(0);
    // Where nothing is announced, time changes an answer unseen until it is read again.
    let is_tracked = model.ledger.conn.is_some_and(|conn| model.conns[conn].tracked);
    let age = if is_tracked { 0 } else { ms(limits::SAMPLE_MAX_AGE) };
    let since = model.now.ms.saturating_sub(ms(limits::CLOCK_DRIFT) + 2 * slowest + 50 + age);
    let since = (since, 0);
    let is_mismatch = |read: &usize| {
        let answers = model.data.answers_since(&CATALOG.reads[*read], since, model.now);
        answers.iter().any(|answer| {
            matches!(answer, Answer::Size(SizeAnswer::NotANumber))
                || matches!(answer, Answer::Group(GroupAnswer::Missing { .. }))
                    && topic.reads.len() == 2
        })
    };
    let is_true = match told {
        Observation::Fresh(verdict) => {
            let active = topic.subject.trigger.verdict_of(verdict.counts).active;
            was_true(model, topic, &verdict.counts, since) && verdict.active == active
        }
        Observation::LayoutMismatch(_) => topic.reads.iter().any(is_mismatch),
        // None of these triggers is a rate.
        Observation::Stale { .. }
        | Observation::ActivityOnly { .. }
        | Observation::Unavailable(_) => false,
    };
    if is_true { Ok(()) } else { Err(format!("it is still told {told:?}, which is not true")) }
}

/// Whether each count was true at some time since a millisecond.
fn was_true(model: &Model, topic: &Topic, counts: &Counts, since: (u64, u64)) -> bool {
    let terms = topic.subject.trigger.plan.terms();
    terms.iter().all(|(measure, terms)| {
        sums(model, topic, terms, since).contains(&to_whole(counts[measure].get()))
    })
}

/// Every sum that a state may have had.
fn sums(
    model: &Model,
    topic: &Topic,
    summands: &[Expression<Term>],
    since: (u64, u64),
) -> BTreeSet<u64> {
    let mut sums = BTreeSet::from([0]);
    for summand in summands {
        let Expression::Leaf(term) = summand else { unreachable!("the model only knows sums") };
        let read = &CATALOG.reads[topic.reads[term.read]];
        let answers = model.data.answers_since(read, since, model.now);
        let numbers: BTreeSet<u64> =
            answers.iter().filter_map(|answer| number(term.part, answer)).collect();
        let sum = |sum: u64| numbers.iter().map(move |number| sum + number);
        sums = sums.into_iter().flat_map(sum).collect();
    }
    sums
}

fn number(part: Part, answer: &Answer) -> Option<u64> {
    match (part, answer) {
        (_, Answer::Missing) => Some(0),
        (_, Answer::Size(SizeAnswer::Members(size))) => Some(*size),
        (_, Answer::Size(SizeAnswer::Number(number))) => Some(to_whole(*number)),
        (Part::Group(GroupPart::Pending(_)), Answer::Group(GroupAnswer::State { pending, .. })) => {
            Some(*pending)
        }
        (_, Answer::Group(GroupAnswer::State { waiting, .. })) => Some(waiting.entries()),
        (Part::Group(GroupPart::Pending(_)), Answer::Group(GroupAnswer::Missing { .. })) => Some(0),
        (_, Answer::Group(GroupAnswer::Missing { entries })) => Some(*entries),
        (_, Answer::Size(SizeAnswer::NotANumber) | Answer::WrongType(_)) => None,
        (
            _,
            Answer::Flag(_)
            | Answer::Number(_)
            | Answer::Oldest(_)
            | Answer::PerMember(_)
            | Answer::Idle(_)
            | Answer::Heartbeats(_),
        ) => unreachable!("the model has none of these"),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the model's numbers are small, whole and not negative"
)]
fn to_whole(number: f64) -> u64 {
    number as u64
}
