//! What the administrator configured: the server and its connections, each with who may use it.
//!
//! A [`Config`] is valid by existing. It is made in one step from flags, environment and file, in
//! that order of importance, and tells everything that is wrong at once. It knows triggers, to say
//! which are allowed, and nothing of how Redis or KEDA are spoken to.

mod access;
mod address;
mod connection;
mod endpoint;
mod environment;
mod file;
mod layouts;
mod node;
mod password;
mod problem;
mod quota;
mod raw;
mod redis_tls;
mod scope;
mod sentinel;
mod server;
mod settings;
mod spanned;
mod tls;

use std::collections::{BTreeMap, BTreeSet};

pub use access::{Access, Denied};
pub use connection::Connection;
pub use endpoint::Endpoint;
pub use file::{FileError, read_file, read_text};
pub use node::{Node, NodeError};
pub use password::{Password, PasswordCommand, PasswordError, without_line_end};
pub use problem::{ConfigProblem, ConfigProblems};
pub use quota::Quota;
pub use redis_tls::RedisTls;
pub use sentinel::Sentinels;
pub use server::Server;
pub use settings::Settings;
pub use tls::{ClientName, NoClientName, ServerTls, TlsSettings};

use crate::{layouts::Registry, limits, trigger::DEFAULT_CONNECTION};
use connection::Draft;
use problem::Spot;
use raw::{RawConnection, RawFile};
use scope::Scope;
use spanned::Spanned;

/// The configuration of one server.
#[derive(Debug, Clone)]
pub struct Config {
    /// The server's own settings.
    pub server: Server,
    /// Its connections by name; at least one after [`Config::load`].
    pub connections: BTreeMap<String, Connection>,
    /// How much one namespace may have.
    pub quota: Quota,
    /// The layouts that triggers can name: the built-in ones and those of `[layouts.NAME]`.
    pub layouts: Registry,
}

impl Config {
    /// Makes the configuration of flags, environment, file and defaults, in this order. Address,
    /// user and password of a connection each come from the first of them that has it. Password
    /// files are read once, so that a wrong path is told at start and not by an outage.
    ///
    /// # Errors
    /// [`ConfigProblems`] with everything that is wrong.
    pub fn load(settings: &Settings) -> Result<Self, ConfigProblems> {
        let mut problems = ConfigProblems::default();
        let raw = match &settings.file {
            None => Some(RawFile::default()),
            Some(path) => {
                let place = Spot::new(&path.display().to_string());
                match read_file(path) {
                    Ok(text) => RawFile::parse(&text, &place, &mut problems),
                    Err(error) => {
                        problems.add(&place, error.to_string());
                        return Err(problems);
                    }
                }
            }
        };
        match raw {
            Some(raw) => {
                Self::settle(raw, settings, Scope::Everything(&settings.environment), problems)
            }
            None => Err(problems),
        }
    }

    /// Reads a file alone, as `check` does. What flags or environment may still give is not asked
    /// for: a connection without a URL has an endpoint that is not given
    /// ([`Endpoint::is_given`]) and database 0, a password from a variable is none, and there may be no connection at all.
    ///
    /// # Errors
    /// [`ConfigProblems`] with everything that is wrong.
    pub fn parse(toml: &str, file_name: &str) -> Result<Self, ConfigProblems> {
        let mut problems = ConfigProblems::default();
        match RawFile::parse(toml, &Spot::new(file_name), &mut problems) {
            Some(raw) => Self::settle(raw, &Settings::default(), Scope::FileAlone, problems),
            None => Err(problems),
        }
    }

    fn settle(
        mut raw: RawFile,
        settings: &Settings,
        scope: Scope<'_>,
        mut problems: ConfigProblems,
    ) -> Result<Self, ConfigProblems> {
        let server =
            Server::settle(std::mem::take(&mut raw.server), settings, scope, &mut problems);
        let layouts = layouts::settle(std::mem::take(&mut raw.layouts), &mut problems);
        let quota = std::mem::take(&mut raw.quota).settle(&mut problems);
        let flags = flag_drafts(&settings.redis, &mut problems);
        let variables = environment::drafts(&settings.environment, &mut problems);
        let connections = connections(raw, (flags, variables), scope, &mut problems);
        let reads_everything = matches!(scope, Scope::Everything(_));
        if reads_everything && connections.is_empty() && problems.is_empty() {
            let what = "no connection is configured; give one as --redis redis://host:6379/0, as \
                        PENSTOCK_REDIS, or as [redis.default] in a file named by --config";
            problems.add(&Spot::new("--redis"), what);
        }
        if problems.is_empty() {
            Ok(Self { server, connections, quota, layouts })
        } else {
            Err(problems)
        }
    }
}

/// What is known of each connection, by its name.
type Drafts = BTreeMap<String, Draft>;

fn flag_drafts(redis: &[String], problems: &mut ConfigProblems) -> Drafts {
    let mut drafts = Drafts::new();
    for text in redis {
        // Before a URL's `://` no `=` can stand, while its password may have one.
        let named = text.split_once('=').filter(|(name, _)| !name.contains(['/', ':', '@']));
        let (name, url) = named.unwrap_or((DEFAULT_CONNECTION, text));
        let spot = Spot::new("--redis").key("redis").key(name).key("url");
        let url = Some(Spanned { spot: spot.clone(), value: url.to_owned() });
        let draft = Draft { url, ..Draft::default() };
        if drafts.insert(name.to_owned(), draft).is_some() {
            problems.add(&spot, "is given twice; name each connection as --redis NAME=URL");
        }
    }
    drafts
}

/// Every connection that any source names. `flags` and `variables` come before the file.
fn connections(
    mut raw: RawFile,
    (mut flags, mut variables): (Drafts, Drafts),
    scope: Scope<'_>,
    problems: &mut ConfigProblems,
) -> BTreeMap<String, Connection> {
    let in_file = raw.connections.keys();
    let with_url = variables.iter().filter(|(_, draft)| draft.url.is_some());
    let names: BTreeSet<String> =
        in_file.chain(flags.keys()).chain(with_url.map(|(name, _)| name)).cloned().collect();
    let mut connections = BTreeMap::new();
    for name in &names {
        let flag = flags.remove(name);
        let variable = variables.remove(name);
        let named_by =
            [&flag, &variable].into_iter().flatten().find_map(|draft| draft.url.as_ref());
        let given = raw.connections.remove(name).or_else(|| {
            let spot = named_by?.spot.clone();
            Some(Spanned { spot, value: RawConnection::default() })
        });
        let Spanned { spot, value: mut own } =
            given.expect("a connection has its name from a section or from a URL");
        if !connection::is_name(name) {
            let what = "is no name of a connection: 1 to 63 of a-z, 0-9 and -, the first no -";
            problems.add(&spot, what);
            continue;
        }
        let of_file = Draft::of_file(&mut own, scope, problems);
        let drafts = flag.into_iter().chain(variable).chain([of_file]).collect();
        if let Some(made) = connection::settle((name, &spot), drafts, own, scope, problems) {
            connections.insert(name.clone(), made);
        }
    }
    for (name, draft) in variables.iter().filter(|(name, _)| !names.contains(*name)) {
        let users = draft.username.iter().map(|given| &given.spot);
        for spot in users.chain(draft.passwords.iter().map(|given| &given.spot)) {
            let what = format!("belongs to the connection `{name}`, which is not configured");
            problems.add(spot, what);
        }
    }
    if names.len() > limits::CONNECTIONS {
        let most = limits::CONNECTIONS;
        let what = format!("{} connections are configured, at most {most} may be", names.len());
        problems.add(&Spot::new("redis"), what);
    }
    connections
}

#[cfg(test)]
mod tests;
