//! The rule `keys` of a connection: what it lets a trigger read, Redis's own matcher lets too.
//!
//! The second matcher follows Redis 7.0's `stringmatchlen` (`src/util.c`) step by step; ours must
//! agree on every pattern that it takes. The first line has the patterns, the rest is the key.

use std::collections::HashMap;

use penstock::{config::Config, layouts::Registry, trigger::Trigger};

use crate::{
    engine::{Target, Traits},
    hold,
};

use super::quoted;

pub const TARGET: Target = Target { name: "access", words: WORDS, check };

const WORDS: &[&str] = &[
    "*", "?", "[", "]", "[^", "a-z", "[a-c]", "[^a]", "\\", "\\*", "\\]", "]]", "team-a:",
    "team-b:", "*:wait", "{", "}", "a", "b", "-", "[]", "[\\]]", "[a-", "[z-a]", "**", "*a*",
];

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    let (patterns, key) = text.split_once('\n').unwrap_or((&text, "a"));
    let patterns: Vec<&str> = patterns.split('\t').collect();
    let rules: Vec<String> = patterns.iter().map(|pattern| quoted(pattern)).collect();
    let url = "url = \"redis://h\"";
    let toml = format!("[redis.default]\n{url}\nkeys = [{}]\n", rules.join(", "));
    let config = match Config::parse(&toml, "f") {
        Ok(config) => config,
        Err(problems) => {
            traits.note_message(&problems.to_string());
            return Ok(());
        }
    };
    let pair = ("listName".to_owned(), key.to_owned());
    let Ok(trigger) = Trigger::parse(vec![pair], Registry::builtin()) else { return Ok(()) };
    let allowed = config.connections["default"].access.covers(&trigger).is_ok();
    let expected = patterns.iter().any(|pattern| is_match(pattern.as_bytes(), key.as_bytes()));
    traits.note((allowed, patterns.len().min(4), key.len().min(8)));
    traits.note(patterns.iter().map(|pattern| shape(pattern)).collect::<Vec<_>>());
    hold!(allowed == expected, "`{key}` by {patterns:?}: {allowed}, and Redis says {expected}");
    Ok(())
}

/// A pattern without its plain characters.
fn shape(pattern: &str) -> String {
    pattern.chars().filter(|c| "*?[]^-\\".contains(*c)).take(8).collect()
}

/// Redis's own matcher.
pub fn is_match(pattern: &[u8], text: &[u8]) -> bool {
    rest_is_match(pattern, text, &mut HashMap::new())
}

/// `tried` has the length of the longest rest of the text that was tried in vain from each star on, by
/// the length of the rest of the pattern: without it a step is taken for each way to share the text out
/// among the stars.
fn rest_is_match(mut pattern: &[u8], mut text: &[u8], tried: &mut HashMap<usize, usize>) -> bool {
    while let (Some(first), Some(byte)) = (pattern.first(), text.first()) {
        match first {
            b'*' => {
                while pattern.get(1) == Some(&b'*') {
                    pattern = &pattern[1..];
                }
                if pattern.len() == 1 {
                    return true;
                }
                let (before, all) = (tried.get(&pattern.len()).copied().unwrap_or(0), text.len());
                while text.len() > before {
                    if rest_is_match(&pattern[1..], text, tried) {
                        return true;
                    }
                    text = &text[1..];
                }
                tried.insert(pattern.len(), all.max(before));
                return false;
            }
            b'?' => {}
            b'[' => {
                pattern = &pattern[1..];
                let is_not = pattern.first() == Some(&b'^');
                pattern = &pattern[usize::from(is_not)..];
                let mut found = false;
                loop {
                    match pattern {
                        [b'\\', escaped, ..] => {
                            pattern = &pattern[1..];
                            found |= escaped == byte;
                        }
                        [b']', ..] | [] => break,
                        [start, b'-', end, ..] => {
                            pattern = &pattern[2..];
                            found |= (start.min(end)..=start.max(end)).contains(&byte);
                        }
                        [one, ..] => found |= one == byte,
                    }
                    pattern = &pattern[1..];
                }
                if found == is_not {
                    return false;
                }
            }
            b'\\' if pattern.len() >= 2 => {
                pattern = &pattern[1..];
                if pattern[0] != *byte {
                    return false;
                }
            }
            plain if plain != byte => return false,
            _ => {}
        }
        text = &text[1..];
        pattern = pattern.get(1..).unwrap_or_default();
        if text.is_empty() {
            while pattern.first() == Some(&b'*') {
                pattern = &pattern[1..];
            }
            break;
        }
    }
    pattern.is_empty() && text.is_empty()
}
