//! One Redis by name: where it is, who we are to it, how long its last values hold, who may use it.
//!
//! It is apart from the file and the environment because a connection is made of all of them. It
//! does not connect: it knows no Redis client.

use std::time::Duration;

use crate::{
    limits::{self, DATABASE_NUMBER},
    time,
};

use super::{
    Scope,
    access::Access,
    address::{Address, Location},
    endpoint::{Endpoint, Node},
    password::{Password, one_password},
    problem::{ConfigProblems, Spot},
    raw::{Given, RawConnection, RawSentinel},
};

/// A Redis that the administrator configured by name.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The name by which triggers ask for it.
    pub name: String,
    /// Where it is.
    pub endpoint: Endpoint,
    /// The ACL user; without one Redis takes the password for its user `default`.
    pub username: Option<String>,
    /// How the password is come by.
    pub password: Password,
    /// The database of triggers that name none.
    pub database: u32,
    /// How long the last known value is held while Redis cannot be read.
    pub hold_stale: Duration,
    /// Who may use it and what they may read.
    pub access: Access,
}

/// What one source (flags, environment or file) says of where a connection is and who we are to
/// it. No `Debug`: a URL may hold a password.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) url: Option<Given<String>>,
    pub(super) sentinel: Option<Given<RawSentinel>>,
    pub(super) database: Option<Given<i64>>,
    pub(super) username: Option<Given<String>>,
    pub(super) passwords: Vec<Given<Password>>,
}

/// A draft whose URL is read.
struct Layer {
    /// The outer `None` is "not given", the inner one "given, and a problem".
    endpoint: Option<Option<(Endpoint, u32)>>,
    username: Option<Given<String>>,
    password: Option<Given<Password>>,
}

impl Draft {
    /// What the file says. A password from a variable is looked up here.
    pub(super) fn of_file(
        raw: &mut RawConnection,
        scope: Scope<'_>,
        problems: &mut ConfigProblems,
    ) -> Self {
        Self {
            url: raw.url.take(),
            sentinel: raw.sentinel.take(),
            database: raw.database.take(),
            username: raw.username.take(),
            passwords: std::mem::take(&mut raw.passwords).look_up(scope, problems),
        }
    }

    fn settle(self, scope: Scope<'_>, problems: &mut ConfigProblems) -> Layer {
        let Self { url, sentinel, database, username, passwords } = self;
        if let Some(username) = username.as_ref().filter(|username| username.value.is_empty()) {
            problems.add(&username.spot, "is empty; remove it or name a user");
        }
        let mut layer = Layer { endpoint: None, username, password: None };
        if let Some(given) = sentinel {
            if url.is_some() {
                problems.add(&given.spot, "stands beside `url`; keep one of the two");
            }
            let database = database.map_or(Some(0), |given| own_database(given, problems));
            let sentinels = RawSentinel::settle(given, scope, problems);
            layer.endpoint = Some(sentinels.map(Endpoint::Sentinel).zip(database));
        } else if let Some(given) = database {
            let what = "is for a connection with `sentinel`; with `url` write it as \
                        redis://host:6379/N";
            problems.add(&given.spot, what);
        }
        if let Some(Given { spot, value }) = url {
            match Location::parse(&value) {
                Ok(location) => layer.take(location, &spot, problems),
                Err(error) => {
                    problems.add(&spot, error.to_string());
                    layer.endpoint = Some(None);
                }
            }
        }
        layer.password = one_password(layer.password.into_iter().chain(passwords), problems);
        layer
    }
}

impl Layer {
    fn take(&mut self, location: Location, spot: &Spot, problems: &mut ConfigProblems) {
        let Address { host, port, database } = location.address;
        self.endpoint = Some(Some((Endpoint::Standalone(Node { host, port }), database)));
        self.password = location.password.map(|secret| {
            let value = Password::Fixed(secret);
            Given { spot: spot.clone(), value }
        });
        let Some(value) = location.username else { return };
        if let Some(username) = &self.username {
            problems.add(&username.spot, "is a second user beside the URL's; keep one");
        }
        self.username = Some(Given { spot: spot.clone(), value });
    }
}

/// Makes one connection of its drafts, the most important first: each of address, user and
/// password comes from the first that has it.
pub(super) fn settle(
    (name, spot): (&str, &Spot),
    drafts: Vec<Draft>,
    raw: RawConnection,
    scope: Scope<'_>,
    problems: &mut ConfigProblems,
) -> Option<Connection> {
    let layers: Vec<Layer> =
        drafts.into_iter().map(|draft| draft.settle(scope, problems)).collect();
    let (mut endpoint, mut username, mut password) = (None, None, None);
    for layer in layers {
        endpoint = endpoint.or(layer.endpoint);
        username = username.or(layer.username);
        password = password.or(layer.password);
    }
    let endpoint = endpoint.unwrap_or_else(|| scope.missing_url(name, spot, problems));
    if let (Some(username), None, false) = (&username, &password, problems.concern(spot)) {
        scope.missing_password(name, &username.spot, problems);
    }
    if let Some(password) = &password {
        scope.try_password(password, problems);
    }
    let hold_stale = hold_stale(raw.hold_stale, problems);
    let database = endpoint.as_ref().map_or(0, |(_, database)| *database);
    let access = raw.access.settle(database, problems);
    let (endpoint, database) = endpoint?;
    Some(Connection {
        name: name.to_owned(),
        endpoint,
        username: username.map(|username| username.value),
        password: password.map_or(Password::None, |password| password.value),
        database,
        hold_stale,
        access,
    })
}

fn own_database(given: Given<i64>, problems: &mut ConfigProblems) -> Option<u32> {
    let Given { spot, value } = given;
    let number = u32::try_from(value).ok().filter(|number| *number <= DATABASE_NUMBER);
    if number.is_none() {
        problems.add(&spot, format!("must be a database from 0 to {DATABASE_NUMBER}"));
    }
    number
}

fn hold_stale(given: Option<Given<String>>, problems: &mut ConfigProblems) -> Duration {
    let Some(Given { spot, value }) = given else { return limits::HOLD_STALE };
    match time::parse_duration(&value) {
        Ok(duration) if duration <= limits::HOLD_STALE_MAX => duration,
        Ok(_) => {
            let hours = limits::HOLD_STALE_MAX.as_secs() / 3600;
            problems.add(&spot, format!("must be at most {hours}h"));
            limits::HOLD_STALE
        }
        Err(error) => {
            problems.add(&spot, error.to_string());
            limits::HOLD_STALE
        }
    }
}

/// Whether a text can name a connection: 1 to 63 of `a-z`, `0-9` and `-`, the first no `-`.
pub(super) fn is_name(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(legal) && !text.starts_with('-')
}

impl Scope<'_> {
    fn missing_url(
        self,
        name: &str,
        spot: &Spot,
        problems: &mut ConfigProblems,
    ) -> Option<(Endpoint, u32)> {
        match self {
            Self::FileAlone => Some((Endpoint::not_given(), 0)),
            // What is wrong with the URL was said already.
            Self::Everything(_) if problems.concern(spot) => None,
            Self::Everything(_) => {
                let variable = name.to_ascii_uppercase().replace('-', "_");
                let what = format!(
                    "has no URL; give `url` or `sentinel` in its section of the file, \
                     PENSTOCK_REDIS_{variable}_URL or --redis {name}=URL"
                );
                problems.add(spot, what);
                None
            }
        }
    }

    fn missing_password(self, name: &str, spot: &Spot, problems: &mut ConfigProblems) {
        match self {
            Self::FileAlone => {}
            Self::Everything(_) => {
                let what = format!(
                    "names a user for the connection `{name}` without any password; write a \
                     password without a user as redis://:PASSWORD@host"
                );
                problems.add(spot, what);
            }
        }
    }
}
