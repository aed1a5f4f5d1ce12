//! What a fresh observation may say: the rules of truth, each with its numbers.
//!
//! An observation is made of the last answer that the worker took to each of its reads; the ledger
//! knows when that answer was true. So the oracle need not guess which answer was meant. The rules:
//!
//! 1. *Made of answers.* The verdict is what the trigger makes of those answers, and all of them
//!    came on the connection that is up now.
//! 2. *Coherence.* An answer is not older than the last change of its key that was reported before
//!    the observation was made. Excepted is an answer whose read was under way when the change was
//!    reported: a call may be told what was read for it, and a stream what was just read (the read
//!    goes again at once).
//! 3. *Staleness.* Even if nothing is reported, an answer is not outlived by a write longer than
//!    [`LAG_MS`]; where changes are not announced, it is not older than its maximum age.
//! 4. *Time.* What time alone changes (a job falls due, a lease runs out) is seen when it happens,
//!    give or take how far Redis's clock may run away; later after the clock was set.
//! 5. *Flow.* The total is never less than the number of jobs that were in the trigger's keys all
//!    the time from its first answer to its last. A job that moves is counted twice, not missed.
//! 6. *Window.* It is active if the counts say so, or if a change was reported within the window.

use penstock::{
    layouts::{LayoutMismatch, Members},
    trigger::Verdict,
};

use crate::{
    catalog::{CATALOG, Topic, key_of, members_of},
    data::{answer, turning_points},
    ledger::Taken,
    server::Model,
    transcript::Moment,
    weather::CLIENT_DELAY_MS,
};

/// For whom an observation was made.
#[derive(Debug, Clone, Copy)]
pub enum For {
    /// A call that was asked at this moment.
    Call(Moment),
    /// The open streams of a trigger.
    Streams,
}

/// What the oracle says is wrong.
pub type Violation = String;

/// Milliseconds of one bound.
pub const fn ms(bound: std::time::Duration) -> u64 {
    bound.as_secs() * 1_000 + bound.subsec_millis() as u64
}

/// What the worker and the client's tasks may sit on: both have no turn for a while.
pub const TURN_MS: u64 = 2 * CLIENT_DELAY_MS + 10;
/// The promises, written out: a bound in `limits.rs` that grows must not be noticed by nobody.
const PROOF_MS: u64 = 1_000;
const COMMAND_MS: u64 = 500;
const READ_MS: u64 = 1_000;
const MAX_AGE_MS: u64 = 1_000;
const DRIFT_MS: u64 = 50;
/// How long a write may go unnoticed on a link that broke without a word: the last proof, the batch
/// or proof after it, and its deadline.
pub const LAG_MS: u64 = PROOF_MS + READ_MS + TURN_MS;
/// How long it may take until the clock is looked at again.
pub const CLOCK_LAG_MS: u64 = PROOF_MS + COMMAND_MS + READ_MS + TURN_MS;

/// Judges a fresh observation, or a mismatch, which is as fresh.
pub fn fresh(
    model: &Model,
    topic: &Topic,
    told: Result<&Verdict, &LayoutMismatch>,
    made: For,
    is_in_window: Option<bool>,
) -> Result<(), Violation> {
    let taken: Option<Vec<&Taken>> =
        topic.reads.iter().map(|read| model.ledger.taken[*read].as_ref()).collect();
    let taken = taken.ok_or("a read was never answered")?;
    made_of_answers(model, topic, told, &taken)?;
    for (read, taken) in topic.reads.iter().zip(&taken) {
        let verdict = coherent(model, *read, taken, made)
            .and_then(|()| not_outlived(model, *read, taken, made))
            .and_then(|()| in_time(model, *read, taken, made));
        verdict.map_err(|why| {
            format!("read {read} ({}) {why}: {taken:?}, made {made:?}", CATALOG.reads[*read])
        })?;
    }
    let Ok(told) = told else { return Ok(()) };
    nothing_missed(model, topic, told, &taken)?;
    let counted = topic.subject.trigger.verdict_of(told.counts).active;
    let expected = is_in_window.map(|is_in_window| counted || is_in_window);
    if expected.is_some_and(|expected| expected != told.active) {
        return Err(format!("active is {}, in its window: {is_in_window:?}", told.active));
    }
    Ok(())
}

/// Rule 1.
fn made_of_answers(
    model: &Model,
    topic: &Topic,
    told: Result<&Verdict, &LayoutMismatch>,
    taken: &[&Taken],
) -> Result<(), Violation> {
    let answers: Vec<_> = taken.iter().map(|taken| &taken.answer).collect();
    let expected = topic.subject.trigger.verdict(&answers);
    let is_same = match (told, &expected) {
        (Ok(told), Ok(expected)) => (told.value, told.counts) == (expected.value, expected.counts),
        (Err(told), Err(expected)) => told == expected,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    };
    if !is_same {
        return Err(format!("{told:?} is not made of {answers:?}"));
    }
    // A link may be given up in the very turn in which its last answers were taken.
    let conn = model.ledger.just_taken.map(|(_, conn)| conn).or(model.ledger.conn);
    match taken.iter().find(|taken| Some(taken.conn) != conn) {
        None => Ok(()),
        Some(old) => Err(format!("{old:?} came on another link than {conn:?}")),
    }
}

/// Rule 2.
fn coherent(model: &Model, read: usize, taken: &Taken, made: For) -> Result<(), Violation> {
    let conn = &model.conns[taken.conn];
    // Once the worker tries to connect anew, the old link is heard no more.
    let is_heard = conn.epoch + 1 == model.knocks.len();
    let reported = conn.reported[key_of(&CATALOG.reads[read])].filter(|_| is_heard);
    let is_excepted = match made {
        For::Call(asked) => taken.sent.ms >= asked.ms,
        For::Streams => model.ledger.just_taken.is_some_and(|(batch, _)| batch == taken.batch),
    };
    match reported {
        Some(change) if change > taken.at && !is_excepted => {
            Err(format!("is older than its change of moment {}, which was reported", change.number))
        }
        Some(_) | None => Ok(()),
    }
}

/// Rule 3.
fn not_outlived(model: &Model, read: usize, taken: &Taken, made: For) -> Result<(), Violation> {
    let now = model.now.ms;
    if !taken.is_announced {
        let (since, bound) = match made {
            For::Call(asked) => (asked.ms, MAX_AGE_MS),
            For::Streams => (now, MAX_AGE_MS + READ_MS + TURN_MS),
        };
        let age = since.saturating_sub(taken.at.ms);
        return if age <= bound { Ok(()) } else { Err(format!("is {age} ms old, unannounced")) };
    }
    match model.data.first_write_after(key_of(&CATALOG.reads[read]), taken.at) {
        Some(write) if now > write.ms + LAG_MS => {
            Err(format!("was outlived {} ms ago, at moment {}", now - write.ms, write.number))
        }
        Some(_) | None => Ok(()),
    }
}

/// Rule 4.
fn in_time(model: &Model, read: usize, taken: &Taken, made: For) -> Result<(), Violation> {
    let (now, place) = (model.now, read);
    let read = &CATALOG.reads[read];
    if !taken.is_announced || !read.depends_on_time() {
        return Ok(());
    }
    let clock = &model.data.clock;
    let content = model.data.content_at(key_of(read), taken.at);
    let slack = clock_slack(model, taken);
    if clock.set_at().is_some_and(|set| set + CLOCK_LAG_MS + slack > now.ms) {
        return Ok(());
    }
    let turns = turning_points(content, read);
    let mut readings = clock.readings(&turns, (taken.clock_at.ms, now.ms)).into_iter();
    let changed = readings.find(|(_, clock)| answer(content, read, *clock) != taken.answer);
    let Some((changed, _)) = changed else { return Ok(()) };
    let is_late = match made {
        For::Call(asked) => changed + slack < asked.ms,
        For::Streams => changed + slack + READ_MS + TURN_MS < now.ms,
    };
    if is_late {
        return Err(format!("of place {place} was changed by time at {changed} ms, slack {slack}"));
    }
    Ok(())
}

/// How far Redis's clock may have run from ours unnoticed, as two readings can tell.
pub fn clock_slack(model: &Model, taken: &Taken) -> u64 {
    let slowest = model.conns[taken.conn].slowest_clock_ms;
    DRIFT_MS + 2 * slowest + 2
}

/// Rule 5.
fn nothing_missed(
    model: &Model,
    topic: &Topic,
    told: &Verdict,
    taken: &[&Taken],
) -> Result<(), Violation> {
    let keys: Vec<(usize, Members)> = topic
        .reads
        .iter()
        .map(|read| &CATALOG.reads[*read])
        .map(|read| (key_of(read), members_of(read)))
        .collect();
    let places: Vec<usize> = keys.iter().map(|(key, _)| *key).collect();
    // Where announcements wait for a task of their own, a later reply may overtake them, and an
    // answer that no longer holds stands beside a newer one until they are reported. The real
    // client reports them before it hands on what arrived after them.
    if model.conns[taken[0].conn].is_silent_about(&places) {
        return Ok(());
    }
    let from = taken.iter().map(|taken| taken.clock_at).min().unwrap_or_default();
    let to = taken.iter().map(|taken| taken.at).max().unwrap_or_default();
    let jobs = model.data.jobs.throughout(&keys, (from, to), &model.data.clock);
    #[expect(clippy::cast_precision_loss, reason = "a handful of jobs")]
    let jobs = jobs as f64;
    if told.counts.backlog().get() < jobs {
        let (from, to) = (from.number, to.number);
        return Err(format!("{told:?} misses some of {jobs} jobs from {from} to {to}: {taken:?}"));
    }
    Ok(())
}
