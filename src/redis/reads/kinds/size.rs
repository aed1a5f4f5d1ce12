//! How much a key holds: LLEN, SCARD, ZCARD, ZCOUNT, HLEN, XLEN, or a string's number.

use std::time::Duration;

use deadpool_redis::redis::Cmd;

use crate::{
    layouts::{Answer, Kind, Members, Size, SizeAnswer, Unit},
    limits,
    sampling::{Fault, Validity},
    time::parse_decimal,
};

use super::super::{
    super::{
        error::{ErrorReply, refusal},
        wire::Response,
    },
    asked::{Asked, Cost, First, Together},
    decode::{self, sequence},
    encode::{self, KeyType, of_key},
    known_types::KnownTypes,
    progress::{self, Progress},
    text,
};

impl Asked for Size {
    fn guess(&self, types: &KnownTypes) -> KeyType {
        let of_unknown = match self.members {
            Members::AllOf(kind) => return kind.into(),
            Members::All => KeyType::List,
            Members::Due(_) | Members::Leased(_) => KeyType::SortedSet,
        };
        types.of(&self.key).unwrap_or(of_unknown)
    }

    fn question(&self, key_type: KeyType, now: Duration) -> Cmd {
        let Self { key, members } = self;
        match (key_type, members) {
            (KeyType::List, _) => of_key("LLEN", &[], key),
            (KeyType::Set, _) => of_key("SCARD", &[], key),
            (KeyType::SortedSet, Members::All | Members::AllOf(_)) => of_key("ZCARD", &[], key),
            (KeyType::SortedSet, Members::Due(scores)) => {
                let mut command = of_key("ZCOUNT", &[], key);
                command.arg("-inf").arg(score(bound(*members, now), scores.unit));
                command
            }
            (KeyType::SortedSet, Members::Leased(scores)) => {
                let mut command = of_key("ZCOUNT", &[], key);
                command.arg(format!("({}", score(bound(*members, now), scores.unit))).arg("+inf");
                command
            }
            (KeyType::Hash, _) => of_key("HLEN", &[], key),
            (KeyType::Stream, _) => of_key("XLEN", &[], key),
            (KeyType::Text, _) => text::command(key),
            (KeyType::Other, _) => encode::type_of(key),
        }
    }

    fn first(&self, First { reply, guess, .. }: First<'_>) -> Result<Progress, Fault> {
        let value = match progress::of_type(&self.key, countable(self.members), reply)? {
            Ok(value) => value,
            Err(progress) => return Ok(progress),
        };
        Ok(match guess {
            KeyType::Text => text::first(&self.key, value, number)?,
            KeyType::Other => match decode::type_name(value)?.as_str() {
                "none" => Progress::done(Answer::Missing),
                name => Progress::done(Answer::WrongType(name.to_owned())),
            },
            KeyType::List | KeyType::Set | KeyType::SortedSet | KeyType::Hash | KeyType::Stream => {
                Progress::done(Answer::Size(SizeAnswer::Members(decode::count(value)?)))
            }
        })
    }

    fn together(&self) -> Together {
        Together::Whole
    }

    fn rights(&self) -> Vec<&'static str> {
        let of_sorted_sets: &[&str] = match self.members {
            Members::AllOf(kind) => return of_kind(kind),
            Members::All => &["zcard"],
            Members::Due(_) | Members::Leased(_) => &["zcount", "zrangebyscore", "time"],
        };
        let others = ["llen", "hlen", "scard", "exists", "type", "getrange", "xlen"];
        [&others[..], of_sorted_sets].concat()
    }

    /// With the next score that will be due, beside the count of those that are.
    fn cost(&self) -> Option<Cost> {
        let commands = match self.members {
            Members::All | Members::AllOf(_) => 1,
            Members::Due(_) | Members::Leased(_) => 2,
        };
        Some(Cost { commands, more: None })
    }

    fn is_mistaken(&self, guess: KeyType, reply: &Response) -> bool {
        match (self.members, reply) {
            // Its type is for the answer to say.
            (Members::AllOf(_), _) => false,
            (_, Err(error)) => refusal(error) == ErrorReply::WrongType,
            (_, Ok(value)) => {
                let named = || decode::type_name(value).ok();
                let other =
                    || named().is_some_and(|name| KeyType::named(&name) == Some(KeyType::Other));
                guess == KeyType::Other && !other()
            }
        }
    }

    /// The member after the bound, with its score: the next one to fall due, or the next lease to run
    /// out. Of the member itself nothing is wanted, but Redis gives no score without it.
    fn next_change(&self, key_type: KeyType, now: Duration) -> Option<Cmd> {
        let (Members::Due(scores) | Members::Leased(scores)) = self.members else { return None };
        if key_type != KeyType::SortedSet {
            return None;
        }
        let after = score(bound(self.members, now), scores.unit);
        let mut command = of_key("ZRANGEBYSCORE", &[], &self.key);
        command.arg(format!("({after}")).arg("+inf").arg("WITHSCORES").arg("LIMIT").arg(0).arg(1);
        Some(command)
    }

    fn lasts(&self, reply: &Response, now: Duration) -> Validity {
        let (Members::Due(scores) | Members::Leased(scores)) = self.members else {
            return Validity::UntilAnnounced;
        };
        let Ok(value) = reply else { return Validity::Unknown };
        let score = match sequence(value) {
            Some([]) => return Validity::UntilAnnounced,
            // RESP3 pairs a member with its score, RESP2 lists both.
            Some([pair] | [_, pair]) => {
                decode::float(sequence(pair).and_then(<[_]>::last).unwrap_or(pair))
            }
            _ => None,
        };
        let Some(score) = score else { return Validity::Unknown };
        let seconds = score / per_second(scores.unit) - bound(self.members, now).as_secs_f64();
        // What lies beyond all time is as good as never.
        Duration::try_from_secs_f64(seconds.max(0.0))
            .map_or(Validity::UntilAnnounced, Validity::For)
    }
}

/// The types in which a key can be whose members are counted so.
fn countable(members: Members) -> &'static [&'static str] {
    match members {
        Members::AllOf(kind) => kind.names(),
        Members::All | Members::Due(_) | Members::Leased(_) => {
            &["list", "set", "zset", "hash", "stream", "string"]
        }
    }
}

/// The commands that answer a read of a key that may have one type alone.
fn of_kind(kind: Kind) -> Vec<&'static str> {
    let command: &[&str] = match kind {
        Kind::List => &["llen"],
        Kind::Set => &["scard"],
        Kind::SortedSet => &["zcard"],
        Kind::Hash => &["hlen"],
        Kind::Stream => &["xlen"],
        Kind::String => &["getrange", "exists"],
    };
    [command, &["type"]].concat()
}

/// The time that scores are compared with. They were written with clients' clocks: a job counts as
/// due a grace early, and a lease as held a grace longer.
fn bound(members: Members, now: Duration) -> Duration {
    match members {
        Members::Due(scores) => now + limits::CLOCK_GRACE + scores.slack,
        Members::Leased(scores) => now.saturating_sub(limits::CLOCK_GRACE + scores.slack),
        Members::All | Members::AllOf(_) => now,
    }
}

fn score(at: Duration, unit: Unit) -> String {
    match unit {
        Unit::Seconds => format!("{}.{:06}", at.as_secs(), at.subsec_micros()),
        Unit::Milliseconds => format!("{}.{:03}", at.as_millis(), at.subsec_micros() % 1000),
        Unit::Nanoseconds => at.as_nanos().to_string(),
        // The largest score of the millisecond: whatever its sequence number, it has come.
        Unit::MillisecondsTimes4096 => (at.as_millis() * 4096 + 4095).to_string(),
    }
}

pub(super) fn per_second(unit: Unit) -> f64 {
    match unit {
        Unit::Seconds => 1.0,
        Unit::Milliseconds => 1e3,
        Unit::Nanoseconds => 1e9,
        Unit::MillisecondsTimes4096 => 4_096e3,
    }
}

/// What the text of a string counts.
fn number(text: Option<&str>) -> Answer {
    let number = text.and_then(|text| parse_decimal(text.trim()));
    Answer::Size(number.map_or(SizeAnswer::NotANumber, SizeAnswer::Number))
}

#[cfg(test)]
mod tests;
