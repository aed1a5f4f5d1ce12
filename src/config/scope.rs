//! How much is known when a configuration is made.

use std::collections::BTreeMap;

/// What there is beside the file: decides whether something that the file lacks is a problem.
#[derive(Clone, Copy)]
pub(super) enum Scope<'a> {
    /// Only the file; flags and environment of the server are not known.
    FileAlone,
    /// The environment, and all flags.
    Everything(&'a BTreeMap<String, String>),
}
