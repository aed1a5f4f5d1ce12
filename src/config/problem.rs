//! What is wrong with a configuration: every problem at once, each with where it stands.
//!
//! A problem never holds a value that could be a secret: whoever makes it decides what it shows.

use std::fmt;

use crate::trigger::shown;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The file's name, the flag or the environment variable.
    pub place: String,
    /// The key in it, as `redis.cache.hold_stale`; empty where the place says it all.
    pub path: String,
    /// What is wrong and what is allowed.
    pub what: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, path, what } = self;
        if path.is_empty() {
            write!(f, "{place}: {what}")
        } else {
            write!(f, "{place}: {path}: {what}")
        }
    }
}

/// Everything that is wrong with one configuration, one problem a line; at least one when it is an
/// error.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct ConfigProblems(Vec<ConfigProblem>);

impl ConfigProblems {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems in the order in which they were found.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ConfigProblem> {
        self.0.iter()
    }

    /// Whether something is wrong with what stands here, with a key in it or with an item of it.
    pub(super) fn concern(&self, spot: &Spot) -> bool {
        let is_here = |path: &str| {
            path.strip_prefix(&spot.path)
                .is_some_and(|rest| !rest.starts_with(|c| c != '.' && c != '['))
        };
        self.iter().any(|problem| problem.place == spot.place && is_here(&problem.path))
    }

    /// Adds a problem.
    pub(super) fn add(&mut self, spot: &Spot, what: impl Into<String>) {
        let Spot { place, path } = spot.clone();
        self.0.push(ConfigProblem { place, path, what: what.into() });
    }
}

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Where a setting stands, so that a problem found later can still name it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spot {
    place: String,
    path: String,
}

impl Spot {
    /// A whole file, flag or environment variable.
    pub(super) fn new(place: &str) -> Self {
        Self { place: shown(place), path: String::new() }
    }

    /// A key in this one. A key that is no plain word could be a secret that slipped, so it is not
    /// repeated.
    pub(super) fn key(&self, key: &str) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let key = if key.chars().all(plain) { &shown(key) } else { "\"…\"" };
        let path =
            if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { place: self.place.clone(), path }
    }

    /// An item of the list that stands here.
    pub(super) fn item(&self, index: usize) -> Self {
        Self { place: self.place.clone(), path: format!("{}[{index}]", self.path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_its_place_and_its_key() {
        let mut problems = ConfigProblems::default();
        let file = Spot::new("penstock.toml");
        problems.add(&file.key("redis").key("cache").key("databases").item(1), "is wrong");
        problems.add(&Spot::new("--redis"), "is wrong too");
        let lines = "penstock.toml: redis.cache.databases[1]: is wrong\n--redis: is wrong too";
        assert_eq!(problems.to_string(), lines);
    }

    #[test]
    fn a_key_that_is_no_plain_word_is_not_repeated() {
        let spot = Spot::new("f").key("redis").key("redis://:hunter2@host");
        assert_eq!(spot.path, "redis.\"…\"");
    }
}
