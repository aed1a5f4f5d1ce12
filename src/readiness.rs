//! Whether this process should be sent calls. Both listeners tell it and neither owns it.
//!
//! It knows nothing of Redis: an outage of Redis must not take the pods out of service (design rule 9).

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// The state of the process. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicU8>);

const STARTING: u8 = 0;
const SERVING: u8 = 1;
const DRAINING: u8 = 2;

impl Readiness {
    /// The process accepts calls from now on, unless it is draining already.
    pub fn serving(&self) {
        // Failing means that the drain has begun, which then stands.
        self.0.compare_exchange(STARTING, SERVING, Ordering::SeqCst, Ordering::SeqCst).ok();
    }

    /// The process is going away.
    pub fn draining(&self) {
        self.0.store(DRAINING, Ordering::SeqCst);
    }

    /// Whether calls should come.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::SeqCst) == SERVING
    }
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn a_draining_process_never_becomes_ready_again() {
        let readiness = Readiness::default();
        assert!(!readiness.is_ready());
        readiness.serving();
        assert!(readiness.is_ready());
        readiness.draining();
        readiness.serving();
        assert!(!readiness.is_ready());
    }
}
