//! A connection to one sentinel: what it is asked, what it announces, and its replies. What it says is one
//! vote, and is taken for a host or a port only if it can be one.

use std::sync::Arc;

use deadpool_redis::redis::{self, Pipeline, PushInfo, PushKind, RedisError, RedisResult, Value};
use tokio::sync::Notify;

use crate::{config::Node, sampling::Fault};

use super::{
    super::{
        error,
        node::{Connection, Dialer},
        reads::decode,
    },
    votes::Word,
};

/// What a sentinel publishes when it follows another master.
const SWITCH: &str = "+switch-master";
/// The commands that a user on the sentinels needs. AUTH and HELLO need no permission.
const COMMANDS: &[&str] = &["sentinel|get-master-addr-by-name", "sentinel|master", "subscribe"];

/// The ACL of a user on the sentinels that may do what penstock does there, and no more: the line for
/// `ACL SETUSER` or, after the word `user`, for the configuration file of a sentinel. A password is to
/// be added.
#[must_use]
pub fn sentinel_acl(user: &str) -> String {
    format!("{user} on {}", rules())
}

/// The channel and the commands of that user.
pub(in crate::redis) fn rules() -> String {
    let commands: Vec<String> = COMMANDS.iter().map(|command| format!("+{command}")).collect();
    format!("resetchannels &{SWITCH} -@all {}", commands.join(" "))
}

/// A connection to one sentinel.
pub(super) struct Line(Connection);

impl Line {
    /// Connects, and has `hint` notified when the sentinel announces a new master. A sentinel that
    /// announces nothing to us is still asked.
    pub(super) async fn open(
        dialer: &Dialer,
        node: &Node,
        hint: &Arc<Notify>,
    ) -> Result<Self, Fault> {
        let notified = Arc::clone(hint);
        let push = move |push: &PushInfo| {
            if push.kind == PushKind::Message {
                notified.notify_one();
            }
        };
        let (mut connection, announces) = dialer.dial_untracked(node, push).await?;
        if announces {
            match connection.subscribe(SWITCH).await {
                Ok(()) => {}
                // It refused that, and may well answer a question.
                Err(error) if error.code().is_some() => {}
                Err(error) => return Err(error::fault(&error)),
            }
        }
        Ok(Self(connection))
    }

    /// Asks who the master of this name is.
    pub(super) async fn ask(&mut self, master: &str) -> Result<Word, Fault> {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.ignore_errors();
        for question in ["GET-MASTER-ADDR-BY-NAME", "MASTER"] {
            pipeline.add_command(redis::cmd("SENTINEL").arg(question).arg(master).clone());
        }
        let replies: Result<Vec<RedisResult<Value>>, RedisError> =
            pipeline.query_async(&mut *self.0).await;
        let replies = replies.map_err(|error| self.0.excess().behind(error::fault(&error)))?;
        match replies.as_slice() {
            [Ok(address), state] => word(address, state.as_ref().ok()),
            [Err(error), _] => Err(error::fault(error)),
            _ => Err(Fault::Unexpected("another number of replies than questions".to_owned())),
        }
    }
}

/// What its replies to the two questions say.
pub(super) fn word(address: &Value, state: Option<&Value>) -> Result<Word, Fault> {
    if *address == Value::Nil {
        return Ok(Word::NoSuchMaster);
    }
    let node = match decode::sequence(address) {
        Some([host, port]) => node(host, port),
        _ => None,
    };
    let unexpected = || Fault::Unexpected("a master's address that is none".to_owned());
    Ok(Word::Names(node.ok_or_else(unexpected)?, state.and_then(epoch)))
}

fn node(host: &Value, port: &Value) -> Option<Node> {
    Node::named(text(host)?, text(port)?.parse().ok()?)
}

/// The configuration epoch in the reply to SENTINEL MASTER, a map or, by RESP2, a list of names and
/// values.
fn epoch(state: &Value) -> Option<u64> {
    let fields = decode::fields(state)?;
    let (_, value) = fields.into_iter().find(|(name, _)| text(name) == Some("config-epoch"))?;
    text(value)?.parse().ok()
}

fn text(value: &Value) -> Option<&str> {
    std::str::from_utf8(decode::string(value).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn address(parts: &[&str]) -> Value {
        Value::Array(parts.iter().map(|part| bulk(part)).collect())
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (host, shown) in [
            ("10.0.0.1", "10.0.0.1:6379"),
            ("redis-0.redis.jobs.svc", "redis-0.redis.jobs.svc:6379"),
            ("::1", "[::1]:6379"),
        ] {
            let Ok(Word::Names(node, None)) = word(&address(&[host, "6379"]), None) else {
                panic!("{host} is a host")
            };
            assert_eq!(node.to_string(), shown);
        }
        assert_eq!(word(&Value::Nil, None), Ok(Word::NoSuchMaster));
    }

    #[test]
    fn what_can_be_no_address_is_no_vote() {
        let long = "a".repeat(254);
        for reply in [
            address(&["10.0.0.1"]),
            address(&["10.0.0.1", "6379", "x"]),
            address(&["10.0.0.1", "0"]),
            address(&["10.0.0.1", "65536"]),
            address(&["10.0.0.1", "-1"]),
            address(&["", "6379"]),
            address(&["a b", "6379"]),
            address(&["a\r\nFLUSHALL", "6379"]),
            address(&["u:pw@h", "6379"]),
            address(&[&long, "6379"]),
            Value::Array(vec![bulk("a"), Value::Int(6379)]),
            Value::Array(vec![Value::BulkString(vec![0xff]), bulk("6379")]),
            Value::Okay,
        ] {
            assert!(matches!(word(&reply, None), Err(Fault::Unexpected(_))), "{reply:?}");
        }
    }

    #[test]
    fn the_epoch_is_found_in_a_map_and_in_a_list() {
        let pairs = [("name", "m"), ("config-epoch", "7")];
        let map = pairs.iter().map(|(name, value)| (bulk(name), bulk(value))).collect();
        assert_eq!(epoch(&Value::Map(map)), Some(7));
        let flat = pairs.iter().flat_map(|(name, value)| [bulk(name), bulk(value)]).collect();
        assert_eq!(epoch(&Value::Array(flat)), Some(7));
        let odd = Value::Array(vec![bulk("config-epoch")]);
        assert_eq!(epoch(&odd), None);
        let wrong = Value::Array(vec![bulk("config-epoch"), bulk("soon")]);
        assert_eq!((epoch(&wrong), epoch(&Value::Nil)), (None, None));
    }
}
