//! What is made of some files, once for each state that they are in.
//!
//! Both sides of the service make certificates of files that change. It reads the files instead of asking
//! the system for news: Kubernetes changes a mounted Secret by moving a symlink of a directory above
//! (`..data`), which a watch on the file does not see.

use std::{
    hash::{BuildHasher, RandomState},
    path::PathBuf,
};

use super::pem;

/// Some files. It has no thread and no timer: who wants news asks, every [`limits::TLS_LOOK`](crate::limits::TLS_LOOK).
#[derive(Debug, Default)]
pub struct FileWatch {
    paths: Vec<PathBuf>,
    keyed: RandomState,
    /// What they held when something was last made of them.
    judged: Option<Version>,
}

/// What the files held at one moment. Two of the same watch are equal when all contents are, also
/// when what cannot be read is the same; it tells nothing of what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version(u64);

impl FileWatch {
    /// A watch on these files.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { paths: paths.into_iter().collect(), ..Self::default() }
    }

    /// What is made of the files, unless that was done already since they last changed. While they are
    /// being written it gives nothing, since what was read may be half of each; the next look tries again.
    pub fn look<T>(&mut self, make: impl FnOnce() -> T) -> Option<T> {
        let version = self.version();
        if self.judged == Some(version) {
            return None;
        }
        let made = make();
        (self.version() == version).then(|| {
            self.judged = Some(version);
            made
        })
    }

    pub(super) fn version(&self) -> Version {
        let contents: Vec<Result<Vec<u8>, String>> = (self.paths.iter())
            .map(|path| pem::bytes(path).map_err(|error| error.to_string()))
            .collect();
        Version(self.keyed.hash_one(contents))
    }
}
