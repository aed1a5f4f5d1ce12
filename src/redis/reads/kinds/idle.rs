//! The idle entries of a consumer group: XINFO GROUPS, and then XPENDING page by page.

use std::time::Duration;

use deadpool_redis::redis::{Cmd, Value};

use crate::{
    layouts::{Answer, Idle, IdleAnswer, Name},
    limits,
    sampling::Fault,
};

use super::super::{
    super::wire::Response,
    asked::{Asked, Cost, First, Together},
    decode::{self, count, sequence, text, unexpected},
    encode::{self, KeyType, of_key},
    group_row,
    known_tails::KnownTails,
    progress::{FollowUp, Progress, reply},
    stream_id::StreamId,
};

impl Asked for Idle {
    fn question(&self, _: KeyType, _: Duration) -> Cmd {
        group_row::groups(&self.key)
    }

    /// Idle entries are only looked for where there are pending ones, and not too many of them. What is
    /// not looked at is not idle, which counts too many and never too few.
    fn first(&self, First { reply, .. }: First<'_>) -> Result<Progress, Fault> {
        let key = || self.key.clone();
        let missing = |entries| Answer::Idle(IdleAnswer::MissingGroup { entries });
        let row = match group_row::row(&self.key, &self.group, reply, missing)? {
            Ok(row) => row,
            Err(progress) => return Ok(progress),
        };
        Ok(match (row.pending, row.last_delivered.next()) {
            (0, Some(from)) => Progress::open(Follows { key: key(), from }),
            (0, None) => none(false),
            (1..=limits::IDLE_AMONG, _) => {
                let read = self.clone();
                Progress::open(Pending { read, from: StreamId::FIRST, looked_at: 0, idle: 0 })
            }
            (overflow, _) => answered(IdleAnswer::Entries { entries: 0, busy: true, overflow }),
        })
    }

    fn together(&self) -> Together {
        Together::Apart
    }

    fn rights(&self) -> Vec<&'static str> {
        vec!["xinfo|groups", "xlen", "xrange", "xpending", "type"]
    }

    /// The entries themselves, if any are pending.
    fn cost(&self) -> Option<Cost> {
        Some(Cost { commands: 2, more: None })
    }

    fn groups_of(&self) -> Option<&Name> {
        Some(&self.key)
    }
}

fn answered(answer: IdleAnswer) -> Progress {
    Progress::done(Answer::Idle(answer))
}

fn none(busy: bool) -> Progress {
    answered(IdleAnswer::Entries { entries: 0, busy, overflow: 0 })
}

/// No entry is pending: does any follow the last delivered one?
#[derive(Debug)]
struct Follows {
    key: Name,
    from: StreamId,
}

impl FollowUp for Follows {
    fn commands(&self) -> Vec<Cmd> {
        vec![encode::entries_from(&self.key, self.from, 1)]
    }

    fn proceed(self: Box<Self>, replies: &[Response], _: &KnownTails) -> Result<Progress, Fault> {
        Ok(none(decode::page(reply(replies, 0)?)?.entries() > 0))
    }
}

/// Which of the pending entries are idle?
#[derive(Debug)]
struct Pending {
    read: Idle,
    from: StreamId,
    looked_at: u64,
    idle: u64,
}

impl FollowUp for Pending {
    /// XPENDING key group from + n: pending entries from an id on, one page. (IDLE came with Redis 6.2,
    /// and would let Redis pass by any number of entries that are not.)
    fn commands(&self) -> Vec<Cmd> {
        let mut command = of_key("XPENDING", &[], &self.read.key);
        command.arg(self.read.group.as_bytes()).arg(self.from.to_string());
        command.arg("+").arg(limits::IDLE_PAGE);
        vec![command]
    }

    fn proceed(self: Box<Self>, replies: &[Response], _: &KnownTails) -> Result<Progress, Fault> {
        let page = pending_page(reply(replies, 0)?, self.read.after)?;
        let looked_at = self.looked_at + page.entries;
        let idle = self.idle + page.idle;
        let is_full = page.entries >= limits::IDLE_PAGE;
        let next = page.last.and_then(StreamId::next).filter(|_| is_full);
        Ok(match next.filter(|_| looked_at <= limits::IDLE_AMONG) {
            Some(from) => Progress::open(Self { from, looked_at, idle, ..*self }),
            // There are more than there were, and those are not looked at.
            None => {
                let overflow = u64::from(next.is_some());
                answered(IdleAnswer::Entries { entries: idle, busy: true, overflow })
            }
        })
    }
}

/// One page of XPENDING.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PendingPage {
    entries: u64,
    /// How many of them are idle for long enough.
    idle: u64,
    /// The id of the last entry; `None` for an empty page.
    last: Option<StreamId>,
}

/// How many entries a page of XPENDING lists, and how many were idle for at least so long.
fn pending_page(value: &Value, after: Duration) -> Result<PendingPage, Fault> {
    let rows = sequence(value).ok_or_else(|| unexpected("pending entries that are no list"))?;
    let mut page = PendingPage { entries: 0, idle: 0, last: None };
    for row in rows {
        let Some([id, _consumer, idle_ms, ..]) = sequence(row) else {
            return Err(unexpected("a pending entry of another form"));
        };
        let id = text(id).and_then(|id| StreamId::parse(&id));
        page.last = Some(id.ok_or_else(|| unexpected("a pending entry without an id"))?);
        page.entries += 1;
        page.idle += u64::from(Duration::from_millis(count(idle_ms)?) >= after);
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn a_pending_entry_is_idle_from_its_bound_on() {
        let row = |id: &str, idle| {
            Value::Array(vec![bulk(id), bulk("c"), Value::Int(idle), Value::Int(1)])
        };
        let after = Duration::from_millis(500);
        let reply = Value::Array(vec![row("1-0", 499), row("2-0", 500), row("3-1", 9_000)]);
        let page = pending_page(&reply, after).unwrap();
        assert_eq!((page.entries, page.idle, page.last), (3, 2, StreamId::parse("3-1")));
        let none = pending_page(&Value::Array(vec![]), after).unwrap();
        assert_eq!((none.entries, none.idle, none.last), (0, 0, None));
        let short = Value::Array(vec![bulk("1-0"), bulk("c")]);
        for odd in [row("x", 1), row("1-0", -1), short, Value::Nil] {
            assert!(pending_page(&Value::Array(vec![odd]), after).is_err());
        }
        assert!(pending_page(&Value::Nil, after).is_err());
    }
}
