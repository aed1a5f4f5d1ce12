//! Whether a pattern matches every name of a form: given bytes, then anything, then given bytes.
//!
//! No sample of names could answer it: one of the pattern's stars has to take whatever comes between.

use super::{
    super::read::member_key::MemberKey,
    Glob,
    step::{GlobStep, is_match},
};

impl Glob {
    /// Whether it is sure that every name matches that begins and ends so, whatever stands between.
    #[must_use]
    pub fn includes_all(&self, MemberKey { before, after }: &MemberKey) -> bool {
        // What a later star leaves for the end is less, so the last that can take over decides.
        let text = self.text.as_bytes();
        let mut steps = self.steps();
        let mut taking_over = None;
        while let Some(step) = steps.next() {
            let behind = text.len() - steps.0.len();
            if step == GlobStep::Many && is_match(&text[..behind], before.as_bytes()) {
                taking_over = Some(behind);
            }
        }
        taking_over.is_some_and(|behind| {
            let rest = [b"*", &text[behind..]].concat();
            is_match(&rest, after.as_bytes())
        })
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
        // Here no star takes the member alone: what stands before it would have to help.
        assert!(!includes("bull:*?:lock", "bull:q:", ":lock"));
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
