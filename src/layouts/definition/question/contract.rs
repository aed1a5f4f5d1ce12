//! What every kind of question says of itself, without its parts and its condition.

use super::{super::template::Template, role::Use, when::When};

/// A kind of question as a definition writes it.
pub(super) trait QuestionKind {
    /// When it is asked at all.
    fn when(&self) -> &When;

    /// The template of the key that it reads under a name of its own.
    fn key(&self) -> Option<&Template>;

    /// The parameters of which each combination of values makes a summand.
    fn parameters(&self) -> Vec<&str>;

    /// The parameters that it names, and as what.
    fn uses(&self) -> Vec<Use>;

    /// The first mistake in it, as a message to its author.
    fn flaw(&self) -> Option<&'static str>;
}
