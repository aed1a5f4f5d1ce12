//! How reads share questions, and how questions share the bytes of a round.

use deadpool_redis::redis::Value;

use super::*;
use crate::layouts::{Ask, CollectionType, Filter, MemberKey, PerMemberAnswer};

/// What the processes of one Sidekiq work on of this queue.
fn work(prefix: &str, queue: &str) -> Arc<PerMember> {
    let filter =
        Filter { pointer: "/queue".to_owned(), is: Name::from(queue).into(), only_if: None };
    Arc::new(PerMember {
        collection: Name::from(format!("{prefix}processes").as_str()),
        kind: CollectionType::Set,
        ask: Ask::Values(MemberKey { before: prefix.into(), after: ":work".into() }),
        filter: Some(filter),
    })
}

fn bulk(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

/// Answers what is asked until nothing is, and tells the commands of each round. Each process has
/// these values.
fn finish(shared: &mut MemberQuestions, processes: usize, values: &[String]) -> Vec<usize> {
    let mut rounds = vec![];
    while shared.is_open() {
        let asked: Vec<Vec<Cmd>> = shared.commands().collect();
        let reply = |command: &Cmd| {
            let sent = String::from_utf8(command.get_packed_command()).unwrap();
            Ok(Value::Array(if sent.contains("SMEMBERS") {
                (0..processes).map(|process| bulk(&process.to_string())).collect()
            } else {
                values.iter().map(|value| bulk(value)).collect()
            }))
        };
        let replies: Vec<Response> = asked.iter().flatten().map(reply).collect();
        rounds.push(replies.len());
        shared.proceed(asked.iter(), &replies, &KnownFields::default()).unwrap();
    }
    rounds
}

fn job(queue: &str, bytes: usize) -> String {
    format!(r#"{{"queue": "{queue}", "payload": "{}"}}"#, "x".repeat(bytes))
}

#[test]
fn forty_queues_of_one_sidekiq_fetch_its_jobs_once_and_each_counts_its_own() {
    let mut shared = MemberQuestions::default();
    // Another Sidekiq between them.
    let place = |number: usize, shared: &mut MemberQuestions| {
        let prefix = if number.is_multiple_of(2) { "" } else { "other:" };
        shared.take_in(&work(prefix, &format!("q{number}")), MemberStep::Members(3))
    };
    let places: Vec<AnswerPlace> = (0..80).map(|number| place(number, &mut shared)).collect();
    let values = [job("q0", 10), job("q2", 10), job("q2", 10), "no JSON".to_owned()];
    let rounds = finish(&mut shared, 3, &values);
    assert_eq!(rounds.iter().sum::<usize>(), 2 * (1 + 3), "{rounds:?}");
    let answers = shared.into_answers(&KnownFields::default());
    let counted = |number: usize| match answers.at(places[number]) {
        Ok(Answer::PerMember(PerMemberAnswer { counted, examined: 3, overflow: 0, .. })) => counted,
        other => panic!("{number}: {other:?}"),
    };
    assert_eq!([counted(0), counted(2), counted(4), counted(1)], [6, 9, 3, 3]);
}

#[test]
fn the_largest_of_the_sizes_says_how_many_are_beyond() {
    let mut shared = MemberQuestions::default();
    let ids = PerMember {
        collection: "ids".into(),
        kind: CollectionType::List,
        ask: Ask::Length(MemberKey { before: "l:".into(), after: "".into() }),
        filter: None,
    };
    let most = limits::MEMBERS_EXAMINED;
    let places = [5, 3].map(|more| {
        shared.take_in(&Arc::new(ids.clone()), MemberStep::Members(most as u64 + more))
    });
    let ids = Value::Array((0..most).map(|id| bulk(&id.to_string())).collect());
    while shared.is_open() {
        let asked: Vec<Vec<Cmd>> = shared.commands().collect();
        let reply = |command: &Cmd| {
            let sent = String::from_utf8(command.get_packed_command()).unwrap();
            Ok(if sent.contains("LRANGE") { ids.clone() } else { Value::Int(1) })
        };
        let replies: Vec<Response> = asked[0].iter().map(reply).collect();
        shared.proceed(asked.iter(), &replies, &KnownFields::default()).unwrap();
    }
    let answers = shared.into_answers(&KnownFields::default());
    let of_all = Answer::PerMember(PerMemberAnswer {
        counted: 1000,
        examined: 1000,
        overflow: 5,
        unsure: 0,
    });
    assert_eq!(places.map(|place| answers.at(place)), [Ok(of_all.clone()), Ok(of_all)]);
}

#[test]
fn a_fault_of_a_question_is_one_of_each_of_its_reads_and_of_no_other() {
    let mut shared = MemberQuestions::default();
    let places = [("", "a"), ("", "b"), ("other:", "a")];
    let places =
        places.map(|(prefix, queue)| shared.take_in(&work(prefix, queue), MemberStep::Members(1)));
    let asked: Vec<Vec<Cmd>> = shared.commands().collect();
    let replies = [Ok(Value::Int(7)), Ok(Value::Array(vec![]))];
    shared.proceed(asked.iter(), &replies, &KnownFields::default()).unwrap();
    finish(&mut shared, 0, &[]);
    let answers = shared.into_answers(&KnownFields::default());
    let nothing =
        Ok(Answer::PerMember(PerMemberAnswer { counted: 0, examined: 0, overflow: 0, unsure: 0 }));
    assert!(places[..2].iter().all(|place| answers.at(*place).is_err()));
    assert_eq!(answers.at(places[2]), nothing);
}

#[test]
fn all_collections_of_a_batch_share_the_bytes_of_a_round() {
    let value = [job("q", 20_000)];
    let rounds = |collections: usize| {
        let mut shared = MemberQuestions::default();
        for number in 0..collections {
            shared.take_in(&work(&format!("{number}:"), "q"), MemberStep::Members(60));
        }
        finish(&mut shared, 60, &value)
    };
    // The sets first, then four of the one process, then as many as fit.
    assert_eq!(rounds(1), [1, 4, 26, 26, 4]);
    assert_eq!(rounds(2), [2, 4, 26, 26, 26, 26, 12]);
    // One of each at least, as far as there is room for what is not known yet.
    let many = rounds(30);
    assert_eq!(many[..3], [30, 30, 30]);
    assert_eq!(many.len(), 1 + 60);
}

#[test]
fn collections_of_large_values_take_turns() {
    let mut shared = MemberQuestions::default();
    let places: Vec<AnswerPlace> = (0..100)
        .map(|number| shared.take_in(&work(&format!("{number}:"), "q"), MemberStep::Members(2)))
        .collect();
    let rounds = finish(&mut shared, 2, &[job("q", 300_000)]);
    let fitting = |bytes: u64| usize::try_from(limits::MEMBER_ROUND_MOST_BYTES / bytes).unwrap();
    assert_eq!(rounds.iter().sum::<usize>(), 100 + 2 * 100);
    assert_eq!(rounds[0], 100);
    assert!(rounds[1..].iter().all(|asked| *asked <= fitting(limits::MEMBER_UNSEEN_BYTES)));
    let is_large = |asked: &&usize| **asked > fitting(300_000) + 1;
    assert!(rounds[1..].iter().filter(is_large).count() <= 4, "{rounds:?}");
    let answers = shared.into_answers(&KnownFields::default());
    let both =
        Answer::PerMember(PerMemberAnswer { counted: 2, examined: 2, overflow: 0, unsure: 0 });
    assert!(places.iter().all(|place| answers.at(*place) == Ok(both.clone())));
}

/// What all but the first so many fields of a hash are asked for, when there is no more time.
#[tokio::test(start_paused = true)]
async fn a_hash_that_takes_several_looks_is_unknown_until_all_of_it_was_seen_or_has_no_end() {
    let filter = |queue: &str| Filter {
        pointer: "/2".to_owned(),
        is: Name::from(queue).into(),
        only_if: None,
    };
    let unacked = |queue| {
        let filter = Some(filter(queue));
        let kind = CollectionType::Hash;
        Arc::new(PerMember { collection: "unacked".into(), kind, ask: Ask::Field, filter })
    };
    let known = KnownFields::default();
    // Each look has time for so many rounds.
    let look = |fields: u64, rounds: usize| {
        let mut shared = MemberQuestions::default();
        let places =
            ["a", "b"].map(|queue| shared.take_in(&unacked(queue), MemberStep::Members(fields)));
        for _ in 0..rounds {
            let asked: Vec<Vec<Cmd>> = shared.commands().collect();
            let reply = |command: &Cmd| {
                let sent = String::from_utf8(command.get_packed_command()).unwrap();
                let asked = sent.lines().skip(4).step_by(2).filter(|word| *word != "unacked");
                Ok(Value::Array(if sent.contains("HKEYS") {
                    (0..fields).map(|field| bulk(&field.to_string())).collect()
                } else {
                    asked.map(|_| bulk(r#"["", "", "a"]"#)).collect()
                }))
            };
            let replies: Vec<Response> = asked.iter().flatten().map(reply).collect();
            shared.proceed(asked.iter(), &replies, &known).unwrap();
        }
        let answers = shared.into_answers(&known);
        places.map(|place| answers.at(place))
    };
    let exact = |number, examined| {
        Ok(Answer::PerMember(PerMemberAnswer { counted: number, examined, overflow: 0, unsure: 0 }))
    };
    // Four, then 1,024, then as many again.
    let looking = |seen| Err(Fault::Looking { seen, of: 2_000 });
    assert_eq!(look(2_000, 1), [looking(0), looking(0)]);
    assert_eq!(look(2_000, 3), [looking(1_028), looking(1_028)]);
    assert_eq!(look(2_000, 3), [exact(2_000, 2_000), exact(0, 2_000)]);
    // What is new since is unknown, too, and when that has no end it counts for each.
    let six_left = Err(Fault::Looking { seen: 2_004, of: 2_010 });
    assert_eq!(look(2_010, 2), [six_left.clone(), six_left]);
    tokio::time::advance(limits::MEMBER_PATIENCE).await;
    let [of_a, of_b] = look(2_012, 2);
    let bound = |counted| {
        Answer::PerMember(PerMemberAnswer { counted, examined: 2_008, overflow: 4, unsure: 0 })
    };
    assert_eq!([of_a, of_b], [Ok(bound(2_008)), Ok(bound(0))]);
    assert_eq!(look(2_012, 3), [exact(2_012, 2_012), exact(0, 2_012)]);
}

#[test]
fn what_is_still_open_when_the_time_is_over_is_unknown() {
    let mut shared = MemberQuestions::default();
    let place = shared.take_in(&work("", "q"), MemberStep::Members(3));
    assert_eq!(shared.into_answers(&KnownFields::default()).at(place), Err(Fault::Timeout));
}
