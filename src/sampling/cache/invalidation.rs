//! Invalidation of many reads at once: all of a link that is lost, or those of the keys of one server.

use crate::{sampling::source::KeySet, time::Instant};

use super::{Cache, ReadId};

impl Cache {
    /// Marks every read dirty. What was clean was valid until `confirmed_at` at least, if changes were
    /// announced until then.
    pub fn invalidate_all(&mut self, confirmed_at: Option<Instant>) {
        for (_, slot) in &mut self.slots {
            slot.invalidate(confirmed_at);
        }
    }

    /// Marks every read of these keys dirty and tells which those are. What was clean was valid until
    /// `confirmed_at` at least.
    pub fn invalidate(&mut self, keys: &KeySet, confirmed_at: Option<Instant>) -> Vec<ReadId> {
        let mut invalidated = Vec::new();
        for (id, slot) in &mut self.slots {
            if keys.has(slot.read.key()) {
                slot.invalidate(confirmed_at);
                invalidated.push(id);
            }
        }
        invalidated
    }
}
