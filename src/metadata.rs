//! The flat string map that KEDA sends with every call, taken as it came: how many entries, how long, and the
//! suffix `FromEnv`.

use std::collections::{BTreeMap, btree_map::Entry as MapEntry};

use crate::limits;

/// The suffix that KEDA keeps on a key whose value it resolved from the workload's environment
/// (KEDA 2.20, `pkg/scalers/external_scaler.go`).
pub const FROM_ENV: &str = "FromEnv";

/// One value, with the key as the user spelled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key as it came, with its suffix `FromEnv` if it had one.
    pub spelled: String,
    /// The value as it came.
    pub value: String,
}

/// What is wrong with the map itself, before any key means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Irregularity {
    /// More than [`limits::METADATA_ENTRIES`] entries; nothing of the map was kept.
    TooManyEntries(usize),
    /// A key of more than [`limits::METADATA_KEY_BYTES`]; it was not kept.
    LongKey(String),
    /// A value of more than [`limits::METADATA_VALUE_BYTES`]; only its first character was kept.
    LongValue(String),
    /// The same key came twice, or with and without the suffix `FromEnv`; the first was kept, which
    /// is the plain one.
    Twice(String),
}

impl Irregularity {
    /// Whether nothing of the map was kept, so that nothing else can be said of it.
    #[must_use]
    pub fn is_all(&self) -> bool {
        match self {
            Self::TooManyEntries(_) => true,
            Self::LongKey(_) | Self::LongValue(_) | Self::Twice(_) => false,
        }
    }
}

/// A trigger's metadata, by key without the suffix `FromEnv`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    entries: BTreeMap<String, Entry>,
}

impl Metadata {
    /// Takes a map as it came and tells what is wrong with it. The rest stays usable, so that all
    /// problems of a trigger can be told at once.
    pub fn collect<I>(map: I) -> (Self, Vec<Irregularity>)
    where
        I: IntoIterator<Item = (String, String)>,
        I::IntoIter: ExactSizeIterator,
    {
        let map = map.into_iter();
        if map.len() > limits::METADATA_ENTRIES {
            return (Self::default(), vec![Irregularity::TooManyEntries(map.len())]);
        }
        let mut pairs: Vec<(String, String)> = map.collect();
        pairs.sort();
        let mut metadata = Self::default();
        let mut wrong = Vec::new();
        for (spelled, value) in pairs {
            if spelled.len() > limits::METADATA_KEY_BYTES {
                wrong.push(Irregularity::LongKey(spelled));
                continue;
            }
            let value = if value.len() > limits::METADATA_VALUE_BYTES {
                wrong.push(Irregularity::LongValue(spelled.clone()));
                value.chars().take(1).collect()
            } else {
                value
            };
            match metadata.entries.entry(plain_key(&spelled).to_owned()) {
                MapEntry::Occupied(taken) => wrong.push(Irregularity::Twice(taken.key().clone())),
                MapEntry::Vacant(place) => {
                    place.insert(Entry { spelled, value });
                }
            }
        }
        (metadata, wrong)
    }

    /// Every entry by its plain key, in the order of the keys.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// The entry of a plain key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }
}

/// The key without the suffix `FromEnv`.
#[must_use]
pub fn plain_key(spelled: &str) -> &str {
    match spelled.strip_suffix(FROM_ENV) {
        Some(plain) if !plain.is_empty() => plain,
        _ => spelled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(pairs: &[(&str, &str)]) -> (Metadata, Vec<Irregularity>) {
        let pairs: Vec<_> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Metadata::collect(pairs)
    }

    #[test]
    fn a_key_from_the_environment_is_the_plain_key() {
        let (metadata, wrong) = collect(&[("queueFromEnv", "emails")]);
        assert_eq!(wrong, []);
        let entry = metadata.get("queue").unwrap();
        assert_eq!((entry.spelled.as_str(), entry.value.as_str()), ("queueFromEnv", "emails"));
    }

    #[test]
    fn a_key_with_and_without_the_suffix_is_told() {
        let (metadata, wrong) = collect(&[("queueFromEnv", "b"), ("queue", "a")]);
        assert_eq!(wrong, [Irregularity::Twice("queue".to_owned())]);
        assert_eq!(metadata.get("queue").unwrap().value, "a");
    }

    #[test]
    fn the_bare_suffix_is_a_key_like_any_other() {
        let (metadata, _) = collect(&[("FromEnv", "x")]);
        assert!(metadata.get("FromEnv").is_some());
    }

    #[test]
    fn too_many_entries_keep_nothing() {
        let pairs: Vec<_> = (0..65).map(|n| (format!("k{n}"), String::new())).collect();
        let (metadata, wrong) = Metadata::collect(pairs);
        assert_eq!(wrong, [Irregularity::TooManyEntries(65)]);
        assert_eq!(metadata.entries().count(), 0);
    }
}
