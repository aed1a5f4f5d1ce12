//! What the members of a collection count, by what is replied.

use deadpool_redis::redis::Value;

use super::*;
use crate::layouts::{Filter, MemberKey, Name};

fn unacked(queue: &str) -> Arc<PerMember> {
    let only_if = Some(("/1".to_owned(), String::new()));
    let filter = Filter { pointer: "/2".to_owned(), is: Name::from(queue).into(), only_if };
    Arc::new(PerMember {
        collection: "unacked".into(),
        kind: CollectionType::Hash,
        ask: Ask::Field,
        filter: Some(filter),
    })
}

fn text(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

fn answer(next: Next) -> Vec<Answer> {
    match next {
        Next::Done(answers) => answers,
        Next::Step(step) => panic!("not done: {step:?}"),
    }
}

fn ask(members: &[&str]) -> MemberStep {
    let members = members.iter().map(|member| member.as_bytes().to_vec()).collect();
    MemberStep::Ask { members, seen: SeenMembers { counted: vec![0], ..SeenMembers::default() } }
}

const BYTES: u64 = limits::MEMBER_ROUND_BYTES;

/// The fields that are fetched, and the answers, when the hash has these fields.
fn refresh(
    (reads, known): (&[Arc<PerMember>], &KnownFields),
    fields: &[(&str, Value)],
) -> (usize, Vec<Answer>) {
    let keys = fields.iter().map(|(field, _)| text(field)).collect();
    let step = MemberStep::Members(fields.len() as u64);
    let next = step.proceed(reads, (&[Ok(Value::Array(keys))], BYTES), known).unwrap();
    let Next::Step(step) = next else { panic!("there are fields to ask for") };
    let MemberStep::Ask { members, .. } = &step else { panic!("the fields are known") };
    let value = |field: &Vec<u8>| {
        fields.iter().find(|(name, _)| name.as_bytes() == field).unwrap().1.clone()
    };
    let replies: Vec<Response> = members
        .chunks(16)
        .map(|chunk| Ok(Value::Array(chunk.iter().map(value).collect())))
        .collect();
    assert_eq!(step.commands(&reads[0], BYTES).len(), replies.len());
    let fetched = members.len();
    (fetched, answer(step.proceed(reads, (&replies, BYTES), known).unwrap()))
}

fn count(counted: u64, examined: u64) -> Answer {
    Answer::PerMember(PerMemberAnswer { counted, examined, overflow: 0, unsure: 0 })
}

#[test]
fn a_field_is_fetched_once_and_forgotten_when_it_is_gone() {
    let known = KnownFields::default();
    let (each, other) = ([unacked("emails")], [unacked("other")]);
    let ours = || text(r#"[{}, "", "emails"]"#);
    let others = || text(r#"[{}, "", "other"]"#);
    let both = [("a", ours()), ("b", others())];
    assert_eq!(refresh((&each, &known), &both), (2, vec![count(1, 2)]));
    assert_eq!(refresh((&each, &known), &both), (0, vec![count(1, 2)]));
    let gone = [("a", ours()), ("c", Value::Nil)];
    assert_eq!(refresh((&each, &known), &gone), (1, vec![count(2, 2)]));
    assert_eq!(known.count(), 1, "b is gone");
    // What is known of a hash serves every queue in it.
    assert_eq!(refresh((&other, &known), &both[..1]), (0, vec![count(0, 1)]));
}

#[test]
fn a_value_that_cannot_be_read_counts_for_every_queue() {
    let reads = ["emails", "reports"].map(unacked);
    let values = [r#"[{}, "", "ema"#, "[1, 2, 3]", r#"[{}, "exchange", "key"]"#];
    let mut fields: Vec<_> = ["a", "b", "c"].into_iter().zip(values.map(text)).collect();
    fields.push(("d", text(r#"[{}, "", "reports"]"#)));
    let known = KnownFields::default();
    let unsure = |counted| {
        Answer::PerMember(PerMemberAnswer { counted, examined: 4, overflow: 0, unsure: 3 })
    };
    let answers = vec![unsure(3), unsure(4)];
    assert_eq!(refresh((&reads, &known), &fields), (4, answers.clone()));
    assert_eq!(refresh((&reads, &known), &fields), (0, answers));
}

#[test]
fn a_large_hash_is_not_looked_at_and_says_how_large_it_is() {
    let members = limits::FIELDS_EXAMINED as u64 + 1;
    let first = |members: u64| first(&unacked("q"), &Value::Int(members.cast_signed())).unwrap();
    let overflow = Answer::PerMember(PerMemberAnswer {
        counted: 0,
        examined: 0,
        overflow: members,
        unsure: 0,
    });
    assert!(matches!(first(members), ControlFlow::Break(answer) if answer == overflow));
    assert!(matches!(first(members - 1), ControlFlow::Continue(MemberStep::Members(_))));
    assert!(matches!(first(0), ControlFlow::Break(answer) if answer == count(0, 0)));
}

#[test]
fn fewer_values_than_fields_are_no_count() {
    let reply = [Ok(Value::Array(vec![text(r#"[{}, "", "emails"]"#)]))];
    let known = KnownFields::default();
    let next = ask(&["a", "b"]).proceed(&[unacked("emails")], (&reply, BYTES), &known);
    assert!(matches!(next, Err(Fault::Unexpected(_))));
}

fn by_locks() -> [Arc<PerMember>; 1] {
    [Arc::new(PerMember {
        collection: "active".into(),
        kind: CollectionType::List,
        ask: Ask::Exists(MemberKey { before: "l:".into(), after: "".into() }),
        filter: None,
    })]
}

fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> Value {
    Value::Array(names.into_iter().map(text).collect())
}

/// What is told of a list with these members, which have a lock or not, of a size that is asked if there may
/// be more, when these are left as the locks are asked for.
fn locked(members: &[(&str, bool)], size: i64, left: &[&str]) -> Vec<Answer> {
    let (each, known) = (by_locks(), KnownFields::default());
    let ControlFlow::Continue(mut step) =
        first(&each[0], &list(members.iter().map(|(name, _)| *name))).unwrap()
    else {
        panic!("there are locks to ask for")
    };
    for members in members.chunks(commands::KEYS) {
        let asked = step.commands(&each[0], BYTES);
        let of_size = (asked.len() > members.len() + 1).then_some(Ok(Value::Int(size)));
        let locks = members.iter().map(|(_, locked)| Ok(Value::Int(i64::from(*locked))));
        let listed = [Ok(list(left.iter().copied()))];
        let replies: Vec<Response> = of_size.into_iter().chain(locks).chain(listed).collect();
        assert_eq!(asked.len(), replies.len());
        match step.proceed(&each, (&replies, BYTES), &known).unwrap() {
            Next::Step(next) => step = next,
            Next::Done(answers) => return answers,
        }
    }
    panic!("every lock was asked for: {step:?}")
}

#[test]
fn a_member_without_a_key_does_not_count_unless_it_moved_on() {
    let both = [("1", true), ("2", false)];
    assert_eq!(locked(&both, 0, &["1", "2"]), [count(1, 2)], "its worker is gone");
    assert_eq!(locked(&both, 0, &["1", "3"]), [count(2, 2)], "it is back in its queue");
    assert_eq!(locked(&both[..1], 0, &[]), [count(1, 1)]);
    let twice = [("1", false), ("1", false)];
    assert_eq!(locked(&twice, 0, &["1", "1"]), [count(0, 2)]);
    assert_eq!(locked(&twice, 0, &["1"]), [count(1, 2)]);
}

#[test]
fn who_came_since_the_members_were_listed_takes_nothing_off() {
    assert_eq!(locked(&[("1", true)], 0, &["3", "2", "1"]), [count(1, 1)]);
}

#[test]
fn members_beyond_those_that_are_looked_at_are_told_by_their_number() {
    let names: Vec<String> = (0..limits::MEMBERS_EXAMINED).map(|id| id.to_string()).collect();
    let members: Vec<(&str, bool)> =
        names.iter().map(|name| (name.as_str(), name != "7")).collect();
    let of_all = |counted| {
        Answer::PerMember(PerMemberAnswer { counted, examined: 1000, overflow: 7, unsure: 0 })
    };
    assert_eq!(locked(&members, 1007, &["7", "8"]), [of_all(999)]);
    assert_eq!(locked(&members, 1007, &["8"]), [of_all(1000)]);
}

#[test]
fn no_reply_of_another_form_becomes_a_number() {
    let (each, known) = (by_locks(), KnownFields::default());
    let step = || match first(&each[0], &list(["1"])).unwrap() {
        ControlFlow::Continue(step) => step,
        ControlFlow::Break(answer) => panic!("a lock is to be asked for: {answer:?}"),
    };
    for reply in [Value::Nil, Value::Int(-1), Value::Okay] {
        assert!(first(&each[0], &reply).is_err(), "{reply:?}");
        assert!(first(&unacked("q"), &reply).is_err(), "{reply:?}");
        let next = step().proceed(&each, (&[Ok(reply), Ok(list(["1"]))], BYTES), &known);
        assert!(matches!(next, Err(Fault::Unexpected(_))));
    }
    let next = step().proceed(&each, (&[Ok(Value::Int(1)), Ok(Value::Int(1))], BYTES), &known);
    assert!(matches!(next, Err(Fault::Unexpected(_))));
    assert!(step().proceed(&each, (&[Ok(Value::Int(1))], BYTES), &known).is_err());
}
