//! What an error of the client library means to the sampler, in one total function each for a
//! broken round trip and for one command's error reply.
//!
//! It is apart so that no error can be taken for an answer by accident.

use deadpool_redis::{
    HookError, PoolError,
    redis::{ErrorKind, RedisError},
};

use crate::sampling::Fault;

/// Characters of a Redis error that are kept.
const MESSAGE_CHARS: usize = 200;

/// What an error reply says about the key, if it is about the key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The key holds another type than the command is for.
    WrongType,
    /// The command needs the key to exist.
    NoSuchKey,
    /// Anything else.
    Fault(Fault),
}

/// One command's error reply.
pub(super) fn refusal(error: &RedisError) -> Refusal {
    let detail = error.detail().unwrap_or_default();
    match error.code() {
        Some("WRONGTYPE") => Refusal::WrongType,
        _ if detail.eq_ignore_ascii_case("no such key") => Refusal::NoSuchKey,
        _ => Refusal::Fault(fault(error)),
    }
}

/// Why a round trip failed, or what an error reply that is not about the key means.
pub(super) fn fault(error: &RedisError) -> Fault {
    let message = brief(error);
    match error.code() {
        Some("LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY") => {
            return Fault::NotReady(message);
        }
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => return Fault::Refused(message),
        Some("MOVED" | "ASK") => {
            return Fault::Unexpected(format!(
                "{message}; this is a Redis Cluster, which this release does not read"
            ));
        }
        Some(_) | None => {}
    }
    if error.kind() == ErrorKind::AuthenticationFailed {
        Fault::Refused(message)
    } else if error.is_timeout() {
        Fault::Timeout
    } else if error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error()
    {
        Fault::Unreachable(message)
    } else {
        Fault::Unexpected(message)
    }
}

/// Whether Redis does not know any more who we are: what the link was authenticated with has expired
/// or was taken away.
pub(super) fn is_unauthenticated(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
}

/// Why the pool gave no connection.
pub(super) fn pool_fault(error: &PoolError) -> Fault {
    match error {
        PoolError::Timeout(_) => Fault::Timeout,
        PoolError::Backend(error) => fault(error),
        PoolError::Closed => Fault::Unreachable("the pool is closed".to_owned()),
        PoolError::NoRuntimeSpecified => Fault::Unreachable("the pool has no runtime".to_owned()),
        PoolError::PostCreateHook(HookError::Backend(error)) => fault(error),
        PoolError::PostCreateHook(HookError::Message(message)) => Fault::Unreachable(cut(message)),
    }
}

pub(super) fn brief(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => cut(&format!("{code} {detail}")),
        _ => cut(&error.to_string()),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MESSAGE_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
