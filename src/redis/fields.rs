//! What was read of the fields of hashes whose values never change.
//!
//! It is apart from the steps that read them because it outlives a link, and bounds what is kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    layouts::{Each, Name},
    limits,
};

/// The texts that fields were found to have in the place of a filter; `None` where there is none.
type Texts = HashMap<Vec<u8>, Option<String>>;

/// A hash, and where in the JSON of its fields the texts are.
type Place = (Name, Option<(String, OnlyIf)>);
/// Where another text must be a certain one: see [`crate::layouts::Filter::only_if`].
type OnlyIf = Option<(String, String)>;

/// What was read of fields whose values never change, by hash and place. It outlives a link.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownFields(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    by_place: HashMap<Place, Texts>,
    /// How many fields that are in all.
    count: usize,
}

impl KnownFields {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which of these fields are not known yet; the texts of the others go to `count`. What is known
    /// of fields that are gone is forgotten.
    pub(super) fn look_up(
        &self,
        each: &Each,
        fields: Vec<Vec<u8>>,
        mut count: impl FnMut(Option<&str>),
    ) -> Vec<Vec<u8>> {
        let mut guard = self.known();
        let known = &mut *guard;
        let texts = known.by_place.entry(place(each)).or_default();
        let mut before = std::mem::take(texts);
        known.count = known.count.saturating_sub(before.len());
        let mut unknown = Vec::new();
        for field in fields {
            match before.remove(&field) {
                Some(text) => {
                    count(text.as_deref());
                    texts.insert(field, text);
                }
                None => unknown.push(field),
            }
        }
        known.count += texts.len();
        if texts.is_empty() {
            known.by_place.remove(&place(each));
        }
        unknown
    }

    /// Remembers what a field was found to have. One with a longer name is not remembered, but asked
    /// each time: names may have any length, and what is remembered is bounded in bytes by their number.
    pub(super) fn learn(&self, each: &Each, field: Vec<u8>, text: Option<String>) {
        if field.len() > limits::FIELD_TEXT_BYTES {
            return;
        }
        let mut known = self.known();
        if known.count >= limits::REMEMBERED_FIELDS {
            *known = Known::default();
        }
        if known.by_place.entry(place(each)).or_default().insert(field, text).is_none() {
            known.count += 1;
        }
    }

    /// How many fields are remembered.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        let known = self.known();
        assert_eq!(known.count, known.by_place.values().map(HashMap::len).sum::<usize>());
        known.count
    }
}

fn place(each: &Each) -> Place {
    let filter = each.filter.as_ref();
    (each.of.clone(), filter.map(|filter| (filter.pointer.clone(), filter.only_if.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layouts::{Ask, Collection, Filter};

    fn hash(key: &str) -> Each {
        Each { of: key.into(), collection: Collection::Hash, ask: Ask::Field, filter: None }
    }

    /// The fields that are not known, and how many are.
    fn look_up(known: &KnownFields, each: &Each, fields: Vec<Vec<u8>>) -> (Vec<Vec<u8>>, u64) {
        let mut counted = 0;
        let unknown = known.look_up(each, fields, |_| counted += 1);
        (unknown, counted)
    }

    #[test]
    fn a_hash_whose_fields_are_all_gone_is_forgotten() {
        let (each, known) = (hash("h"), KnownFields::default());
        known.learn(&each, b"a".to_vec(), None);
        assert_eq!(look_up(&known, &each, vec![b"a".to_vec()]), (vec![], 1));
        assert_eq!(look_up(&known, &each, vec![]), (vec![], 0));
        assert!(known.known().by_place.is_empty());
        assert_eq!(known.count(), 0);
    }

    #[test]
    fn a_field_with_a_long_name_is_asked_each_time() {
        let (each, known) = (hash("h"), KnownFields::default());
        let named = |bytes| vec![b'x'; bytes];
        let (longest, longer) = (limits::FIELD_TEXT_BYTES, limits::FIELD_TEXT_BYTES + 1);
        for bytes in [longest, longer, 100_000] {
            known.learn(&each, named(bytes), None);
        }
        let fields = vec![named(longest), named(longer), named(100_000)];
        assert_eq!(look_up(&known, &each, fields), (vec![named(longer), named(100_000)], 1));
        assert_eq!(known.count(), 1);
    }

    #[test]
    fn no_more_fields_are_remembered_than_may_be() {
        let known = KnownFields::default();
        for number in 0..=2 * limits::REMEMBERED_FIELDS {
            known.learn(&hash(&format!("h{}", number % 3)), number.to_string().into(), None);
            assert!(known.known().count <= limits::REMEMBERED_FIELDS);
        }
        assert!(known.count() > 0);
    }

    #[test]
    fn what_was_read_under_one_condition_says_nothing_under_another() {
        let if_only = |only_if: Option<&str>| {
            let only_if = only_if.map(|text| ("/1".to_owned(), text.to_owned()));
            let filter = Filter { pointer: "/2".to_owned(), is: Name::from("q").into(), only_if };
            Each { filter: Some(filter), ..hash("h") }
        };
        let known = KnownFields::default();
        known.learn(&if_only(None), b"a".to_vec(), Some("q".to_owned()));
        let looked_up = look_up(&known, &if_only(Some("")), vec![b"a".to_vec()]);
        assert_eq!(looked_up, (vec![b"a".to_vec()], 0));
        assert_eq!(look_up(&known, &if_only(None), vec![b"a".to_vec()]), (vec![], 1));
    }
}
