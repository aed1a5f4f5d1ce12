//! How the password of a connection is come by.
//!
//! It is apart because a password outlives the configuration: a file may be rotated while the
//! server runs. It does not know who asks for it.

use std::path::PathBuf;

use crate::secret::Secret;

use super::file::{FileError, read_file};

/// How a password is come by.
#[derive(Debug, Clone)]
pub enum Password {
    /// There is none.
    None,
    /// It was given as it is, by URL or environment.
    Fixed(Secret),
    /// It is in this file, which is read again at each use, so that it can be rotated.
    File(PathBuf),
}

/// Why there is no password. It names the file and never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The file cannot be read as text.
    #[error("password file {} {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: FileError,
    },
    /// The file has nothing in it.
    #[error("password file {} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl Password {
    /// The password as it is now. The line end that most editors leave at the end of a file is no
    /// part of it.
    ///
    /// # Errors
    /// [`PasswordError`] when the file cannot be read, is longer than [`FILE_BYTES`](crate::limits::FILE_BYTES), is no
    /// text or is empty.
    pub fn read(&self) -> Result<Option<Secret>, PasswordError> {
        let path = match self {
            Self::None => return Ok(None),
            Self::Fixed(secret) => return Ok(Some(secret.clone())),
            Self::File(path) => path,
        };
        let text =
            read_file(path).map_err(|error| PasswordError::File { path: path.clone(), error })?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Err(PasswordError::Empty { path: path.clone() });
        }
        Ok(Some(Secret::new(line)))
    }
}
