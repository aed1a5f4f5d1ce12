//! Whether a pattern matches every name of a form: given bytes, then anything, then given bytes.
//!
//! It is apart from the matching because no name is at hand: all that could come are followed at once,
//! as sets of places in the pattern. No sample of names could answer it.

use std::collections::{BTreeSet, HashSet};

use super::{
    super::per_member::MemberKey,
    Glob,
    step::{self, Step},
};

/// Sets of places that are looked at. A pattern that takes more is taken for one that does not match
/// all; those that people write take a few more than they have signs.
const SETS: usize = 256;

/// The places in a pattern's text, before its signs, at which a name may be so far.
type Places = BTreeSet<usize>;

impl Glob {
    /// Whether it is sure that every name matches that begins and ends so, whatever stands between.
    #[must_use]
    pub fn includes_all(&self, MemberKey { before, after }: &MemberKey) -> bool {
        let start = self.with_stars(Places::from([0]));
        let begun = before.as_bytes().iter().fold(start, |places, byte| self.next(&places, *byte));
        let bytes = self.telling_bytes();
        let mut seen = HashSet::from([begun.clone()]);
        let mut open = vec![begun];
        while let Some(places) = open.pop() {
            let ended =
                after.as_bytes().iter().fold(places.clone(), |at, byte| self.next(&at, *byte));
            if !ended.contains(&self.text.as_bytes().len()) || seen.len() > SETS {
                return false;
            }
            for byte in &bytes {
                let next = self.next(&places, *byte);
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        true
    }

    /// The sign at a place, and the place after it; `None` at the end.
    fn at(&self, place: usize) -> Option<(Step<'_>, usize)> {
        let text = self.text.as_bytes();
        let (step, rest) = step::first(&text[place..])?;
        Some((step, text.len() - rest.len()))
    }

    /// Where a name may be after one byte more.
    fn next(&self, places: &Places, byte: u8) -> Places {
        let after = |place: &usize| match self.at(*place)? {
            (Step::Many, _) => Some(*place),
            (step, after) => step.takes(byte).then_some(after),
        };
        self.with_stars(places.iter().filter_map(after).collect())
    }

    /// A star may stand for nothing.
    fn with_stars(&self, mut places: Places) -> Places {
        let behind_star = |place: &usize| match self.at(*place)? {
            (Step::Many, after) => Some(after),
            (Step::One | Step::Byte(_) | Step::Class(_), _) => None,
        };
        let behind: Vec<usize> = places.iter().filter_map(behind_star).collect();
        // No two stars follow each other.
        places.extend(behind);
        places
    }

    /// Bytes of which one behaves like any byte that there is: the pattern tells no more apart.
    fn telling_bytes(&self) -> BTreeSet<u8> {
        let mut bytes = BTreeSet::from([0]);
        let mut tell = |(low, high): (u8, u8)| {
            bytes.insert(low);
            bytes.extend(high.checked_add(1));
        };
        for step in self.steps() {
            match step {
                Step::Many | Step::One => {}
                Step::Byte(byte) => tell((byte, byte)),
                Step::Class(class) => class.ranges().for_each(&mut tell),
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn includes(pattern: &str, before: &str, after: &str) -> bool {
        let around = MemberKey { before: before.into(), after: after.into() };
        Glob::parse(pattern).unwrap().includes_all(&around)
    }

    #[test]
    fn a_pattern_includes_all_names_of_a_form_or_there_is_one_that_it_does_not() {
        for pattern in ["*", "*:work", "*k", "**", "*work*", "*:work*"] {
            assert!(includes(pattern, "", ":work"), "{pattern}");
        }
        // Each has members that many samples would not have.
        for pattern in [
            "?*:work",
            "[^b]*:work",
            "*[^z]:work",
            "*:work?",
            "?:work",
            "a*",
            r"\*:work",
            "*a*:work",
            ":work",
        ] {
            assert!(!includes(pattern, "", ":work"), "{pattern}");
        }
        assert!(
            includes("bull:*:lock", "bull:q:", ":lock") && includes("bull:*", "bull:q:", ":lock")
        );
        assert!(includes("bull:?:*", "bull:q:", "") && includes("b[a-z]ll:*k", "bull:", "k"));
        assert!(!includes("bull:q:[0-9]*:lock", "bull:q:", ":lock"));
        assert!(!includes("bull:r:*", "bull:q:", ":lock"));
    }

    #[test]
    fn a_hostile_pattern_ends_soon_and_is_taken_for_too_narrow() {
        let pattern = format!("*a{}*", "?".repeat(200));
        assert!(!includes(&pattern, "", "a"));
        assert!(!includes(&"*[ab]".repeat(150), "", "b"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_is_included_matches_whatever_the_member_is(
            pattern in r"([ab*?]|\[\^?[ab]\]){0,6}",
            before in "[ab]{0,2}",
            after in "[ab]{0,2}",
            members in prop::collection::vec("[abc]{0,5}", 1..20),
        ) {
            if let Ok(glob) = Glob::parse(&pattern) {
                let (before, after) = (before.as_str(), after.as_str());
                let around = MemberKey { before: before.into(), after: after.into() };
                let matches = |member: &String| {
                    glob.matches(format!("{before}{member}{after}").as_bytes())
                };
                if glob.includes_all(&around) {
                    prop_assert!(members.iter().all(matches), "{} {:?}", pattern, around);
                }
            }
        }
    }
}
