//! What one of several connections to replicas reports, of which one at most becomes the link.
//!
//! It is apart because of what must not get through (that a connection ended which never was the link)
//! and what must be noticed on the way: that the data was thrown away.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::sampling::{Change, Changes};

/// Lets through what a replica announces, until it is dropped.
#[derive(Debug)]
pub(super) struct Gate(Arc<Seen>);

#[derive(Debug)]
struct Seen {
    is_open: AtomicBool,
    was_emptied: AtomicBool,
}

impl Gate {
    /// A gate before `changes`, and where to report to it.
    pub(super) fn before(changes: &Changes) -> (Self, Changes) {
        let seen = Seen { is_open: AtomicBool::new(true), was_emptied: AtomicBool::new(false) };
        let (seen, changes) = (Arc::new(seen), changes.clone());
        let gate = Self(Arc::clone(&seen));
        let report = Changes::new(move |change| {
            if change == Change::Everything {
                seen.was_emptied.store(true, Ordering::SeqCst);
            }
            if seen.is_open.load(Ordering::SeqCst) {
                changes.report(change);
            }
        });
        (gate, report)
    }

    /// Whether the replica announced that it threw its data away, as before it is filled anew. A reply
    /// to what was asked later comes after that announcement.
    pub(super) fn was_emptied(&self) -> bool {
        self.0.was_emptied.load(Ordering::SeqCst)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.is_open.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_dropped_gate_lets_nothing_through_and_a_flush_is_noticed() {
        let heard = Arc::<Mutex<Vec<Change>>>::default();
        let log = Arc::clone(&heard);
        let (gate, report) =
            Gate::before(&Changes::new(move |change| log.lock().unwrap().push(change)));
        report.report(Change::Key("q".into()));
        assert!(!gate.was_emptied());
        report.report(Change::Everything);
        assert!(gate.was_emptied());
        drop(gate);
        report.report(Change::LinkLost);
        assert_eq!(*heard.lock().unwrap(), [Change::Key("q".into()), Change::Everything]);
    }
}
