//! The number in a string: GETRANGE of as much as a number may have.

use std::time::Duration;

use deadpool_redis::redis::Cmd;

use crate::{
    layouts::{Answer, Number, NumberAnswer},
    sampling::Fault,
    time::parse_number,
};

use super::super::{
    asked::{Asked, Cost, First, Together},
    encode::KeyType,
    progress::{self, Progress},
    text,
};

impl Asked for Number {
    fn question(&self, _: KeyType, _: Duration) -> Cmd {
        text::command(&self.key)
    }

    fn first(&self, First { reply, .. }: First<'_>) -> Result<Progress, Fault> {
        match progress::of_type(&self.key, &["string"], reply)? {
            Ok(value) => text::first(&self.key, value, number),
            Err(progress) => Ok(progress),
        }
    }

    /// No job moves through it.
    fn together(&self) -> Together {
        Together::Apart
    }

    fn rights(&self) -> Vec<&'static str> {
        vec!["getrange", "exists", "type"]
    }

    fn cost(&self) -> Option<Cost> {
        Some(Cost { commands: 1, more: None })
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
        let read = Number { key: "g".into() };
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
