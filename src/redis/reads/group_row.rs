//! A consumer group as XINFO GROUPS describes it.

use deadpool_redis::redis::{Cmd, Value};

use crate::{
    layouts::{Answer, Name},
    sampling::Fault,
};

use super::{
    super::{
        error::{ErrorReply, refusal},
        wire::Response,
    },
    decode::{bytes, count, fields, sequence, text, unexpected},
    encode::{length, of_key},
    known_tails::KnownTails,
    progress::{FollowUp, Progress, TypeName, reply},
    stream_id::StreamId,
};

/// One consumer group as XINFO GROUPS describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::redis) struct GroupRow {
    pub(in crate::redis) pending: u64,
    /// Absent before Redis 7, nil or less than none where Redis cannot tell, and else it may be wrong.
    pub(in crate::redis) lag: Option<u64>,
    pub(in crate::redis) last_delivered: StreamId,
}

/// XINFO GROUPS key
pub(in crate::redis) fn groups(key: &Name) -> Cmd {
    of_key("XINFO", &["GROUPS"], key)
}

/// The stream has no such group: how many entries has it?
#[derive(Debug)]
struct EntriesWithoutGroup {
    key: Name,
    answer: fn(u64) -> Answer,
}

impl FollowUp for EntriesWithoutGroup {
    fn commands(&self) -> Vec<Cmd> {
        vec![length(&self.key)]
    }

    fn proceed(self: Box<Self>, replies: &[Response], _: &KnownTails) -> Result<Progress, Fault> {
        Ok(Progress::done((self.answer)(count(reply(replies, 0)?)?)))
    }
}

/// The row of a group in the reply to [`groups`], or the way on without one. `answer` is what is said of a
/// stream without the group, by its entries.
pub(in crate::redis) fn row(
    key: &Name,
    group: &Name,
    replied: &Response,
    answer: fn(u64) -> Answer,
) -> Result<Result<GroupRow, Progress>, Fault> {
    let entries = || Progress::open(EntriesWithoutGroup { key: key.clone(), answer });
    Ok(row_of(key, group, replied)?.and_then(|row| row.ok_or_else(entries)))
}

/// The row of a group in the reply to [`groups`], if the stream has such a group; the way on if it is no stream.
pub(in crate::redis) fn row_of(
    key: &Name,
    group: &Name,
    replied: &Response,
) -> Result<Result<Option<GroupRow>, Progress>, Fault> {
    match replied {
        Ok(value) => Ok(Ok(self::group(value, group.as_bytes())?)),
        Err(error) => match refusal(error) {
            ErrorReply::WrongType => {
                let question = TypeName { key: key.clone(), types: &["stream"] };
                Ok(Err(Progress::open(question)))
            }
            ErrorReply::NoSuchKey => Ok(Err(Progress::done(Answer::Missing))),
            ErrorReply::Fault(fault) => Err(fault),
        },
    }
}

/// The row of a group in the reply of XINFO GROUPS; `None` if the stream has no such group.
fn group(value: &Value, name: &[u8]) -> Result<Option<GroupRow>, Fault> {
    let rows = sequence(value).ok_or_else(|| unexpected("groups that are no list"))?;
    for row in rows {
        let fields = fields(row).ok_or_else(|| unexpected("a group without fields"))?;
        let field = |wanted: &str| {
            fields.iter().find(|(name, _)| bytes(name) == Some(wanted.as_bytes())).map(|(_, v)| *v)
        };
        if field("name").and_then(bytes) != Some(name) {
            continue;
        }
        let pending = field("pending").ok_or_else(|| unexpected("a group without pending"))?;
        let last = field("last-delivered-id").and_then(text);
        let last_delivered = last
            .and_then(|id| StreamId::parse(&id))
            .ok_or_else(|| unexpected("a group without last-delivered-id"))?;
        let lag = match field("lag") {
            None | Some(Value::Nil | Value::Int(..0)) => None,
            Some(lag) => Some(count(lag)?),
        };
        return Ok(Some(GroupRow { pending: count(pending)?, lag, last_delivered }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn row(lag: Value) -> Vec<(Value, Value)> {
        vec![
            (bulk("name"), bulk("g")),
            (bulk("pending"), Value::Int(2)),
            (bulk("last-delivered-id"), bulk("5-1")),
            (bulk("lag"), lag),
        ]
    }

    fn flat(row: Vec<(Value, Value)>) -> Value {
        Value::Array(row.into_iter().flat_map(|(name, value)| [name, value]).collect())
    }

    #[test]
    fn lag_is_unknown_when_redis_answers_nil_or_nothing_or_less_than_none() {
        for reply in [
            Value::Map(row(Value::Nil)),
            flat(row(Value::Nil)),
            flat(row(Value::Nil)[..3].to_vec()),
            Value::Map(row(Value::Int(-94))),
        ] {
            let found = group(&Value::Array(vec![reply]), b"g").unwrap().unwrap();
            assert_eq!((found.lag, found.pending), (None, 2));
        }
    }

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let reply = Value::Array(vec![Value::Map(row(Value::Int(6)))]);
        assert_eq!(group(&reply, b"g").unwrap().unwrap().lag, Some(6));
        assert_eq!(group(&reply, b"G").unwrap(), None);
        assert_eq!(group(&Value::Array(vec![]), b"g").unwrap(), None);
    }
}
