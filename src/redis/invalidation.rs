//! What Redis pushes on a RESP3 connection, as changes for the sampler.
//!
//! Invalidations come in three forms (one key, several, null for FLUSHALL and FLUSHDB), and an unknown form
//! must count as "anything may have changed".

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the client library's values may grow; what is not named here invalidates everything"
)]

use deadpool_redis::redis::{PushInfo, PushKind, Value};

use crate::{layouts::Name, sampling::Change};

/// The changes that a push announces; none for pushes that are not about keys.
pub(super) fn changes(push: &PushInfo) -> Vec<Change> {
    if push.kind == PushKind::Disconnection {
        return vec![Change::LinkLost];
    }
    if push.kind != PushKind::Invalidate {
        return vec![];
    }
    let named = match push.data.as_slice() {
        [Value::Array(keys)] => keys.iter().map(key).collect(),
        _ => None,
    };
    named.unwrap_or_else(|| vec![Change::Everything])
}

fn key(value: &Value) -> Option<Change> {
    match value {
        Value::BulkString(bytes) => Some(Change::Key(Name::new(bytes.clone()))),
        Value::SimpleString(text) => Some(Change::Key(Name::new(text.as_bytes()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalidate(data: Vec<Value>) -> Vec<Change> {
        changes(&PushInfo { kind: PushKind::Invalidate, data })
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn one_key_and_several_keys_are_named() {
        assert_eq!(invalidate(vec![Value::Array(vec![bulk("a")])]), [Change::Key("a".into())]);
        let several = vec![Value::Array(vec![bulk("a"), bulk("b")])];
        assert_eq!(invalidate(several), [Change::Key("a".into()), Change::Key("b".into())]);
    }

    #[test]
    fn a_flush_and_anything_unknown_invalidate_everything() {
        assert_eq!(invalidate(vec![Value::Nil]), [Change::Everything]);
        assert_eq!(invalidate(vec![]), [Change::Everything]);
        let odd = vec![Value::Array(vec![bulk("a"), Value::Int(1)])];
        assert_eq!(invalidate(odd), [Change::Everything]);
    }

    #[test]
    fn a_closed_connection_is_a_lost_link() {
        let push = PushInfo { kind: PushKind::Disconnection, data: vec![] };
        assert_eq!(changes(&push), [Change::LinkLost]);
    }
}
