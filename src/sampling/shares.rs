//! How many keys each namespace reads, of those that its triggers name and those that its patterns find.
//!
//! A namespace's triggers are spread over all links, and each link finds the queues of its patterns by itself.
//! Whoever takes keys gives them back.

use std::{collections::HashMap, sync::Arc};

use parking_lot::{Mutex, MutexGuard};

/// The keys that every namespace has. Clones share them.
#[derive(Debug, Clone)]
pub struct KeyShares {
    most: usize,
    taken: Arc<Mutex<HashMap<Box<str>, usize>>>,
}

impl KeyShares {
    /// Nobody has any, and each namespace may have so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// How many one namespace may have.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// Takes so many more for a namespace. Tells whether it may have them; if not, nothing is taken.
    #[must_use]
    pub fn take(&self, namespace: &str, keys: usize) -> bool {
        let mut all = self.all();
        let has = all.get(namespace).copied().unwrap_or_default();
        let Some(more) = has.checked_add(keys).filter(|more| *more <= self.most) else {
            return false;
        };
        match all.get_mut(namespace) {
            Some(has) => *has = more,
            None if more > 0 => drop(all.insert(namespace.into(), more)),
            None => {}
        }
        true
    }

    /// Gives so many of a namespace back.
    pub fn give_back(&self, namespace: &str, keys: usize) {
        let mut all = self.all();
        if let Some(has) = all.get_mut(namespace) {
            *has = has.saturating_sub(keys);
            if *has == 0 {
                all.remove(namespace);
            }
        }
    }

    /// How many namespaces have any.
    #[must_use]
    pub fn namespaces(&self) -> usize {
        self.all().len()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Box<str>, usize>> {
        self.taken.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_its_own_share_and_what_is_given_back_can_be_taken_again() {
        let shares = KeyShares::new(5);
        assert!(shares.take("a", 5) && shares.take("b", 4));
        assert!(!shares.take("a", 1) && !shares.take("b", 2), "nothing was taken by that");
        assert!(shares.take("b", 1));
        shares.give_back("a", 2);
        assert!(shares.take("a", 2) && !shares.take("a", usize::MAX));
        shares.give_back("a", 5);
        shares.give_back("b", 5);
        assert_eq!(shares.namespaces(), 0, "nothing is left of them");
    }
}
