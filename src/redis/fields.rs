//! What was read of the fields of hashes whose values never change.
//!
//! It is apart from the steps that read them because it outlives a link, and bounds what is kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    layouts::{Each, Filter, Name},
    limits,
};

/// The texts that fields were found to have in the place of a filter; `None` where there is none.
type Texts = HashMap<Vec<u8>, Option<String>>;

/// What was read of fields whose values never change, by hash and place. It outlives a link.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownFields(Arc<Mutex<HashMap<(Name, String), Texts>>>);

impl KnownFields {
    fn map(&self) -> MutexGuard<'_, HashMap<(Name, String), Texts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which of these fields are not known yet, and how many of the others count. What is known of
    /// fields that are gone is forgotten.
    pub(super) fn look_up(&self, each: &Each, fields: Vec<Vec<u8>>) -> (Vec<Vec<u8>>, u64) {
        let mut map = self.map();
        if map.values().map(HashMap::len).sum::<usize>() > limits::REMEMBERED_FIELDS {
            map.clear();
        }
        let texts = map.entry(place(each)).or_default();
        let mut known = std::mem::take(texts);
        let (mut unknown, mut counted) = (Vec::new(), 0);
        for field in fields {
            match known.remove(&field) {
                Some(text) => {
                    counted += u64::from(is_met(each.filter.as_ref(), text.as_deref()));
                    texts.insert(field, text);
                }
                None => unknown.push(field),
            }
        }
        if texts.is_empty() {
            map.remove(&place(each));
        }
        (unknown, counted)
    }

    pub(super) fn learn(&self, each: &Each, field: Vec<u8>, text: Option<String>) {
        self.map().entry(place(each)).or_default().insert(field, text);
    }

    /// How many fields are remembered.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.map().values().map(HashMap::len).sum()
    }
}

fn place(each: &Each) -> (Name, String) {
    let pointer = each.filter.as_ref().map(|filter| filter.pointer.clone());
    (each.of.clone(), pointer.unwrap_or_default())
}

/// Whether a value counts that has this text; one that cannot be read does.
pub(super) fn is_met(filter: Option<&Filter>, text: Option<&str>) -> bool {
    match (filter, text) {
        (None, _) | (Some(_), None) => true,
        (Some(filter), Some(text)) => filter.is_met(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layouts::{Ask, Collection};

    #[test]
    fn a_hash_whose_fields_are_all_gone_is_forgotten() {
        let each =
            Each { of: "h".into(), collection: Collection::Hash, ask: Ask::Field, filter: None };
        let known = KnownFields::default();
        known.learn(&each, b"a".to_vec(), None);
        assert_eq!(known.look_up(&each, vec![b"a".to_vec()]), (vec![], 1));
        assert_eq!(known.look_up(&each, vec![]), (vec![], 0));
        assert!(known.map().is_empty());
    }
}
