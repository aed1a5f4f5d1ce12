//! Members of a list or a sorted set that count unless they have no key: jobs that are taken, by their locks.
//!
//! They are listed at the moment at which the rest of the trigger is asked. Where each is when its key is asked
//! for is another moment: a job that is put back has no key any more, and did count.

use std::{collections::HashMap, ops::ControlFlow};

use deadpool_redis::redis::{Cmd, Value};

use crate::{
    layouts::{Answer, PerMember, PerMemberAnswer},
    sampling::Fault,
};

use super::{
    super::{super::error::few, decode},
    commands::{KEYS, members, of_member, size},
};

/// The members that were listed, and how far their keys were asked for.
#[derive(Debug)]
pub(in crate::redis) struct MemberListing {
    /// Those that were not asked yet.
    open: Vec<Vec<u8>>,
    examined: u64,
    /// Members beyond those that are listed; `None` until that was asked, where there may be any.
    overflow: Option<u64>,
    /// Members without a key.
    keyless: u64,
}

impl MemberListing {
    pub(super) fn of(each: &PerMember, mut members: Vec<Vec<u8>>) -> Self {
        members.truncate(each.most());
        let examined = members.len() as u64;
        let overflow = (members.len() < each.most()).then_some(0);
        Self { open: members, examined, overflow, keyless: 0 }
    }

    /// The size where it is not known, the keys of some members, and then the members once more.
    pub(super) fn commands(&self, each: &PerMember) -> Vec<Cmd> {
        let size = self.overflow.is_none().then(|| size(each));
        let keys = self.open.iter().take(KEYS);
        let keys = keys.filter_map(|member| of_member(&each.ask, each.filter.is_some(), member));
        size.into_iter().chain(keys).chain([members(each)]).collect()
    }

    /// What the replies make of it: more to ask, or the answer.
    pub(super) fn proceed<'r>(
        mut self,
        each: &PerMember,
        values: &mut impl Iterator<Item = Result<&'r Value, Fault>>,
    ) -> Result<ControlFlow<Answer, Self>, Fault> {
        let mut next = || values.next().ok_or_else(few)?;
        if self.overflow.is_none() {
            self.overflow = Some(decode::count(next()?)?.saturating_sub(self.examined));
        }
        let rest = self.open.split_off(self.open.len().min(KEYS));
        let mut keyless: HashMap<Vec<u8>, u64> = HashMap::new();
        for member in std::mem::replace(&mut self.open, rest) {
            if decode::count(next()?)? == 0 {
                *keyless.entry(member).or_default() += 1;
            }
        }
        // One that is listed no more moved on, and its key went with it.
        for member in decode::strings(next()?)?.into_iter().take(each.most()) {
            if let Some(left) = keyless.get_mut(&member).filter(|left| **left > 0) {
                *left -= 1;
                self.keyless += 1;
            }
        }
        if !self.open.is_empty() {
            return Ok(ControlFlow::Continue(self));
        }
        let Self { examined, overflow, keyless, .. } = self;
        let (counted, overflow) = (examined.saturating_sub(keyless), overflow.ok_or_else(few)?);
        Ok(ControlFlow::Break(Answer::PerMember(PerMemberAnswer {
            counted,
            examined,
            overflow,
            unsure: 0,
        })))
    }
}
