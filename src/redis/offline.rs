//! What given bytes are taken for, without a connection: replies to reads, pages of keys, announcements, and
//! in files beside this one what a cluster's nodes, sentinels and workers say.
//!
//! The service never uses it. Fuzzing puts bytes of any kind before the parser and the decoding of a link.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the client library's values may grow; what is not named here is a reply to decode"
)]

use std::time::Duration;

use deadpool_redis::redis::{Parser, PushInfo, RedisError, Value};

use crate::{
    layouts::Read,
    sampling::{Change, Fault, KeyPage, Reply},
};

pub use super::{
    cluster::offline::{ClusterTold, cluster_told},
    heartbeats::offline::heartbeats,
    sentinel::offline::{SentinelsTold, sentinels_told},
};

use super::{
    error::fault,
    invalidation,
    reads::{
        answering::with_validity, encode::KeyType, fields::KnownFields, follow_up::FollowUps,
        kinds, known_tails::KnownTails,
    },
    scan,
    wire::Response,
};

/// What a read would get if Redis said these bytes: one reply after another, in RESP2 or RESP3, each
/// to the next command that the read needs; how long a stream is comes after its groups. `key_type` is the type by which the key is known, as
/// TYPE names it, and decides the first command; `now` is Redis's own time.
///
/// # Errors
/// [`Fault`] when the bytes are no replies, too few, or none that this read can have.
pub fn answer(read: &Read, key_type: &str, now: Duration, said: &[u8]) -> Result<Reply, Fault> {
    let guess = KeyType::named(key_type).unwrap_or_default();
    let mut replies = ReplyReader::of(said);
    let first = replies.next()?;
    let asked_as = kinds::of(read);
    let lasts = match asked_as.next_change(guess, now) {
        Some(_) => Some(asked_as.lasts(&replies.next()?, now)),
        None => None,
    };
    let length = asked_as.length_of().map(|_| replies.next()).transpose()?;
    let mut follow_ups = FollowUps::default();
    follow_ups.first(0, read, (guess, now), &first, length.as_ref());
    let (fields, tails) = (KnownFields::default(), KnownTails::default());
    while let Some(asked) = follow_ups.open() {
        let asked_for = asked.iter().flatten();
        let replies: Result<Vec<Response>, Fault> = asked_for.map(|_| replies.next()).collect();
        follow_ups.proceed(&asked, &replies?, &fields, &tails)?;
    }
    let nothing = || Fault::Unexpected("no answer".to_owned());
    let answer = follow_ups.into_answers(&fields).pop().ok_or_else(nothing)??;
    let mut reply = with_validity(read, answer);
    reply.lasts = lasts.unwrap_or(reply.lasts);
    Ok(reply)
}

/// The page of keys that these bytes are, as a reply to SCAN.
///
/// # Errors
/// [`Fault`] when they are none.
pub fn keys(said: &[u8]) -> Result<KeyPage, Fault> {
    let reply = ReplyReader::of(said).next()?;
    scan::page(&[reply])
}

/// The changes that these bytes announce, if Redis says them unasked; `None` if they are no push.
#[must_use]
pub fn announced(said: &[u8]) -> Option<Vec<Change>> {
    match Parser::new().parse_value(said) {
        Ok(Value::Push { kind, data }) => Some(invalidation::changes(&PushInfo { kind, data })),
        Ok(_) | Err(_) => None,
    }
}

/// The replies in a run of bytes.
pub(super) struct ReplyReader<'b> {
    parser: Parser,
    said: &'b [u8],
}

impl<'b> ReplyReader<'b> {
    pub(super) fn of(said: &'b [u8]) -> Self {
        Self { parser: Parser::new(), said }
    }

    /// The next reply; what Redis says unasked is none.
    pub(super) fn next(&mut self) -> Result<Response, Fault> {
        loop {
            let value = self.parser.parse_value(&mut self.said);
            let value = value.map_err(|error| {
                // Where the next one begins is not known after what is none, and the parser keeps its half.
                *self = Self::of(&[]);
                fault(&error)
            })?;
            match value {
                Value::Push { .. } => {}
                Value::ServerError(error) => return Ok(Err(RedisError::from(error))),
                value => return Ok(Ok(value)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layouts::{Answer, Members, Name, Size, SizeAnswer},
        sampling::Validity,
    };

    #[test]
    fn a_read_is_answered_by_as_many_replies_as_it_needs() {
        let read = Read::Size(Size { key: "q".into(), members: Members::All });
        let said = |key_type, bytes| answer(&read, key_type, Duration::ZERO, bytes);
        let of = |answer| {
            Ok(Reply { answer, lasts: Validity::UntilAnnounced, moment: None, clock: None })
        };
        assert_eq!(said("list", b":7\r\n"), of(Answer::Size(SizeAnswer::Members(7))));
        assert_eq!(said("string", b"$0\r\n\r\n:0\r\n$0\r\n\r\n"), of(Answer::Missing));
        let wrong = b"-WRONGTYPE no\r\n>2\r\n+invalidate\r\n*1\r\n+q\r\n+none\r\n";
        assert_eq!(said("list", wrong), of(Answer::Missing));
        for bytes in [&b""[..], b":7", b"-ERR no\r\n", b"?\r\n", b"_\r\n"] {
            assert!(said("list", bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn only_a_push_announces_something() {
        let key = vec![Change::Key(Name::from("q"))];
        assert_eq!(announced(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nq\r\n"), Some(key));
        assert_eq!(announced(b">2\r\n+message\r\n+x\r\n"), Some(vec![]));
        assert_eq!(announced(b"*2\r\n+invalidate\r\n*1\r\n+q\r\n"), None);
    }
}
