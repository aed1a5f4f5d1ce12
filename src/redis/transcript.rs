//! Commands and replies as text, for people who ask `probe` what was really said. Nothing is decided by it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the client library's values may grow; what is not named here is shown as it is"
)]

use deadpool_redis::redis::{Arg, Cmd, RedisResult, Value};

/// Characters of a reply that are shown.
const SHOWN_CHARS: usize = 300;

/// One command and what Redis replied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The node that replied, where there is more than one.
    pub node: Option<String>,
    /// The command as one would type it.
    pub command: String,
    /// The reply, cut to a few hundred characters.
    pub reply: String,
}

impl Exchange {
    pub(super) fn new(node: Option<String>, command: &Cmd, reply: &RedisResult<Value>) -> Self {
        let reply = match reply {
            Ok(value) => show(value),
            Err(error) => format!("(error) {}", super::error::brief(error)),
        };
        let mut shown: String = reply.chars().take(SHOWN_CHARS).collect();
        if shown.len() < reply.len() {
            shown.push('…');
        }
        Self { node, command: words(command).join(" "), reply: shown }
    }
}

fn words(command: &Cmd) -> Vec<String> {
    command
        .args_iter()
        .map(|argument| match argument {
            Arg::Simple(bytes) => quote(bytes),
            _ => "…".to_owned(),
        })
        .collect()
}

fn quote(bytes: &[u8]) -> String {
    let plain = !bytes.is_empty()
        && bytes.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'\''));
    if plain {
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        format!("\"{}\"", bytes.escape_ascii())
    }
}

fn show(value: &Value) -> String {
    let list = |values: &[Value]| values.iter().map(show).collect::<Vec<_>>().join(", ");
    match value {
        Value::Nil => "(nil)".to_owned(),
        Value::Int(number) => format!("(integer) {number}"),
        Value::BulkString(bytes) => quote(bytes),
        Value::SimpleString(text) => text.clone(),
        Value::Okay => "OK".to_owned(),
        Value::Array(values) | Value::Set(values) => format!("[{}]", list(values)),
        Value::Map(pairs) => {
            let pair = |(key, value): &(Value, Value)| format!("{}: {}", show(key), show(value));
            format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        Value::Double(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        other => format!("{other:?}"),
    }
}
