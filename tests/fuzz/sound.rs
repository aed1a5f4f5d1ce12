//! What must hold for every trigger that was accepted, whatever its metadata.
//!
//! The sums are computed a second time here, over plain numbers.

use std::time::Duration;

use penstock::{
    layouts::{
        Answer, Expression, GroupAnswer, GroupPart, HeartbeatsAnswer, HeartbeatsPart, IdleAnswer,
        LayoutMismatch, Measure, MissingGroup, NumberAnswer, OldestAnswer, Overflow, Part,
        PerMemberAnswer, Read, ReadyAt, SizeAnswer, Term, Waiting,
    },
    limits,
    trigger::{Trigger, Verdict},
};

use crate::hold;

/// The longest key that names within their bounds can make.
const KEY_BYTES: usize = 8 * limits::NAME_BYTES;

/// Whether the trigger keeps every bound, and counts what its answers say and nothing else.
pub fn sound(trigger: &Trigger) -> Result<(), String> {
    let reads = trigger.plan.reads();
    // A trigger of patterns alone reads nothing before they are looked for.
    let least = usize::from(trigger.search.is_none());
    hold!((least..=limits::KEYS_PER_TRIGGER).contains(&reads.len()), "{} reads", reads.len());
    hold!(
        trigger.plan.most_summands() <= limits::KEYS_PER_TRIGGER,
        "a measure has too many summands"
    );
    for key in reads.iter().map(Read::key) {
        let bytes = key.as_bytes().len();
        hold!((1..=KEY_BYTES).contains(&bytes), "a key of {bytes} bytes");
    }
    let target = trigger.target.get();
    hold!((limits::TARGET_MIN..=limits::QUANTITY_MAX).contains(&target), "target {target}");
    let activation = trigger.activation.get();
    hold!((0.0..=limits::QUANTITY_MAX).contains(&activation), "activation {activation}");
    hold!(trigger.database.is_none_or(|n| n <= limits::DATABASE_NUMBER), "the database");
    let window = trigger.activity_window;
    let is_within = |window| window <= limits::ACTIVITY_WINDOW_MAX;
    hold!(window.is_none_or(|w| !w.is_zero() && is_within(w)), "window {window:?}");
    let name = trigger.metric_name.as_str();
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    hold!(name.starts_with("penstock-") && name.len() <= 160, "the metric `{name}`");
    hold!(name.chars().all(legal), "the metric `{name}`");
    counts(trigger)
}

fn counts(trigger: &Trigger) -> Result<(), String> {
    let reads = trigger.plan.reads();
    let nothing = vec![Answer::Missing; reads.len()];
    match trigger.verdict(&nothing.iter().collect::<Vec<_>>()) {
        Ok(verdict) => {
            hold!(verdict.value.get() == 0.0 && !verdict.active, "nothing counts as {verdict:?}");
        }
        // Where the trigger says so, a missing number is unknown.
        Err(mismatch) => {
            hold!(matches!(mismatch, LayoutMismatch::NoNumber { .. }), "{mismatch}");
        }
    }
    for number in [1, 7, u64::MAX] {
        let some: Vec<Answer> = reads.iter().map(|read| some(read, number)).collect();
        weighs(trigger, &some)?;
    }
    // What is not known must not be a number, whatever stands beside it.
    let mut answers: Vec<Answer> = reads.iter().map(|read| some(read, 1)).collect();
    for at in (0..reads.len()).take(6) {
        let known = std::mem::replace(&mut answers[at], Answer::WrongType("module".to_owned()));
        let references: Vec<&Answer> = answers.iter().collect();
        let verdict = trigger.verdict(&references);
        hold!(verdict.is_err(), "{:?} is unknown, and yet {verdict:?}", reads[at]);
        answers[at] = known;
    }
    Ok(())
}

fn verdict(trigger: &Trigger, answers: &[Answer]) -> Result<Verdict, String> {
    let references: Vec<&Answer> = answers.iter().collect();
    trigger.verdict(&references).map_err(|mismatch| mismatch.to_string())
}

/// An answer that a read can have.
fn some(read: &Read, number: u64) -> Answer {
    match read {
        Read::Size(_) => Answer::Size(SizeAnswer::Members(number)),
        Read::Number(_) => Answer::Number(NumberAnswer::Is(if number > 7 { 1e13 } else { 2.5 })),
        Read::Oldest(_) => Answer::Oldest(OldestAnswer {
            ready: ReadyAt::Time(Duration::from_secs(number.min(1 << 33))),
            bytes: 0,
        }),
        Read::Group(_) => {
            Answer::Group(GroupAnswer::State { waiting: Waiting::Exact(number), pending: 2 })
        }
        Read::Flag(_) => Answer::Flag(number == 7),
        Read::PerMember(_) => Answer::PerMember(PerMemberAnswer {
            counted: number.min(3),
            examined: 3,
            overflow: 0,
            unsure: 0,
        }),
        Read::Idle(_) => {
            Answer::Idle(IdleAnswer::Entries { entries: number.min(3), busy: true, overflow: 0 })
        }
        Read::Heartbeats(_) => Answer::Heartbeats(HeartbeatsAnswer {
            jobs: number,
            busy: number.min(2),
            finished: number.min(5),
            nameless: 0,
            silent: 0,
        }),
    }
}

/// Compares the verdict with sums of plain numbers.
fn weighs(trigger: &Trigger, answers: &[Answer]) -> Result<(), String> {
    let terms = trigger.plan.terms();
    let sum = |summands: &[Expression<Term>]| -> f64 {
        summands.iter().map(|one| evaluate(one, answers)).sum::<f64>().min(limits::QUANTITY_MAX)
    };
    let of = |measure| sum(&terms[measure]);
    let ready = (of(Measure::Waiting) + of(Measure::Due)).min(limits::QUANTITY_MAX);
    let (in_flight, orphaned) = (of(Measure::InFlight), of(Measure::Orphaned));
    let backlog = (ready + in_flight).min(limits::QUANTITY_MAX);
    let slots = trigger.settings.slots.map_or(1.0, f64::from);
    let value = match trigger.signal.name() {
        "backlog" => backlog,
        "waiting" => ready,
        "in-flight" => in_flight,
        "load" => 100.0 * backlog / slots,
        "replicas" => replicas(trigger, [ready, in_flight, 0.0]).max(of(Measure::Busy)),
        // Nothing has waited, and nothing comes, as long as nobody says what time it is.
        "latency" | "rate" => 0.0,
        "gauge" => of(Measure::Gauge),
        other => return Err(format!("nobody said what {other} is")),
    };
    let value = value.min(limits::QUANTITY_MAX);
    let activation = trigger.activation.get();
    let of_jobs = [Measure::Due, Measure::Waiting, Measure::InFlight, Measure::Orphaned];
    // Found queues are not in the plan, but what they are looked for by is.
    let has_jobs = of_jobs.iter().any(|measure| trigger.in_words().reads_for(*measure));
    let active = if has_jobs {
        in_flight > 0.0 || orphaned > 0.0 || ready > activation
    } else {
        value > activation
    };
    let got = verdict(trigger, answers)?;
    let since = earliest(&terms[Measure::Oldest], answers);
    let told = [got.counts[Measure::Arrived].get(), got.counts[Measure::Oldest].get()];
    hold!(told == [of(Measure::Arrived), since], "{told:?} of {answers:?}");
    let is_near = (got.value.get() - value).abs() <= value * 1e-9 + 1e-9;
    hold!(is_near && got.active == active, "{value}, {active} expected of {answers:?}: {got:?}");
    Ok(())
}

/// The earliest of these times, of which zero is none.
fn earliest(summands: &[Expression<Term>], answers: &[Answer]) -> f64 {
    let times = summands.iter().map(|one| evaluate(one, answers)).filter(|time| *time > 0.0);
    let least = times.fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { 0.0 }
}

/// The workers that are needed, in the words of docs/signals.md.
fn replicas(trigger: &Trigger, [ready, in_flight, per_second]: [f64; 3]) -> f64 {
    let settings = &trigger.settings;
    let slots = settings.slots.map_or(1.0, f64::from);
    let task_time = settings.task_time.map_or(0.0, |time| time.as_secs_f64());
    let for_all = (ready + in_flight).min(limits::QUANTITY_MAX) / slots;
    let wanted = match settings.max_wait {
        Some(_) if ready <= 0.0 => 0.0,
        Some(max_wait) => {
            let drain = (ready + in_flight / 2.0) * task_time / (slots * max_wait.as_secs_f64());
            if drain < for_all { drain } else { for_all }
        }
        None => for_all,
    };
    let sustain = if settings.keep_up { per_second * task_time / slots } else { 0.0 };
    [wanted, in_flight / slots, sustain].into_iter().fold(0.0, f64::max)
}

fn evaluate(expression: &Expression<Term>, answers: &[Answer]) -> f64 {
    let number = match expression {
        Expression::Leaf(term) => part(term.part, &answers[term.read]),
        Expression::Sum(all) => all.iter().map(|one| evaluate(one, answers)).sum(),
        Expression::Difference(both) => {
            let [whole, less] = both.each_ref().map(|one| evaluate(one, answers));
            if whole > less { whole - less } else { 0.0 }
        }
        Expression::Max(both) => {
            let [one, other] = both.each_ref().map(|one| evaluate(one, answers));
            if one > other { one } else { other }
        }
        Expression::Unless(flag, of) => {
            let stands = part(flag.part, &answers[flag.read]) != 0.0;
            if stands { 0.0 } else { evaluate(of, answers) }
        }
        Expression::Times(weight, of) => weight.get() * evaluate(of, answers),
    };
    if number > limits::QUANTITY_MAX { limits::QUANTITY_MAX } else { number }
}

#[expect(clippy::cast_precision_loss, reason = "larger numbers are cut to 1e12 anyway")]
fn part(part: Part, answer: &Answer) -> f64 {
    if let (Part::Number(_), Answer::Number(NumberAnswer::Is(number))) = (part, answer) {
        return number.min(limits::QUANTITY_MAX);
    }
    let number = match (part, answer) {
        (Part::Size(()), Answer::Size(SizeAnswer::Members(number))) => *number,
        (Part::Group(GroupPart::Waiting(_)), Answer::Group(GroupAnswer::State { waiting, .. })) => {
            waiting.entries()
        }
        (Part::Group(GroupPart::Pending(_)), Answer::Group(GroupAnswer::State { pending, .. })) => {
            *pending
        }
        (
            Part::Group(GroupPart::Waiting(MissingGroup::All)),
            Answer::Group(GroupAnswer::Missing { entries }),
        ) => *entries,
        (Part::Idle(()), Answer::Idle(IdleAnswer::Entries { entries, .. })) => *entries,
        (
            Part::Heartbeats(HeartbeatsPart::Jobs),
            Answer::Heartbeats(HeartbeatsAnswer { jobs, .. }),
        ) => *jobs,
        (
            Part::Heartbeats(HeartbeatsPart::Busy),
            Answer::Heartbeats(HeartbeatsAnswer { busy, .. }),
        ) => *busy,
        (
            Part::Heartbeats(HeartbeatsPart::Finished),
            Answer::Heartbeats(HeartbeatsAnswer { finished, .. }),
        ) => *finished,
        (Part::Oldest(()), Answer::Oldest(OldestAnswer { ready: ReadyAt::Time(time), .. })) => {
            time.as_secs()
        }
        (Part::Flag(()), Answer::Flag(stands)) => u64::from(*stands),
        (
            Part::PerMember(Overflow::Count),
            Answer::PerMember(PerMemberAnswer { counted, overflow, .. }),
        ) => counted + overflow,
        (Part::PerMember(_), Answer::PerMember(PerMemberAnswer { counted, .. })) => *counted,
        (part, answer) => panic!("{part:?} of {answer:?}"),
    };
    (number as f64).min(limits::QUANTITY_MAX)
}
