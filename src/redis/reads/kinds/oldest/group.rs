//! The first entry of a stream that a consumer group was not given. Its id is when it was added, by Redis's own clock,
//! unless whoever added it gave it another.

use std::time::Duration;

use deadpool_redis::redis::Cmd;

use crate::{
    layouts::{GroupJobs, MissingGroup, Name, ReadyAt},
    limits,
    sampling::Fault,
};

use super::{
    super::super::{
        super::wire::Response,
        decode, encode, group_row,
        known_tails::KnownTails,
        progress::{FollowUp, Progress, reply},
        stamps,
        stream_id::StreamId,
    },
    outcome::{answered, said},
};

pub(super) fn first(
    key: &Name,
    jobs: &GroupJobs,
    replied: &Response,
    now: Duration,
) -> Result<Progress, Fault> {
    let from = match group_row::row_of(key, &jobs.group, replied)? {
        Ok(Some(row)) => row.last_delivered.next(),
        Ok(None) => match jobs.missing {
            MissingGroup::All => Some(StreamId::FIRST),
            MissingGroup::Nothing => return Ok(answered(ReadyAt::NoGroupYet, 0)),
            MissingGroup::Unknown => {
                return Ok(answered(ReadyAt::NoGroup(jobs.group.clone()), 0));
            }
        },
        Err(progress) => return Ok(progress),
    };
    Ok(match from {
        Some(from) => Progress::open(FirstEntry { key: key.clone(), from, now }),
        None => answered(ReadyAt::NoneWaits, 0),
    })
}

/// Which entry is the first from an id on?
#[derive(Debug)]
struct FirstEntry {
    key: Name,
    from: StreamId,
    now: Duration,
}

impl FollowUp for FirstEntry {
    fn commands(&self) -> Vec<Cmd> {
        vec![encode::entries_from(&self.key, self.from, 1)]
    }

    fn proceed(self: Box<Self>, replies: &[Response], _: &KnownTails) -> Result<Progress, Fault> {
        let page = decode::page(reply(replies, 0)?)?;
        Ok(match page.ids.first() {
            None => answered(ReadyAt::NoneWaits, 0),
            Some(id) => {
                let at = stamps::of_seconds(id.time().as_secs_f64());
                said(at.filter(|at| *at <= self.now + limits::READY_AHEAD), page.bytes)
            }
        })
    }
}
