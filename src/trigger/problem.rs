//! What is wrong with a trigger: every problem at once, by key, in words for the person who wrote the metadata.
//!
//! A problem never holds a value that could be a secret: whoever makes it decides what it shows.

use std::fmt;

use crate::{layouts::Name, limits};

/// One thing that is wrong, and the key it is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Problem {
    /// The metadata key as the user spelled it, cut and escaped.
    pub key: String,
    /// What is wrong, what is allowed, and the nearest known key where that helps.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}

/// Everything that is wrong with one trigger; at least one problem when it is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem with a key.
    pub fn add(&mut self, key: &str, what: impl Into<String>) {
        self.0.push(Problem { key: shown(key), what: what.into() });
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems in the order in which they were found.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Problem> {
        self.0.iter()
    }

    /// One line: the first `in_full` problems with what is wrong, the next ones up to `listed` by
    /// key alone, and how many more there are.
    #[must_use]
    pub fn summary(&self, in_full: usize, listed: usize) -> String {
        let listed = self.0.len().min(listed);
        let (full, named) = self.0[..listed].split_at(in_full.min(listed));
        let mut parts: Vec<String> = full.iter().map(ToString::to_string).collect();
        if !named.is_empty() {
            let keys: Vec<&str> = named.iter().map(|problem| problem.key.as_str()).collect();
            parts.push(format!("also wrong: {}", keys.join(", ")));
        }
        let more = self.0.len() - listed;
        if more > 0 {
            parts.push(format!("and {more} more"));
        }
        parts.join("; ")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary(limits::PROBLEMS_LISTED, limits::PROBLEMS_LISTED))
    }
}

/// A text of the user as a problem may repeat it: cut to [`limits::VALUE_CHARS_SHOWN`] characters,
/// control characters escaped.
#[must_use]
pub fn shown(text: &str) -> String {
    cut(text, limits::VALUE_CHARS_SHOWN)
}

/// A text cut to so many characters, control characters escaped.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for c in text.chars().take(most) {
        if c.is_control() {
            shown += &Name::from(c.encode_utf8(&mut [0; 4]) as &str).to_string();
        } else {
            shown.push(c);
        }
    }
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(n: usize) -> Problems {
        let mut problems = Problems::default();
        for i in 0..n {
            problems.add(&format!("k{i}"), "is wrong");
        }
        problems
    }

    #[test]
    fn a_summary_names_every_key_up_to_twenty_and_then_the_rest_as_a_number() {
        assert_eq!(problems(2).summary(20, 20), "k0: is wrong; k1: is wrong");
        assert_eq!(problems(3).summary(1, 20), "k0: is wrong; also wrong: k1, k2");
        let many = problems(23).to_string();
        assert!(many.ends_with("k19: is wrong; and 3 more"), "{many}");
    }

    #[test]
    fn a_long_or_odd_value_is_cut_and_escaped() {
        assert_eq!(shown("a\nb"), "a{0x0a}b");
        assert_eq!(shown(&"é".repeat(65)).chars().count(), 65);
    }
}
