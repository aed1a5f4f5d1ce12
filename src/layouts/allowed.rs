//! Which keys may be read: the rule `keys` of a connection.
//!
//! A trigger's own keys are held against it before anything is read, and keys that a pattern finds when they
//! are found.

use std::sync::Arc;

use super::glob::Glob;

/// Patterns of which one must match a key. Clones share them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Allowed(Arc<[Glob]>);

impl Allowed {
    /// The keys that match one of these.
    #[must_use]
    pub fn new(globs: Vec<Glob>) -> Self {
        Self(globs.into())
    }

    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self::new(Glob::parse("*").into_iter().collect())
    }

    /// The patterns.
    #[must_use]
    pub fn globs(&self) -> &[Glob] {
        &self.0
    }

    /// Whether this key may be read.
    #[must_use]
    pub fn includes(&self, key: &[u8]) -> bool {
        self.0.iter().any(|glob| glob.matches(key))
    }

    /// Whether any key that matches the pattern might be allowed, as far as that can be told.
    #[must_use]
    pub fn may_include(&self, pattern: &Glob) -> bool {
        !self.0.iter().all(|glob| glob.excludes(pattern))
    }
}
