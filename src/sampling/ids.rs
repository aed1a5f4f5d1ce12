//! A small set of places: most reads have one user and most keys one read, and a fleet has many.

use std::collections::BTreeSet;

/// A subscription by its place.
pub type SubscriptionId = usize;

/// A set of places, which costs nothing beyond itself while it has one member.
#[derive(Debug, Default)]
pub enum Ids {
    #[default]
    None,
    One(usize),
    #[expect(clippy::box_collection, reason = "most sets have one member, and pay for the largest")]
    Many(Box<BTreeSet<usize>>),
}

impl Ids {
    /// Adds a member.
    pub fn insert(&mut self, id: usize) {
        match self {
            Self::None => *self = Self::One(id),
            Self::One(one) if *one == id => {}
            Self::One(one) => *self = Self::Many(Box::new(BTreeSet::from([*one, id]))),
            Self::Many(many) => {
                many.insert(id);
            }
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, id: usize) {
        match self {
            Self::One(one) if *one == id => *self = Self::None,
            Self::None | Self::One(_) => {}
            Self::Many(many) => {
                many.remove(&id);
                if let (1, Some(last)) = (many.len(), many.first()) {
                    *self = Self::One(*last);
                }
            }
        }
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The members, in their order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        let (one, many) = match self {
            Self::None => (None, None),
            Self::One(one) => (Some(*one), None),
            Self::Many(many) => (None, Some(many.iter().copied())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((any::<bool>(), 0usize..5), 0..40)) {
            let (mut ids, mut expected) = (Ids::default(), BTreeSet::new());
            for (adds, id) in steps {
                if adds {
                    ids.insert(id);
                    expected.insert(id);
                } else {
                    ids.remove(id);
                    expected.remove(&id);
                }
                prop_assert!(ids.iter().eq(expected.iter().copied()));
                prop_assert_eq!(ids.is_empty(), expected.is_empty());
            }
        }
    }
}
