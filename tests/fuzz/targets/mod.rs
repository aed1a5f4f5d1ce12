//! One file a kind of input: how bytes become one, and what must hold.
//!
//! They are apart from the loop because each says what is true of the service in code that shares
//! nothing with it.

pub mod access;
pub mod agreement;
pub mod config;
pub mod layout;
pub mod manifest;
pub mod metadata;
pub mod names;
pub mod numbers;
pub mod payload;
pub mod pushes;
pub mod replies;

/// The metadata of a trigger, one `key=value` a line.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    let lines = text.split('\n').filter(|line| !line.is_empty());
    let pair = |line: &str| {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        (key.to_owned(), value.to_owned())
    };
    lines.map(pair).collect()
}

/// A string as JSON writes it, which is a string of TOML and YAML too.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether a decimal is plain: digits with at most one point.
pub fn is_plain_decimal(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let digits = |part: &&str| part.chars().all(|c| c.is_ascii_digit());
    parts.len() <= 2 && parts.iter().all(digits) && text.chars().any(|c| c != '.')
}
