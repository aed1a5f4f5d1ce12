//! One file a kind of input: how bytes become one, and what must hold.
//!
//! Each says what is true of the service in code that shares nothing with it.

pub mod access;
pub mod agreement;
pub mod cluster;
pub mod config;
pub mod heartbeats;
pub mod layout;
pub mod manifest;
pub mod metadata;
pub mod names;
pub mod numbers;
pub mod pages;
pub mod payload;
pub mod pushes;
pub mod replies;
pub mod sentinels;

use std::net::IpAddr;

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

/// A host and a port that can be ones.
pub fn node(host: &str, port: u64) -> Option<String> {
    let is_sign = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let is_name = !host.is_empty() && host.len() <= 253 && host.chars().all(is_sign);
    let is_port = (1..=65_535).contains(&port);
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(_)) if is_port => Some(format!("[{host}]:{port}")),
        _ if is_name && is_port => Some(format!("{host}:{port}")),
        _ => None,
    }
}
