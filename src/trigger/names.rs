//! Queue names as a trigger writes them: comma-separated, with `\,` for a comma in a name, and a
//! weight after `=` if a job counts as more or less than one.

use std::{collections::BTreeSet, fmt};

use crate::{
    layouts::{Glob, GlobError, Name, Weight},
    limits,
    time::parse_decimal,
};

use super::problem::shown;

/// One name of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// The name without its escapes.
    pub(super) name: Name,
    /// The pattern that it is if it holds an unescaped `*`, `?` or `[`.
    pub(super) glob: Option<Glob>,
    /// What one of its jobs counts.
    pub(super) weight: Weight,
}

/// Why a text is no name or list of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NameError {
    /// Nothing stands where a name should.
    Empty,
    /// A NUL or other control character; the name as it was written.
    Control(String),
    /// More than [`limits::NAME_BYTES`].
    Long(String),
    /// A number after `=` that is no weight.
    Weight(String),
    /// A pattern that is none.
    Glob(String, GlobError),
    /// The list names something twice, which would count it twice.
    Twice(String),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("has an empty name"),
            Self::Control(name) => {
                write!(f, "`{}` has a control character, which no name may have", shown(name))
            }
            Self::Long(name) => {
                write!(f, "`{name}` is longer than {} bytes", limits::NAME_BYTES)
            }
            Self::Weight(text) => write!(
                f,
                "`{text}` must have a weight from 0.001 to 1000 after `=` (write `\\=` for the character itself)"
            ),
            Self::Glob(pattern, error) => write!(f, "`{pattern}` {error}"),
            Self::Twice(name) => write!(f, "names `{name}` twice, which would count it twice"),
        }
    }
}

/// Reads a comma-separated list. Spaces around a name are no part of it; `\,`, `\*`, `\?`, `\[`,
/// `\=`, `\ ` and `\\` are the characters themselves. A plain decimal after the last `=` is a weight.
///
/// # Errors
/// The first [`NameError`]s of the list, as many as a trigger may name keys: a value of nothing but
/// commas would have tens of thousands.
pub(super) fn parse_list(text: &str) -> Result<Vec<Listed>, Vec<NameError>> {
    let (mut names, mut known) = (Vec::new(), BTreeSet::new());
    let mut errors = Vec::new();
    for raw in split(text) {
        match parse_listed(&raw) {
            Ok(listed) if known.contains(&listed.name) => {
                errors.push(NameError::Twice(shown(&listed.name.to_string())));
            }
            Ok(listed) => {
                known.insert(listed.name.clone());
                names.push(listed);
            }
            Err(error) => errors.push(error),
        }
        if errors.len() == limits::KEYS_PER_TRIGGER {
            break;
        }
    }
    if errors.is_empty() { Ok(names) } else { Err(errors) }
}

/// Takes a whole text as one name: commas, stars and backslashes are themselves.
///
/// # Errors
/// [`NameError`] when it is empty, too long or has a control character.
pub(super) fn parse_literal(text: &str) -> Result<Name, NameError> {
    if text.is_empty() {
        Err(NameError::Empty)
    } else if text.chars().any(char::is_control) {
        Err(NameError::Control(text.to_owned()))
    } else if text.len() > limits::NAME_BYTES {
        Err(NameError::Long(shown(text)))
    } else {
        Ok(Name::from(text))
    }
}

/// One character of a name, and whether a backslash stood before it.
type Marked = (char, bool);

fn split(text: &str) -> Vec<Vec<Marked>> {
    let mut names = vec![Vec::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped =
            (c == '\\').then(|| chars.next_if(|next| r",*?[= \".contains(*next))).flatten();
        let last = names.last_mut().expect("the list starts with one name and only grows");
        match (c, escaped) {
            (_, Some(next)) => last.push((next, true)),
            (',', None) => names.push(Vec::new()),
            (c, None) => last.push((c, false)),
        }
    }
    names
}

fn parse_listed(raw: &[Marked]) -> Result<Listed, NameError> {
    let is_margin = |(c, escaped): &Marked| c.is_whitespace() && !c.is_control() && !escaped;
    let start = raw.iter().take_while(|marked| is_margin(marked)).count();
    let end = raw.len() - raw[start..].iter().rev().take_while(|marked| is_margin(marked)).count();
    let (marked, weight) = split_weight(&raw[start..end])?;
    let name = parse_literal(&text(marked))?;
    let is_glob = marked.iter().any(|(c, escaped)| !escaped && "*?[".contains(*c));
    let glob = is_glob.then(|| {
        let pattern = pattern(marked);
        Glob::parse(&pattern).map_err(|error| NameError::Glob(shown(&pattern), error))
    });
    Ok(Listed { name, glob: glob.transpose()?, weight })
}

/// A pattern in Redis's own words: what a backslash stood before has it again.
fn pattern(marked: &[Marked]) -> String {
    let again = |(c, escaped): &Marked| escaped.then_some('\\').into_iter().chain([*c]);
    marked.iter().flat_map(again).collect()
}

/// The name and the weight after it. What follows `=` and is no plain decimal belongs to the name.
fn split_weight(marked: &[Marked]) -> Result<(&[Marked], Weight), NameError> {
    let at = marked.iter().rposition(|marked| *marked == ('=', false));
    let split = at.map(|at| (&marked[..at], parse_decimal(&text(&marked[at + 1..]))));
    match split {
        Some((name, Some(jobs))) => {
            let weight = Weight::new(jobs);
            Ok((name, weight.ok_or_else(|| NameError::Weight(shown(&text(marked))))?))
        }
        Some((_, None)) | None => Ok((marked, Weight::ONE)),
    }
}

fn text(marked: &[Marked]) -> String {
    marked.iter().map(|(c, _)| *c).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(text: &str) -> Vec<String> {
        parse_list(text).unwrap().iter().map(|listed| listed.name.to_string()).collect()
    }

    #[test]
    fn commas_separate_and_can_be_escaped() {
        assert_eq!(names("a,b"), ["a", "b"]);
        assert_eq!(names(" a , b "), ["a", "b"]);
        assert_eq!(names(r"a\,b"), ["a,b"]);
        assert_eq!(names(r"a\ "), ["a "]);
        assert_eq!(names(r"a\\,b"), [r"a\", "b"]);
        assert_eq!(names(r"a\b"), [r"a\b"]);
    }

    #[test]
    fn an_unescaped_star_is_a_glob_and_an_escaped_one_is_a_star() {
        let globs = |text: &str| parse_list(text).unwrap()[0].glob.is_some();
        assert!(globs("a*") && globs("a?") && globs("[ab]"));
        assert!(!globs(r"a\*") && !globs("a]") && !globs("{a}:b"));
        let matches = |text: &str, name: &str| {
            let listed = parse_list(text).unwrap().remove(0);
            listed.glob.unwrap().matches(name.as_bytes())
        };
        assert!(matches(r"a\*-*", "a*-b") && !matches(r"a\*-*", "ab-b"));
        assert!(matches(r"[a\,]*=2", ",b") && matches(r"a\\*", r"a\b"));
        assert!(matches!(parse_list("[a").unwrap_err()[..], [NameError::Glob(..)]));
    }

    #[test]
    fn a_decimal_after_an_equals_sign_is_a_weight_and_anything_else_is_a_name() {
        let weight = |text: &str| {
            let listed = &parse_list(text).unwrap()[0];
            (listed.name.to_string(), listed.weight.get())
        };
        assert_eq!(weight("reports=3"), ("reports".to_owned(), 3.0));
        assert_eq!(weight("a=b=0.5"), ("a=b".to_owned(), 0.5));
        assert_eq!(weight(r"reports\=3"), ("reports=3".to_owned(), 1.0));
        assert_eq!(weight("a=b"), ("a=b".to_owned(), 1.0));
        assert_eq!(weight("a="), ("a=".to_owned(), 1.0));
        for text in ["a=0", "a=1001", "a=0.0001"] {
            assert!(matches!(parse_list(text).unwrap_err()[..], [NameError::Weight(_)]), "{text}");
        }
        assert_eq!(parse_list("=3"), Err(vec![NameError::Empty]));
        assert_eq!(parse_list("a,a=2"), Err(vec![NameError::Twice("a".to_owned())]));
    }

    #[test]
    fn what_is_no_name_is_told_for_each_name() {
        assert_eq!(parse_list("a,,b,"), Err(vec![NameError::Empty, NameError::Empty]));
        assert_eq!(parse_list("a\0"), Err(vec![NameError::Control("a\0".to_owned())]));
        assert_eq!(parse_list("a\n"), Err(vec![NameError::Control("a\n".to_owned())]));
        assert_eq!(parse_list("a,a"), Err(vec![NameError::Twice("a".to_owned())]));
        let long = "x".repeat(limits::NAME_BYTES + 1);
        assert!(matches!(parse_list(&long).unwrap_err()[..], [NameError::Long(_)]));
    }

    #[test]
    fn a_list_of_any_length_has_a_bounded_number_of_errors() {
        let most = limits::KEYS_PER_TRIGGER;
        assert_eq!(parse_list(&",".repeat(60_000)), Err(vec![NameError::Empty; most]));
    }

    proptest! {
        #[test]
        fn any_names_survive_being_escaped(
            wanted in prop::collection::btree_set("[^\\p{C}]{1,12}", 1..5),
        ) {
            let escape = |name: &String| -> String {
                name.chars().flat_map(|c| {
                    let special = r",*?[= \".contains(c);
                    special.then_some('\\').into_iter().chain([c])
                }).collect()
            };
            prop_assume!(wanted.iter().all(|name| name.trim() == name.trim_matches(' ')));
            let text = wanted.iter().map(escape).collect::<Vec<_>>().join(",");
            let listed = parse_list(&text).unwrap();
            prop_assert!(listed.iter().all(|listed| listed.glob.is_none()));
            let got: Vec<&[u8]> = listed.iter().map(|listed| listed.name.as_bytes()).collect();
            let wanted: Vec<&[u8]> = wanted.iter().map(|name| name.as_bytes()).collect();
            prop_assert_eq!(got, wanted);
        }
    }
}
