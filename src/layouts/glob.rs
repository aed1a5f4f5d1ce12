//! Patterns in the syntax that Redis users know from KEYS and ACLs: `*`, `?`, `[abc]`, `[^a]`,
//! `[a-z]` and `\x`, over bytes (Redis 7.0, `src/util.c`, `stringmatchlen`).
//!
//! Matching stays cheap whatever a tenant names, which Redis's own matcher once did not (CVE-2022-36021): it
//! takes at most pattern × name steps. What Redis tolerates in a broken pattern is refused here, since it
//! rarely means what was written.

mod inclusion;
mod step;

use std::fmt;

use crate::limits;

use super::name::Name;
pub use step::GlobError;
use step::{GlobStep, Steps, is_match};

/// One pattern. It holds its text and nothing else; clones share it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Glob {
    /// As it is written, and as Redis would take it.
    text: Name,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`GlobError`] when it is none, or rarely means what was written.
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        if text.is_empty() {
            return Err(GlobError::Empty);
        }
        if text.len() > limits::NAME_BYTES {
            return Err(GlobError::Long);
        }
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            (_, rest) = step::read(rest)?;
        }
        Ok(Self { text: text.into() })
    }

    fn steps(&self) -> Steps<'_> {
        Steps(self.text.as_bytes())
    }

    /// Whether the whole name matches.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        is_match(self.text.as_bytes(), name)
    }

    /// The pattern as it is written.
    #[must_use]
    pub fn text(&self) -> &Name {
        &self.text
    }

    /// The pattern of the names that have these bytes before and after one that matches.
    #[must_use]
    pub fn within(&self, before: &[u8], after: &[u8]) -> Self {
        let text = [&escape(before), self.text.as_bytes(), &escape(after)].concat();
        Self { text: Name::new(text) }
    }

    /// The pattern of the names that have a colon and anything after one that matches.
    #[must_use]
    pub fn and_a_part(&self) -> Self {
        Self { text: Name::new([self.text.as_bytes(), b":*"].concat()) }
    }

    /// A pattern with so many stars at most that matches whatever this one matches, and perhaps more: it
    /// ends with the last star that it may have.
    #[must_use]
    pub fn up_to_star(&self, most: usize) -> Name {
        let text = self.text.as_bytes();
        let (mut steps, mut stars) = (self.steps(), 0);
        while let Some(step) = steps.next() {
            stars += usize::from(step == GlobStep::Many);
            if stars == most && steps.clone().any(|step| step == GlobStep::Many) {
                return Name::new(&text[..text.len() - steps.0.len()]);
            }
        }
        self.text.clone()
    }

    /// The bytes with which every name begins that matches.
    #[must_use]
    pub fn prefix(&self) -> Vec<u8> {
        self.steps().map_while(GlobStep::byte).collect()
    }

    /// The bytes that it gives itself: of two patterns that match, the one that gives more is the
    /// narrower one.
    pub fn given(&self) -> impl Iterator<Item = u8> {
        self.steps().filter_map(GlobStep::byte)
    }

    /// Whether every name that matches the other is sure to match this one too. (`false` says
    /// nothing.)
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        // What ends with no star covers itself alone. That is soon told, which counts where a trigger's many
        // long patterns are held against each other.
        if !self.ends_with_star() {
            return self == other;
        }
        let (mut own, mut others) = (self.steps(), other.steps());
        while let Some(step) = own.next() {
            // What follows all that both have in common may be anything.
            if step == GlobStep::Many && own.0.is_empty() {
                return true;
            }
            if others.next() != Some(step) {
                return false;
            }
        }
        self == other
    }

    /// (A star at the end is of no class, and what stands before it is either written twice or escapes it.)
    fn ends_with_star(&self) -> bool {
        let Some((b'*', before)) = self.text.as_bytes().split_last() else { return false };
        before.iter().rev().take_while(|byte| **byte == b'\\').count().is_multiple_of(2)
    }

    /// Whether no name can match both, as far as the bytes tell with which they begin.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        let (own, others) = (self.prefix(), other.prefix());
        !own.starts_with(&others) && !others.starts_with(&own)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Glob(`{self}`)")
    }
}

/// The text of the pattern that these bytes alone match.
pub(super) fn escape(bytes: &[u8]) -> Vec<u8> {
    let is_special = |byte: &u8| b"*?[]\\".contains(byte);
    let escaped = |byte: &u8| is_special(byte).then_some(b'\\').into_iter().chain([*byte]);
    bytes.iter().flat_map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Glob::parse(pattern).unwrap().matches(name.as_bytes())
    }

    #[test]
    fn each_sign_means_what_it_means_in_redis() {
        for (pattern, yes, no) in [
            ("emails", "emails", "emails2"),
            ("team-*", "team-", "steam-a"),
            ("*:wait", "bull:a:wait", "bull:a:waiting"),
            ("a?c", "abc", "ac"),
            ("a*b*c", "a-b-b-c", "a-c-b"),
            ("[abc]", "b", "d"),
            ("[^abc]", "d", "b"),
            ("[a-c]x", "bx", "dx"),
            ("[c-a]x", "bx", "dx"),
            (r"[\]]", "]", "a"),
            (r"a\*", "a*", "ab"),
            (r"\\", r"\", "a"),
            ("*", "", "no such name"),
        ] {
            assert!(matches(pattern, yes), "{pattern} must match {yes}");
            assert!(pattern == "*" || !matches(pattern, no), "{pattern} must not match {no}");
        }
    }

    #[test]
    fn a_pattern_works_on_bytes() {
        assert!(Glob::parse("a?b").unwrap().matches(b"a\xffb"));
        assert!(!matches("?", "é") && matches("??", "é"));
    }

    #[test]
    fn a_broken_pattern_is_refused() {
        for (pattern, error) in [
            ("", GlobError::Empty),
            ("[ab", GlobError::Unclosed),
            ("[a-]", GlobError::Unclosed),
            ("[", GlobError::Unclosed),
            (r"[\]", GlobError::Unclosed),
            ("[]", GlobError::EmptyClass),
            ("[^]", GlobError::EmptyClass),
            (r"a\", GlobError::Backslash),
        ] {
            assert_eq!(Glob::parse(pattern), Err(error), "{pattern}");
        }
        assert_eq!(Glob::parse(&"a".repeat(1025)), Err(GlobError::Long));
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let pattern = Glob::parse(&"*a".repeat(limits::NAME_BYTES / 2)).unwrap();
        assert!(!pattern.matches(&b"a".repeat(limits::NAME_BYTES / 2 - 1)));
        assert!(!Glob::parse("*a*a*a*a*a*a*a*b").unwrap().matches(&b"a".repeat(1024)));
    }

    #[test]
    fn a_pattern_holds_its_text_and_clones_share_it() {
        assert_eq!(size_of::<Glob>(), size_of::<Name>());
        let pattern = Glob::parse(&"?".repeat(limits::NAME_BYTES)).unwrap();
        let whole = pattern.within(b"before", b"after");
        assert_eq!(whole.text().as_bytes().len(), limits::NAME_BYTES + 11);
        assert_eq!(whole.clone().text().as_bytes().as_ptr(), whole.text().as_bytes().as_ptr());
    }

    #[test]
    fn a_pattern_is_cut_after_the_last_star_that_it_may_have() {
        for (pattern, cut) in [
            ("emails", "emails"),
            ("*a*", "*a*"),
            ("a*b*c", "a*b*c"),
            ("a**b***", "a**b***"),
            ("a*b*c*", "a*b*"),
            ("*a*b*c*d", "*a*"),
            ("**a***b**c*d", "**a***"),
            (r"\*\**[*]*?[^*\]]*[a]", r"\*\**[*]*"),
            (r"[*]*\\*\[*]*", r"[*]*\\*"),
            (r"[^*]?[*-a]*", r"[^*]?[*-a]*"),
        ] {
            let glob = Glob::parse(pattern).unwrap();
            assert_eq!(glob.up_to_star(2).to_string(), cut, "{pattern}");
        }
    }

    /// Redis's own matcher, sentence for sentence, for patterns that parse.
    fn redis(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], _) => name.is_empty(),
            ([b'*', rest @ ..], _) => (0..=name.len()).any(|from| redis(rest, &name[from..])),
            (_, []) => false,
            ([b'?', rest @ ..], [_, tail @ ..]) => redis(rest, tail),
            ([b'\\', byte, rest @ ..], [first, tail @ ..]) => byte == first && redis(rest, tail),
            ([b'[', rest @ ..], [first, tail @ ..]) => {
                let inverted = rest[0] == b'^';
                let mut rest = if inverted { &rest[1..] } else { rest };
                let mut found = false;
                loop {
                    match rest {
                        [b'\\', byte, after @ ..] => {
                            found |= byte == first;
                            rest = after;
                        }
                        [b']', after @ ..] => break found != inverted && redis(after, tail),
                        [low, b'-', high, after @ ..] => {
                            found |= (low.min(high)..=low.max(high)).contains(&first);
                            rest = after;
                        }
                        [byte, after @ ..] => {
                            found |= byte == first;
                            rest = after;
                        }
                        [] => unreachable!("the pattern parsed, so it is closed"),
                    }
                }
            }
            ([byte, rest @ ..], [first, tail @ ..]) => byte == first && redis(rest, tail),
        }
    }

    #[test]
    fn what_is_put_around_a_pattern_is_taken_as_it_is() {
        let inner = Glob::parse("e*").unwrap();
        let outer = inner.within(b"[a]*:", b"\\:?\xff");
        assert_eq!(outer.to_string(), r"\[a\]\*:e*\\:\?{0xff}");
        assert!(outer.matches(b"[a]*:emails\\:?\xff") && !outer.matches(b"a:emails\\:?\xff"));
        assert!(redis(outer.text().as_bytes(), b"[a]*:emails\\:?\xff"));
        assert_eq!(outer.prefix(), b"[a]*:e");
    }

    #[test]
    fn a_pattern_covers_another_only_where_that_is_sure() {
        let covers =
            |one: &str, other: &str| Glob::parse(one).unwrap().covers(&Glob::parse(other).unwrap());
        assert!(
            covers("a*", "a*") && covers("a*", "a?b") && covers("*", "x*y") && covers("a", "a")
        );
        assert!(covers(r"\a*", "ab") && covers("[c-a]**", "[a-c]b") && covers("a**", "a*"));
        assert!(covers(r"\\*", r"\\a") && covers(r"[\*]*", r"[*]a") && !covers(r"\*", r"\*a"));
        assert!(!covers("[^a]*", "[a]b") && !covers("a*b", "a*b*") && !covers("a?", "a"));
        assert!(!covers("a*b", "a*") && !covers("a*", "b*") && !covers(r"a\*", "a*"));
    }

    #[test]
    fn patterns_with_other_beginnings_exclude_each_other() {
        let excludes = |one: &str, other: &str| {
            Glob::parse(one).unwrap().excludes(&Glob::parse(other).unwrap())
        };
        assert!(excludes("team-a:*", "team-b:*") && excludes("a", "b*"));
        assert!(!excludes("team-*", "team-a:*") && !excludes("*:a", "team:*"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn every_pattern_matches_what_redis_matches(
            pattern in r"([ab*?^\-\]]|\[\^?[abc\-\\\]]{1,4}\]|\\[*?ab]){0,8}",
            names in prop::collection::vec("[abc*?\\-\\]^]{0,8}", 1..8),
        ) {
            if let Ok(glob) = Glob::parse(&pattern) {
                for name in names {
                    let theirs = redis(pattern.as_bytes(), name.as_bytes());
                    prop_assert_eq!(glob.matches(name.as_bytes()), theirs, "{} {}", pattern, name);
                    for stars in 1..3 {
                        let cut = glob.up_to_star(stars).to_string();
                        let more = Glob::parse(&cut).unwrap();
                        let has = more.steps().filter(|step| *step == GlobStep::Many).count();
                        prop_assert!(has <= stars, "{} of {}", cut, pattern);
                        prop_assert!(!theirs || more.matches(name.as_bytes()), "{} of {}", cut, pattern);
                    }
                }
            }
        }

        #[test]
        fn no_text_makes_the_parser_or_the_matcher_panic(
            pattern in "\\PC{0,20}",
            name in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            if let Ok(glob) = Glob::parse(&pattern) {
                std::hint::black_box(glob.matches(&name));
            }
        }

        #[test]
        fn an_escaped_name_matches_itself_alone(name in "[^\\p{C}]{1,12}", other in "[^\\p{C}]{1,12}") {
            let escaped: String = name.chars().flat_map(|c| ['\\', c]).collect();
            let multibyte = name.chars().any(|c| c.len_utf8() > 1);
            let escaped = if multibyte { name.replace(['*', '?', '[', '\\'], "x") } else { escaped };
            let name = if multibyte { escaped.clone() } else { name };
            let glob = Glob::parse(&escaped).unwrap();
            prop_assert!(glob.matches(name.as_bytes()));
            prop_assert_eq!(glob.matches(other.as_bytes()), other == name);
        }
    }
}
