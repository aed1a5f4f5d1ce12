//! What the values of members count for the reads that look at them.
//!
//! Several reads may look at the same values and differ only in the text that they want. A value is fetched and
//! parsed once, and counted for each.

use std::sync::Arc;

use deadpool_redis::redis::Value;

use crate::{
    layouts::{Ask, Filter, PerMember},
    limits,
    sampling::Fault,
};

use super::{decode, fields::KnownFields};

/// What each of some reads counts. All of them [look alike](PerMember::looks_alike).
pub(in crate::redis) struct MemberTally<'r> {
    reads: &'r [Arc<PerMember>],
    counted: &'r mut [u64],
    /// Those that count for every read, since they do not tell their queue.
    unsure: &'r mut u64,
}

impl<'r> MemberTally<'r> {
    /// Adds to what was counted so far, one number for each read, and to how many of that nobody can say
    /// whose it is.
    pub(in crate::redis) fn of(
        reads: &'r [Arc<PerMember>],
        counted: &'r mut [u64],
        unsure: &'r mut u64,
    ) -> Self {
        Self { reads, counted, unsure }
    }

    /// So many count for every read.
    fn every(&mut self, number: u64) {
        self.counted.iter_mut().for_each(|counted| *counted = counted.saturating_add(number));
    }

    /// A value counts that has this text in the place of the filter; one that has none does for every
    /// read, since it may belong.
    pub(in crate::redis) fn text(&mut self, text: Option<&str>) {
        // Those that look alike have a filter, or none of them does.
        let is_filtered = self.reads.iter().any(|each| each.filter.is_some());
        *self.unsure += u64::from(is_filtered && text.is_none());
        for (each, counted) in self.reads.iter().zip(self.counted.iter_mut()) {
            let is_met = match (&each.filter, text) {
                (None, _) | (Some(_), None) => true,
                (Some(filter), Some(text)) => filter.is_met(text.as_bytes()),
            };
            *counted = counted.saturating_add(u64::from(is_met));
        }
    }

    fn value(&mut self, value: &[u8], filter: &Filter) -> Option<String> {
        let text = text_of(value, filter);
        self.text(text.as_deref());
        text
    }

    /// What one member's reply counts.
    pub(in crate::redis) fn reply(&mut self, each: &PerMember, value: &Value) -> Result<(), Fault> {
        match (&each.ask, &each.filter) {
            (Ask::Values(_), Some(filter)) => {
                for value in decode::strings(value)? {
                    self.value(&value, filter);
                }
            }
            (Ask::Text(_), Some(filter)) => match decode::string(value)? {
                // A string that is empty is none.
                [] => {}
                text => drop(self.value(text, filter)),
            },
            (Ask::Exists(_) | Ask::Length(_) | Ask::Values(_) | Ask::Text(_) | Ask::Field, _) => {
                self.every(decode::count(value)?);
            }
        }
        Ok(())
    }

    /// What these fields count; what was read of them is remembered.
    pub(in crate::redis) fn fields(
        &mut self,
        each: &PerMember,
        known: &KnownFields,
        fields: &[Vec<u8>],
        value: &Value,
    ) -> Result<(), Fault> {
        let values = decode::optional_strings(value)?;
        if values.len() != fields.len() {
            return Err(Fault::Unexpected("another number of values than fields".to_owned()));
        }
        for (field, value) in fields.iter().zip(values) {
            // What is gone by now may be back in its queue, which was read before.
            let Some(value) = value else {
                self.every(1);
                continue;
            };
            let text = match &each.filter {
                Some(filter) => self.value(&value, filter),
                None => {
                    self.every(1);
                    None
                }
            };
            known.learn(each, field.clone(), text);
        }
        Ok(())
    }
}

/// The text in the place of the filter; `None` if the value is no JSON, has none there, or one that
/// tells nothing.
fn text_of(value: &[u8], filter: &Filter) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(value).ok()?;
    if let Some((pointer, is)) = &filter.only_if
        && json.pointer(pointer)?.as_str()? != is
    {
        return None;
    }
    let text = json.pointer(&filter.pointer)?.as_str()?;
    // No name is longer than that; a text that is remembered must not be.
    (text.len() <= limits::FIELD_TEXT_BYTES).then(|| text.to_owned())
}
