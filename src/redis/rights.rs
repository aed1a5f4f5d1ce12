//! What a user of penstock needs to be allowed, and the ACL line that allows it and nothing else.
//!
//! It is apart so that the documentation, `penstock check --acl` and the tests, which run as exactly
//! that user, have one source. Every command is one that only reads, or that is about the link.

use crate::config::{Connection, Endpoint};

use super::{cluster, sentinel};

/// The user that the line is for where the configuration names none.
const USER: &str = "penstock";

/// What reads ask of keys.
const READS: &[&str] = &[
    "llen",
    "lrange",
    "zcard",
    "zcount",
    "zrange",
    "zrangebyscore",
    "hlen",
    "hkeys",
    "hmget",
    "hvals",
    "hexists",
    "scard",
    "smembers",
    "sismember",
    "exists",
    "type",
    "getrange",
    "xlen",
    "xrange",
    "xinfo|groups",
    "xpending",
];

/// What a link says of itself and asks of its server: its own proof and clock, announcements of
/// changes, who we are. `hello` and `auth` need no right since Redis 6.2, and do in 6.0.
const LINK: &[&str] = &["time", "ping", "client|tracking", "hello", "auth"];

/// To read another database than 0.
const DATABASE: &str = "select";

/// To look for the queues of a pattern.
const SCAN: &str = "scan";

/// The ACL line that lets a connection's user do what penstock asks of it and no more, as redis-cli
/// takes it. `>PASSWORD` stands for its password.
#[must_use]
pub fn acl_line(connection: &Connection) -> String {
    let user = connection.username.as_deref().unwrap_or(USER);
    let mut words: Vec<String> =
        ["ACL", "SETUSER", user, "reset", "on", ">PASSWORD"].map(quoted).into();
    let keys = connection.access.key_patterns();
    words.extend(keys.map(|pattern| quoted(&format!("~{}", in_acl(&pattern)))));
    let needs_select = connection.access.databases().iter().any(|database| *database != 0);
    let database = needs_select.then_some(&DATABASE);
    let scan = connection.access.scans().then_some(&SCAN);
    let commands = READS.iter().chain(LINK).chain(of_nodes(&connection.endpoint));
    let commands = commands.chain(database).chain(scan);
    words.extend(commands.map(|command| format!("+{command}")));
    words.join(" ")
}

/// The same for the user on the sentinels of a connection that has some.
#[must_use]
pub fn acl_line_on_sentinels(connection: &Connection) -> Option<String> {
    match &connection.endpoint {
        Endpoint::Sentinel(sentinels) => {
            let user = quoted(sentinels.username.as_deref().unwrap_or(USER));
            Some(format!("ACL SETUSER {user} reset on >PASSWORD {}", sentinel::rules()))
        }
        Endpoint::Standalone(_) | Endpoint::Cluster(_) => None,
    }
}

/// What the kind of endpoint takes on top.
fn of_nodes(endpoint: &Endpoint) -> &'static [&'static str] {
    match endpoint {
        Endpoint::Standalone(_) => &[],
        // A server that was named is asked what it is.
        Endpoint::Sentinel(_) => &["role"],
        Endpoint::Cluster(_) => cluster::COMMANDS,
    }
}

/// A pattern of `keys` as an ACL can have it. There is no blank in a rule, so one becomes `?`; from
/// a class with a blank on, everything is allowed.
fn in_acl(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        let (taken, token) = match (first, after.chars().next()) {
            ('\\', Some(next)) => {
                let both = &rest[..1 + next.len_utf8()];
                (both.len(), if next.is_whitespace() { "?" } else { both })
            }
            ('[', _) if rest.contains(char::is_whitespace) => return text + "*",
            (blank, _) if blank.is_whitespace() => (blank.len_utf8(), "?"),
            (other, _) => (other.len_utf8(), &rest[..other.len_utf8()]),
        };
        text += token;
        rest = &rest[taken..];
    }
    text
}

/// A word as redis-cli reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'');
    if word.chars().all(is_plain) {
        return word.to_owned();
    }
    let mut text = String::from("\"");
    for byte in word.bytes() {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text += &format!("\\x{byte:02x}"),
        }
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn line(settings: &str) -> String {
        let toml = format!("[redis.default]\n{settings}");
        let config = Config::parse(&toml, "test").unwrap();
        acl_line(&config.connections["default"])
    }

    #[test]
    fn the_line_names_the_user_the_keys_and_no_command_that_is_not_needed() {
        let all = line("");
        assert!(all.starts_with("ACL SETUSER penstock reset on >PASSWORD ~* +llen +"), "{all}");
        assert!(!all.contains("+select"), "{all}");
        let some = line(
            "url = \"redis://app@h/3\"\nkeys = ['team:*', 'a b', 'a\\ b', '\"q\"', '[a ]x', 'ü']",
        );
        let start = "ACL SETUSER app reset on >PASSWORD ~team:* ~a?b ~a?b \"~\\\"q\\\"\" ~* \
                     \"~\\xc3\\xbc\" +llen";
        assert!(some.starts_with(start), "{some}");
        assert!(some.contains(" +select"), "{some}");
        assert!(line("scan = true").ends_with(" +scan"));
        assert!(line("url = \"redis://h\"\ndatabases = [0, 2]").contains(" +select"));
    }

    #[test]
    fn each_kind_of_endpoint_takes_what_it_asks_on_top() {
        let toml = "[redis.default]\nusername = 'app'\n[redis.default.sentinel]\nmaster = 'm'\n\
                    nodes = ['s1']\nusername = 'watcher'";
        let config = Config::parse(toml, "test").unwrap();
        let connection = &config.connections["default"];
        let on_master = acl_line(connection);
        assert!(
            on_master.starts_with("ACL SETUSER app reset on >PASSWORD ~* +llen"),
            "{on_master}"
        );
        assert!(on_master.ends_with(" +role"), "{on_master}");
        assert_eq!(
            acl_line_on_sentinels(connection).unwrap(),
            "ACL SETUSER watcher reset on >PASSWORD resetchannels &+switch-master -@all \
             +sentinel|get-master-addr-by-name +sentinel|master +subscribe"
        );
        let config = Config::parse("[redis.default]\ncluster = ['n1']", "test").unwrap();
        let connection = &config.connections["default"];
        let on_nodes = acl_line(connection);
        assert!(on_nodes.ends_with(" +cluster|slots +cluster|nodes +asking"), "{on_nodes}");
        assert_eq!(acl_line_on_sentinels(connection), None);
        let config = Config::parse("[redis.default]\nurl = 'redis://h'", "test").unwrap();
        assert_eq!(acl_line_on_sentinels(&config.connections["default"]), None);
    }
}
