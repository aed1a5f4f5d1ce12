//! The server's configuration: refused without showing a value that may be a secret, or within every
//! bound.

use penstock::{config::Config, limits};

use crate::{
    engine::{Target, Traits},
    hold,
};

pub const TARGET: Target = Target { name: "config", words: WORDS, check };

const WORDS: &[&str] = &[
    "[server]",
    "[redis.default]",
    "[redis.a]",
    "[layouts.acme]",
    "[[layouts.acme.waiting]]",
    "[layouts.acme.params.queue]",
    "listen",
    "admin_listen",
    "push_inactive",
    "url",
    "username",
    "password_file",
    "password_env",
    "hold_stale",
    "namespaces",
    "keys",
    "databases",
    "scan",
    "tls",
    "sentinel",
    "cluster",
    "password",
    "\"redis://u:S3CR3T@h:6379/0\"",
    "\"rediss://h\"",
    "'S3CR3T'",
    "\"0.0.0.0:9090\"",
    "\"30s\"",
    "true",
    "false",
    "[0, 1]",
    "[\"*\"]",
    "\"\"\"",
    "'''",
    " = ",
    "\n",
    "1979-05-27T07:32:00Z",
    "{",
    "}",
    "read",
    "size",
    "key",
    "\"{queue}\"",
    "type",
    "doc",
    "example",
    "required",
    "when",
    "0x06",
    "{{",
    "{0x06}",
    "inf",
    "nan",
    "1e5",
    "0o7",
];
/// What stands for a secret in the committed inputs.
const SECRET: &str = "S3CR3T";
/// The longest that one problem may be.
const PROBLEM_BYTES: usize = 4 * 1024;

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    let parsed = Config::parse(&text, "penstock.toml");
    let commented = Config::parse(&format!("{text}\n# the end"), "penstock.toml");
    // Inside a string that has no end a comment is none.
    let is_toml = text.parse::<toml::Table>().is_ok();
    hold!(!is_toml || parsed.is_ok() == commented.is_ok(), "a comment makes a difference");
    match parsed {
        Ok(config) => {
            traits.note((config.connections.len().min(4), config.layouts.layouts().count()));
            let debug = format!("{config:?}");
            traits.note(debug.contains("Secret"));
            is_within_bounds(&config)
        }
        Err(problems) => {
            hold!(problems.iter().len() > 0, "no configuration and no problem");
            for problem in problems.iter() {
                traits.note_message(&problem.what);
                let told = problem.to_string();
                hold!(told.len() <= PROBLEM_BYTES, "a problem of {} bytes", told.len());
                hold!(!told.chars().any(char::is_control), "a control character: {told:?}");
            }
            shows_no_secret(&text, &problems.to_string())
        }
    }
}

fn is_within_bounds(config: &Config) -> Result<(), String> {
    hold!(config.connections.len() <= limits::CONNECTIONS, "too many connections");
    for (name, connection) in &config.connections {
        let budget = connection.hold_stale;
        hold!(budget <= limits::HOLD_STALE_MAX, "`{name}` holds for {budget:?}");
        let databases = connection.access.databases();
        hold!((1..=limits::DATABASES).contains(&databases.len()), "the databases of `{name}`");
        let is_legal = |number: &u32| *number <= limits::DATABASE_NUMBER;
        hold!(databases.iter().all(is_legal), "`{name}` has {databases:?}");
        hold!(!connection.endpoint.to_string().is_empty(), "`{name}` is nowhere");
        let shown = format!("{:?}", connection.password);
        hold!(!shown.contains(SECRET), "the password of `{name}` is shown: {shown}");
    }
    Ok(())
}

/// A file that is no TOML is never quoted; of one that is, keys and patterns are.
fn shows_no_secret(text: &str, told: &str) -> Result<(), String> {
    if !told.contains(SECRET) {
        return Ok(());
    }
    let Ok(table) = text.parse::<toml::Table>() else {
        return Err(format!("what is no TOML is quoted: {told}"));
    };
    let section = table.get("redis").and_then(toml::Value::as_table);
    let connections = section.into_iter().flatten().filter_map(|(_, value)| value.as_table());
    for connection in connections {
        for key in ["url", "password", "username", "password_file", "password_env"] {
            let Some(value) = connection.get(key).and_then(toml::Value::as_str) else { continue };
            let is_long = value.len() > SECRET.len() + 2;
            hold!(!(is_long && told.contains(value)), "the value of `{key}` is shown: {told}");
        }
    }
    Ok(())
}
