//! Which databases of a server have keys, for people who look for a queue. The service never asks it, so the
//! right to INFO is not among those it needs.

use deadpool_redis::redis::{cmd, from_redis_value};

use crate::sampling::Fault;

use super::{error::fault, source::SourceLink};

impl SourceLink {
    /// The databases that have keys, and how many; `None` of a cluster, which has one.
    ///
    /// # Errors
    /// [`Fault`] when the link broke, or this user may not ask.
    pub async fn databases(&mut self) -> Option<Result<Vec<(u32, u64)>, Fault>> {
        let link = self.single()?;
        let replies = link.session.round(&[cmd("INFO").arg("keyspace").clone()]).await;
        Some(replies.and_then(|mut replies| {
            let unexpected = || Fault::Unexpected("no keyspace in the reply to INFO".to_owned());
            let reply = replies.pop().ok_or_else(unexpected)?.map_err(|error| fault(&error))?;
            let text: String = from_redis_value(reply).map_err(|_| unexpected())?;
            Ok(databases(&text))
        }))
    }
}

/// `db0:keys=12,expires=0,avg_ttl=0` is a line of it.
fn databases(text: &str) -> Vec<(u32, u64)> {
    let line = |line: &str| {
        let (number, rest) = line.strip_prefix("db")?.split_once(":keys=")?;
        Some((number.parse().ok()?, rest.split(',').next()?.trim().parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::databases;

    #[test]
    fn the_databases_with_keys_are_read() {
        let text =
            "# Keyspace\r\ndb0:keys=12,expires=0,avg_ttl=0\r\ndb3:keys=1\r\ndbx:keys=1\r\nx\r\n";
        assert_eq!(databases(text), [(0, 12), (3, 1)]);
        assert_eq!(databases("# Keyspace\r\n"), []);
    }
}
