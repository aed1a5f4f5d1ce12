//! What replies hold. A reply that cannot be what was asked is a fault, never a number. It must hold against whatever a
//! server says, in RESP2 and RESP3, old and new.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the client library's values may grow; what is not named here is a fault"
)]

use std::time::Duration;

use deadpool_redis::redis::Value;

use crate::{limits, sampling::Fault};

use super::stream_id::StreamId;

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

/// Yes or no, which RESP2 says as a number.
pub(in crate::redis) fn truth(value: &Value) -> Result<bool, Fault> {
    match value {
        Value::Boolean(truth) => Ok(*truth),
        Value::Int(number @ (0 | 1)) => Ok(*number == 1),
        _ => Err(unexpected("a flag that is neither 0 nor 1")),
    }
}

/// A number with a fraction, which RESP2 says as a text.
pub(in crate::redis) fn float(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Double(number) => Some(*number),
        other => text(other)?.parse().ok(),
    };
    number.filter(|number| !number.is_nan())
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

pub(in crate::redis) fn bytes(value: &Value) -> Option<&[u8]> {
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

pub(in crate::redis) fn unexpected(what: &str) -> Fault {
    Fault::Unexpected(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
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
    fn time_is_read_in_both_protocols() {
        let reply = Value::Array(vec![bulk("1700000000"), bulk("250000")]);
        assert_eq!(time(&reply), Ok(Duration::from_millis(1_700_000_000_250)));
        let most = u64::MAX.to_string();
        for (seconds, micros) in [("x", "1"), (&*most, "0"), ("1", &most), ("1", "1000000")] {
            assert!(time(&Value::Array(vec![bulk(seconds), bulk(micros)])).is_err(), "{seconds}");
        }
    }
}
