//! The types of keys, as far as they were learned. They outlive a link, so a slow network does not have to
//! learn them anew at every reconnect.

use std::{collections::HashMap, sync::Arc};

use parking_lot::{Mutex, MutexGuard};

use crate::{layouts::Name, limits, sampling::Fault};

use super::{super::wire::Response, decode, encode::KeyType};

/// The types of keys that are no lists.
#[derive(Debug, Clone, Default)]
pub(in crate::redis) struct KnownTypes(Arc<Mutex<HashMap<Name, KeyType>>>);

impl KnownTypes {
    fn map(&self) -> MutexGuard<'_, HashMap<Name, KeyType>> {
        self.0.lock()
    }

    /// The type of a key, if it was learned.
    pub(in crate::redis) fn of(&self, key: &Name) -> Option<KeyType> {
        self.map().get(key).copied()
    }

    /// Learns from what TYPE replied for each of these keys.
    pub(in crate::redis) fn learn(
        &self,
        keys: Vec<Name>,
        replies: Vec<Response>,
    ) -> Result<(), Fault> {
        let mut types = self.map();
        if types.len() + keys.len() > limits::REMEMBERED_TYPES {
            types.clear();
        }
        for (key, reply) in keys.into_iter().zip(replies) {
            let Ok(value) = reply else { continue };
            match KeyType::named(&decode::type_name(&value)?) {
                Some(key_type) => types.insert(key, key_type),
                None => types.remove(&key),
            };
        }
        Ok(())
    }
}
