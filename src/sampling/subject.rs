//! What is asked about: a trigger of one ScaledObject or ScaledJob.

use std::{
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::{Arc, LazyLock},
};

use crate::trigger::Trigger;

/// A trigger of one ScaledObject or ScaledJob.
#[derive(Debug, PartialEq, Eq)]
pub struct Subject {
    /// The hash of the rest: it is looked up with every call, and its trigger may be large.
    hash: u64,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The trigger.
    pub trigger: Arc<Trigger>,
}

impl Subject {
    /// A trigger of the object of this namespace and name.
    #[must_use]
    pub fn new(namespace: String, name: String, trigger: Arc<Trigger>) -> Arc<Self> {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let hash = KEY.hash_one((&namespace, &name, &trigger));
        Arc::new(Self { hash, namespace, name, trigger })
    }
}

impl Hash for Subject {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}
