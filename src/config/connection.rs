//! One Redis by name: where it is, who we are to it, how long its last values hold, who may use it. It is made
//! of the file, the environment and the flags.

use std::{collections::BTreeMap, time::Duration};

use crate::{limits, secret::Secret, time};

use super::{
    access::Access,
    address::{Address, DEFAULT_PORT, Location},
    endpoint::Endpoint,
    node::Node,
    password::{Password, try_program},
    problem::{ConfigProblems, Spot},
    raw::RawConnection,
    redis_tls::{RawRedisTls, RedisTls},
    scope::Scope,
    sentinel::RawSentinel,
    spanned::Spanned,
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
    /// How it is encrypted, if it is.
    pub tls: Option<RedisTls>,
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
    pub(super) url: Option<Spanned<String>>,
    pub(super) cluster: Option<Spanned<Vec<String>>>,
    pub(super) sentinel: Option<RawSentinel>,
    pub(super) username: Option<Spanned<String>>,
    pub(super) passwords: Vec<Spanned<Password>>,
}

/// A draft whose URL is read.
struct Layer {
    /// The outer `None` is "not given", the inner one "given, and a problem".
    address: Option<Option<ConnectionTarget>>,
    username: Option<Spanned<String>>,
    password: Option<Spanned<Password>>,
}

/// Where a connection is.
struct ConnectionTarget {
    endpoint: Endpoint,
    database: u32,
    /// Whether it is to be spoken to by TLS, if that is said there.
    asks_for_tls: Option<bool>,
}

impl Draft {
    /// What the file says. A password from a variable is looked up here.
    pub(super) fn of_file(
        raw: &mut RawConnection,
        scope: Scope<'_>,
        problems: &mut ConfigProblems,
    ) -> Self {
        let file = raw.password_file.take().map(|Spanned { spot, value }| {
            if value.is_empty() {
                problems.add(&spot, "is empty; remove it or name a file");
            }
            Spanned { spot, value: Password::File(value.into()) }
        });
        let variable = raw.password_env.take().and_then(|Spanned { spot, value }| {
            let password = scope.password_env(&value, &spot, problems)?;
            Some(Spanned { spot, value: password })
        });
        let command = std::mem::take(&mut raw.password_command).settle(problems);
        let passwords = file.into_iter().chain(variable).chain(command).collect();
        let (url, sentinel, cluster) = (raw.url.take(), raw.sentinel.take(), raw.cluster.take());
        Self { url, sentinel, cluster, username: raw.username.take(), passwords }
    }

    fn settle(self, scope: Scope<'_>, problems: &mut ConfigProblems) -> Layer {
        let Self { url, sentinel, cluster, username, passwords } = self;
        if let Some(username) = username.as_ref().filter(|username| username.value.is_empty()) {
            problems.add(&username.spot, "is empty; remove it or name a user");
        }
        let mut layer = Layer { address: None, username, password: None };
        if let Some(sentinel) = sentinel {
            if url.is_some() {
                problems.add(&sentinel.spot, "is given beside `url`; keep one of the two");
            }
            let settled = sentinel.settle(scope, problems);
            let target = |(sentinels, database)| {
                ConnectionTarget::of(Endpoint::Sentinel(sentinels), database)
            };
            layer.address = Some(settled.map(target));
        }
        if let Some(Spanned { spot, value }) = cluster {
            if url.is_some() || layer.address.is_some() {
                problems.add(&spot, "is given beside `url` or `sentinel`; keep one of them");
            }
            layer.address =
                Some(seeds(&value, &spot, problems).map(|seeds| ConnectionTarget::of(seeds, 0)));
        }
        if let Some(Spanned { spot, value }) = url {
            match Location::parse(&value) {
                Ok(location) => layer.take(location, &spot, problems),
                Err(error) => {
                    problems.add(&spot, error.to_string());
                    layer.address = Some(None);
                }
            }
        }
        for password in passwords {
            if layer.password.is_some() {
                let what = "is a second password beside another one; keep one";
                problems.add(&password.spot, what);
            }
            layer.password = Some(password);
        }
        layer
    }
}

impl Layer {
    fn take(&mut self, location: Location, spot: &Spot, problems: &mut ConfigProblems) {
        let Address { host, port, database, tls } = location.address;
        let endpoint = Endpoint::Standalone(Node { host, port });
        self.address = Some(Some(ConnectionTarget { endpoint, database, asks_for_tls: Some(tls) }));
        self.password = location.password.map(|secret| {
            let value = Password::Fixed(secret);
            Spanned { spot: spot.clone(), value }
        });
        let Some(value) = location.username else { return };
        if let Some(username) = &self.username {
            problems.add(&username.spot, "is a second user beside the URL's; keep one");
        }
        self.username = Some(Spanned { spot: spot.clone(), value });
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
    let (mut address, mut username, mut password) = (None, None, None);
    for layer in layers {
        address = address.or(layer.address);
        username = username.or(layer.username);
        password = password.or(layer.password);
    }
    let place = match address {
        Some(place) => place,
        None => scope.missing_url(name, spot, problems),
    };
    if let (Some(username), None, false) = (&username, &password, problems.concern(spot)) {
        scope.missing_password(name, &username.spot, problems);
    }
    if let Some(password) = &password {
        scope.try_password(password, problems);
    }
    let hold_stale = hold_stale(raw.hold_stale, problems);
    let database = place.as_ref().map_or(0, |place| place.database);
    let access = raw.access.settle(database, problems);
    let asks_for_tls = place.as_ref().and_then(|place| place.asks_for_tls);
    let tls = RawRedisTls::settle(raw.tls, asks_for_tls, scope.reads_files(), problems);
    let ConnectionTarget { endpoint, .. } = place?;
    if matches!(endpoint, Endpoint::Cluster(_)) && access.databases() != [0] {
        problems
            .add(&spot.key("databases"), "must be [0] or left out: a Redis Cluster has no other");
    }
    Some(Connection {
        name: name.to_owned(),
        endpoint,
        username: username.map(|username| username.value),
        password: password.map_or(Password::None, |password| password.value),
        tls,
        database,
        hold_stale,
        access,
    })
}

impl ConnectionTarget {
    /// One that says nothing of TLS.
    fn of(endpoint: Endpoint, database: u32) -> Self {
        Self { endpoint, database, asks_for_tls: None }
    }
}

/// The nodes that a cluster is found by. What is wrong with one is told by its place: somebody may have
/// written a URL with a password there.
fn seeds(texts: &[String], spot: &Spot, problems: &mut ConfigProblems) -> Option<Endpoint> {
    if texts.is_empty() || texts.len() > limits::CLUSTER_SEEDS {
        let most = limits::CLUSTER_SEEDS;
        problems.add(spot, format!("must name 1 to {most} nodes, such as [\"n1:6379\"]"));
        return None;
    }
    let mut seeds = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        match Node::parse(text, DEFAULT_PORT) {
            Ok(node) => seeds.push(node),
            Err(error) => problems.add(&spot.item(place), error.to_string()),
        }
    }
    (seeds.len() == texts.len()).then_some(Endpoint::Cluster(seeds))
}

fn hold_stale(given: Option<Spanned<String>>, problems: &mut ConfigProblems) -> Duration {
    let Some(Spanned { spot, value }) = given else { return limits::HOLD_STALE };
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
    /// Whether files that settings name are those that the server will read.
    pub(super) fn reads_files(self) -> bool {
        matches!(self, Self::Everything(_))
    }

    /// The password in a variable that the file names. Without an environment it is unknown.
    pub(super) fn password_env(
        self,
        variable: &str,
        spot: &Spot,
        problems: &mut ConfigProblems,
    ) -> Option<Password> {
        let environment: &BTreeMap<String, String> = match self {
            Self::FileAlone => return None,
            Self::Everything(environment) => environment,
        };
        let secret = environment.get(variable).filter(|secret| !secret.is_empty());
        if secret.is_none() {
            // The name is not repeated: somebody may have put the password there.
            problems.add(spot, "names an environment variable that is not set");
        }
        secret.map(|secret| Password::Fixed(Secret::new(secret)))
    }

    /// A wrong path is told now and not by an outage. The file may be on another machine when
    /// the configuration is read alone.
    pub(super) fn try_password(self, password: &Spanned<Password>, problems: &mut ConfigProblems) {
        let Spanned { spot, value } = password;
        let error = match (self, value) {
            (Self::FileAlone, _) => None,
            (Self::Everything(_), Password::Command(command)) => {
                try_program(command, spot, problems);
                None
            }
            (Self::Everything(_), Password::None | Password::Fixed(_) | Password::File(_)) => {
                value.read().err()
            }
        };
        if let Some(error) = error.filter(|_| !problems.concern(spot)) {
            problems.add(spot, error.to_string());
        }
    }

    fn missing_url(
        self,
        name: &str,
        spot: &Spot,
        problems: &mut ConfigProblems,
    ) -> Option<ConnectionTarget> {
        match self {
            Self::FileAlone => Some(ConnectionTarget::of(Endpoint::not_given(), 0)),
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
