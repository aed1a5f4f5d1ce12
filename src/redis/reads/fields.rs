//! What was read of the fields of hashes whose values never change. It outlives a link, and is bounded.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    layouts::{Name, PerMember},
    limits,
    time::Instant,
};

/// The texts that fields were found to have in the place of a filter; `None` where there is none.
type Texts = HashMap<Vec<u8>, Option<String>>;

/// A hash, and where in the JSON of its fields the texts are.
type FilterPlace = (Name, Option<(String, OnlyIf)>);
/// Where another text must be a certain one: see [`crate::layouts::Filter::only_if`].
type OnlyIf = Option<(String, String)>;

/// What was read of fields whose values never change, by hash and place. It outlives a link.
#[derive(Debug, Clone, Default)]
pub(in crate::redis) struct KnownFields(Arc<Mutex<KnownTexts>>);

#[derive(Debug, Default)]
struct KnownTexts {
    by_place: HashMap<FilterPlace, Looked>,
    /// How many bytes that is in all.
    bytes: usize,
    /// When it was last looked for what can be forgotten.
    forgot_at: Option<Instant>,
}

/// What was read of one hash.
#[derive(Debug)]
struct Looked {
    texts: Texts,
    bytes: usize,
    /// When it was looked at last.
    last: Instant,
    /// When all of its fields were looked at last, or when that was tried first.
    whole_at: Instant,
}

impl Looked {
    fn new(place: &FilterPlace, now: Instant) -> Self {
        let bytes = place_footprint(place);
        Self { texts: HashMap::new(), bytes, last: now, whole_at: now }
    }
}

impl KnownFields {
    fn known(&self) -> MutexGuard<'_, KnownTexts> {
        self.0.lock()
    }

    /// Which of these fields are not known yet; the texts of the others go to `count`. What is known
    /// of fields that are gone is forgotten.
    pub(in crate::redis) fn look_up(
        &self,
        each: &PerMember,
        fields: Vec<Vec<u8>>,
        mut count: impl FnMut(Option<&str>),
    ) -> Vec<Vec<u8>> {
        let now = Instant::now();
        let mut guard = self.known();
        let known = &mut *guard;
        let looked = known.looked(place(each), now);
        looked.last = now;
        let bytes = looked.bytes;
        looked.bytes = place_footprint(&place(each));
        let mut before = std::mem::take(&mut looked.texts);
        let mut unknown = Vec::new();
        for field in fields {
            match before.remove(&field) {
                Some(text) => {
                    count(text.as_deref());
                    looked.bytes += footprint(&field, text.as_deref());
                    looked.texts.insert(field, text);
                }
                None => unknown.push(field),
            }
        }
        let (is_empty, now) = (looked.texts.is_empty() && unknown.is_empty(), looked.bytes);
        known.bytes = known.bytes + now - bytes;
        if is_empty && let Some(gone) = known.by_place.remove(&place(each)) {
            known.bytes -= gone.bytes;
        }
        unknown
    }

    /// Remembers what a field was found to have, as long as there is room. One with a longer name is not
    /// remembered, but asked each time: names may have any length, and what is remembered is bounded.
    pub(in crate::redis) fn learn(&self, each: &PerMember, field: Vec<u8>, text: Option<String>) {
        if field.len() > limits::FIELD_TEXT_BYTES {
            return;
        }
        let (most, most_of_one) = limits::REMEMBERED_FIELD_BYTES;
        let (now, bytes) = (Instant::now(), footprint(&field, text.as_deref()));
        let mut guard = self.known();
        let known = &mut *guard;
        if known.bytes + bytes > most {
            known.forget(now);
        }
        let has_room = known.bytes + bytes <= most;
        let looked = known.looked(place(each), now);
        if has_room && looked.bytes + bytes <= most_of_one {
            // Another look may have learnt it meanwhile.
            let before = looked.texts.get(&field);
            let before = before.map_or(0, |text| footprint(&field, text.as_deref()));
            looked.texts.insert(field, text);
            looked.bytes = looked.bytes + bytes - before;
            known.bytes = known.bytes + bytes - before;
        }
    }

    /// Notes that all fields of a hash were looked at.
    pub(in crate::redis) fn note_whole(&self, each: &PerMember) {
        if let Some(looked) = self.known().by_place.get_mut(&place(each)) {
            looked.whole_at = Instant::now();
        }
    }

    /// Whether there was time enough to look at all fields of a hash since that was done last.
    pub(in crate::redis) fn is_endless(&self, each: &PerMember) -> bool {
        let known = self.known();
        let looked = known.by_place.get(&place(each));
        looked.is_some_and(|looked| looked.whole_at.elapsed() >= limits::MEMBER_PATIENCE)
    }

    /// How many fields are remembered.
    #[cfg(test)]
    pub(in crate::redis) fn count(&self) -> usize {
        let known = self.known();
        let of = |(place, looked): (&FilterPlace, &Looked)| {
            let bytes = looked.texts.iter().map(|(field, text)| footprint(field, text.as_deref()));
            assert_eq!(looked.bytes, place_footprint(place) + bytes.sum::<usize>());
            looked.bytes
        };
        assert_eq!(known.bytes, known.by_place.iter().map(of).sum::<usize>());
        known.by_place.values().map(|looked| looked.texts.len()).sum()
    }
}

impl KnownTexts {
    fn looked(&mut self, place: FilterPlace, now: Instant) -> &mut Looked {
        match self.by_place.entry(place) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let looked = Looked::new(new.key(), now);
                self.bytes += looked.bytes;
                new.insert(looked)
            }
        }
    }

    /// Forgets the hashes that were not looked at for as long as a trigger is remembered. It looks for
    /// them once in a while: there may be many, and one is enough.
    fn forget(&mut self, now: Instant) {
        if self.forgot_at.is_some_and(|at| now < at + limits::SAMPLE_MAX_AGE) {
            return;
        }
        self.forgot_at = Some(now);
        self.by_place.retain(|_, looked| now < looked.last + limits::TRIGGER_MEMORY);
        self.bytes = self.by_place.values().map(|looked| looked.bytes).sum();
    }
}

fn footprint(field: &[u8], text: Option<&str>) -> usize {
    field.len() + text.map_or(0, str::len) + limits::FIELD_OVERHEAD_BYTES
}

fn place_footprint((hash, filter): &FilterPlace) -> usize {
    let texts = filter.iter().map(|(pointer, only_if)| {
        let only_if = only_if.as_ref().map_or(0, |(pointer, is)| pointer.len() + is.len());
        pointer.len() + only_if
    });
    hash.as_bytes().len() + texts.sum::<usize>() + 2 * limits::FIELD_OVERHEAD_BYTES
}

fn place(each: &PerMember) -> FilterPlace {
    let filter = each.filter.as_ref();
    (each.collection.clone(), filter.map(|filter| (filter.pointer.clone(), filter.only_if.clone())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::layouts::{Ask, CollectionType, Filter};

    fn hash(key: &str) -> PerMember {
        PerMember {
            collection: key.into(),
            kind: CollectionType::Hash,
            ask: Ask::Field,
            filter: None,
        }
    }

    /// The fields that are not known, and how many are.
    fn look_up(known: &KnownFields, each: &PerMember, fields: Vec<Vec<u8>>) -> (Vec<Vec<u8>>, u64) {
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

    /// As many fields as this, with names of the longest kind that is remembered.
    fn learn_many(known: &KnownFields, each: &PerMember, fields: usize) {
        for number in 0..fields {
            known.learn(each, format!("{number:01024}").into(), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_remembered_than_may_be_and_of_one_hash_no_more_than_its_part() {
        let known = KnownFields::default();
        let (most, of_one) = limits::REMEMBERED_FIELD_BYTES;
        let of_fields = of_one - place_footprint(&place(&hash("h0")));
        let fields_of_one = of_fields / (limits::FIELD_TEXT_BYTES + limits::FIELD_OVERHEAD_BYTES);
        learn_many(&known, &hash("h0"), fields_of_one + 100);
        assert_eq!(known.count(), fields_of_one);
        for number in 1..5 {
            learn_many(&known, &hash(&format!("h{number}")), fields_of_one);
        }
        let count = known.count() - 4 * fields_of_one;
        assert!(count < 5, "the last of them has no room: {count}");
        assert!(known.known().bytes <= most);
        // What nobody looks at makes room after a while.
        tokio::time::advance(limits::TRIGGER_MEMORY - Duration::from_secs(1)).await;
        let (kept, _) = look_up(&known, &hash("h1"), vec![format!("{:01024}", 0).into()]);
        assert_eq!(kept, [] as [Vec<u8>; 0]);
        tokio::time::advance(Duration::from_secs(1)).await;
        learn_many(&known, &hash("h5"), fields_of_one);
        assert_eq!(known.count(), 1 + fields_of_one);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hash_is_endless_that_was_not_looked_at_as_a_whole_for_long() {
        let (each, known) = (hash("h"), KnownFields::default());
        assert!(!known.is_endless(&each), "nobody has looked");
        let look = || assert_eq!(look_up(&known, &each, vec![b"a".to_vec()]).0.len(), 1);
        look();
        tokio::time::advance(limits::MEMBER_PATIENCE - Duration::from_secs(1)).await;
        look();
        assert!(!known.is_endless(&each));
        known.note_whole(&each);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!known.is_endless(&each));
        tokio::time::advance(limits::MEMBER_PATIENCE).await;
        assert!(known.is_endless(&each));
        // What is gone begins anew.
        assert_eq!(look_up(&known, &each, vec![]), (vec![], 0));
        assert!(!known.is_endless(&each));
    }

    #[test]
    fn what_was_read_under_one_condition_says_nothing_under_another() {
        let if_only = |only_if: Option<&str>| {
            let only_if = only_if.map(|text| ("/1".to_owned(), text.to_owned()));
            let filter = Filter { pointer: "/2".to_owned(), is: Name::from("q").into(), only_if };
            PerMember { filter: Some(filter), ..hash("h") }
        };
        let known = KnownFields::default();
        known.learn(&if_only(None), b"a".to_vec(), Some("q".to_owned()));
        let looked_up = look_up(&known, &if_only(Some("")), vec![b"a".to_vec()]);
        assert_eq!(looked_up, (vec![b"a".to_vec()], 0));
        assert_eq!(look_up(&known, &if_only(None), vec![b"a".to_vec()]), (vec![], 1));
    }
}
