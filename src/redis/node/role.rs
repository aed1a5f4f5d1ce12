//! What a server says that it is, asked beside the reads of a link. Only endpoints of several servers ask:
//! an address that was found, not configured, is no proof.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the client library's values may grow; what is not named here is no role"
)]

use deadpool_redis::redis::{self, RedisResult, Value, aio::MultiplexedConnection};
use tokio::time::timeout;

use crate::{limits, sampling::Fault};

use super::super::error::fault;

/// What a server says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redis) enum Role {
    /// It takes writes.
    Master,
    /// It has what its master had a moment ago.
    Replica,
    /// It holds no data at all.
    Sentinel,
}

/// A way to ask something beside the reads of a link. It is of no use once the link is dropped.
pub(in crate::redis) struct Asker(MultiplexedConnection);

impl Asker {
    pub(in crate::redis) fn new(connection: MultiplexedConnection) -> Self {
        Self(connection)
    }

    /// What the server says it is. Its user needs `+role`.
    pub(in crate::redis) async fn role(&mut self) -> Result<Role, Fault> {
        let command = redis::cmd("ROLE");
        let reply = timeout(limits::COMMAND_DEADLINE, command.query_async(&mut self.0)).await;
        let reply: RedisResult<Value> = reply.map_err(|_| Fault::Timeout)?;
        role(&reply.map_err(|error| fault(&error))?)
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
}
