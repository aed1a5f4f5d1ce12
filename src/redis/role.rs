//! What a server says that it is, asked beside the reads of a link.
//!
//! It is apart from the link because only endpoints of several servers ask: an address that was
//! found, not configured, is no proof.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the client library's values may grow; what is not named here is no role"
)]

use deadpool_redis::redis::{self, RedisResult, Value, aio::MultiplexedConnection};
use tokio::time::timeout;

use crate::{config::Node, limits, sampling::Fault};

use super::error::fault;

/// What a server says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It takes writes.
    Master,
    /// It has what its master had a moment ago.
    Replica,
    /// It holds no data at all.
    Sentinel,
}

/// How far a server is in the history of its data, and from whom it has that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It takes writes.
    Master {
        /// Bytes of changes since its history began.
        offset: u64,
        /// Those that follow it; `None` for one that cannot be connected to by what it says it is.
        replicas: Vec<Option<Node>>,
    },
    /// It follows another server.
    Replica {
        /// The other one: host and port as it was told.
        master: (String, i64),
        /// Bytes of changes that it has applied, if it is connected to the other one; else what it is
        /// doing about that.
        offset: Result<u64, String>,
    },
}

/// A way to ask something beside the reads of a link. It is of no use once the link is dropped.
pub(super) struct Asker(MultiplexedConnection);

impl Asker {
    pub(super) fn new(connection: MultiplexedConnection) -> Self {
        Self(connection)
    }

    /// What the server says it is. Its user needs `+role`.
    pub(super) async fn role(&mut self) -> Result<Role, Fault> {
        role(&self.reply().await?)
    }

    /// How far the server is.
    pub(super) async fn standing(&mut self) -> Result<Standing, Fault> {
        standing(&self.reply().await?)
    }

    async fn reply(&mut self) -> Result<Value, Fault> {
        let command = redis::cmd("ROLE");
        let reply = timeout(limits::COMMAND_DEADLINE, command.query_async(&mut self.0)).await;
        let reply: RedisResult<Value> = reply.map_err(|_| Fault::Timeout)?;
        reply.map_err(|error| fault(&error))
    }
}

/// The reply to ROLE, of which nothing is taken for a number, a host or a port that is none.
/// (<https://redis.io/docs/latest/commands/role/>)
fn standing(reply: &Value) -> Result<Standing, Fault> {
    let unexpected = || Fault::Unexpected("a reply to ROLE that is none".to_owned());
    let Value::Array(parts) = reply else { return Err(unexpected()) };
    match (role(reply)?, parts.as_slice()) {
        (Role::Master, [_, Value::Int(offset), Value::Array(followers), ..]) => {
            let offset = u64::try_from(*offset).map_err(|_| unexpected())?;
            Ok(Standing::Master { offset, replicas: followers.iter().map(follower).collect() })
        }
        (Role::Replica, [_, host, Value::Int(port), state, Value::Int(offset), ..]) => {
            let (host, state) = text(host).zip(text(state)).ok_or_else(unexpected)?;
            let offset = match (state, u64::try_from(*offset)) {
                ("connected", offset) => Ok(offset.map_err(|_| unexpected())?),
                (other, _) => Err(other.chars().filter(|c| !c.is_control()).take(20).collect()),
            };
            Ok(Standing::Replica { master: (host.to_owned(), *port), offset })
        }
        (Role::Sentinel, _) => Err(Fault::NotReady("it says that it is a sentinel".to_owned())),
        (Role::Master | Role::Replica, _) => Err(unexpected()),
    }
}

fn follower(value: &Value) -> Option<Node> {
    match value {
        Value::Array(parts) => match parts.as_slice() {
            [host, port, ..] => Node::named(text(host)?, text(port)?.parse().ok()?),
            _ => None,
        },
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn role(reply: &Value) -> Result<Role, Fault> {
    let name = match reply {
        Value::Array(parts) => parts.first(),
        _ => None,
    };
    match name {
        Some(Value::BulkString(name)) if name == b"master" => Ok(Role::Master),
        Some(Value::BulkString(name)) if name == b"slave" => Ok(Role::Replica),
        Some(Value::BulkString(name)) if name == b"sentinel" => Ok(Role::Sentinel),
        _ => Err(Fault::Unexpected("a role that is none".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_one_of_three_and_everything_else_is_none() {
        let named = |name: &str| {
            let rest = [Value::Int(3), Value::Array(vec![])];
            let name = Value::BulkString(name.as_bytes().to_vec());
            role(&Value::Array([name].into_iter().chain(rest).collect()))
        };
        assert_eq!(named("master"), Ok(Role::Master));
        assert_eq!(named("slave"), Ok(Role::Replica));
        assert_eq!(named("sentinel"), Ok(Role::Sentinel));
        for reply in [named("primary"), role(&Value::Nil), role(&Value::Array(vec![]))] {
            assert!(matches!(reply, Err(Fault::Unexpected(_))), "{reply:?}");
        }
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn a_master_tells_its_offset_and_who_follows() {
        let follower =
            |host: &str, port: &str| Value::Array(vec![bulk(host), bulk(port), bulk("3129659")]);
        let followers = [follower("127.0.0.1", "9001"), follower("", "1"), follower("h", "0")];
        let reply = |offset: Value| {
            Value::Array(vec![bulk("master"), offset, Value::Array(followers.to_vec())])
        };
        let replicas = vec![Some(Node { host: "127.0.0.1".to_owned(), port: 9001 }), None, None];
        let wanted = Standing::Master { offset: 3_129_659, replicas };
        assert_eq!(standing(&reply(Value::Int(3_129_659))), Ok(wanted));
        for wrong in [reply(Value::Int(-1)), reply(bulk("7")), Value::Array(vec![bulk("master")])] {
            assert!(matches!(standing(&wrong), Err(Fault::Unexpected(_))), "{wrong:?}");
        }
    }

    #[test]
    fn only_a_replica_that_is_connected_has_an_offset() {
        let reply = |state: &str, offset: i64| {
            let parts = [bulk("slave"), bulk("m"), Value::Int(6379), bulk(state)];
            standing(&Value::Array(parts.into_iter().chain([Value::Int(offset)]).collect()))
        };
        let replica = |offset| Standing::Replica { master: ("m".to_owned(), 6379), offset };
        assert_eq!(reply("connected", 7), Ok(replica(Ok(7))));
        for state in ["connect", "connecting", "sync", "handshake", "none"] {
            assert_eq!(reply(state, 7), Ok(replica(Err(state.to_owned()))));
        }
        assert_eq!(reply("sync", -1), Ok(replica(Err("sync".to_owned()))));
        assert!(matches!(reply("connected", -1), Err(Fault::Unexpected(_))));
    }
}
