//! The commands of a size, and what their replies make of it.

use deadpool_redis::redis::{RedisError, Value, make_extension_error};

use super::{
    super::super::{known_tails::KnownTails, member_questions::MemberQuestions},
    *,
};
use crate::layouts::Scores;

fn bulk(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

fn of(members: Members) -> Size {
    Size { key: "z".into(), members }
}

fn typed(command: &Cmd) -> String {
    String::from_utf8_lossy(&command.get_packed_command())
        .split("\r\n")
        .filter(|part| !part.starts_with(['*', '$']) && !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn first(guess: KeyType, reply: Response) -> Result<Progress, Fault> {
    let members = &mut MemberQuestions::default();
    of(Members::All).first(First {
        reply: &reply,
        guess,
        now: Duration::ZERO,
        length: None,
        members,
    })
}

fn answer(progress: Result<Progress, Fault>) -> Option<Answer> {
    match progress {
        Ok(Progress::Done(answer)) => answer.ok(),
        Ok(Progress::Open(_) | Progress::Shared(_)) | Err(_) => None,
    }
}

#[test]
fn what_is_due_and_what_is_leased_is_compared_with_redis_time_and_a_grace() {
    let now = Duration::from_micros(1_700_000_000_250_500);
    let ask = |members| typed(&of(members).question(KeyType::SortedSet, now));
    let due = |unit: Unit| ask(Members::Due(unit.into()));
    assert_eq!(due(Unit::Seconds), "ZCOUNT z -inf 1700000001.250500");
    assert_eq!(due(Unit::Milliseconds), "ZCOUNT z -inf 1700000001250.500");
    assert_eq!(due(Unit::Nanoseconds), "ZCOUNT z -inf 1700000001250500000");
    assert_eq!(due(Unit::MillisecondsTimes4096), "ZCOUNT z -inf 6963200005124095");
    let leased = Members::Leased(Unit::Seconds.into());
    assert_eq!(ask(leased), "ZCOUNT z (1699999999.250500 +inf");
    let slack = Duration::from_secs(60);
    let wide = Scores { unit: Unit::Seconds, slack };
    assert_eq!(ask(Members::Due(wide)), "ZCOUNT z -inf 1700000061.250500");
    assert_eq!(ask(Members::Leased(wide)), "ZCOUNT z (1699999939.250500 +inf");
    let next = |members, key_type| of(members).next_change(key_type, now);
    let due = Members::Due(Unit::Seconds.into());
    assert_eq!(
        next(due, KeyType::SortedSet).as_ref().map(typed).as_deref(),
        Some("ZRANGEBYSCORE z (1700000001.250500 +inf WITHSCORES LIMIT 0 1")
    );
    assert!(next(due, KeyType::List).is_none() && next(Members::All, KeyType::SortedSet).is_none());
}

#[test]
fn a_count_of_due_jobs_lasts_until_the_next_one_falls_due() {
    let now = Duration::from_secs(1_000);
    let due = Members::Due(Unit::Seconds.into());
    let leased = Members::Leased(Unit::Milliseconds.into());
    let resp3 = |score| Value::Array(vec![Value::Array(vec![bulk("m"), Value::Double(score)])]);
    let lasts = |reply, members| of(members).lasts(&Ok(reply), now);
    assert_eq!(lasts(resp3(1_005.5), due), Validity::For(Duration::from_millis(4_500)));
    assert_eq!(lasts(resp3(1_005_500.0), leased), Validity::For(Duration::from_millis(6_500)));
    let resp2 = Value::Array(vec![bulk("m"), bulk("1005.5")]);
    assert_eq!(lasts(resp2, due), Validity::For(Duration::from_millis(4_500)));
    assert_eq!(lasts(resp3(f64::INFINITY), due), Validity::UntilAnnounced);
    assert_eq!(lasts(Value::Array(vec![]), due), Validity::UntilAnnounced);
    assert_eq!(lasts(Value::Nil, due), Validity::Unknown);
    assert_eq!(lasts(Value::Array(vec![bulk("m"), bulk("x")]), due), Validity::Unknown);
}

#[test]
fn a_string_is_a_number_only_if_it_is_a_plain_decimal() {
    let number = |text: &str| answer(first(KeyType::Text, Ok(bulk(text))));
    let is = |number| Some(Answer::Size(SizeAnswer::Number(number)));
    let not_a_number = Some(Answer::Size(SizeAnswer::NotANumber));
    assert_eq!(number("42"), is(42.0));
    assert_eq!(number(" 1.5\n"), is(1.5));
    for text in ["-1", "nan", "inf", "1e3", "12 jobs", "\u{661}"] {
        assert_eq!(number(text), not_a_number, "{text}");
    }
    assert_eq!(number(""), None);
    let (longest, longer) = ("0".repeat(64), "0".repeat(65));
    assert_eq!(number(&longest), is(0.0));
    assert_eq!(number(&longer), not_a_number, "more may follow");
    assert!(first(KeyType::Text, Ok(Value::Nil)).is_err());
}

/// What an empty string is in the end, with how often it was asked for again.
fn of_empty(exists: i64, text: &str) -> (Option<Answer>, usize) {
    let mut progress = first(KeyType::Text, Ok(bulk("")));
    let mut asked = 0;
    while let Ok(Progress::Open(question)) = progress {
        assert_eq!(question.commands().len(), 2, "whether it is there, and what it is");
        asked += 1;
        let replies = [Ok(Value::Int(exists)), Ok(bulk(text))];
        progress = question.proceed(&replies, &KnownTails::default());
    }
    (answer(progress), asked)
}

#[test]
fn a_string_is_missing_only_if_there_is_none_and_no_number_only_if_it_stays_empty() {
    assert_eq!(of_empty(0, ""), (Some(Answer::Missing), 1));
    assert_eq!(of_empty(1, "7"), (Some(Answer::Size(SizeAnswer::Number(7.0))), 1));
    let not_a_number = Some(Answer::Size(SizeAnswer::NotANumber));
    assert_eq!(of_empty(1, ""), (not_a_number, 3), "it may have come in between");
}

#[test]
fn no_reply_that_is_no_length_becomes_a_size() {
    for value in [Value::Nil, Value::Int(-1), Value::Okay, Value::Array(vec![])] {
        assert!(matches!(first(KeyType::List, Ok(value)), Err(Fault::Unexpected(_))));
    }
    let no_such_key: RedisError =
        make_extension_error("ERR".to_owned(), Some("no such key".to_owned()));
    assert!(first(KeyType::List, Err(no_such_key)).is_err(), "which LLEN never says");
}
