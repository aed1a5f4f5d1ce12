//! A setting together with its place in the file.

use super::problem::Spot;

/// A setting and where it stands. No `Debug`: it may be a password.
#[derive(Clone)]
pub(super) struct Spanned<T> {
    pub(super) spot: Spot,
    pub(super) value: T,
}
