//! What first replies and further ones make of a read.

use deadpool_redis::redis::{RedisError, Value, make_extension_error};

use super::*;

fn refused(code: &str, detail: &str) -> Response {
    let error: RedisError = make_extension_error(code.to_owned(), Some(detail.to_owned()));
    Err(error)
}

fn answer(progress: Result<Progress, Fault>) -> Option<Answer> {
    match progress {
        Ok(Progress::Done(answer)) => answer.ok(),
        Ok(Progress::Open(..) | Progress::Shared(_)) | Err(_) => None,
    }
}

#[test]
fn only_a_group_takes_no_such_key_for_an_answer() {
    let reply = refused("ERR", "no such key");
    assert_eq!(answer(of_group(&"s".into(), &"g".into(), &reply, None)), Some(Answer::Missing));
    assert_eq!(answer(size(&"k".into(), &["list"], KeyType::List, &reply)), None);
}

#[test]
fn a_string_is_missing_only_if_there_is_none_and_no_number_only_if_it_stays_empty() {
    let next = |seen_empty, exists, text: &str| {
        let replies = [Ok(Value::Int(exists)), Ok(Value::BulkString(text.into()))];
        let question = Question::Text { seen_empty };
        let next = question.proceed("k".into(), &replies, &KnownTails::default());
        next.expect("an answer or a question")
    };
    assert_eq!(answer(Ok(next(0, 0, ""))), Some(Answer::Missing));
    assert_eq!(answer(Ok(next(0, 1, "7"))), Some(Answer::Number(7.0)));
    for seen in 0..SEEN_EMPTY {
        let again = next(seen, 1, "");
        let Progress::Open(_, Question::Text { seen_empty }) = again else {
            panic!("it may have come in between");
        };
        assert_eq!(seen_empty, seen + 1);
    }
    assert_eq!(answer(Ok(next(SEEN_EMPTY, 1, ""))), Some(Answer::NotANumber));
}

#[test]
fn no_reply_that_is_no_length_becomes_a_size() {
    for value in [Value::Nil, Value::Int(-1), Value::Okay, Value::Array(vec![])] {
        let progress = size(&"k".into(), &["list"], KeyType::List, &Ok(value));
        assert!(matches!(progress, Err(Fault::Unexpected(_))));
    }
}
