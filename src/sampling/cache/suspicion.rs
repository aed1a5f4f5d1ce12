//! What is no longer known although no change of it was announced.
//!
//! It is apart from the rest of the cache because it is about many reads at once: all of a link that
//! is lost, or those of keys that one of several servers has.

use crate::{sampling::source::KeySet, time::Instant};

use super::{Cache, ReadId};

impl Cache {
    /// Marks every read dirty. What was clean was true until `proved_at` at least, if changes were
    /// announced until then.
    pub fn suspect_all(&mut self, proved_at: Option<Instant>) {
        for (_, slot) in &mut self.slots {
            slot.soil(proved_at);
        }
    }

    /// Marks every read of these keys dirty and tells which those are. What was clean was true until
    /// `proved_at` at least.
    pub fn suspect(&mut self, keys: &KeySet, proved_at: Option<Instant>) -> Vec<ReadId> {
        let mut suspects = Vec::new();
        for (id, slot) in &mut self.slots {
            if slot.read.keys().into_iter().any(|key| keys.has(key)) {
                slot.soil(proved_at);
                suspects.push(id);
            }
        }
        suspects
    }
}
