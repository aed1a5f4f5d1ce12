//! One message of a worker: a heartbeat, or why it cannot be read.
//!
//! Anybody who may publish can write one, so nothing in it is believed beyond its form, and everything that
//! is kept of it has a bound.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{layouts::HeartbeatFormat, limits};

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heartbeat {
    /// The name of the worker.
    pub(super) worker: String,
    /// How many jobs it has begun and not ended.
    pub(super) jobs: u64,
    /// How many it has ended since it started, if it says so.
    pub(super) ended: Option<u64>,
    /// When it speaks again.
    pub(super) every: Duration,
    /// How many jobs it runs at once, if it says so.
    pub(super) slots: Option<u64>,
    /// The queues that it serves, if it says so.
    pub(super) queues: Option<Vec<String>>,
}

/// Why a message cannot be read. It repeats nothing of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    /// It is too long.
    #[error("it is longer than {} bytes", limits::HEARTBEAT_BYTES)]
    Long,
    /// It is no JSON, or its body is none: compressed, or in another format.
    #[error("it is no JSON, or its body is none (compressed, or of another serializer)")]
    NotJson,
    /// What a place must have is not there.
    #[error("there is no {what} at {pointer}")]
    Lacks {
        /// What must be there.
        what: &'static str,
        pointer: String,
    },
    /// The names in it are too long to be kept.
    #[error(
        "the names of the worker and its queues are longer than {} bytes",
        limits::HEARTBEAT_NAME_BYTES
    )]
    LongNames,
    /// It would speak again too late.
    #[error("its worker speaks less often than every {:?}", limits::HEARTBEAT_INTERVAL_MAX)]
    Seldom,
}

impl Heartbeat {
    /// Reads a message of a worker that lives.
    pub(super) fn parse(format: &HeartbeatFormat, message: &[u8]) -> Result<Self, Unread> {
        let body = body(format, message)?;
        let lacks = |what, pointer: &str| Unread::Lacks { what, pointer: pointer.to_owned() };
        let jobs = body.pointer(&format.jobs).and_then(Value::as_u64);
        let every = body.pointer(&format.every).and_then(Value::as_f64);
        let every = every.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let queues =
            format.queues.iter().find_map(|pointer| Some((body.pointer(pointer)?, pointer)));
        let texts = |list: &Value| -> Option<Vec<String>> {
            list.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let queues = queues
            .map(|(list, pointer)| texts(list).ok_or_else(|| lacks("list of texts", pointer)));
        let pointers = format.silence.iter().flat_map(|silence| &silence.slots);
        let begun = format.begun.iter().find_map(|pointer| body.pointer(pointer)?.as_u64());
        let heartbeat = Self {
            slots: pointers.filter_map(|pointer| body.pointer(pointer)?.as_u64()).next(),
            worker: worker(format, &body)?,
            ended: begun.zip(jobs).map(|(begun, jobs)| begun.saturating_sub(jobs)),
            jobs: jobs.ok_or_else(|| lacks("number of jobs", &format.jobs))?,
            every: every.ok_or_else(|| lacks("number of seconds", &format.every))?,
            queues: queues.transpose()?,
        };
        let names = heartbeat.queues.iter().flatten().map(String::len).sum::<usize>()
            + heartbeat.worker.len();
        match heartbeat {
            _ if names > limits::HEARTBEAT_NAME_BYTES => Err(Unread::LongNames),
            heartbeat if heartbeat.every > limits::HEARTBEAT_INTERVAL_MAX => Err(Unread::Seldom),
            heartbeat => Ok(heartbeat),
        }
    }
}

/// The name of the worker that says that it ends.
pub(super) fn farewell(format: &HeartbeatFormat, message: &[u8]) -> Result<String, Unread> {
    worker(format, &body(format, message)?)
}

fn worker(format: &HeartbeatFormat, body: &Value) -> Result<String, Unread> {
    let name = body.pointer(&format.worker).and_then(Value::as_str);
    let lacks = || Unread::Lacks { what: "name of a worker", pointer: format.worker.clone() };
    name.map(str::to_owned).ok_or_else(lacks)
}

fn body(format: &HeartbeatFormat, message: &[u8]) -> Result<Value, Unread> {
    if message.len() > limits::HEARTBEAT_BYTES {
        return Err(Unread::Long);
    }
    let outer: Value = serde_json::from_slice(message).map_err(|_| Unread::NotJson)?;
    let Some(pointer) = &format.body else { return Ok(outer) };
    let lacks = || Unread::Lacks { what: "text in base64", pointer: pointer.clone() };
    let text = outer.pointer(pointer).and_then(Value::as_str).ok_or_else(lacks)?;
    let inner = STANDARD.decode(text).map_err(|_| lacks())?;
    serde_json::from_slice(&inner).map_err(|_| Unread::NotJson)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::tests::format, *};

    fn envelope(body: &[u8]) -> Vec<u8> {
        format!(r#"{{"body": "{}", "content-type": "application/json"}}"#, STANDARD.encode(body))
            .into_bytes()
    }

    fn parse(body: &str) -> Result<Heartbeat, Unread> {
        Heartbeat::parse(&format(), &envelope(body.as_bytes()))
    }

    #[test]
    fn a_heartbeat_says_who_runs_how_much_and_for_which_queues() {
        let heartbeat =
            parse(r#"{"hostname": "emails@a", "active": 2, "freq": 2.0, "clock": 9}"#).unwrap();
        let every = Duration::from_secs(2);
        assert_eq!(
            heartbeat,
            Heartbeat {
                worker: "emails@a".to_owned(),
                jobs: 2,
                ended: None,
                every,
                slots: None,
                queues: None
            }
        );
        let ended = |body: &str| parse(body).unwrap().ended;
        let with = |more: &str| format!(r#"{{"hostname": "a", "active": 2, "freq": 2{more}}}"#);
        assert_eq!(ended(&with(r#", "processed": 7"#)), Some(5));
        assert_eq!(ended(&with(r#", "processed": 1"#)), Some(0), "it has not told of both yet");
        assert_eq!(ended(&with(r#", "processed": -1"#)), None);
        let with = |queues: &str| {
            parse(&format!(r#"{{"hostname": "a", "active": 0, "freq": 2, {queues}}}"#))
                .unwrap()
                .queues
        };
        assert_eq!(with(r#""queues": ["q", "r"]"#), Some(vec!["q".to_owned(), "r".to_owned()]));
        let nested = r#""x_worker_info": {"queues": ["q"], "concurrency": 4}"#;
        assert_eq!(with(nested), Some(vec!["q".to_owned()]));
        assert_eq!(with(r#""queues": []"#), Some(vec![]));
    }

    #[test]
    fn what_cannot_be_read_says_why_and_never_what_it_is() {
        let lacks = |what, pointer: &str| Unread::Lacks { what, pointer: pointer.to_owned() };
        for (body, wanted) in [
            (r#"{"active": 2, "freq": 2}"#, lacks("name of a worker", "/hostname")),
            (r#"{"hostname": "a", "freq": 2}"#, lacks("number of jobs", "/active")),
            (r#"{"hostname": "a", "active": -1, "freq": 2}"#, lacks("number of jobs", "/active")),
            (r#"{"hostname": "a", "active": "2", "freq": 2}"#, lacks("number of jobs", "/active")),
            (r#"{"hostname": "a", "active": 2}"#, lacks("number of seconds", "/freq")),
            (r#"{"hostname": "a", "active": 2, "freq": -2}"#, lacks("number of seconds", "/freq")),
            (
                r#"{"hostname": "a", "active": 2, "freq": 1e300}"#,
                lacks("number of seconds", "/freq"),
            ),
            (r#"{"hostname": "a", "active": 2, "freq": 301}"#, Unread::Seldom),
            (
                r#"{"hostname": "a", "active": 2, "freq": 2, "queues": ["q", 1]}"#,
                lacks("list of texts", "/queues"),
            ),
            ("\x1f\u{8b}\u{8}", Unread::NotJson),
        ] {
            assert_eq!(parse(body), Err(wanted), "{body}");
        }
        let plain = br#"{"hostname": "a", "active": 2, "freq": 2}"#;
        assert_eq!(Heartbeat::parse(&format(), plain), Err(lacks("text in base64", "/body")));
        assert_eq!(Heartbeat::parse(&format(), b"{"), Err(Unread::NotJson));
        assert_eq!(Heartbeat::parse(&format(), &[b' '; 70_000]), Err(Unread::Long));
        let long = "n".repeat(limits::HEARTBEAT_NAME_BYTES + 1);
        let long = format!(r#"{{"hostname": "{long}", "active": 2, "freq": 2}}"#);
        assert_eq!(parse(&long), Err(Unread::LongNames));
        assert_eq!(farewell(&format(), &envelope(br#"{"hostname": "a"}"#)), Ok("a".to_owned()));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd_to_be_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Heartbeat::parse(&format(), &envelope(&bytes)).is_err());
            prop_assert!(Heartbeat::parse(&format(), &bytes).is_err());
        }
    }
}
