//! When the oldest ready job of a key became ready: by a few jobs where workers take from a list, by the lowest score of
//! a sorted set, by the first entry of a stream that its group was not given.

mod group;
mod list;
mod outcome;
mod scores;

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::Cmd;

use crate::{
    layouts::{Answer, JobsOf, Name, Oldest, OldestAnswer, ReadyAt},
    sampling::Fault,
};

use super::super::{
    asked::{Asked, Cost, First, Together},
    encode::KeyType,
    group_row,
    progress::Progress,
};

impl Asked for Arc<Oldest> {
    fn question(&self, _: KeyType, _: Duration) -> Cmd {
        match &self.of {
            JobsOf::List(jobs) => list::question(&self.key, jobs),
            JobsOf::Scores(jobs) => scores::question(&self.key, jobs),
            JobsOf::Group(_) => group_row::groups(&self.key),
        }
    }

    fn first(&self, First { reply, now, .. }: First<'_>) -> Result<Progress, Fault> {
        match &self.of {
            JobsOf::List(jobs) => list::first(&self.key, jobs, reply, now),
            JobsOf::Scores(jobs) => scores::first(&self.key, jobs, reply),
            JobsOf::Group(jobs) => group::first(&self.key, jobs, reply, now),
        }
    }

    /// No job is counted by it.
    fn together(&self) -> Together {
        Together::Apart
    }

    fn rights(&self) -> Vec<&'static str> {
        let own = match &self.of {
            JobsOf::List(jobs) => list::rights(jobs),
            JobsOf::Scores(jobs) => scores::rights(jobs),
            JobsOf::Group(_) => &["xinfo|groups", "xlen", "xrange"],
        };
        [own, &["type", "time"]].concat()
    }

    fn cost(&self) -> Option<Cost> {
        let more = match &self.of {
            JobsOf::List(_) => {
                Some("four more while jobs wait, and others where none of them is ready")
            }
            JobsOf::Scores(jobs) => jobs.unless.as_ref().map(|_| "two more for each that runs"),
            JobsOf::Group(_) => Some("one more"),
        };
        Some(Cost { commands: 1, more })
    }

    fn groups_of(&self) -> Option<&Name> {
        match &self.of {
            JobsOf::Group(_) => Some(&self.key),
            JobsOf::List(_) | JobsOf::Scores(_) => None,
        }
    }

    /// That a group was given an entry is not announced, and that a member is marked as running is not by its key. Of
    /// a group for which none waits only an entry more is news, and that is.
    fn changes_silently(&self, answer: &Answer) -> bool {
        let Answer::Oldest(OldestAnswer { ready, .. }) = answer else { return false };
        match &self.of {
            JobsOf::List(_) => false,
            JobsOf::Scores(jobs) => jobs.unless.is_some(),
            JobsOf::Group(_) => *ready != ReadyAt::NoneWaits,
        }
    }
}
