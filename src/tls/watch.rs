//! Whether the contents of some files have changed.
//!
//! It is apart because a password is read at each use while certificates are made into something
//! first. It reads the files instead of asking the system for news: Kubernetes changes a mounted
//! Secret by moving a symlink of a directory above (`..data`), which a watch on the file does not see.

use std::hash::BuildHasher;
use std::{hash::RandomState, path::PathBuf};

use super::pem;

/// Some files. It has no thread and no timer: who wants news asks, every [`limits::TLS_LOOK`](crate::limits::TLS_LOOK).
#[derive(Debug, Clone)]
pub struct Watch {
    paths: Vec<PathBuf>,
    keyed: RandomState,
}

/// What the files held at one moment. Two of the same watch are equal when all contents are, also
/// when what cannot be read is the same; it tells nothing of what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(u64);

impl Watch {
    /// A watch on these files.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { paths: paths.into_iter().collect(), keyed: RandomState::new() }
    }

    /// What they hold now. While files are being written, a version that is the same before and
    /// after they were read says that all of them were read as one.
    #[must_use]
    pub fn version(&self) -> Version {
        let contents: Vec<Result<Vec<u8>, String>> = (self.paths.iter())
            .map(|path| pem::bytes(path).map_err(|error| error.to_string()))
            .collect();
        Version(self.keyed.hash_one(contents))
    }
}
