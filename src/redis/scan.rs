//! One step of a search through the keyspace: SCAN and what it replies. What it finds is never a count, and
//! Redis announces nothing for it.

use deadpool_redis::redis::{self, Cmd};

use crate::{
    layouts::{KeyPattern, Kind, Name},
    limits,
    sampling::{Fault, KeyPage, Position},
};

use super::{error::fault, reads::decode, wire::Response};

/// SCAN cursor MATCH pattern COUNT n, and TYPE where one is wanted. Of many stars only the first ones are
/// sent, since Redis may take long with them: what comes back is held against the whole pattern again by
/// who asked.
pub(super) fn command(wild: &KeyPattern, kind: Option<Kind>, from: Option<&Position>) -> Cmd {
    let mut command = redis::cmd("SCAN");
    command.arg(from.map_or(b"0".as_slice(), Position::as_bytes));
    let pattern = wild.glob.up_to_star(limits::SCAN_STARS);
    command.arg("MATCH").arg(pattern.as_bytes()).arg("COUNT").arg(limits::SCAN_COUNT);
    if let Some(kind) = kind {
        command.arg("TYPE").arg(kind.type_name());
    }
    command
}

/// Whether the server does not know an option of the command.
pub(super) fn is_option_unknown(replies: &[Response]) -> bool {
    let Some(Err(error)) = replies.first() else { return false };
    error.code() == Some("ERR") && error.detail().is_some_and(|detail| detail.contains("syntax"))
}

/// The keys, and where to go on: a cursor of 0 ends the search.
pub(super) fn page(replies: &[Response]) -> Result<KeyPage, Fault> {
    let unexpected = |what: &str| Fault::Unexpected(what.to_owned());
    let value = match replies.first() {
        Some(reply) => reply.as_ref().map_err(fault)?,
        None => return Err(unexpected("no reply")),
    };
    let Some([cursor, keys]) = decode::sequence(value) else {
        return Err(unexpected("keys of another form"));
    };
    let cursor = decode::string(cursor)?;
    let is_number = !cursor.is_empty() && cursor.iter().all(u8::is_ascii_digit);
    if !is_number {
        return Err(unexpected("a cursor that is no number"));
    }
    let keys = decode::strings(keys)?.into_iter().map(Name::new).collect();
    Ok(KeyPage { keys, next: (cursor != b"0").then(|| Position::new(cursor)) })
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::Value;

    use super::*;
    use crate::layouts::Glob;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn words(command: &Cmd) -> String {
        let words = command.args_iter().map(|word| {
            let redis::Arg::Simple(bytes) = word else { panic!("{word:?}") };
            String::from_utf8_lossy(bytes).into_owned()
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_search_goes_on_from_its_cursor_until_that_is_0() {
        let reply = |cursor: &str| {
            page(&[Ok(Value::Array(vec![bulk(cursor), Value::Array(vec![bulk("a"), bulk("b")])]))])
        };
        let first = reply("17").unwrap();
        assert_eq!(first.keys, ["a".into(), "b".into()]);
        let wild = KeyPattern { glob: Glob::parse("a*").unwrap(), kind: Some(Kind::SortedSet) };
        let sent = command(&wild, wild.kind, first.next.as_ref());
        assert_eq!(words(&sent), "SCAN 17 MATCH a* COUNT 500 TYPE zset");
        assert_eq!(reply("0").unwrap().next, None);
    }

    #[test]
    fn redis_is_given_two_stars_of_a_pattern_at_most() {
        for (pattern, sent) in [
            ("bull:*mail*:wait", "bull:*mail*:wait"),
            ("bull:*a*b*:wait", "bull:*a*"),
            (r"b:\**[*]*a*b", r"b:\**[*]*"),
        ] {
            let wild = KeyPattern { glob: Glob::parse(pattern).unwrap(), kind: None };
            let sent = format!("SCAN 0 MATCH {sent} COUNT 500");
            assert_eq!(words(&command(&wild, None, None)), sent, "{pattern}");
        }
        let glob = Glob::parse(&"*a".repeat(limits::NAME_BYTES / 2)).unwrap();
        let sent = words(&command(&KeyPattern { glob, kind: None }, None, None));
        assert_eq!(sent, "SCAN 0 MATCH *a* COUNT 500");
    }

    #[test]
    fn what_is_no_page_of_keys_is_a_fault() {
        let keys = || Value::Array(vec![]);
        for reply in [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![bulk("x"), keys()]),
            Value::Array(vec![bulk(""), keys()]),
            Value::Array(vec![bulk("0"), Value::Int(1)]),
        ] {
            assert!(matches!(page(&[Ok(reply)]), Err(Fault::Unexpected(_))));
        }
        assert!(page(&[]).is_err());
    }
}
