//! Names in Redis, which are bytes.

use std::{fmt, sync::Arc};

/// A Redis key, group or member: bytes, since frameworks use bytes that are no text. Clones share
/// them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<[u8]>);

impl Name {
    /// A name of these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into().into())
    }

    /// The bytes, as Redis knows them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Bytes that are no text are shown as templates write them, `{0x06}`: a backslash would be escaped once
/// more wherever a name stands in a quoted text, as in the log.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() {
                    write_bytes(c.encode_utf8(&mut [0; 4]).as_bytes(), f)?;
                } else {
                    write!(f, "{c}")?;
                }
            }
            write_bytes(chunk.invalid(), f)?;
        }
        Ok(())
    }
}

fn write_bytes(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{{0x{byte:02x}}}"))
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_shows_bytes_that_are_no_text() {
        let name = Name::new(b"celery\x06\x16\xff3".to_vec());
        assert_eq!(name.to_string(), "celery{0x06}{0x16}{0xff}3");
        assert_eq!(Name::from("a\u{85}b").to_string(), "a{0xc2}{0x85}b");
    }

    #[test]
    fn a_name_reads_the_same_within_quotes_as_both_forms_of_the_log_have_it() {
        let shown = Name::new(b"celery\x06\x16\xff3".to_vec()).to_string();
        assert_eq!(format!("{shown:?}"), format!("\"{shown}\""));
        assert_eq!(serde_json::to_string(&shown).unwrap(), format!("\"{shown}\""));
    }
}
