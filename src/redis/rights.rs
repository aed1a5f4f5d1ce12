//! The rights that a user of penstock needs, and the ACL line that gives these and no more.
//!
//! The documentation, `penstock check --acl` and the tests, which run as exactly that user, take it from
//! here. Every command only reads, or is about the link.

use std::collections::BTreeSet;

use crate::{
    config::{Connection, Endpoint},
    layouts::RequiredAccess,
};

use super::{
    cluster,
    reads::{kinds, transaction},
    sentinel,
};

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
    "zscore",
    "hlen",
    "hkeys",
    "hmget",
    "hvals",
    "hexists",
    "hstrlen",
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

/// What of that every link says.
const ALWAYS: &[&str] = &["ping", "client|tracking", "hello", "auth"];

/// To listen to workers.
const LISTEN: &[&str] = &["subscribe", "unsubscribe"];

/// To read another database than 0.
const DATABASE: &str = "select";

/// To look for the queues of a pattern.
const SCAN: &str = "scan";

/// The ACL line that lets a connection's user do what penstock asks of it and no more, as redis-cli
/// takes it, whatever its triggers are within the rules. `>PASSWORD` stands for its password.
#[must_use]
pub fn acl_line(connection: &Connection) -> String {
    line(connection, &rules(connection), &RequiredAccess::default())
}

/// The same for some triggers: the keys that they read, the channels that they listen to, and the
/// commands of their reads. Of which type a key is only Redis knows.
#[must_use]
pub fn acl_line_of(connection: &Connection, reach: &RequiredAccess) -> String {
    let RequiredAccess { keys, reads, searches, .. } = reach;
    let keys = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
    let together = transaction::COMMANDS.iter().filter(|_| reads.len() > 1).copied();
    let asked: BTreeSet<&str> =
        reads.iter().flat_map(|read| kinds::of(read).rights()).chain(together).collect();
    line(connection, &Rights { keys, asked: Some(asked), scans: *searches }, reach)
}

/// The same where not all is known of some triggers: everything that the rules allow, and the channels
/// that are known.
#[must_use]
pub fn acl_line_with(connection: &Connection, reach: &RequiredAccess) -> String {
    line(connection, &rules(connection), reach)
}

/// What a line is about.
struct Rights {
    keys: Vec<Vec<u8>>,
    /// The commands of reads that are needed; all of them without any.
    asked: Option<BTreeSet<&'static str>>,
    scans: bool,
}

/// Everything that the rules of a connection allow.
fn rules(connection: &Connection) -> Rights {
    let access = &connection.access;
    let keys = access.keys().globs().iter().map(|glob| glob.text().as_bytes().to_vec()).collect();
    Rights { keys, asked: None, scans: access.scans() }
}

fn line(
    connection: &Connection,
    rights: &Rights,
    RequiredAccess { channels, .. }: &RequiredAccess,
) -> String {
    let user = connection.username.as_deref().unwrap_or(USER);
    let mut words: Vec<String> = ["ACL", "SETUSER", user, "reset", "on", ">PASSWORD"]
        .map(|word| quoted(word.as_bytes()))
        .into();
    words.extend(allowed('~', rights.keys.iter().map(Vec::as_slice)));
    if !channels.is_empty() {
        // `reset` alone gives all channels where `acl-pubsub-default` does, as before Redis 7.
        words.push("resetchannels".to_owned());
        words.extend(allowed('&', channels.iter().map(|channel| channel.as_bytes())));
    }
    let is_needed = |command: &&&str| match &rights.asked {
        Some(asked) => asked.contains(**command) || ALWAYS.contains(*command),
        None => true,
    };
    let needs_select = connection.access.databases().iter().any(|database| *database != 0);
    let database = needs_select.then_some(&DATABASE);
    let scan = rights.scans.then_some(&SCAN);
    let listen = LISTEN.iter().filter(|_| !channels.is_empty());
    let commands = READS
        .iter()
        .chain(transaction::COMMANDS)
        .chain(LINK)
        .filter(is_needed)
        .chain(of_nodes(connection));
    let commands = commands.chain(database).chain(scan).chain(listen);
    words.extend(commands.map(|command| format!("+{command}")));
    words.join(" ")
}

/// The rules that allow these patterns. Redis refuses a pattern beside `*` (acl.c, `ACLSetSelector`).
fn allowed<'p>(sign: char, patterns: impl Iterator<Item = &'p [u8]>) -> Vec<String> {
    let mut patterns: Vec<Vec<u8>> = patterns.map(in_acl).collect();
    if patterns.iter().any(|pattern| pattern == b"*") {
        patterns = vec![b"*".to_vec()];
    }
    patterns
        .iter()
        .map(|pattern| quoted(&[sign.to_string().as_bytes(), pattern].concat()))
        .collect()
}

/// The same for the user on the sentinels of a connection that has some.
#[must_use]
pub fn acl_line_on_sentinels(connection: &Connection) -> Option<String> {
    match &connection.endpoint {
        Endpoint::Sentinel(sentinels) => {
            let user = quoted(sentinels.username.as_deref().unwrap_or(USER).as_bytes());
            Some(format!("ACL SETUSER {user} reset on >PASSWORD {}", sentinel::rules()))
        }
        Endpoint::Standalone(_) | Endpoint::Cluster(_) => None,
    }
}

/// What the kind of endpoint takes on top.
fn of_nodes(connection: &Connection) -> &'static [&'static str] {
    match &connection.endpoint {
        Endpoint::Standalone(_) => &[],
        // A server that was named is asked what it is.
        Endpoint::Sentinel(_) => &["role"],
        Endpoint::Cluster(_) => cluster::COMMANDS,
    }
}

/// A pattern of keys or channels as an ACL can have it. There is no blank and no zero in a rule, so one
/// becomes `?`, and so does a class that has one.
fn in_acl(pattern: &[u8]) -> Vec<u8> {
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x0b);
    let mut text = Vec::with_capacity(pattern.len());
    let mut rest = pattern;
    while let [first, after @ ..] = rest {
        let token: &[u8] = match (first, after.first()) {
            (b'\\', Some(next)) if !is_blank(next) => &rest[..2],
            (b'\\', Some(_)) => {
                rest = after;
                b"?"
            }
            (b'[', _) => {
                let class = class(rest);
                if class.iter().any(is_blank) {
                    text.push(b'?');
                    rest = &rest[class.len()..];
                    continue;
                }
                class
            }
            (blank, _) if is_blank(blank) => b"?",
            _ => &rest[..1],
        };
        text.extend_from_slice(token);
        rest = &rest[token.len()..];
    }
    text
}

/// The class with which a pattern begins, up to its `]`; without one it is all of the rest, as for Redis.
fn class(pattern: &[u8]) -> &[u8] {
    let mut place = 1;
    while let Some(byte) = pattern.get(place) {
        match byte {
            b']' => return &pattern[..=place],
            b'\\' => place += 2,
            _ => place += 1,
        }
    }
    pattern
}

/// A word as redis-cli reads it.
fn quoted(word: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'');
    if word.iter().all(is_plain) {
        return word.iter().copied().map(char::from).collect();
    }
    let mut text = String::from("\"");
    for byte in word {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
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
            "url = \"redis://app@h/3\"\nkeys = ['team:*', 'a b', 'a\\ b', '\"q\"', '[a ]x', \
             '[ab] x', 'ü']",
        );
        let start = "ACL SETUSER app reset on >PASSWORD ~team:* ~a?b ~a?b \"~\\\"q\\\"\" ~?x \
                     ~[ab]?x \"~\\xc3\\xbc\" +llen";
        assert!(some.starts_with(start), "{some}");
        assert!(some.contains(" +select"), "{some}");
        let everything = line("url = 'redis://h'\nkeys = ['a', '*', 'b']");
        assert!(everything.contains(" >PASSWORD ~* +llen"), "{everything}");
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
