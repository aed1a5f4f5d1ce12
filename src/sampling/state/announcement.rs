//! What it means to the state that a change was announced, or that changes no longer are. It is pure.

use crate::time::Instant;

use super::{
    super::{
        source::{Change, Flow},
        step::Due,
    },
    LinkState, State,
};

impl State {
    /// Notes what Redis announced. Returns whether the worker has to look.
    pub fn changed(&mut self, change: &Change, now: Instant) -> bool {
        match change {
            Change::Key(key) => {
                let mut wanted = false;
                for read in self.cache.changed(key, self.announced_until(), now) {
                    self.note_activity(read, now);
                    wanted |= self.plan_if_wanted(read, now);
                }
                wanted
            }
            Change::Keys(keys) => {
                let until = keys.valid_until().filter(|_| self.announced_until().is_some());
                let mut wanted = false;
                for read in self.cache.invalidate(keys, until) {
                    // What nobody vouches for may be another server's.
                    if until.is_none() {
                        self.lose_sight_of(read, now);
                    }
                    wanted |= self.plan_if_wanted(read, now);
                }
                wanted
            }
            Change::Everything => {
                self.invalidate_all(self.announced_until());
                self.look_again(now);
                true
            }
            Change::LinkLost => {
                self.invalidate_all(self.announced_until());
                if let LinkState::Up { broken, .. } = &mut self.link {
                    *broken = true;
                }
                true
            }
        }
    }

    /// Notes until when the link announced all changes, before what it answered is taken in.
    pub fn confirmed_until(&mut self, until: Instant) {
        self.confirmed_until = Some(until.min(self.sent_at));
    }

    /// The flows of the triggers that a batch is read for.
    #[must_use]
    pub fn flows(&self, batch: &[Due]) -> Vec<Flow> {
        super::batch::flows(batch, &self.cache, &self.subscriptions)
    }
}
