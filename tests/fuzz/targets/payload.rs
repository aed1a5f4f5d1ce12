//! What frameworks put into Redis: a job's JSON counts for another queue only if it says so.
//!
//! Four lines: the place (a JSON pointer), the queue, another place and what must stand there (or
//! nothing); then the payload.

use std::{sync::Arc, time::Duration};

use penstock::{
    layouts::{Answer, Ask, CollectionType, Filter, Name, PerMember, PerMemberAnswer, Read},
    limits,
    redis::offline,
};
use serde_json::Value;

use crate::{
    engine::{Target, Traits},
    hold,
};

pub const TARGET: Target = Target { name: "payload", words: WORDS, check };

const WORDS: &[&str] = &[
    "/2",
    "/1",
    "/queue",
    "/0/a",
    "/-",
    "/01",
    "/+1",
    "/~0",
    "/~1",
    "/",
    "",
    "emails",
    "other",
    "[{}, \"\", \"emails\"]",
    "{\"queue\": \"emails\"}",
    "\"",
    "\\u0000",
    "\\ud800",
    "\\u00e9",
    "null",
    "true",
    "1e999",
    "-",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "[[[[[[[[",
    "\n",
    "exchange",
    "routing_key",
];

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let mut parts = input.splitn(5, |byte| *byte == b'\n');
    let mut line = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (pointer, queue, other, only_if) = (line(), line(), line(), line());
    let payload = parts.next().unwrap_or_default();
    let only_if = (!other.is_empty()).then_some((other, only_if));
    let filter = Filter { pointer, is: Name::from(queue.as_str()).into(), only_if };
    let expected = counts(payload, &filter, &queue);
    let each = PerMember {
        collection: "jobs".into(),
        kind: CollectionType::Hash,
        ask: Ask::Field,
        filter: Some(filter),
    };
    let length = payload.len();
    let head = format!(":1\r\n*1\r\n$1\r\nf\r\n*1\r\n${length}\r\n");
    let said = [head.as_bytes(), payload, b"\r\n"].concat();
    let read = Read::PerMember(Arc::new(each));
    let reply = offline::answer(&read, "hash", Duration::ZERO, &said);
    let reply = reply.map_err(|fault| format!("a payload is a fault: {fault}"))?;
    let counted = u64::from(expected != Some(false));
    traits.note((expected, length.min(40)));
    traits.note(
        serde_json::from_slice::<Value>(payload).map_err(|e| e.classify() as u8).map(|v| kind(&v)),
    );
    let unsure = u64::from(expected.is_none());
    let wanted = Answer::PerMember(PerMemberAnswer { counted, examined: 1, overflow: 0, unsure });
    hold!(reply.answer == wanted, "{:?}, not {wanted:?} ({expected:?})", reply.answer);
    Ok(())
}

fn kind(value: &Value) -> (u8, usize) {
    match value {
        Value::Null => (0, 0),
        Value::Bool(_) => (1, 0),
        Value::Number(_) => (2, 0),
        Value::String(_) => (3, 0),
        Value::Array(all) => (4, all.len().min(8)),
        Value::Object(all) => (5, all.len().min(8)),
    }
}

/// Whether the payload says that it is of the queue; nothing if it cannot be known.
fn counts(payload: &[u8], filter: &Filter, queue: &str) -> Option<bool> {
    let json: Value = serde_json::from_slice(payload).ok()?;
    if let Some((place, wanted)) = &filter.only_if
        && at(&json, place)? != wanted
    {
        return None;
    }
    let text = at(&json, &filter.pointer)?;
    (text.len() <= limits::FIELD_TEXT_BYTES).then(|| text == queue)
}

/// The text in a place, by RFC 6901.
fn at<'v>(json: &'v Value, pointer: &str) -> Option<&'v str> {
    let mut here = json;
    if !pointer.is_empty() {
        for step in pointer.strip_prefix('/')?.split('/') {
            let step = step.replace("~1", "/").replace("~0", "~");
            here = match here {
                Value::Object(map) => map.get(&step)?,
                Value::Array(all) => {
                    let is_index = step == "0"
                        || (!step.starts_with('0') && step.bytes().all(|b| b.is_ascii_digit()));
                    if !is_index {
                        return None;
                    }
                    all.get(step.parse::<usize>().ok()?)?
                }
                _ => return None,
            };
        }
    }
    here.as_str()
}
