//! Lists as a server would tell of them, and which of their jobs is found to be the oldest.

use std::{collections::HashMap, time::Duration};

use deadpool_redis::redis::Arg;

use super::*;
use crate::layouts::{MemberKey, OldestAnswer, Place, ReadyAt, Stamps, TimeOf};

/// Later than all jobs but those that say another.
const NOW: Duration = Duration::from_secs(1_795_926_000);

/// A list, from left to right, and hashes.
#[derive(Default)]
struct Server {
    list: Vec<String>,
    hashes: HashMap<String, HashMap<String, String>>,
}

impl Server {
    fn of(list: &[&str]) -> Self {
        Self { list: list.iter().map(|text| (*text).to_owned()).collect(), ..Self::default() }
    }

    fn hash(mut self, key: &str, field: &str, value: &str) -> Self {
        let hash = self.hashes.entry(key.to_owned()).or_default();
        hash.insert(field.to_owned(), value.to_owned());
        self
    }

    fn reply(&self, command: &Cmd) -> Value {
        let words = command.args_iter().filter_map(|arg| {
            let Arg::Simple(bytes) = arg else { return None };
            Some(String::from_utf8(bytes.to_vec()).unwrap())
        });
        let words: Vec<String> = words.collect();
        let bulk = |text: &String| Value::BulkString(text.as_bytes().to_vec());
        match words[0].as_str() {
            "LRANGE" => {
                let length = i64::try_from(self.list.len()).unwrap();
                let place = |text: &str| {
                    let place: i64 = text.parse().unwrap();
                    if place < 0 { place + length } else { place }
                };
                let (from, to) = (place(&words[2]).max(0), place(&words[3]));
                let within = |at: usize| (from..=to).contains(&i64::try_from(at).unwrap());
                let found = self.list.iter().enumerate().filter(|(at, _)| within(*at));
                Value::Array(found.map(|(_, text)| bulk(text)).collect())
            }
            "HMGET" => {
                let hash = self.hashes.get(&words[1]);
                let value =
                    |field: &String| hash.and_then(|hash| hash.get(field)).map_or(Value::Nil, bulk);
                Value::Array(words[2..].iter().map(value).collect())
            }
            other => panic!("{other}"),
        }
    }

    /// Seconds of the oldest, how many commands were asked for it, and the bytes of jobs.
    fn ask(&self, jobs: ListedJobs) -> (Option<u64>, usize, u64) {
        let (key, jobs) = ("q".into(), Arc::new(jobs));
        let first = Ok(self.reply(&question(&key, &jobs)));
        let (mut progress, mut asked) = (super::first(&key, &jobs, &first, NOW).unwrap(), 1);
        loop {
            let open = match progress {
                Progress::Open(open) => open,
                Progress::Done(Ok(Answer::Missing)) => return (None, asked, 0),
                Progress::Done(Ok(Answer::Oldest(OldestAnswer { ready, bytes }))) => {
                    let ReadyAt::Time(at) = ready else { return (None, asked, bytes) };
                    let at = at - Duration::from_secs(1_795_925_000);
                    return (Some(at.as_secs()), asked, bytes);
                }
                other @ (Progress::Done(_) | Progress::Shared(_)) => panic!("{other:?}"),
            };
            let commands = open.commands();
            asked += commands.len();
            let replies: Vec<Response> = commands.iter().map(|c| Ok(self.reply(c))).collect();
            progress = open.proceed(&replies, &KnownTails::default()).unwrap();
        }
    }
}

fn jobs(taken: End, job: JobPlace, at: &str) -> ListedJobs {
    let times = [TimeOf { at: Place::from(at), plus: None }].into();
    let not_before = [TimeOf { at: Place::from("/eta"), plus: None }].into();
    let stamps = Stamps { times, not_before };
    ListedJobs { taken, other_end: None, job, stamps, remedy: "r".into() }
}

fn at(second: u64) -> String {
    format!("{{\"at\":{}}}", 1_795_925_000 + second)
}

fn hashes() -> JobPlace {
    JobPlace::Hash(MemberKey { before: "job:".into(), after: "".into() })
}

#[test]
fn the_oldest_of_the_jobs_that_are_taken_next_is_found_at_either_end() {
    let texts = [at(30), at(20), at(11), at(12), at(13), at(10)];
    let list: Vec<&str> = texts.iter().map(String::as_str).collect();
    let server = Server::of(&list);
    // Pushed back, newest first, where it is taken: 10 is the last, and 11 is within the first four.
    assert_eq!(server.ask(jobs(End::Right, JobPlace::Element, "/at")).0, Some(10));
    assert_eq!(server.ask(jobs(End::Left, JobPlace::Element, "/at")).0, Some(11));
    let both =
        ListedJobs { other_end: Some(End::Right), ..jobs(End::Left, JobPlace::Element, "/at") };
    assert_eq!(server.ask(both).0, Some(10));
    assert_eq!(Server::default().ask(jobs(End::Left, JobPlace::Element, "/at")), (None, 1, 0));
}

#[test]
fn a_long_job_is_looked_at_alone() {
    let long = format!("{{\"at\":1795925009,\"body\":\"{}\"}}", "x".repeat(100_000));
    let server = Server::of(&[&at(1), &long]);
    let (oldest, asked, bytes) = server.ask(jobs(End::Right, JobPlace::Element, "/at"));
    assert_eq!((oldest, asked), (Some(9), 1));
    assert!(bytes > 100_000);
    let unsaid = format!("{{\"body\":\"{}\"}}", "x".repeat(100_000));
    let server = Server::of(&[&at(1), &unsaid]);
    assert_eq!(server.ask(jobs(End::Right, JobPlace::Element, "/at")).0, None);
}

#[test]
fn jobs_that_say_nothing_are_passed_where_others_do() {
    let list = ["a", "b", "c", "d", "e", "f"];
    let server =
        Server::of(&list).hash("job:a", "at", "1795925050").hash("job:b", "at", "1795925040");
    // The four that are taken next are gone.
    assert_eq!(server.ask(jobs(End::Right, hashes(), "at")).0, Some(40));
    let (oldest, asked, _) = Server::of(&list).ask(jobs(End::Right, hashes(), "at"));
    assert_eq!((oldest, asked), (None, 1 + 4 + 1 + 6));
    let one = Server::of(&["a"]).ask(jobs(End::Right, hashes(), "at"));
    assert_eq!((one.0, one.1), (None, 4));
}

#[test]
fn jobs_in_one_hash_are_looked_at_by_their_names() {
    let field_of = || JobPlace::FieldOf("msgs".into());
    let mut server = Server::of(&["a", "b", "c", "d", "e"]);
    for (place, name) in (0..).zip(["a", "b", "c", "d", "e"]) {
        server = server.hash("msgs", name, &at(50 - place));
    }
    let (oldest, asked, _) = server.ask(jobs(End::Left, field_of(), "/at"));
    assert_eq!((oldest, asked), (Some(47), 3), "a, then b to d");
    let server = server.hash("msgs", "a", &format!("{{\"x\":\"{}\"}}", "x".repeat(100_000)));
    let (oldest, asked, _) = server.ask(jobs(End::Left, field_of(), "/at"));
    assert_eq!((oldest, asked), (None, 2), "the rest may be as long");
}

#[test]
fn a_job_whose_time_is_to_come_hides_none_behind_it() {
    let later = r#"{"at":1795925000,"eta":1795927000}"#.to_owned();
    let ahead: Vec<&str> = std::iter::repeat_n(later.as_str(), 40).collect();
    let ready = at(7);
    let list = [ahead.as_slice(), &[&ready], &ahead].concat();
    let ask = |taken| Server::of(&list).ask(jobs(taken, JobPlace::Element, "/at"));
    assert_eq!(ask(End::Left).0, Some(7));
    assert_eq!(ask(End::Right).0, Some(7));
    // Beyond what is looked at may be one that is ready.
    let all = [ahead.as_slice(), &ahead, &[&ready]].concat();
    let (oldest, asked, _) = Server::of(&all).ask(jobs(End::Left, JobPlace::Element, "/at"));
    assert_eq!((oldest, asked), (None, 1 + 1 + 4));
    assert_eq!(Server::of(&ahead).ask(jobs(End::Left, JobPlace::Element, "/at")).0, Some(2_000));
    // Long ones end the look.
    let long = format!("{{\"at\":1795925000,\"eta\":1795927000,\"x\":\"{}\"}}", "x".repeat(9_000));
    let list = [[long.as_str(); 6].as_slice(), &[&ready]].concat();
    let (oldest, asked, _) = Server::of(&list).ask(jobs(End::Left, JobPlace::Element, "/at"));
    assert_eq!((oldest, asked), (None, 2));
    // One that says nothing may be ready.
    let unsaid = [later.as_str(), "unsaid"];
    assert_eq!(Server::of(&unsaid).ask(jobs(End::Left, JobPlace::Element, "/at")).0, None);
}

#[test]
fn a_young_job_at_the_other_end_ends_no_look() {
    let later = r#"{"at":1795925000,"eta":1795927000}"#;
    let (old, young) = (at(10), at(900));
    let list = [[later; 4].as_slice(), &[old.as_str(); 20], &[&young]].concat();
    let both =
        || ListedJobs { other_end: Some(End::Right), ..jobs(End::Left, JobPlace::Element, "/at") };
    assert_eq!(Server::of(&list).ask(both()).0, Some(10));
    let list = [["unsaid"; 4].as_slice(), &[old.as_str(); 20], &[&young]].concat();
    assert_eq!(Server::of(&list).ask(both()).0, Some(10));
}

#[test]
fn an_empty_job_is_a_job() {
    let (oldest, ..) = Server::of(&[""; 9]).ask(jobs(End::Left, JobPlace::Element, "/at"));
    assert_eq!(oldest, None);
    let jobs = Arc::new(jobs(End::Left, JobPlace::Element, "/at"));
    let first = super::first(&"q".into(), &jobs, &Ok(Value::Array(vec![])), NOW);
    assert!(matches!(first, Ok(Progress::Done(Ok(Answer::Missing)))), "{first:?}");
}

#[test]
fn jobs_that_are_taken_under_the_look_are_no_mismatch() {
    let (key, listed) = ("q".into(), Arc::new(jobs(End::Right, hashes(), "at")));
    let proceed = |progress: Progress, server: &Server| {
        let Progress::Open(open) = progress else { panic!("{progress:?}") };
        let replies: Vec<Response> = open.commands().iter().map(|c| Ok(server.reply(c))).collect();
        open.proceed(&replies, &KnownTails::default())
    };
    let full = Server::of(&["a", "b"]);
    let begun = || {
        let first = Ok(full.reply(&question(&key, &listed)));
        let named = super::first(&key, &listed, &first, NOW).unwrap();
        // Their hashes are gone by now.
        proceed(named, &full).unwrap()
    };
    let drained = proceed(begun(), &Server::default());
    assert!(matches!(drained, Ok(Progress::Done(Ok(Answer::Missing)))), "{drained:?}");
    let others = Server::of(&["c", "d"]);
    let moved = proceed(proceed(begun(), &others).unwrap(), &others);
    assert!(moved.is_err(), "others are there, which are gone too: {moved:?}");
    let same = proceed(proceed(begun(), &full).unwrap(), &full);
    let unsaid = OldestAnswer { ready: ReadyAt::Unsaid, bytes: 0 };
    assert!(matches!(same, Ok(Progress::Done(Ok(Answer::Oldest(told)))) if told == unsaid));
}

#[test]
fn a_clock_that_is_ahead_makes_no_job_one_that_is_to_come() {
    let ahead = at(1_005);
    let list = [ahead.as_str(); 90];
    let (oldest, asked, _) = Server::of(&list).ask(jobs(End::Left, JobPlace::Element, "/at"));
    assert_eq!(
        (oldest, asked),
        (Some(1_005), 2),
        "by five seconds, and it is looked at no further"
    );
}
