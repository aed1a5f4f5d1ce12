//! Whatever is written wrong, and wherever: no message and no `Debug` shows a password.

use proptest::prelude::*;

use super::*;

#[test]
fn broken_toml_is_told_with_line_and_column_alone() {
    for line in [
        "url = redis://:hunter2@h",
        "url = \"redis://:hunter2@h",
        "url = 'redis://:hunter2@h' x",
        "password = hunter2",
        "password = \"hunter2\\q\"",
        "password = 'a'\npassword = 'hunter2'",
        "url = 1hunter2",
        "url.hunter2 = 1\nurl = 2",
        "hunter2",
    ] {
        let told = told(&format!("[redis.default]\n{line}"));
        assert!(told.starts_with("penstock.toml: line "), "{told}");
        assert!(!told.contains("hunter2") && !told.contains('\n'), "{told}");
    }
    let told = told("[redis.default]\nurl = 'é' x");
    assert!(told.starts_with("penstock.toml: line 2, column 11: "), "{told}");
}

#[test]
fn debug_shows_no_password() {
    let config = Config::load(&settings(&["redis://u:hunter2@h"], &[])).unwrap();
    let shown = format!("{config:?}");
    assert!(shown.contains("\"u\"") && !shown.contains("hunter2"), "{shown}");
}

/// Pieces from which files are made that are broken in every way; the secret stands anywhere.
fn pieces() -> impl Strategy<Value = Vec<&'static str>> {
    let piece = prop::sample::select(vec![
        "[redis.default]",
        "[redis]",
        "[server]",
        "[",
        "]",
        "\n",
        "\n",
        "\n",
        "=",
        " = ",
        ".",
        ",",
        "url",
        "password",
        "username",
        "password_file",
        "password_env",
        "keys",
        "listen",
        "scan",
        "redis",
        "default",
        "\"",
        "'",
        "'''",
        "\"\"\"",
        "#",
        "\\",
        "{",
        "}",
        "1",
        "true",
        "1979-05-27",
        "redis://",
        ":",
        "@",
        "/",
        "?",
        "S3CR3T",
        "'S3CR3T'",
        "\"redis://u:S3CR3T@h\"",
        "%",
        "é",
        "\t",
    ]);
    prop::collection::vec(piece, 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_file_makes_the_reader_panic_or_show_a_value(pieces in pieces()) {
        let toml = pieces.concat();
        for outcome in [
            Config::parse(&toml, FILE).map_err(|problems| problems.to_string()),
            Config::parse(&format!("[redis.default]\nurl = {toml}"), FILE)
                .map_err(|problems| problems.to_string()),
        ] {
            // As a bare word it may have become a key or a pattern, which are no secrets.
            let names_it = |line: &str| {
                let path = line.split(": ").nth(1);
                path.is_some_and(|path| path.contains("S3CR3T") || path.contains("keys["))
            };
            let is_key = outcome.as_ref().err().is_some_and(|told| told.lines().any(names_it));
            if let Err(told) = outcome && !is_key {
                prop_assert!(!told.contains("S3CR3T"), "{}", told);
            }
        }
    }

    #[test]
    fn no_flag_or_variable_shows_a_value(prefix in "\\PC{0,12}", suffix in "\\PC{0,12}") {
        let url = format!("redis://{prefix}S3CR3T{suffix}@h?");
        let environment = [("PENSTOCK_REDIS_A_URL", url.as_str())];
        let told = Config::load(&settings(&[&url], &environment)).unwrap_err().to_string();
        prop_assert!(!told.contains("S3CR3T"), "{}", told);
    }
}
