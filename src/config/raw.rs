//! The TOML file as it is written: every key in its place and of its type, and no other key.
//!
//! It walks the parsed table rather than deriving `Deserialize`: serde stops at the first key that is unknown
//! or of a wrong type and repeats its value, which here may be a password.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{
    access::RawAccess,
    password::RawCommand,
    problem::{ConfigProblems, Spot},
    quota::RawQuota,
    redis_tls::RawRedisTls,
    sentinel::RawSentinel,
    spanned::Spanned,
};

/// A whole file. No `Debug`: a URL may hold a password.
#[derive(Default)]
pub(super) struct RawFile {
    pub(super) server: RawServer,
    pub(super) connections: BTreeMap<String, Spanned<RawConnection>>,
    pub(super) layouts: BTreeMap<String, Spanned<Table>>,
    pub(super) quota: RawQuota,
}

#[derive(Default)]
pub(super) struct RawServer {
    pub(super) listen: Option<Spanned<String>>,
    pub(super) admin_listen: Option<Spanned<String>>,
    pub(super) push_inactive: Option<Spanned<bool>>,
    pub(super) show_triggers: Option<Spanned<bool>>,
    pub(super) tls: Option<RawTls>,
}

#[derive(Default)]
pub(super) struct RawTls {
    pub(super) spot: Spot,
    pub(super) cert: Option<Spanned<String>>,
    pub(super) key: Option<Spanned<String>>,
    pub(super) client_ca: Option<Spanned<String>>,
    pub(super) client_names: Option<Spanned<Vec<String>>>,
}

#[derive(Default)]
pub(super) struct RawConnection {
    pub(super) url: Option<Spanned<String>>,
    pub(super) cluster: Option<Spanned<Vec<String>>>,
    pub(super) username: Option<Spanned<String>>,
    pub(super) password_file: Option<Spanned<String>>,
    pub(super) password_env: Option<Spanned<String>>,
    pub(super) password_command: RawCommand,
    pub(super) tls: Option<RawRedisTls>,
    pub(super) sentinel: Option<RawSentinel>,
    pub(super) hold_stale: Option<Spanned<String>>,
    pub(super) access: RawAccess,
}

/// Why a known key is refused: by name, as a message to its author.
type Refused = &'static [(&'static str, &'static str)];

const REFUSED_IN_CONNECTION: Refused = &[
    (
        "password",
        "a password is never written here; use password_file, password_env, password_command or a \
         variable PENSTOCK_REDIS_NAME_PASSWORD",
    ),
    (
        "replicas",
        "reading replicas was taken out; remove it, and name the server to read in `url`, or the \
         master's sentinels in `sentinel`",
    ),
];

const REFUSED_IN_SENTINEL: Refused = &[(
    "password",
    "a password is never written here; use password_file, password_env or password_command",
)];

impl RawFile {
    /// Reads a file; what is wrong with one key leaves that key out. `None` if it is no TOML at all.
    pub(super) fn parse(text: &str, place: &Spot, problems: &mut ConfigProblems) -> Option<Self> {
        let table: Table =
            toml::from_str(text).map_err(|error| problems.add(place, syntax(text, &error))).ok()?;
        let mut file = Section { table, spot: place.clone(), known: vec![], problems };
        let server = file.section("server").map(RawServer::read).unwrap_or_default();
        let redis_spot = file.spot.key("redis");
        let mut connections = BTreeMap::new();
        if let Some(mut redis) = file.section("redis") {
            let names: Vec<String> = redis.table.keys().cloned().collect();
            for name in names {
                let connection = redis.part(&name).map(RawConnection::read).unwrap_or_default();
                let spot = redis_spot.key(&name);
                connections.insert(name, Spanned { spot, value: connection });
            }
        }
        let layouts_spot = file.spot.key("layouts");
        let mut layouts = BTreeMap::new();
        if let Some(mut sections) = file.section("layouts") {
            let names: Vec<String> = sections.table.keys().cloned().collect();
            for name in names {
                let spot = layouts_spot.key(&name);
                if let Some(section) = sections.part(&name) {
                    layouts.insert(name, Spanned { spot, value: section.table });
                }
            }
        }
        let quota = file.section("limits").map(RawQuota::read).unwrap_or_default();
        file.finish(&[]);
        Some(Self { server, connections, layouts, quota })
    }
}

impl RawServer {
    fn read(mut section: Section<'_>) -> Self {
        let server = Self {
            listen: section.text("listen"),
            admin_listen: section.text("admin_listen"),
            push_inactive: section.flag("push_inactive"),
            show_triggers: section.flag("show_triggers"),
            tls: section.section("tls").map(RawTls::read),
        };
        section.finish(&[]);
        server
    }
}

impl RawTls {
    fn read(mut section: Section<'_>) -> Self {
        let tls = Self {
            spot: section.spot.clone(),
            cert: section.text("cert"),
            key: section.text("key"),
            client_ca: section.text("client_ca"),
            client_names: section.list("client_names", "strings", match_text),
        };
        section.finish(&[]);
        tls
    }
}

impl RawQuota {
    fn read(mut section: Section<'_>) -> Self {
        let quota = Self {
            triggers: section.number("triggers_per_namespace"),
            keys: section.number("keys_per_namespace"),
            streams: section.number("streams_per_namespace"),
            searches: section.number("searches_per_namespace"),
            heartbeats: section.number("heartbeats_per_namespace"),
        };
        section.finish(&[]);
        quota
    }
}

impl RawConnection {
    fn read(mut section: Section<'_>) -> Self {
        let connection = Self {
            url: section.text("url"),
            cluster: section.list("cluster", "strings", match_text),
            username: section.text("username"),
            password_file: section.text("password_file"),
            password_env: section.text("password_env"),
            password_command: section.command(),
            sentinel: RawSentinel::read(&mut section),
            hold_stale: section.text("hold_stale"),
            tls: section.section("tls").map(RawRedisTls::read),
            access: RawAccess {
                namespaces: section.list("namespaces", "strings", match_text),
                keys: section.list("keys", "strings", match_text),
                databases: section.list("databases", "whole numbers", Value::as_integer),
                scan: section.flag("scan"),
            },
        };
        section.finish(REFUSED_IN_CONNECTION);
        connection
    }
}

/// Why a setting that other programs have is not known.
const REFUSED_IN_TLS: Refused = &[
    ("insecure", "a certificate is always held against its authority and name"),
    ("skip_verify", "a certificate is always held against its authority and name"),
];

impl RawRedisTls {
    fn read(mut section: Section<'_>) -> Self {
        let tls = Self {
            spot: section.spot.clone(),
            ca: section.text("ca"),
            cert: section.text("cert"),
            key: section.text("key"),
            server_name: section.text("server_name"),
        };
        section.finish(REFUSED_IN_TLS);
        tls
    }
}

impl RawSentinel {
    /// The table `sentinel` of a connection, and the database that stands beside it.
    fn read(of: &mut Section<'_>) -> Option<Self> {
        let database = of.given("database", "a whole number", Value::as_integer);
        let Some(mut section) = of.section("sentinel") else {
            if let Some(Spanned { spot, .. }) = database {
                let what = "is for a connection with `sentinel`; with `url` write it as \
                            redis://host:6379/N";
                of.problems.add(&spot, what);
            }
            return None;
        };
        let sentinel = Self {
            spot: section.spot.clone(),
            master: section.text("master"),
            nodes: section.list("nodes", "strings", match_text),
            username: section.text("username"),
            password_file: section.text("password_file"),
            password_env: section.text("password_env"),
            password_command: section.command(),
            tls: section.section("tls").map(RawRedisTls::read),
            database,
        };
        section.finish(REFUSED_IN_SENTINEL);
        Some(sentinel)
    }
}

fn match_text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// One table on its way to being read: what is left at the end is unknown.
struct Section<'p> {
    table: Table,
    spot: Spot,
    known: Vec<&'static str>,
    problems: &'p mut ConfigProblems,
}

impl Section<'_> {
    fn text(&mut self, key: &'static str) -> Option<Spanned<String>> {
        self.given(key, "a string in quotes", match_text)
    }

    fn flag(&mut self, key: &'static str) -> Option<Spanned<bool>> {
        self.given(key, "true or false", Value::as_bool)
    }

    fn number(&mut self, key: &'static str) -> Option<Spanned<i64>> {
        self.given(key, "a whole number", Value::as_integer)
    }

    fn list<T>(
        &mut self,
        key: &'static str,
        of: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<Spanned<Vec<T>>> {
        let read_all = |value: &Value| value.as_array()?.iter().map(&read).collect();
        self.given(key, &format!("a list of {of} in brackets"), read_all)
    }

    /// A command that prints a password, and how often it is run.
    fn command(&mut self) -> RawCommand {
        RawCommand {
            words: self.list("password_command", "strings", match_text),
            refresh: self.text("password_refresh"),
        }
    }

    /// The value of a key, if `read` finds it to be of its type.
    fn given<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<Spanned<T>> {
        self.known.push(key);
        let value = self.table.remove(key)?;
        let spot = self.spot.key(key);
        let read = read(&value);
        if read.is_none() {
            self.problems.add(&spot, format!("must be {expected}"));
        }
        read.map(|value| Spanned { spot, value })
    }

    fn section(&mut self, key: &'static str) -> Option<Section<'_>> {
        self.known.push(key);
        self.part(key)
    }

    fn part(&mut self, key: &str) -> Option<Section<'_>> {
        let spot = self.spot.key(key);
        let table = match self.table.remove(key)? {
            Value::Table(table) => table,
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_) => {
                self.problems.add(&spot, "must be a section of keys");
                return None;
            }
        };
        Some(Section { table, spot, known: vec![], problems: &mut *self.problems })
    }

    fn finish(self, refused: Refused) {
        for key in self.table.keys() {
            let why = refused.iter().find(|(name, _)| name == key);
            let what = why.map_or_else(
                || format!("is unknown; known here: {}", self.known_here()),
                |(_, why)| (*why).to_owned(),
            );
            self.problems.add(&self.spot.key(key), what);
        }
    }

    fn known_here(&self) -> String {
        self.known.join(", ")
    }
}

/// What the parser found, with line and column. Its `Display` would show the line itself; its
/// message is made of fixed sentences.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let message = error.message();
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return message.to_owned();
    };
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}: {message}")
}
