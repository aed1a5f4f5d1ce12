//! How a request is known again without being parsed.

use std::hash::{BuildHasher, RandomState};

use crate::limits;

use super::Request;

/// What is the same for requests that are the same, and for no others.
pub(in crate::scaler) type Fingerprint = (u64, u64);

/// Two keys, since 64 bits alone could be the same for two of very many requests.
#[derive(Debug, Default)]
pub(super) struct Keys(RandomState, RandomState);

impl Keys {
    pub(super) fn fingerprint(&self, request: &Request) -> Fingerprint {
        (fingerprint(&self.0, request), fingerprint(&self.1, request))
    }
}

/// The same for every order of the metadata's entries, since a map has none.
fn fingerprint(key: &RandomState, request: &Request) -> u64 {
    let Request { name, namespace, metadata } = request;
    // One with more entries is never let in.
    let entries = metadata.iter().take(limits::METADATA_ENTRIES).map(|entry| key.hash_one(entry));
    let entries = entries.fold(0u64, u64::wrapping_add);
    key.hash_one((name, namespace, metadata.len(), entries))
}
