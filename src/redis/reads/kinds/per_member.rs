//! What each member of a collection has: the size of the collection or its members first, and then what is
//! asked of each, together with the other reads that look at the same members.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use deadpool_redis::redis::Cmd;

use crate::{
    layouts::{Answer, Ask, CollectionType, PerMember, PerMemberAnswer},
    sampling::Fault,
};

use super::super::{
    asked::{Asked, Cost, First, Together},
    encode::KeyType,
    per_member::{self, commands},
    progress::{self, Progress},
};

impl Asked for Arc<PerMember> {
    fn question(&self, _: KeyType, _: Duration) -> Cmd {
        commands::first(self)
    }

    fn first(&self, First { reply, members, .. }: First<'_>) -> Result<Progress, Fault> {
        let value = match progress::of_type(&self.collection, self.kind.kind().names(), reply)? {
            Ok(value) => value,
            Err(progress) => return Ok(progress),
        };
        Ok(match per_member::first(self, value)? {
            ControlFlow::Continue(step) => Progress::Shared(members.take_in(self, step)),
            ControlFlow::Break(answer) => Progress::done(answer),
        })
    }

    /// One without members is an answer. Many triggers may share others, such as all workers of a framework.
    fn together(&self) -> Together {
        Together::Begins
    }

    fn rights(&self) -> Vec<&'static str> {
        let of_collection = match self.kind {
            CollectionType::Set => ["scard", "smembers"],
            CollectionType::List => ["llen", "lrange"],
            CollectionType::SortedSet => ["zcard", "zrange"],
            CollectionType::Hash => ["hlen", "hkeys"],
        };
        let of_member = match (&self.ask, self.filter.is_some()) {
            (Ask::Exists(_), _) | (Ask::Text(_), false) => "exists",
            (Ask::Length(_), _) => "llen",
            (Ask::Values(_), true) => "hvals",
            (Ask::Values(_), false) => "hlen",
            (Ask::Text(_), true) => "getrange",
            (Ask::Field, _) => "hmget",
        };
        [&of_collection[..], &[of_member, "type"]].concat()
    }

    fn cost(&self) -> Option<Cost> {
        let more = match self.ask {
            Ask::Field => "one for every 16 messages that are new",
            Ask::Exists(_) | Ask::Length(_) | Ask::Values(_) | Ask::Text(_) => {
                "one for each member, every second while there are any"
            }
        };
        Some(Cost { commands: 2, more: Some(more) })
    }

    /// The fields of a hash are no keys of their own; but those that were left for want of time are
    /// looked at next time.
    fn changes_silently(&self, answer: &Answer) -> bool {
        let is_partial = matches!(
            answer,
            Answer::PerMember(PerMemberAnswer { examined: 1.., overflow: 1.., .. })
        );
        answer.changes_silently() && (self.ask != Ask::Field || is_partial)
    }
}
