//! Reading a whole text file within a bound.
//!
//! Configuration, secrets and manifests are read alike, and none of them may fill the memory. Errors never show
//! what is in a file.

use std::{fs::File, io, io::Read, path::Path};

use crate::limits;

/// Why a file gives no text.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system does not let us read it.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It has more than [`limits::FILE_BYTES`].
    #[error("is longer than {} bytes", limits::FILE_BYTES)]
    TooLong,
    /// Its bytes are no UTF-8.
    #[error("is no UTF-8 text")]
    NotText,
}

/// The text of a file of at most [`limits::FILE_BYTES`].
///
/// # Errors
/// [`FileError`] when it cannot be read, is longer, or is no UTF-8.
pub fn read_file(path: &Path) -> Result<String, FileError> {
    read_text(File::open(path)?)
}

/// The text of anything that can be read, such as standard input, within the same bound.
///
/// # Errors
/// [`FileError`] as [`read_file`].
pub fn read_text(source: impl Read) -> Result<String, FileError> {
    let mut bytes = Vec::new();
    source.take(limits::FILE_BYTES + 1).read_to_end(&mut bytes)?;
    let too_long = u64::try_from(bytes.len()).is_ok_and(|length| length > limits::FILE_BYTES);
    if too_long {
        return Err(FileError::TooLong);
    }
    String::from_utf8(bytes).map_err(|_| FileError::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_longest_length_is_read_and_a_longer_one_is_refused() {
        let longest = usize::try_from(limits::FILE_BYTES).unwrap();
        assert_eq!(read_text(&b"a".repeat(longest)[..]).unwrap().len(), longest);
        assert!(matches!(read_text(io::repeat(b'a')), Err(FileError::TooLong)));
    }

    #[test]
    fn what_is_no_text_is_refused_without_being_shown() {
        let error = read_text(&b"hunter2\xff"[..]).unwrap_err();
        assert_eq!(error.to_string(), "is no UTF-8 text");
    }

    #[test]
    fn a_missing_file_is_told() {
        let error = read_file(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(error.to_string().starts_with("cannot be read: No such file"), "{error}");
    }
}
