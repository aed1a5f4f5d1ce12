//! How many bytes names, texts and lists hold, about. What several places share is counted for each, so that
//! the sum is rather too much than too little.

use std::slice;

use super::name::Name;

/// What an allocation costs beside its bytes, with the two counters of what is shared.
pub(super) const ALLOCATION: usize = 32;

/// How many bytes these texts hold, beside where each is kept.
pub fn bytes_of_texts<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> usize {
    texts.into_iter().map(|text| ALLOCATION + text.as_ref().len()).sum()
}

pub(super) fn of_names(names: &[Name]) -> usize {
    list(names, |name| bytes_of_texts([name]))
}

pub(super) fn of_strings(texts: &[String]) -> usize {
    list(texts, |text| bytes_of_texts([text]))
}

/// What is in a box or shared.
pub(super) fn boxed<T>(item: &T, of_item: impl Fn(&T) -> usize) -> usize {
    list(slice::from_ref(item), of_item)
}

/// A slice that is not empty, and what its items hold beside their own size.
pub(super) fn list<T>(items: &[T], of_one: impl Fn(&T) -> usize) -> usize {
    let allocation = if items.is_empty() { 0 } else { ALLOCATION };
    allocation + size_of_val(items) + items.iter().map(of_one).sum::<usize>()
}
