//! How many of a thing are open.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How many of a thing are open. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<AtomicUsize>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Counted(Tally);

impl Tally {
    /// One more; `None` where `most` are open.
    #[must_use]
    pub fn open(&self, most: usize) -> Option<Counted> {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(self.clone());
        (before < most).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_does_not_count() {
        let tally = Tally::default();
        let mut open: Vec<_> = (0..3).map(|_| tally.open(3).unwrap()).collect();
        assert!((0..9).all(|_| tally.clone().open(3).is_none()));
        open.pop();
        open.push(tally.open(3).unwrap());
        assert!(tally.open(3).is_none());
        assert_eq!(open.len(), 3);
    }
}
