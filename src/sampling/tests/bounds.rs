//! What the sampler may hold, and for how long. Most of it is asked of the pure state.

use std::sync::LazyLock;

use super::*;
use crate::layouts::{Answer, SizeAnswer};
use crate::sampling::{
    TooMany,
    source::{Change, Fault, KeyPage, Reply, Validity},
    state::State,
    step::{Ask, Step},
};

fn up() -> (State, Instant) {
    let now = Instant::now();
    let mut state = State::new(limits::HOLD_STALE, now);
    state.link_up(true, now);
    (state, now)
}

fn unique(n: usize) -> Arc<Subject> {
    static ONE: LazyLock<Arc<Subject>> = LazyLock::new(|| subject(&[("queue", "q")]));
    Subject::new("ns".to_owned(), format!("object {n}"), Arc::clone(&ONE.trigger))
}

fn reply(answer: Answer) -> Reply {
    Reply { answer, lasts: Validity::UntilAnnounced, moment: Some(0), clock: None }
}

fn answer_all(state: &mut State, now: Instant) {
    while let Step::Read(batch) = state.next(now) {
        let replies =
            batch.iter().map(|_| Ok(reply(Answer::Size(SizeAnswer::Members(1))))).collect();
        state.finish(batch, replies, now);
    }
}

#[test]
fn a_trigger_is_remembered_for_its_time_after_the_last_call_and_for_ever_while_a_stream_is_open() {
    let (mut state, start) = up();
    let minute = Duration::from_mins(1);
    let (asked, watched) = (unique(1), unique(2));
    state.ask(&asked, start, start).unwrap();
    let (id, _news) = state.open(&watched, start).unwrap();
    answer_all(&mut state, start);
    state.next(start + limits::TRIGGER_MEMORY - minute);
    assert_eq!(state.remembered().triggers, 2);
    state.next(start + limits::TRIGGER_MEMORY + minute);
    assert_eq!(state.remembered().triggers, 1, "the one with a stream");
    let late = start + 10 * limits::TRIGGER_MEMORY;
    state.next(late);
    state.close(id, late);
    state.next(late + limits::TRIGGER_MEMORY - minute);
    assert_eq!(state.remembered().triggers, 1, "remembered from when its stream ended");
    state.next(late + limits::TRIGGER_MEMORY + minute);
    assert_eq!(state.remembered().triggers, 0);
}

/// Of several servers, the one that was heard least recently decides.
#[test]
fn an_answer_is_as_old_as_the_moment_until_which_its_link_was_heard() {
    let (mut state, start) = up();
    let at = |ms| start + Duration::from_millis(ms);
    let one = unique(1);
    state.ask(&one, at(100), at(100)).unwrap();
    answer_all(&mut state, at(100));
    let age = |state: &mut State, ms| {
        let seen = state.observe_late(&one, at(ms));
        let Observation::Stale { age, .. } = seen else { panic!("{seen:?}") };
        age
    };
    assert_eq!(age(&mut state, 200), Duration::from_millis(100));
    // A later proof vouches for the same answer, as far as it goes.
    assert!(matches!(state.next(at(700)), Step::Prove { .. }));
    state.confirmed_until(at(600));
    state.proved(None, at(700));
    assert_eq!(age(&mut state, 800), Duration::from_millis(200));
    state.link_down(Fault::Timeout, at(1000));
    assert_eq!(age(&mut state, 1000), Duration::from_millis(400));
}

#[test]
fn triggers_are_forgotten_during_an_outage_too() {
    let (mut state, start) = up();
    state.ask(&unique(1), start, start).unwrap();
    answer_all(&mut state, start);
    let late = start + 2 * limits::TRIGGER_MEMORY;
    state.link_down(Fault::Timeout, late);
    assert_eq!(state.remembered().triggers, 0);
}

#[test]
fn the_limit_of_triggers_is_told_and_room_is_made_of_forgotten_ones() {
    let (mut state, start) = up();
    state.link_down(Fault::Timeout, start);
    for n in 0..limits::TRIGGERS {
        assert!(matches!(state.ask(&unique(n), start, start), Ok(Ask::Ready(_))));
    }
    let new = unique(limits::TRIGGERS);
    assert_eq!(state.ask(&new, start, start).unwrap_err(), TooMany::Triggers);
    assert_eq!(state.open(&new, start).unwrap_err(), TooMany::Triggers);
    assert!(state.ask(&unique(5), start, start).is_ok(), "the known ones are still served");
    let late = start + limits::TRIGGER_MEMORY;
    assert!(state.ask(&new, late, late).is_ok());
    assert_eq!(state.remembered().triggers, 1);
}

#[test]
fn at_the_limit_of_triggers_the_known_ones_are_read_and_their_streams_told() {
    let (mut state, start) = up();
    let watched = subject(&[("queue", "watched")]);
    let (_, mut news) = state.open(&watched, start).unwrap();
    for n in 1..limits::TRIGGERS {
        drop(state.ask(&unique(n), start, start).unwrap());
    }
    answer_all(&mut state, start);
    assert_eq!(state.open(&unique(0), start).unwrap_err(), TooMany::Triggers);
    assert_eq!(fresh(&news.look().observation), Some(1.0));
    let later = start + limits::REFRESH_FLOOR;
    assert!(state.changed(&Change::Key("watched".into()), later), "the worker has to look");
    let Step::Read(batch) = state.next(later) else { panic!("nothing is read") };
    let replies = batch.iter().map(|_| Ok(reply(Answer::Size(SizeAnswer::Members(2))))).collect();
    state.finish(batch, replies, later);
    assert_eq!(fresh(&news.look().observation), Some(2.0));
    let Ok(Ask::Ready(known)) = state.ask(&unique(7), later, later) else { panic!("it waits") };
    assert_eq!(fresh(&known), Some(1.0));
}

#[test]
fn the_worker_is_never_told_to_wait_for_what_is_past_unless_there_is_work() {
    let (mut state, mut now) = up();
    for n in 0..700 {
        let subject = subject(&[("waiting", &format!("w{n}")), ("inFlight", "shared")]);
        state.ask(&subject, now, now).unwrap();
        state.open(&subject, now).unwrap();
    }
    for n in 0..5 {
        state.open(&subject(&[("queue", &format!("q{n}-*"))]), now).unwrap();
    }
    let mut waits = 0;
    for round in 0..20_000 {
        match state.next(now) {
            Step::Read(batch) => {
                let fails = |n: usize| (n + round).is_multiple_of(7);
                let reply =
                    |n| if fails(n) { Err(Fault::Timeout) } else { Ok(reply(Answer::Missing)) };
                let replies = (0..batch.len()).map(reply).collect();
                now += Duration::from_micros(300);
                state.finish(batch, replies, now);
            }
            Step::Prove { .. } => state.proved(None, now),
            Step::Scan(scan) => {
                let page = KeyPage { keys: vec!["q1-a".into()], next: None };
                let fails = round.is_multiple_of(3);
                now += Duration::from_micros(300);
                let page = if fails { Err(Fault::Timeout) } else { Ok(page) };
                state.scanned(&scan, page, now);
            }
            Step::Reconnect(fault) => panic!("{fault}"),
            Step::Wait(until) => {
                assert!(until > now);
                waits += 1;
                now = until;
            }
        }
        if round.is_multiple_of(10) {
            state.changed(&Change::Key("shared".into()), now);
        }
    }
    assert!(waits > 1000, "{waits}");
}

#[test]
fn a_lost_link_is_given_up_at_once() {
    let (mut state, now) = up();
    assert!(state.changed(&Change::LinkLost, now));
    assert!(matches!(state.next(now), Step::Reconnect(Fault::Unreachable(_))));
}

#[test]
fn a_changed_key_that_nobody_wants_wakes_nobody() {
    let (mut state, now) = up();
    let subject = unique(1);
    state.ask(&subject, now, now).unwrap();
    answer_all(&mut state, now);
    assert!(!state.changed(&Change::Key("q".into()), now));
    assert!(!state.changed(&Change::Key("other".into()), now));
    let (_, _news) = state.open(&subject, now).unwrap();
    assert!(state.changed(&Change::Key("q".into()), now));
}
