//! What no manifest and no bytes can do to the check.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn no_bytes_make_the_check_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        report(&text, Some(RULES));
        check_text(&text, FileFormat::Config, None, &mut Report::default().file("f"));
    }

    #[test]
    fn no_manifest_makes_the_check_panic_or_show_a_secret(
        lines in prop::collection::vec(
            ("[a-zA-Z]{1,10}|queue|target|listName|layout|redis|inFlight|password|caCert",
             prop::sample::select(vec!["", "FromEnv"]),
             prop::sample::select(vec![": a", ": '5'", ": 5", ": [x]", ": {y: z}", ": *a", ": &a b", ":", ": 'q"])),
            0..6,
        ),
        kind in prop::sample::select(vec!["ScaledObject", "ScaledJob", "Pod"]),
    ) {
        let lines: Vec<String> =
            lines.into_iter().map(|(key, suffix, value)| format!("{key}{suffix}{value}")).collect();
        let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        lines.extend(["passwordx: S3CR3T", "username: S3CR3T", "tlsClientKey: S3CR3T"]);
        let report = report(&object((kind, "external"), &lines), Some(RULES));
        prop_assert!(!report.to_string().contains("S3CR3T"), "{}", report);
        prop_assert!(kind == "Pod" || report.problems() > 0);
    }

    #[test]
    fn no_broken_yaml_shows_what_it_holds(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "a: ", "b:", "\n", "\n  ", "- ", "S3CR3T", "'S3CR3T'", "\"S3CR3T\\q\"", "[", "]", "{",
                "}", "&S3CR3T ", "*S3CR3T", "!S3CR3T ", "!!int S3CR3T", "|", ">", "---\n", "? ", "%", "@",
                "\t", "#", "<<: ", ".inf", "1e999", "!!binary S3CR3T", "'", "\"",
            ]),
            0..16,
        ),
    ) {
        let report = report(&pieces.concat(), None);
        // A key is repeated when it stands twice; a key is no secret.
        let keys = report.findings().any(|finding| finding.message.contains("has the key"));
        prop_assert!(keys || !report.to_string().contains("S3CR3T"), "{}", report);
    }
}
