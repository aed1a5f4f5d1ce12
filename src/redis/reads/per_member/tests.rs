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

fn ask(members: &[&str]) -> Step {
    let members = members.iter().map(|member| member.as_bytes().to_vec()).collect();
    Step::Ask { members, seen: Seen { counted: vec![0], ..Seen::default() } }
}

const BYTES: u64 = limits::MEMBER_ROUND_BYTES;

/// The fields that are fetched, and the answers, when the hash has these fields.
fn refresh(
    (reads, known): (&[Arc<PerMember>], &KnownFields),
    fields: &[(&str, Value)],
) -> (usize, Vec<Answer>) {
    let keys = fields.iter().map(|(field, _)| text(field)).collect();
    let step = Step::Members(fields.len() as u64);
    let next = step.proceed(reads, (&[Ok(Value::Array(keys))], BYTES), known).unwrap();
    let Next::Step(step) = next else { panic!("there are fields to ask for") };
    let Step::Ask { members, .. } = &step else { panic!("the fields are known") };
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
    Answer::PerMember { counted, examined, overflow: 0, unsure: 0 }
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
    let unsure = |counted| Answer::PerMember { counted, examined: 4, overflow: 0, unsure: 3 };
    let answers = vec![unsure(3), unsure(4)];
    assert_eq!(refresh((&reads, &known), &fields), (4, answers.clone()));
    assert_eq!(refresh((&reads, &known), &fields), (0, answers));
}

#[test]
fn a_large_hash_is_not_looked_at_and_says_how_large_it_is() {
    let members = limits::FIELDS_EXAMINED as u64 + 1;
    let done = sized(&unacked("q"), members);
    let overflow = Answer::PerMember { counted: 0, examined: 0, overflow: members, unsure: 0 };
    assert_eq!(done, Some(overflow));
    assert_eq!(sized(&unacked("q"), members - 1), None);
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

/// What is told of a list of so many members, of whom these are listed, which have a lock or not, and
/// these are left when that is asked.
fn locked(size: u64, members: &[(&str, bool)], left: &[&str]) -> Vec<Answer> {
    let (each, known) = (by_locks(), KnownFields::default());
    let list = |names: &mut dyn Iterator<Item = &str>| Ok(Value::Array(names.map(text).collect()));
    let listed = [list(&mut members.iter().map(|(name, _)| *name))];
    let next = Step::Members(size).proceed(&each, (&listed, BYTES), &known).unwrap();
    let Next::Step(step) = next else { panic!("there are locks to ask for") };
    let mut replies: Vec<Response> =
        members.iter().map(|(_, locked)| Ok(Value::Int(i64::from(*locked)))).collect();
    replies.push(list(&mut left.iter().copied()));
    assert_eq!(step.commands(&each[0], BYTES).len(), replies.len());
    answer(step.proceed(&each, (&replies, BYTES), &known).unwrap())
}

#[test]
fn a_member_without_a_key_does_not_count_unless_it_moved_on() {
    let both = [("1", true), ("2", false)];
    assert_eq!(locked(2, &both, &["1", "2"]), [count(1, 2)], "its worker is gone");
    assert_eq!(locked(2, &both, &["1", "3"]), [count(2, 2)], "it is back in its queue");
    assert_eq!(locked(1, &both[..1], &[]), [count(1, 1)]);
}

#[test]
fn so_many_members_count_as_there_were_when_their_number_was_asked() {
    let three = [("1", true), ("2", true), ("3", true)];
    assert_eq!(locked(2, &three, &["3"]), [count(2, 2)], "one came from the queue meanwhile");
    assert_eq!(locked(4, &three, &["3"]), [count(4, 4)], "one went back to it");
    let of_more = Answer::PerMember { counted: 1000, examined: 1000, overflow: 7, unsure: 0 };
    assert_eq!(locked(1007, &three, &["3"]), [of_more]);
}

#[test]
fn no_reply_of_another_form_becomes_a_number() {
    let each = by_locks();
    for reply in [Value::Nil, Value::Int(-1), Value::Okay] {
        let next = ask(&["1"]).proceed(&each, (&[Ok(reply)], BYTES), &KnownFields::default());
        assert!(matches!(next, Err(Fault::Unexpected(_))));
    }
}
