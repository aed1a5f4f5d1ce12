//! Reads as commands. All of them only read, and all are tracked by Redis. Their replies are small,
//! except for pages of stream entries, which are bounded by their bytes.

use std::time::Duration;

use deadpool_redis::redis::{self, Cmd};

use crate::{
    layouts::{Kind, Members, Name, Read, Test, Unit},
    limits,
};

use super::{per_member::commands, stream_id::StreamId};

/// The type of a key, as far as it decides which command counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::redis) enum KeyType {
    /// A list. Most queues are, so a key of unknown type is taken for one first.
    #[default]
    List,
    /// A set.
    Set,
    /// A sorted set.
    SortedSet,
    /// A hash.
    Hash,
    /// A stream.
    Stream,
    /// A string.
    Text,
    /// A type of a module, or of a newer Redis.
    Other,
}

impl From<Kind> for KeyType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::List => Self::List,
            Kind::Set => Self::Set,
            Kind::SortedSet => Self::SortedSet,
            Kind::Hash => Self::Hash,
            Kind::Stream => Self::Stream,
            Kind::String => Self::Text,
        }
    }
}

impl KeyType {
    /// The type by the name that TYPE replies; `None` for a missing key.
    pub(in crate::redis) fn named(name: &str) -> Option<Self> {
        match name {
            "none" => None,
            "list" => Some(Self::List),
            "set" => Some(Self::Set),
            "zset" => Some(Self::SortedSet),
            "hash" => Some(Self::Hash),
            "stream" => Some(Self::Stream),
            "string" => Some(Self::Text),
            _ => Some(Self::Other),
        }
    }
}

/// The types in which a key can be whose members are counted so.
pub(in crate::redis) fn countable(members: Members) -> &'static [&'static str] {
    match members {
        Members::AllOf(kind) => kind.names(),
        Members::All | Members::Due(_) | Members::Leased(_) => {
            &["list", "set", "zset", "hash", "stream", "string"]
        }
    }
}

/// The command that answers a read, if the key is of this type. `now` is Redis's own time, which
/// only reads that depend on time need.
pub(in crate::redis) fn question(read: &Read, key_type: KeyType, now: Duration) -> Cmd {
    match read {
        Read::Size { key, members } => size(key, *members, key_type, now),
        Read::Group { key, .. } | Read::Idle { key, .. } => of_key("XINFO", &["GROUPS"], key),
        Read::Flag { key, test } => flag(key, test),
        Read::PerMember(each) => commands::first(each),
        // Never sent: a link answers reads of heartbeats from what it heard.
        Read::Heartbeats(_) => redis::cmd("PING"),
    }
}

/// EXISTS, HEXISTS, SISMEMBER, or as much of a string as tells whether it is the wanted one.
fn flag(key: &Name, test: &Test) -> Cmd {
    let named = |command, name: &Name| {
        let mut command = of_key(command, &[], key);
        command.arg(name.as_bytes());
        command
    };
    match test {
        Test::Exists => exists(key),
        Test::Field(field) => named("HEXISTS", field),
        Test::Member(member) => named("SISMEMBER", member),
        Test::Value(value) => {
            let mut command = of_key("GETRANGE", &[], key);
            command.arg(0).arg(value.as_bytes().len());
            command
        }
    }
}

/// TIME
pub(in crate::redis) fn time() -> Cmd {
    redis::cmd("TIME")
}

/// TYPE key
pub(in crate::redis) fn type_of(key: &Name) -> Cmd {
    of_key("TYPE", &[], key)
}

/// EXISTS key
pub(in crate::redis) fn exists(key: &Name) -> Cmd {
    of_key("EXISTS", &[], key)
}

/// GETRANGE key 0 n: as much of a string as a number may have, and a byte beyond that tells that
/// there is more. GET would bring along whatever somebody put there.
pub(in crate::redis) fn text(key: &Name) -> Cmd {
    let mut command = of_key("GETRANGE", &[], key);
    command.arg(0).arg(limits::NUMBER_BYTES);
    command
}

/// XLEN key
pub(in crate::redis) fn length(key: &Name) -> Cmd {
    of_key("XLEN", &[], key)
}

/// XPENDING key group from + n: pending entries from an id on, one page. (IDLE came with Redis 6.2,
/// and would let Redis pass by any number of entries that are not.)
pub(in crate::redis) fn pending_from(key: &Name, group: &Name, from: StreamId) -> Cmd {
    let mut command = of_key("XPENDING", &[], key);
    command.arg(group.as_bytes()).arg(from.to_string()).arg("+").arg(limits::IDLE_PAGE);
    command
}

/// XRANGE key from + COUNT n: the entries from an id on, one page.
pub(in crate::redis) fn entries_from(key: &Name, from: StreamId, count: u64) -> Cmd {
    let mut command = of_key("XRANGE", &[], key);
    command.arg(from.to_string()).arg("+").arg("COUNT").arg(count);
    command
}

/// XRANGE key - until COUNT 1: the first entry of a stream, if its id is none after this one.
pub(in crate::redis) fn first_entry_until(key: &Name, until: StreamId) -> Cmd {
    let mut command = of_key("XRANGE", &[], key);
    command.arg("-").arg(until.to_string()).arg("COUNT").arg(1);
    command
}

fn size(key: &Name, members: Members, key_type: KeyType, now: Duration) -> Cmd {
    match (key_type, members) {
        (KeyType::List, _) => of_key("LLEN", &[], key),
        (KeyType::Set, _) => of_key("SCARD", &[], key),
        (KeyType::SortedSet, Members::All | Members::AllOf(_)) => of_key("ZCARD", &[], key),
        (KeyType::SortedSet, Members::Due(scores)) => {
            let mut command = of_key("ZCOUNT", &[], key);
            command.arg("-inf").arg(score(bound(members, now), scores.unit));
            command
        }
        (KeyType::SortedSet, Members::Leased(scores)) => {
            let mut command = of_key("ZCOUNT", &[], key);
            command.arg(format!("({}", score(bound(members, now), scores.unit))).arg("+inf");
            command
        }
        (KeyType::Hash, _) => of_key("HLEN", &[], key),
        (KeyType::Stream, _) => of_key("XLEN", &[], key),
        (KeyType::Text, _) => text(key),
        (KeyType::Other, _) => type_of(key),
    }
}

/// The member after the bound, with its score: the next one to fall due, or the next lease to run
/// out. Of the member itself nothing is wanted, but Redis gives no score without it.
pub(in crate::redis) fn next_score(read: &Read, now: Duration) -> Cmd {
    let (key, members) = match read {
        Read::Size { key, members } => (key, *members),
        Read::Group { .. }
        | Read::Idle { .. }
        | Read::Flag { .. }
        | Read::PerMember(_)
        | Read::Heartbeats(_) => {
            let [key] = read.keys();
            (key, Members::All)
        }
    };
    let mut command = of_key("ZRANGEBYSCORE", &[], key);
    let after = match members {
        Members::Due(scores) | Members::Leased(scores) => score(bound(members, now), scores.unit),
        Members::All | Members::AllOf(_) => "+inf".to_owned(),
    };
    command.arg(format!("({after}")).arg("+inf").arg("WITHSCORES").arg("LIMIT").arg(0).arg(1);
    command
}

/// The time that scores are compared with. They were written with clients' clocks: a job counts as
/// due a grace early, and a lease as held a grace longer.
pub(in crate::redis) fn bound(members: Members, now: Duration) -> Duration {
    match members {
        Members::Due(scores) => now + limits::CLOCK_GRACE + scores.slack,
        Members::Leased(scores) => now.saturating_sub(limits::CLOCK_GRACE + scores.slack),
        Members::All | Members::AllOf(_) => now,
    }
}

fn score(at: Duration, unit: Unit) -> String {
    match unit {
        Unit::Seconds => format!("{}.{:06}", at.as_secs(), at.subsec_micros()),
        Unit::Milliseconds => format!("{}.{:03}", at.as_millis(), at.subsec_micros() % 1000),
        Unit::Nanoseconds => at.as_nanos().to_string(),
        // The largest score of the millisecond: whatever its sequence number, it has come.
        Unit::MillisecondsTimes4096 => (at.as_millis() * 4096 + 4095).to_string(),
    }
}

fn of_key(command: &str, words: &[&str], key: &Name) -> Cmd {
    let mut command = redis::cmd(command);
    for word in words {
        command.arg(word);
    }
    command.arg(key.as_bytes());
    command
}

/// Whether the questions of both begin with the groups of one stream.
pub(in crate::redis) fn is_same(one: &Read, other: &Read) -> bool {
    let stream = |read: &Read| match read {
        Read::Group { key, .. } | Read::Idle { key, .. } => Some(key.clone()),
        Read::Size { .. } | Read::Flag { .. } | Read::PerMember(_) | Read::Heartbeats(_) => None,
    };
    stream(one).is_some_and(|key| stream(other) == Some(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layouts::Scores;

    fn typed(command: &Cmd) -> String {
        String::from_utf8_lossy(&command.get_packed_command())
            .split("\r\n")
            .filter(|part| !part.starts_with(['*', '$']) && !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn what_is_due_and_what_is_leased_is_compared_with_redis_time_and_a_grace() {
        let now = Duration::from_micros(1_700_000_000_250_500);
        let ask = |members| typed(&size(&"z".into(), members, KeyType::SortedSet, now));
        let due = |unit: Unit| ask(Members::Due(unit.into()));
        assert_eq!(due(Unit::Seconds), "ZCOUNT z -inf 1700000001.250500");
        assert_eq!(due(Unit::Milliseconds), "ZCOUNT z -inf 1700000001250.500");
        assert_eq!(due(Unit::Nanoseconds), "ZCOUNT z -inf 1700000001250500000");
        assert_eq!(due(Unit::MillisecondsTimes4096), "ZCOUNT z -inf 6963200005124095");
        let leased = Members::Leased(Unit::Seconds.into());
        assert_eq!(ask(leased), "ZCOUNT z (1699999999.250500 +inf");
        let slack = Duration::from_secs(60);
        let wide = Scores { unit: Unit::Seconds, slack };
        assert_eq!(ask(Members::Due(wide)), "ZCOUNT z -inf 1700000061.250500");
        assert_eq!(ask(Members::Leased(wide)), "ZCOUNT z (1699999939.250500 +inf");
        let next = |members| typed(&next_score(&Read::Size { key: "z".into(), members }, now));
        assert_eq!(
            next(Members::Due(Unit::Seconds.into())),
            "ZRANGEBYSCORE z (1700000001.250500 +inf WITHSCORES LIMIT 0 1"
        );
    }
}
