//! How often a read of many members, or of long jobs, is sent: what a look costs decides.

use std::time::Duration;

use crate::{
    layouts::{Answer, OldestAnswer, PerMemberAnswer},
    limits,
    time::Instant,
};

use super::Slot;

impl Slot {
    /// The shortest time between two reads of it: so that all members of one collection that are looked at
    /// in a second are no more than those of a small one.
    #[must_use]
    pub fn pace(&self) -> Duration {
        let times = match self.known.as_ref().map(|known| &known.answer) {
            Some(Answer::PerMember(PerMemberAnswer { examined, .. })) => {
                examined.div_ceil(limits::MEMBERS_EXAMINED as u64)
            }
            Some(Answer::Oldest(OldestAnswer { bytes, .. })) => {
                let short = 2 * u64::from(limits::OLDEST_AMONG) * limits::OLDEST_BYTES;
                limits::OLDEST_PACE * bytes.div_ceil(short).max(1)
            }
            Some(_) | None => 1,
        };
        limits::REFRESH_FLOOR * u32::try_from(times.max(1)).unwrap_or(u32::MAX)
    }

    /// Until when it is not to be sent anew although it may have changed, if it has many members.
    #[must_use]
    pub fn rests_until(&self, now: Instant) -> Option<Instant> {
        let pace = self.pace();
        let until = self.asked_at? + pace;
        (pace > limits::REFRESH_FLOOR && !self.is_fresh(now) && now < until).then_some(until)
    }
}
