//! The number in a string: GETRANGE of as much as a number may have. In a field of a hash: HMGET, once HSTRLEN says that it is
//! no longer than that.

use std::time::Duration;

use deadpool_redis::redis::Cmd;

use crate::{
    layouts::{Answer, Name, Number, NumberAnswer},
    limits,
    sampling::Fault,
    time::parse_number,
};

use super::super::{
    super::{error::few, wire::Response},
    asked::{Asked, Cost, First, Together},
    decode,
    encode::{KeyType, of_key},
    known_tails::KnownTails,
    progress::{self, FollowUp, Progress, reply},
    text,
};

impl Asked for Number {
    fn question(&self, _: KeyType, _: Duration) -> Cmd {
        match &self.field {
            None => text::command(&self.key),
            Some(field) => of_field("HSTRLEN", &self.key, field),
        }
    }

    fn first(&self, First { reply, .. }: First<'_>) -> Result<Progress, Fault> {
        let types: &[&str] = if self.field.is_some() { &["hash"] } else { &["string"] };
        match (progress::of_type(&self.key, types, reply)?, &self.field) {
            (Ok(value), None) => text::first(&self.key, value, number),
            (Ok(length), Some(_)) if decode::count(length)? > limits::NUMBER_BYTES as u64 => {
                Ok(Progress::done(number(None)))
            }
            (Ok(_), Some(field)) => {
                let (key, field) = (self.key.clone(), field.clone());
                Ok(Progress::open(Field { key, field }))
            }
            (Err(progress), _) => Ok(progress),
        }
    }

    /// No job moves through it.
    fn together(&self) -> Together {
        Together::Apart
    }

    fn rights(&self) -> Vec<&'static str> {
        match self.field {
            None => vec!["getrange", "exists", "type"],
            Some(_) => vec!["hstrlen", "hmget", "type"],
        }
    }

    fn cost(&self) -> Option<Cost> {
        let commands = if self.field.is_some() { 2 } else { 1 };
        Some(Cost { commands, more: None })
    }
}

/// HSTRLEN or HMGET of this field.
fn of_field(name: &str, key: &Name, field: &Name) -> Cmd {
    let mut command = of_key(name, &[], key);
    command.arg(field.as_bytes());
    command
}

/// A field that is short enough to be a number: what stands there?
#[derive(Debug)]
struct Field {
    key: Name,
    field: Name,
}

impl FollowUp for Field {
    fn commands(&self) -> Vec<Cmd> {
        vec![of_field("HMGET", &self.key, &self.field)]
    }

    fn proceed(self: Box<Self>, replies: &[Response], _: &KnownTails) -> Result<Progress, Fault> {
        let values = decode::optional_strings(reply(replies, 0)?)?;
        Ok(Progress::done(match values.first().ok_or_else(few)? {
            Some(value) => number(std::str::from_utf8(value).ok()),
            None => Answer::Missing,
        }))
    }
}

/// Writers keep their own spelling: `1e-07` of Python's floats and `3.0e3` are as good as what INCRBYFLOAT writes.
fn number(text: Option<&str>) -> Answer {
    let number = text.and_then(|text| parse_number(text.trim()));
    Answer::Number(number.map_or(NumberAnswer::NotANumber, NumberAnswer::Is))
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::Value;

    use super::{super::super::member_questions::MemberQuestions, *};

    fn read(text: &str) -> Option<Answer> {
        let read = Number { key: "g".into(), field: None };
        let reply = Ok(Value::BulkString(text.as_bytes().to_vec()));
        let members = &mut MemberQuestions::default();
        let first = First {
            reply: &reply,
            guess: KeyType::Other,
            now: Duration::ZERO,
            length: None,
            members,
        };
        match read.first(first) {
            Ok(Progress::Done(answer)) => answer.ok(),
            Ok(Progress::Open(_) | Progress::Shared(_)) | Err(_) => None,
        }
    }

    #[test]
    fn each_spelling_of_a_number_is_read_and_nothing_else() {
        for (text, number) in [
            ("12", 12.0),
            (" 3.5\n", 3.5),
            ("3.0e3", 3_000.0),
            ("1e-07", 1e-7),
            ("1e+17", 1e17),
            ("100000000000000000000", 1e20),
            ("0", 0.0),
        ] {
            assert_eq!(read(text), Some(Answer::Number(NumberAnswer::Is(number))), "{text}");
        }
        let digits = "1".repeat(crate::limits::NUMBER_BYTES + 1);
        for text in ["inf", "-inf", "nan", "1e999", "-1", "twelve", "0x10", "1 2", "1,5", &digits] {
            assert_eq!(read(text), Some(Answer::Number(NumberAnswer::NotANumber)), "{text}");
        }
        assert_eq!(read(""), None, "whether it is there is asked first");
    }
}
