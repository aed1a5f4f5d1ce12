//! What a string holds, of which no more is read than a number may have.

use deadpool_redis::redis::{Cmd, Value};

use crate::{
    layouts::{Answer, Name},
    limits,
    sampling::Fault,
};

use super::{
    super::wire::Response,
    decode,
    encode::{self, of_key},
    known_tails::KnownTails,
    progress::{FollowUp, Progress, reply},
};

/// What a text means; `None` is one that is empty, too long or no text.
pub(in crate::redis) type Meaning = fn(Option<&str>) -> Answer;

/// GETRANGE key 0 n: as much of a string as a number may have, and a byte beyond that tells that
/// there is more. GET would bring along whatever somebody put there.
pub(in crate::redis) fn command(key: &Name) -> Cmd {
    let mut command = of_key("GETRANGE", &[], key);
    command.arg(0).arg(limits::NUMBER_BYTES);
    command
}

/// What the reply to [`command`] makes of a read.
pub(in crate::redis) fn first(
    key: &Name,
    value: &Value,
    meaning: Meaning,
) -> Result<Progress, Fault> {
    Ok(match answer(value, meaning)? {
        Some(answer) => Progress::done(answer),
        None => Progress::open(Empty { key: key.clone(), meaning, seen: 0 }),
    })
}

/// What a string holds, by its first bytes; `None` if there is nothing in it or no string at all.
fn answer(value: &Value, meaning: Meaning) -> Result<Option<Answer>, Fault> {
    let bytes = decode::string(value)?;
    let short = Some(bytes).filter(|bytes| bytes.len() <= limits::NUMBER_BYTES);
    let text = short.and_then(|bytes| std::str::from_utf8(bytes).ok());
    Ok((!bytes.is_empty()).then(|| meaning(text)))
}

/// A string was read as empty, which it also is when there is none: is there one, and what is in it? Redis
/// takes both commands from one packet and lets nobody in between, but it does not promise to, so that an
/// empty string is believed only when it was seen [`SEEN_EMPTY`] times.
#[derive(Debug)]
struct Empty {
    key: Name,
    meaning: Meaning,
    seen: u8,
}

/// How often a string has to be seen to be there and empty before that is believed.
const SEEN_EMPTY: u8 = 2;

impl FollowUp for Empty {
    fn commands(&self) -> Vec<Cmd> {
        vec![encode::exists(&self.key), command(&self.key)]
    }

    fn proceed(self: Box<Self>, replies: &[Response], _: &KnownTails) -> Result<Progress, Fault> {
        let Self { key, meaning, seen } = *self;
        Ok(match (decode::count(reply(replies, 0)?)?, answer(reply(replies, 1)?, meaning)?) {
            (0, _) => Progress::done(Answer::Missing),
            (_, Some(answer)) => Progress::done(answer),
            (_, None) if seen >= SEEN_EMPTY => Progress::done(meaning(None)),
            (_, None) => Progress::open(Self { key, meaning, seen: seen + 1 }),
        })
    }
}
