//! What silence means, and what it does not.

use super::{super::tests::format, *};
use crate::layouts::Glob;

const SECOND: Duration = Duration::from_secs(1);

fn said(worker: &str, jobs: u64, every: u64) -> Heartbeat {
    let every = Duration::from_secs(every);
    Heartbeat { worker: worker.to_owned(), jobs, ended: None, every, slots: None, queues: None }
}

fn serving(worker: &str, jobs: u64, queues: &[&str]) -> Heartbeat {
    let queues = Some(queues.iter().map(|queue| (*queue).to_owned()).collect());
    Heartbeat { queues, ..said(worker, jobs, 2) }
}

fn pool(pattern: &str) -> WorkerFilter {
    WorkerFilter::Pool(Glob::parse(pattern).unwrap())
}

fn queues(queues: &[&str]) -> WorkerFilter {
    WorkerFilter::Queues(queues.iter().map(|queue| (*queue).into()).collect())
}

fn jobs(workers: &mut Workers, filter: &WorkerFilter, now: Instant) -> Option<u64> {
    workers.tally(filter, now).ok().map(|tally| tally.jobs)
}

/// Workers that are expected to speak so often, and are gone when they do not.
fn speaking(every: Duration, now: Instant) -> Workers {
    Workers::new(&HeartbeatFormat { interval: every, ..format() }, now)
}

/// Workers that have been listened to for long enough.
fn listened() -> (Workers, Instant) {
    let start = Instant::now();
    (speaking(2 * SECOND, start), start + 5 * SECOND)
}

/// The same where silence for up to an hour means that they work.
fn solo() -> (Workers, Instant) {
    let (mut workers, now) = listened();
    workers.silence = Some(3600 * SECOND);
    (workers, now)
}

/// Jobs, how many workers are silent, and for how long that holds.
fn heard(workers: &mut Workers, now: Instant) -> (u64, u64, Option<Duration>) {
    let tally = workers.tally(&pool("*"), now).unwrap();
    (tally.jobs, tally.silent, tally.holds_for)
}

#[test]
fn a_worker_that_falls_silent_runs_a_job_until_it_speaks_or_ends_or_its_time_is_over() {
    let (mut workers, now) = solo();
    workers.take(said("a", 0, 2), now);
    assert_eq!(heard(&mut workers, now), (0, 0, Some(4 * SECOND)));
    let almost = now + 3 * SECOND;
    assert_eq!(heard(&mut workers, almost), (0, 0, Some(SECOND)));
    // Two heartbeats are missing, which is before a fall of the waiting ones is believed.
    assert_eq!(heard(&mut workers, now + 4 * SECOND), (1, 1, Some(3596 * SECOND)));
    assert_eq!(heard(&mut workers, now + 3599 * SECOND), (1, 1, Some(SECOND)));
    // It is done, and says so.
    let done = now + 3599 * SECOND;
    assert!(workers.take(said("a", 0, 2), done), "the same number is news");
    assert_eq!(heard(&mut workers, done), (0, 0, Some(4 * SECOND)));
    assert!(!workers.take(said("a", 0, 2), done + 2 * SECOND), "nothing is new");
    // It takes the next one, and is told to end.
    assert_eq!(heard(&mut workers, done + 60 * SECOND).0, 1);
    assert!(workers.end("a"));
    assert_eq!(heard(&mut workers, done + 60 * SECOND), (0, 0, None));
    // Another one is killed.
    workers.take(said("b", 0, 2), done);
    assert_eq!(heard(&mut workers, done + 3599 * SECOND).0, 1);
    assert_eq!(heard(&mut workers, done + 3600 * SECOND), (0, 0, None));
}

#[test]
fn a_silent_worker_runs_as_many_jobs_as_it_said_or_has_slots() {
    let (mut workers, now) = solo();
    workers.take(Heartbeat { slots: Some(4), ..said("slots", 1, 2) }, now);
    workers.take(said("busy", 3, 2), now);
    workers.take(Heartbeat { slots: Some(0), ..said("odd", 0, 2) }, now);
    assert_eq!(heard(&mut workers, now), (4, 0, Some(4 * SECOND)));
    assert_eq!(heard(&mut workers, now + 10 * SECOND).0, 4 + 3 + 1);
    assert_eq!(heard(&mut workers, now + 10 * SECOND).1, 2, "one said what it runs");
}

#[test]
fn without_a_time_for_silence_a_worker_that_says_nothing_is_gone() {
    let (mut workers, now) = listened();
    workers.take(said("a", 0, 2), now);
    workers.enroll(vec!["b".to_owned()], now);
    for after in [0, 4, 9, 10, 60] {
        assert_eq!(heard(&mut workers, now + after * SECOND), (0, 0, None));
    }
}

#[test]
fn who_is_listed_and_was_never_heard_runs_a_job_for_as_long_as_silence_may_last() {
    let start = Instant::now();
    let (mut workers, _) = solo();
    workers.since = start;
    let listed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    workers.enroll(listed(&["idle", "works", "dead"]), start);
    workers.take(said("idle", 0, 2), start + 4 * SECOND);
    assert_eq!(heard(&mut workers, start + 5 * SECOND).0, 2, "nobody knows of two of them");
    workers.take(said("works", 0, 2), start + 1800 * SECOND);
    workers.end("works");
    workers.take(said("idle", 0, 2), start + 3600 * SECOND);
    assert_eq!(heard(&mut workers, start + 3600 * SECOND).0, 0, "that one was dead");
    // The list does not forget the dead. Nor is one that is ending to be counted anew.
    let back = start + 3600 * SECOND;
    workers.listen_anew(back);
    workers.enroll(listed(&["idle", "works", "dead", "new"]), back);
    workers.take(said("idle", 0, 2), back + 5 * SECOND);
    assert_eq!(heard(&mut workers, back + 6 * SECOND).0, 1, "the new one");
    assert!(workers.take(said("dead", 0, 2), back + 6 * SECOND), "its name is used again");
    assert_eq!(heard(&mut workers, back + 11 * SECOND).0, 3, "nobody has spoken for 5 s");
}

#[test]
fn no_more_listed_workers_are_remembered_than_may_be() {
    let (mut workers, now) = solo();
    let names = (0..=limits::HEARTBEAT_WORKERS).map(|number| format!("w{number}"));
    workers.enroll(names.collect(), now);
    assert!(matches!(workers.tally(&pool("*"), now), Err(Fault::Unexpected(_))));
    assert_eq!(workers.known.len(), limits::HEARTBEAT_WORKERS);
    for number in 0..3 * limits::HEARTBEAT_WORKERS {
        workers.end(&format!("w{number}"));
        workers.take(said(&format!("v{number}"), 0, 2), now);
        workers.end(&format!("v{number}"));
    }
    assert!(workers.given_up.len() <= limits::HEARTBEAT_WORKERS);
}

#[test]
fn silence_means_nothing_until_everybody_should_have_spoken_twice() {
    let start = Instant::now();
    let mut workers = speaking(2 * SECOND, start);
    let early = workers.tally(&pool("*"), start + 4 * SECOND);
    assert_eq!(early, Err(Fault::Listening(5 * SECOND)));
    assert_eq!(jobs(&mut workers, &pool("*"), start + 5 * SECOND), Some(0));
    // What is expected, or heard, to speak less often is listened to for longer.
    let mut seldom = speaking(10 * SECOND, start);
    assert_eq!(jobs(&mut seldom, &pool("*"), start + 20 * SECOND), None);
    assert_eq!(jobs(&mut seldom, &pool("*"), start + 21 * SECOND), Some(0));
    workers.take(said("slow@a", 0, 30), start + 5 * SECOND);
    assert_eq!(jobs(&mut workers, &pool("*"), start + 60 * SECOND), None);
    assert_eq!(jobs(&mut workers, &pool("*"), start + 61 * SECOND), Some(0));
}

#[test]
fn the_jobs_of_a_pool_are_those_of_the_workers_that_match() {
    let (mut workers, now) = listened();
    for (worker, jobs) in [("emails@a", 2), ("emails@b", 3), ("reports@a", 4)] {
        assert!(workers.take(said(worker, jobs, 2), now), "a new worker is news");
    }
    assert_eq!(jobs(&mut workers, &pool("emails@*"), now), Some(5));
    assert_eq!(jobs(&mut workers, &pool("*@a"), now), Some(6));
    assert_eq!(jobs(&mut workers, &pool("others@*"), now), Some(0));
    assert!(!workers.take(said("emails@a", 2, 2), now + SECOND), "nothing is new");
    assert!(workers.take(said("emails@a", 1, 2), now + SECOND));
    assert_eq!(jobs(&mut workers, &pool("emails@*"), now), Some(4));
}

#[test]
fn a_worker_counts_once_for_all_the_queues_that_it_serves() {
    let (mut workers, now) = listened();
    workers.take(serving("a", 2, &["emails", "reports"]), now);
    workers.take(serving("b", 3, &["reports"]), now);
    workers.take(said("c", 7, 2), now);
    assert_eq!(jobs(&mut workers, &queues(&["emails"]), now), Some(2));
    assert_eq!(jobs(&mut workers, &queues(&["emails", "reports"]), now), Some(5));
    let tally = workers.tally(&queues(&["other"]), now).unwrap();
    assert_eq!((tally.jobs, tally.nameless), (0, 1));
    assert_eq!(workers.tally(&pool("*"), now).unwrap().nameless, 0);
    assert!(workers.take(serving("c", 7, &["other"]), now), "it now says whom it serves");
    assert_eq!(jobs(&mut workers, &queues(&["other"]), now), Some(7));
}

#[test]
fn a_worker_that_falls_silent_counts_until_three_of_its_intervals_are_over() {
    let (mut workers, now) = listened();
    workers.take(said("a", 2, 2), now);
    workers.take(said("slow", 1, 20), now);
    let later = now + 41 * SECOND;
    workers.take(said("a", 2, 2), later);
    let tally = workers.tally(&pool("*"), later).unwrap();
    assert_eq!((tally.jobs, tally.holds_for), (3, Some(10 * SECOND)));
    let tally = workers.tally(&pool("*"), later + 10 * SECOND).unwrap();
    assert_eq!((tally.jobs, tally.holds_for), (1, Some(9 * SECOND)));
    let tally = workers.tally(&pool("*"), later + 19 * SECOND).unwrap();
    assert_eq!((tally.jobs, tally.holds_for), (0, None));
}

#[test]
fn a_worker_that_says_that_it_ends_counts_no_more() {
    let (mut workers, now) = listened();
    workers.take(said("a", 2, 2), now);
    assert!(workers.end("a") && !workers.end("a"));
    assert_eq!(jobs(&mut workers, &pool("*"), now), Some(0));
}

#[test]
fn what_cannot_be_read_never_lowers_a_count() {
    let (mut workers, now) = listened();
    workers.take(said("a", 2, 2), now);
    assert!(workers.doubt("no JSON".to_owned(), now + SECOND), "the first is news");
    assert!(!workers.doubt("no JSON".to_owned(), now + 9 * SECOND));
    // The worker that spoke last may be the one that is not understood any more.
    let fault = Err(Fault::Unexpected("no JSON".to_owned()));
    assert_eq!(workers.tally(&pool("*"), now + 18 * SECOND), fault);
    assert_eq!(jobs(&mut workers, &pool("*"), now + 19 * SECOND), Some(0));
}

#[test]
fn after_a_gap_who_was_heard_before_is_believed_until_it_had_time_to_come_back() {
    let (mut workers, now) = listened();
    workers.take(said("a", 2, 2), now);
    workers.take(said("b", 3, 2), now);
    let back = now + 60 * SECOND;
    workers.listen_anew(back);
    assert_eq!(jobs(&mut workers, &pool("*"), back + 4 * SECOND), None);
    workers.take(said("a", 1, 2), back + 4 * SECOND);
    let tally = workers.tally(&pool("*"), back + 5 * SECOND).unwrap();
    assert_eq!((tally.jobs, tally.holds_for), (4, Some(9 * SECOND)));
    workers.take(said("a", 1, 2), back + 39 * SECOND);
    assert_eq!(jobs(&mut workers, &pool("*"), back + 40 * SECOND), Some(1));
}

#[test]
fn more_workers_than_are_remembered_are_no_number() {
    let (mut workers, now) = listened();
    for number in 0..limits::HEARTBEAT_WORKERS {
        workers.take(said(&format!("w{number}"), 1, 2), now);
    }
    assert_eq!(jobs(&mut workers, &pool("*"), now), Some(limits::HEARTBEAT_WORKERS as u64));
    assert!(workers.take(said("one more", 1, 2), now));
    assert!(!workers.take(said("w0", 1, 2), now + SECOND), "who is known is still heard");
    assert_eq!(jobs(&mut workers, &pool("*"), now + 9 * SECOND), None);
    assert_eq!(workers.known.len(), limits::HEARTBEAT_WORKERS);
}

#[test]
fn what_workers_finish_is_counted_from_when_each_is_heard_and_never_at_once() {
    let (mut workers, now) = listened();
    let finished = |workers: &mut Workers| workers.tally(&pool("*"), now).unwrap().finished;
    let mut ended = |worker: &str, ended| {
        workers.take(Heartbeat { ended, ..said(worker, 1, 2) }, now);
        finished(&mut workers)
    };
    assert_eq!(ended("a", Some(1_000)), 0, "it has worked for long");
    assert_eq!(ended("a", Some(1_003)), 3);
    assert_eq!(ended("b", Some(50)), 3);
    assert_eq!(ended("b", Some(51)), 4);
    assert_eq!(ended("a", Some(2)), 4, "it was started anew");
    assert_eq!(ended("a", Some(4)), 6);
    assert_eq!(ended("a", None), 6, "another version says nothing of it");
    assert_eq!(ended("a", Some(9)), 6);
    assert_eq!(ended("a", Some(10)), 7);
    let again = Heartbeat { ended: Some(11), ..said("a", 1, 2) };
    assert!(!workers.take(again, now), "one more began, and as many run as before");
    assert_eq!(finished(&mut workers), 8, "it is not lost for that");
}

#[test]
fn what_was_finished_while_nobody_listened_or_for_other_queues_is_not_counted() {
    let (mut workers, now) = listened();
    let ended = |workers: &mut Workers, queues: &[&str], ended| {
        workers.take(Heartbeat { ended: Some(ended), ..serving("a", 1, queues) }, now);
        workers.known["a"].finished
    };
    assert_eq!(ended(&mut workers, &["q"], 10), 0);
    assert_eq!(ended(&mut workers, &["q"], 12), 2);
    workers.listen_anew(now);
    assert_eq!(ended(&mut workers, &["q"], 500), 2, "after a gap");
    assert_eq!(ended(&mut workers, &["q"], 501), 3);
    assert_eq!(ended(&mut workers, &["r"], 502), 0, "it serves another queue now");
    assert_eq!(ended(&mut workers, &["r"], 503), 1);
}
