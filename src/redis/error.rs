//! What an error of the client library means to the sampler: one total function for a broken round trip, and
//! one for a command's error reply. So no error can be taken for an answer by accident.

use std::sync::Arc;

use deadpool_redis::{
    HookError, PoolError,
    redis::{ErrorKind, RedisError},
};

use crate::sampling::Fault;

/// Characters of a Redis error that are kept.
const MESSAGE_CHARS: usize = 200;

/// What an error reply says about the key, if it is about the key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ErrorReply {
    /// The key holds another type than the command is for.
    WrongType,
    /// The command needs the key to exist.
    NoSuchKey,
    /// Anything else.
    Fault(Fault),
}

/// One command's error reply.
pub(super) fn refusal(error: &RedisError) -> ErrorReply {
    let detail = error.detail().unwrap_or_default();
    match error.code() {
        Some("WRONGTYPE") => ErrorReply::WrongType,
        _ if detail.eq_ignore_ascii_case("no such key") => ErrorReply::NoSuchKey,
        _ => ErrorReply::Fault(fault(error)),
    }
}

/// A fault that a command got in place of a reply, in the form that the client's errors have.
pub(super) fn carried(fault: Fault) -> RedisError {
    RedisError::from(std::io::Error::other(fault))
}

/// The fault that was put into such an error.
fn of_carried(error: &RedisError) -> Option<&Fault> {
    let inner = std::error::Error::source(error)?;
    let inner: &Arc<dyn std::error::Error + Send + Sync> = inner.downcast_ref()?;
    inner.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref()
}

/// A fault with the server that it came from, whose address is not in the configuration.
pub(super) fn about(server: &dyn std::fmt::Display, fault: Fault) -> Fault {
    let with = |what: String| format!("{server}: {what}");
    match fault {
        Fault::Unreachable(what) => Fault::Unreachable(with(what)),
        Fault::Timeout => Fault::Unreachable(with("it did not answer in time".to_owned())),
        Fault::NotReady(what) => Fault::NotReady(with(what)),
        Fault::Refused(what) => Fault::Refused(with(what)),
        Fault::Credentials(what) => Fault::Credentials(what),
        Fault::Listening(listening) => Fault::Listening(listening),
        Fault::Looking { seen, of } => Fault::Looking { seen, of },
        Fault::Unexpected(what) => Fault::Unexpected(with(what)),
    }
}

/// Why the server of a link cannot be read, where the reply to one read says so.
pub(super) fn not_ready<T>(reply: &Result<T, Fault>) -> Option<Fault> {
    match reply {
        Err(fault @ Fault::NotReady(_)) => Some(fault.clone()),
        Ok(_)
        | Err(
            Fault::Unreachable(_)
            | Fault::Timeout
            | Fault::Refused(_)
            | Fault::Credentials(_)
            | Fault::Listening(_)
            | Fault::Looking { .. }
            | Fault::Unexpected(_),
        ) => None,
    }
}

/// That fewer replies came than commands were sent.
pub(super) fn few() -> Fault {
    Fault::Unexpected("too few replies".to_owned())
}

/// Why a round trip failed, or what an error reply that is not about the key means.
///
/// A server is not ready whose state will pass: it loads, runs a script, has lost its master or is no
/// master any more, has lost its slots, or has no room for one more client. MISCONF and OOM are about
/// writes and leave reads alone; a PING may still get MISCONF, so they do not end a link.
pub(super) fn fault(error: &RedisError) -> Fault {
    if let Some(fault) = of_carried(error) {
        return fault.clone();
    }
    let message = brief(error);
    match error.code() {
        Some(
            "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" | "READONLY"
            | "UNKILLABLE",
        ) => {
            return Fault::NotReady(message);
        }
        Some("ERR") if message.starts_with("ERR max number of clients") => {
            return Fault::NotReady(message);
        }
        // DENIED is the protected mode.
        Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED") => return Fault::Refused(message),
        Some("MOVED" | "ASK") => {
            return Fault::Unexpected(format!(
                "{message}; this is a Redis Cluster: give its nodes as `cluster`, not one as `url`"
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

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::parse_redis_value;

    use super::*;

    #[test]
    fn a_fault_in_place_of_a_reply_stays_what_it_is() {
        for fault in
            [Fault::Timeout, Fault::NotReady("no".to_owned()), Fault::Refused("x".to_owned())]
        {
            assert_eq!(super::fault(&carried(fault.clone())), fault);
            assert_eq!(refusal(&carried(fault.clone())), ErrorReply::Fault(fault));
        }
    }

    fn reply(line: &str) -> RedisError {
        let value = parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    #[test]
    fn every_kind_of_error_reply_is_a_fault_of_its_kind() {
        type Wanted = fn(String) -> Fault;
        let table: &[(&str, Wanted)] = &[
            ("LOADING Redis is loading the dataset in memory", Fault::NotReady),
            (
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
                Fault::NotReady,
            ),
            ("READONLY You can't write against a read only replica.", Fault::NotReady),
            ("CLUSTERDOWN The cluster is down", Fault::NotReady),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Fault::NotReady),
            ("BUSY Redis is busy running a script.", Fault::NotReady),
            ("UNKILLABLE The script has written already.", Fault::NotReady),
            ("ERR max number of clients reached", Fault::NotReady),
            ("ERR max number of clients + cluster connections reached", Fault::NotReady),
            ("NOAUTH Authentication required.", Fault::Refused),
            ("WRONGPASS invalid username-password pair or user is disabled.", Fault::Refused),
            ("NOPERM User u has no permissions to run the 'llen' command", Fault::Refused),
            ("DENIED Redis is running in protected mode", Fault::Refused),
            ("MISCONF Redis is configured to save RDB snapshots", Fault::Unexpected),
            ("OOM command not allowed when used memory > 'maxmemory'.", Fault::Unexpected),
            ("EXECABORT Transaction discarded", Fault::Unexpected),
            ("NOPROTO unsupported protocol version", Fault::Unexpected),
            ("ERR unknown command 'HELLO'", Fault::Unexpected),
            ("ODD", Fault::Unexpected),
            ("", Fault::Unexpected),
        ];
        for (line, wanted) in table {
            let ErrorReply::Fault(fault) = refusal(&reply(line)) else { panic!("{line}") };
            let kind = std::mem::discriminant(&wanted(String::new()));
            assert_eq!(std::mem::discriminant(&fault), kind, "{line}: {fault}");
            let code = line.split(' ').next().unwrap();
            assert!(fault.to_string().contains(code), "{fault}");
        }
    }

    #[test]
    fn what_is_about_the_key_is_no_fault() {
        let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
        assert_eq!(refusal(&reply(wrong)), ErrorReply::WrongType);
        assert_eq!(refusal(&reply("ERR no such key")), ErrorReply::NoSuchKey);
    }

    #[test]
    fn a_moved_key_is_told_as_what_it_means() {
        for line in ["MOVED 12182 10.0.0.1:6379", "ASK 12182 10.0.0.1:6379"] {
            let fault = fault(&reply(line));
            assert!(fault.to_string().contains("this is a Redis Cluster"), "{fault}");
        }
    }

    #[test]
    fn a_long_error_is_cut_and_control_characters_are_no_part_of_it() {
        let fault = fault(&reply(&format!("ERR a\u{1b}[31m{}", "x".repeat(1000)))).to_string();
        assert!(fault.len() < 300 && !fault.contains('\u{1b}'), "{fault}");
    }
}
