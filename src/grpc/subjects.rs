//! The subjects that were asked for lately, so that KEDA's next poll of a trigger is not parsed again.
//!
//! It is apart from the decoding because it decides nothing: what is found here is what decoding the
//! same request gave. A request is known by a fingerprint of 128 bits under two keys that are drawn
//! at the start, so that nobody outside can make two requests that have the same.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{layouts::Registry, limits, sampling::Subject, trigger::Problems};

use super::{decode, proto::ScaledObjectRef};

type Fingerprint = (u64, u64);

/// What was asked for lately, in two generations: when the younger is full, it becomes the elder, and
/// what was in the elder and not asked for meanwhile is forgotten.
#[derive(Debug)]
pub(super) struct Subjects {
    /// The layouts that triggers can name.
    registry: Registry,
    keys: (RandomState, RandomState),
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    younger: HashMap<Fingerprint, Arc<Subject>>,
    elder: HashMap<Fingerprint, Arc<Subject>>,
}

impl Subjects {
    /// Nothing asked for yet.
    pub(super) fn new(registry: Registry) -> Self {
        Self { registry, keys: <_>::default(), generations: Mutex::default() }
    }

    /// The subject of a request.
    ///
    /// # Errors
    /// [`Problems`] with everything that is wrong with it.
    pub(super) fn of(&self, reference: ScaledObjectRef) -> Result<Arc<Subject>, Problems> {
        if bytes(&reference) > limits::SUBJECT_BYTES {
            return decode::subject(reference, &self.registry);
        }
        let fingerprint =
            (fingerprint(&self.keys.0, &reference), fingerprint(&self.keys.1, &reference));
        if let Some(subject) = self.with(|known| known.find(fingerprint)) {
            return Ok(subject);
        }
        let subject = decode::subject(reference, &self.registry)?;
        self.with(|known| known.add(fingerprint, Arc::clone(&subject)));
        Ok(subject)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Generations) -> T) -> T {
        act(&mut self.generations.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Generations {
    fn find(&mut self, fingerprint: Fingerprint) -> Option<Arc<Subject>> {
        if let Some(subject) = self.younger.get(&fingerprint) {
            return Some(Arc::clone(subject));
        }
        let subject = self.elder.remove(&fingerprint)?;
        self.add(fingerprint, Arc::clone(&subject));
        Some(subject)
    }

    fn add(&mut self, fingerprint: Fingerprint, subject: Arc<Subject>) {
        if self.younger.len() >= limits::SUBJECTS / 2 {
            self.elder = std::mem::take(&mut self.younger);
        }
        self.younger.insert(fingerprint, subject);
    }
}

/// The same for every order of the metadata's entries, since a map has none.
fn fingerprint(key: &RandomState, reference: &ScaledObjectRef) -> u64 {
    let ScaledObjectRef { name, namespace, scaler_metadata } = reference;
    let entries = scaler_metadata.iter().map(|entry| key.hash_one(entry));
    let entries = entries.fold(0u64, u64::wrapping_add);
    key.hash_one((name, namespace, scaler_metadata.len(), entries))
}

fn bytes(reference: &ScaledObjectRef) -> usize {
    let entries = reference.scaler_metadata.iter().map(|(key, value)| key.len() + value.len());
    reference.name.len() + reference.namespace.len() + entries.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(name: &str, pairs: &[(&str, &str)]) -> ScaledObjectRef {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        ScaledObjectRef {
            name: name.to_owned(),
            namespace: "ns".to_owned(),
            scaler_metadata: pairs.collect(),
        }
    }

    fn known(subjects: &Subjects) -> usize {
        subjects.with(|known| known.younger.len() + known.elder.len())
    }

    #[test]
    fn the_same_request_is_parsed_once_in_whatever_order_its_entries_come() {
        let subjects = Subjects::new(Registry::builtin().clone());
        let one = subjects.of(reference("a", &[("queue", "q"), ("target", "3")])).unwrap();
        let other = subjects.of(reference("a", &[("target", "3"), ("queue", "q")])).unwrap();
        assert!(Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn requests_that_differ_anywhere_have_subjects_of_their_own() {
        let subjects = Subjects::new(Registry::builtin().clone());
        let first = [("queue", "q"), ("target", "3")];
        let requests = [
            reference("a", &first),
            reference("b", &first),
            reference("a", &[("queue", "q"), ("target", "4")]),
            reference("a", &[("queue", "r"), ("target", "3")]),
            reference("a", &[("queue", "q")]),
            reference("a", &[("queue", "3"), ("target", "3")]),
        ];
        for request in &requests {
            assert_eq!(
                *subjects.of(request.clone()).unwrap(),
                *decode::subject(request.clone(), Registry::builtin()).unwrap()
            );
        }
        assert_eq!(known(&subjects), requests.len());
    }

    #[test]
    fn what_is_wrong_or_large_is_not_kept() {
        let subjects = Subjects::new(Registry::builtin().clone());
        assert!(subjects.of(reference("a", &[("queue", "")])).is_err());
        let long = "q".repeat(limits::NAME_BYTES);
        let names = (0..4).map(|n| format!("{n}{}", &long[1..])).collect::<Vec<_>>().join(",");
        assert!(subjects.of(reference("a", &[("queue", &names)])).is_ok());
        assert_eq!(known(&subjects), 0);
    }

    #[test]
    fn no_more_are_kept_than_the_limit_and_what_is_asked_for_stays() {
        let subjects = Subjects::new(Registry::builtin().clone());
        let queue = [("queue", "q")];
        let kept = subjects.of(reference("kept", &queue)).unwrap();
        for n in 0..2 * limits::SUBJECTS {
            subjects.with(|known| known.add((n as u64, 0), Arc::clone(&kept)));
            if n.is_multiple_of(1_000) {
                assert!(Arc::ptr_eq(&kept, &subjects.of(reference("kept", &queue)).unwrap()));
            }
        }
        assert!(known(&subjects) <= limits::SUBJECTS);
    }
}
