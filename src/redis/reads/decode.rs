//! Replies as answers. A reply that cannot be one is a fault, never a number. It must hold against whatever a
//! server says, in RESP2 and RESP3, old and new.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the client library's values may grow; what is not named here is a fault"
)]

use std::time::Duration;

use deadpool_redis::redis::Value;

use crate::{
    layouts::{Answer, Members, Read, Test, Unit},
    limits,
    sampling::{Fault, Validity},
    time::parse_decimal,
};

use super::{super::wire::Response, encode::bound, stream_id::StreamId};

/// A number of members or entries.
pub(in crate::redis) fn count(value: &Value) -> Result<u64, Fault> {
    match value {
        Value::Int(number) => u64::try_from(*number).map_err(|_| unexpected("a negative length")),
        _ => Err(unexpected("a length that is no integer")),
    }
}

pub(in crate::redis) fn string(value: &Value) -> Result<&[u8], Fault> {
    bytes(value).ok_or_else(|| unexpected("a string that is no string"))
}

/// A list of strings.
pub(in crate::redis) fn strings(value: &Value) -> Result<Vec<Vec<u8>>, Fault> {
    let values = sequence(value).ok_or_else(|| unexpected("members that are no list"))?;
    values.iter().map(|value| string(value).map(<[u8]>::to_vec)).collect()
}

/// A list of strings of which some may be missing.
pub(in crate::redis) fn optional_strings(value: &Value) -> Result<Vec<Option<Vec<u8>>>, Fault> {
    let values = sequence(value).ok_or_else(|| unexpected("values that are no list"))?;
    let one = |value: &Value| match value {
        Value::Nil => Ok(None),
        value => string(value).map(|bytes| Some(bytes.to_vec())),
    };
    values.iter().map(one).collect()
}

/// The name of a type.
pub(in crate::redis) fn type_name(value: &Value) -> Result<String, Fault> {
    text(value).ok_or_else(|| unexpected("a type that is no text"))
}

/// What a string holds, by its first bytes; `None` if there is nothing in it or no string at all.
pub(in crate::redis) fn number(value: &Value) -> Result<Option<Answer>, Fault> {
    let bytes = string(value)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() > limits::NUMBER_BYTES {
        return Ok(Some(Answer::NotANumber));
    }
    let number = std::str::from_utf8(bytes).ok().and_then(|text| parse_decimal(text.trim()));
    Ok(Some(number.map_or(Answer::NotANumber, Answer::Number)))
}

/// Whether a flag stands, by the reply to its question.
pub(in crate::redis) fn flag(value: &Value, test: &Test) -> Result<bool, Fault> {
    match test {
        Test::Exists | Test::Field(_) | Test::Member(_) => match value {
            Value::Boolean(stands) => Ok(*stands),
            Value::Int(number @ (0 | 1)) => Ok(*number == 1),
            _ => Err(unexpected("a flag that is neither 0 nor 1")),
        },
        Test::Value(wanted) => {
            let text = string(value)?;
            Ok(text == wanted.as_bytes())
        }
    }
}

/// Redis's own time since the Unix epoch.
pub(in crate::redis) fn time(value: &Value) -> Result<Duration, Fault> {
    let part = |value: &Value| text(value).and_then(|text| text.parse::<u64>().ok());
    match sequence(value) {
        Some([seconds, micros]) => {
            let (seconds, micros) = (part(seconds), part(micros));
            let is_some =
                |(s, us): &(u64, u64)| *s <= limits::CLOCK_MAX.as_secs() && *us < 1_000_000;
            let time = seconds.zip(micros).filter(is_some);
            time.map(|(s, us)| Duration::from_secs(s) + Duration::from_micros(us))
                .ok_or_else(|| unexpected("a time that is no number"))
        }
        _ => Err(unexpected("a time of another form")),
    }
}

/// How long the count of a sorted set's members lasts, by the reply that names the next score after
/// the bound at Redis's time `now`.
pub(in crate::redis) fn lasts(response: &Response, read: &Read, now: Duration) -> Validity {
    let Read::Size { members, .. } = read else { return Validity::Unknown };
    let per_second = match members {
        Members::Due(scores) | Members::Leased(scores) => per_second(scores.unit),
        Members::All | Members::AllOf(_) => return Validity::UntilAnnounced,
    };
    let Ok(value) = response else { return Validity::Unknown };
    let score = match sequence(value) {
        Some([]) => return Validity::UntilAnnounced,
        // RESP3 pairs a member with its score, RESP2 lists both.
        Some([pair] | [_, pair]) => number_of(sequence(pair).and_then(<[_]>::last).unwrap_or(pair)),
        _ => None,
    };
    let Some(score) = score else { return Validity::Unknown };
    let seconds = score / per_second - bound(*members, now).as_secs_f64();
    // What lies beyond all time is as good as never.
    Duration::try_from_secs_f64(seconds.max(0.0)).map_or(Validity::UntilAnnounced, Validity::For)
}

fn per_second(unit: Unit) -> f64 {
    match unit {
        Unit::Seconds => 1.0,
        Unit::Milliseconds => 1e3,
        Unit::Nanoseconds => 1e9,
        Unit::MillisecondsTimes4096 => 4_096e3,
    }
}

fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Double(number) => Some(*number),
        other => text(other)?.parse().ok(),
    }
    .filter(|number| !number.is_nan())
}

/// One consumer group as XINFO GROUPS describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::redis) struct GroupRow {
    pub(in crate::redis) pending: u64,
    /// Absent before Redis 7, nil or less than none where Redis cannot tell, and else it may be wrong.
    pub(in crate::redis) lag: Option<u64>,
    pub(in crate::redis) last_delivered: StreamId,
}

/// The row of a group in the reply of XINFO GROUPS; `None` if the stream has no such group.
pub(in crate::redis) fn group(value: &Value, name: &[u8]) -> Result<Option<GroupRow>, Fault> {
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

/// One page of XPENDING.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redis) struct PendingPage {
    pub(in crate::redis) entries: u64,
    /// How many of them are idle for long enough.
    pub(in crate::redis) idle: u64,
    /// The id of the last entry; `None` for an empty page.
    pub(in crate::redis) last: Option<StreamId>,
}

/// How many entries a page of XPENDING lists, and how many were idle for at least so long.
pub(in crate::redis) fn pending_page(value: &Value, after: Duration) -> Result<PendingPage, Fault> {
    let rows = sequence(value).ok_or_else(|| unexpected("pending entries that are no list"))?;
    let mut page = PendingPage { entries: 0, idle: 0, last: None };
    for row in rows {
        let Some([id, _consumer, idle_ms, ..]) = sequence(row) else {
            return Err(unexpected("a pending entry of another form"));
        };
        let id = text(id).and_then(|id| StreamId::parse(&id));
        page.last = Some(id.ok_or_else(|| unexpected("a pending entry without an id"))?);
        page.entries += 1;
        page.idle += u64::from(Duration::from_millis(count(idle_ms)?) >= after);
    }
    Ok(page)
}

/// One page of XRANGE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::redis) struct Page {
    /// The ids of its entries.
    pub(in crate::redis) ids: Vec<StreamId>,
    /// Bytes of the entries' fields and values.
    pub(in crate::redis) bytes: u64,
}

impl Page {
    /// How many entries it has.
    pub(in crate::redis) fn entries(&self) -> u64 {
        u64::try_from(self.ids.len()).unwrap_or(u64::MAX)
    }
}

/// How much a page of XRANGE holds.
pub(in crate::redis) fn page(value: &Value) -> Result<Page, Fault> {
    let entries = sequence(value).ok_or_else(|| unexpected("entries that are no list"))?;
    let id = |entry: &Value| {
        let id = sequence(entry).and_then(|entry| entry.first()).and_then(text);
        id.and_then(|id| StreamId::parse(&id)).ok_or_else(|| unexpected("an entry without an id"))
    };
    let ids = entries.iter().map(id).collect::<Result<_, Fault>>()?;
    Ok(Page { ids, bytes: u64::try_from(size(value)).unwrap_or(u64::MAX) })
}

/// Bytes of all strings in a reply.
pub(in crate::redis) fn size(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(size).sum(),
        Value::Map(pairs) => pairs.iter().map(|(name, value)| size(name) + size(value)).sum(),
        other => bytes(other).map_or(0, <[u8]>::len),
    }
}

/// A map, or what RESP2 makes of one: names and values in turn.
pub(in crate::redis) fn fields(value: &Value) -> Option<Vec<(&Value, &Value)>> {
    match value {
        Value::Map(pairs) => Some(pairs.iter().map(|(name, value)| (name, value)).collect()),
        other => {
            let flat = sequence(other).filter(|flat| flat.len() % 2 == 0)?;
            Some(flat.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect())
        }
    }
}

pub(in crate::redis) fn sequence(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(values) | Value::Set(values) => Some(values),
        _ => None,
    }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        Value::VerbatimString { text, .. } => Some(text.as_bytes()),
        _ => None,
    }
}

/// A text, or a number as text.
pub(in crate::redis) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Int(number) => Some(number.to_string()),
        other => bytes(other).map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
    }
}

fn unexpected(what: &str) -> Fault {
    Fault::Unexpected(what.to_owned())
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

    #[test]
    fn a_pending_entry_is_idle_from_its_bound_on() {
        let row = |id: &str, idle| {
            Value::Array(vec![bulk(id), bulk("c"), Value::Int(idle), Value::Int(1)])
        };
        let after = Duration::from_millis(500);
        let reply = Value::Array(vec![row("1-0", 499), row("2-0", 500), row("3-1", 9_000)]);
        let page = pending_page(&reply, after).unwrap();
        assert_eq!((page.entries, page.idle, page.last), (3, 2, StreamId::parse("3-1")));
        let none = pending_page(&Value::Array(vec![]), after).unwrap();
        assert_eq!((none.entries, none.idle, none.last), (0, 0, None));
        let short = Value::Array(vec![bulk("1-0"), bulk("c")]);
        for odd in [row("x", 1), row("1-0", -1), short, Value::Nil] {
            assert!(pending_page(&Value::Array(vec![odd]), after).is_err());
        }
        assert!(pending_page(&Value::Nil, after).is_err());
    }

    #[test]
    fn a_page_has_the_id_of_every_entry_and_the_bytes_of_all() {
        let entry =
            |id: &str| Value::Array(vec![bulk(id), Value::Array(vec![bulk("a"), bulk("b")])]);
        let found = page(&Value::Array(vec![entry("1-0"), entry("2-7")])).unwrap();
        let ids = ["1-0", "2-7"].map(|id| StreamId::parse(id).unwrap());
        assert_eq!(found, Page { ids: ids.into(), bytes: 10 });
        assert_eq!(page(&Value::Array(vec![])).unwrap().entries(), 0);
        for odd in [entry("x"), Value::Array(vec![])] {
            assert!(page(&Value::Array(vec![odd, entry("1-0")])).is_err());
        }
    }

    #[test]
    fn what_is_no_length_is_a_fault_and_never_a_number() {
        for value in [Value::Nil, Value::Int(-1), bulk("3"), Value::Array(vec![]), Value::Okay] {
            assert!(count(&value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn a_string_is_a_number_only_if_it_is_a_plain_decimal() {
        assert_eq!(number(&bulk("42")), Ok(Some(Answer::Number(42.0))));
        assert_eq!(number(&bulk(" 1.5\n")), Ok(Some(Answer::Number(1.5))));
        for text in ["-1", "nan", "inf", "1e3", "12 jobs", "\u{661}"] {
            assert_eq!(number(&bulk(text)), Ok(Some(Answer::NotANumber)), "{text}");
        }
        assert_eq!(number(&bulk("")), Ok(None));
        let (longest, longer) = ("0".repeat(64), "0".repeat(65));
        assert_eq!(number(&bulk(&longest)), Ok(Some(Answer::Number(0.0))));
        assert_eq!(number(&bulk(&longer)), Ok(Some(Answer::NotANumber)), "more may follow");
        assert!(number(&Value::Nil).is_err());
    }

    #[test]
    fn time_is_read_in_both_protocols() {
        let reply = Value::Array(vec![bulk("1700000000"), bulk("250000")]);
        assert_eq!(time(&reply), Ok(Duration::from_millis(1_700_000_000_250)));
        let most = u64::MAX.to_string();
        for (seconds, micros) in [("x", "1"), (&*most, "0"), ("1", &most), ("1", "1000000")] {
            assert!(time(&Value::Array(vec![bulk(seconds), bulk(micros)])).is_err(), "{seconds}");
        }
    }

    #[test]
    fn a_count_of_due_jobs_lasts_until_the_next_one_falls_due() {
        let now = Duration::from_secs(1_000);
        let read = |members| Read::Size { key: "z".into(), members };
        let due = Members::Due(Unit::Seconds.into());
        let leased = Members::Leased(Unit::Milliseconds.into());
        let resp3 = |score| Value::Array(vec![Value::Array(vec![bulk("m"), Value::Double(score)])]);
        let lasts = |reply, members| super::lasts(&Ok(reply), &read(members), now);
        assert_eq!(lasts(resp3(1_005.5), due), Validity::For(Duration::from_millis(4_500)));
        assert_eq!(lasts(resp3(1_005_500.0), leased), Validity::For(Duration::from_millis(6_500)));
        let resp2 = Value::Array(vec![bulk("m"), bulk("1005.5")]);
        assert_eq!(lasts(resp2, due), Validity::For(Duration::from_millis(4_500)));
        assert_eq!(lasts(resp3(f64::INFINITY), due), Validity::UntilAnnounced);
        assert_eq!(lasts(Value::Array(vec![]), due), Validity::UntilAnnounced);
        assert_eq!(lasts(Value::Nil, due), Validity::Unknown);
        assert_eq!(lasts(Value::Array(vec![bulk("m"), bulk("x")]), due), Validity::Unknown);
    }
}
