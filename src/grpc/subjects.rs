//! The subjects that were asked for lately, so that KEDA's next poll of a trigger is not parsed again.
//!
//! It is apart from the decoding because it decides nothing: what is found here is what decoding the
//! same request gave. A request is known by a fingerprint of 128 bits under two keys that are drawn
//! at the start, so that nobody outside can make two requests that have the same. Only what was let in
//! is kept, within a number and a sum of bytes.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    layouts::{Footprint, Registry},
    limits,
    sampling::Subject,
};

use super::{
    decode::{self, NoSubject},
    proto::ScaledObjectRef,
};

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

/// The subject of a request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) subject: Arc<Subject>,
    /// How the request is known, if its subject is not kept yet and may be.
    new: Option<Fingerprint>,
}

#[derive(Debug, Default)]
struct Generations {
    younger: Generation,
    elder: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    subjects: HashMap<Fingerprint, Kept>,
    /// What all of them hold.
    bytes: usize,
}

/// A subject, and the bytes that it holds.
#[derive(Debug, Clone)]
struct Kept {
    subject: Arc<Subject>,
    bytes: usize,
}

impl Subjects {
    /// Nothing asked for yet.
    pub(super) fn new(registry: Registry) -> Self {
        Self { registry, keys: <_>::default(), generations: Mutex::default() }
    }

    /// The subject of a request.
    ///
    /// # Errors
    /// [`NoSubject`] with everything that is wrong with it.
    pub(super) fn of(&self, reference: ScaledObjectRef) -> Result<Asked, NoSubject> {
        if bytes(&reference) > limits::SUBJECT_BYTES {
            let subject = decode::subject(reference, &self.registry)?;
            return Ok(Asked { subject, new: None });
        }
        let fingerprint =
            (fingerprint(&self.keys.0, &reference), fingerprint(&self.keys.1, &reference));
        if let Some(subject) = self.with(|known| known.find(fingerprint)) {
            return Ok(Asked { subject, new: None });
        }
        let subject = decode::subject(reference, &self.registry)?;
        Ok(Asked { subject, new: Some(fingerprint) })
    }

    /// Keeps a subject that was let in, for the next request that is the same.
    pub(super) fn keep(&self, asked: &Asked) {
        let Some(fingerprint) = asked.new else { return };
        let kept = Kept::new(&asked.subject);
        if kept.bytes <= limits::SUBJECT_FOOTPRINT {
            self.with(|known| known.add(fingerprint, kept));
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Generations) -> T) -> T {
        act(&mut self.generations.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    fn new(subject: &Arc<Subject>) -> Self {
        // A table has room for up to twice what is in it.
        let entry = 2 * (size_of::<Fingerprint>() + size_of::<Self>());
        Self { subject: Arc::clone(subject), bytes: entry + subject.footprint() }
    }
}

impl Generations {
    fn find(&mut self, fingerprint: Fingerprint) -> Option<Arc<Subject>> {
        if let Some(kept) = self.younger.subjects.get(&fingerprint) {
            return Some(Arc::clone(&kept.subject));
        }
        let kept = self.elder.subjects.remove(&fingerprint)?;
        self.elder.bytes -= kept.bytes;
        let subject = Arc::clone(&kept.subject);
        self.add(fingerprint, kept);
        Some(subject)
    }

    fn add(&mut self, fingerprint: Fingerprint, kept: Kept) {
        let Generation { subjects, bytes } = &self.younger;
        if subjects.len() >= limits::SUBJECTS / 2
            || bytes + kept.bytes > limits::SUBJECTS_FOOTPRINT / 2
        {
            self.elder = mem::take(&mut self.younger);
        }
        self.younger.bytes += kept.bytes;
        // (Two calls may have parsed the same request.)
        if let Some(same) = self.younger.subjects.insert(fingerprint, kept) {
            self.younger.bytes -= same.bytes;
        }
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
        subjects.with(|known| known.younger.subjects.len() + known.elder.subjects.len())
    }

    /// The subject of a request that is let in.
    fn admitted(subjects: &Subjects, reference: ScaledObjectRef) -> Arc<Subject> {
        let asked = subjects.of(reference).unwrap();
        subjects.keep(&asked);
        asked.subject
    }

    #[test]
    fn the_same_request_is_parsed_once_in_whatever_order_its_entries_come() {
        let subjects = Subjects::new(Registry::builtin().clone());
        let one = admitted(&subjects, reference("a", &[("queue", "q"), ("target", "3")]));
        let other = admitted(&subjects, reference("a", &[("target", "3"), ("queue", "q")]));
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
                *admitted(&subjects, request.clone()),
                *decode::subject(request.clone(), Registry::builtin()).unwrap()
            );
        }
        assert_eq!(known(&subjects), requests.len());
    }

    #[test]
    fn what_is_wrong_or_large_or_not_let_in_is_not_kept() {
        let subjects = Subjects::new(Registry::builtin().clone());
        assert!(subjects.of(reference("a", &[("queue", "")])).is_err());
        let long = "q".repeat(limits::NAME_BYTES);
        let names = (0..4).map(|n| format!("{n}{}", &long[1..])).collect::<Vec<_>>().join(",");
        admitted(&subjects, reference("a", &[("queue", &names)]));
        assert!(subjects.of(reference("a", &[("queue", "refused")])).is_ok());
        assert_eq!(known(&subjects), 0);
    }

    #[test]
    fn no_more_are_kept_than_the_limit_and_what_is_asked_for_stays() {
        let subjects = Subjects::new(Registry::builtin().clone());
        let queue = [("queue", "q")];
        let kept = admitted(&subjects, reference("kept", &queue));
        for n in 0..2 * limits::SUBJECTS {
            subjects.with(|known| known.add((n as u64, 0), Kept::new(&kept)));
            if n.is_multiple_of(1_000) {
                assert!(Arc::ptr_eq(&kept, &admitted(&subjects, reference("kept", &queue))));
            }
        }
        assert!(known(&subjects) <= limits::SUBJECTS);
    }

    /// The metadata of a trigger that makes much of few bytes: so many searches, each for a long key.
    fn hostile(searches: usize) -> ScaledObjectRef {
        let prefix = "x".repeat(limits::NAME_BYTES);
        let steps: Vec<String> = (1..searches).map(|step| step.to_string()).collect();
        let steps = steps.join(",");
        let pairs = [
            ("layout", "celery"),
            ("queue", "a*"),
            ("keyPrefix", prefix.as_str()),
            ("prioritySteps", steps.as_str()),
        ];
        reference(&searches.to_string(), &pairs)
    }

    #[test]
    fn what_is_kept_holds_no_more_bytes_than_the_limit_whatever_is_asked_for() {
        let subjects = Subjects::new(Registry::builtin().clone());
        let largest = subjects.of(hostile(60)).unwrap();
        assert!(largest.subject.footprint() > limits::SUBJECT_FOOTPRINT, "it has 60 long keys");
        subjects.keep(&largest);
        assert_eq!(known(&subjects), 0);
        let large = Kept::new(&subjects.of(hostile(8)).unwrap().subject);
        assert!((32 * 1024..limits::SUBJECT_FOOTPRINT).contains(&large.bytes), "{}", large.bytes);
        for n in 0..20_000 {
            subjects.with(|known| {
                known.add((n, 0), large.clone());
                known.find((n / 2, 0));
                for Generation { subjects, bytes } in [&known.younger, &known.elder] {
                    assert_eq!(*bytes, subjects.len() * large.bytes);
                }
                assert!(known.younger.bytes + known.elder.bytes <= limits::SUBJECTS_FOOTPRINT);
            });
        }
        assert!(known(&subjects) > 1_000, "the budget is used");
    }

    #[test]
    fn common_triggers_hold_so_little_that_half_of_those_of_a_full_service_are_kept() {
        for pairs in [
            &[("queue", "emails")][..],
            &[("layout", "celery"), ("queue", "emails")],
            &[("layout", "bullmq"), ("queue", "emails")],
            &[("layout", "sidekiq"), ("queue", "emails")],
        ] {
            let subject = decode::subject(reference("a", pairs), Registry::builtin()).unwrap();
            let bytes = Kept::new(&subject).bytes;
            assert!(
                (512..limits::SUBJECTS_FOOTPRINT / limits::SUBJECTS * 2).contains(&bytes),
                "{pairs:?}: {bytes}"
            );
        }
    }
}
