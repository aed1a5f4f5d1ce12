//! How a connection is encrypted: which authorities are trusted, who we are, and by which name the server is
//! known. It names files and reads none, since they change while the server runs.

use std::path::PathBuf;

use crate::{
    limits,
    tls::{Authorities, Identity, TlsProblem},
};

use super::{
    problem::{ConfigProblems, Spot},
    spanned::Spanned,
};

/// TLS to one Redis.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// A PEM file of the authorities that are trusted; without one those of the system.
    pub ca: Option<PathBuf>,
    /// The certificate chain that we show and its key, PEM files; without them we show none.
    pub pair: Option<(PathBuf, PathBuf)>,
    /// The name that must be in the server's certificate, in place of the host's.
    pub server_name: Option<String>,
}

/// The section `[redis.NAME.tls]` as the file writes it.
pub(super) struct RawRedisTls {
    pub(super) spot: Spot,
    pub(super) ca: Option<Spanned<String>>,
    pub(super) cert: Option<Spanned<String>>,
    pub(super) key: Option<Spanned<String>>,
    pub(super) server_name: Option<Spanned<String>>,
}

impl RawRedisTls {
    /// The settings, with what is wrong about them. TLS is what the URL's scheme asks for, and the
    /// section says how; where no URL is known, a section asks for it. With `reads_files`, what is
    /// wrong with the files is told now and not by an outage.
    pub(super) fn settle(
        given: Option<Self>,
        asks_for_tls: Option<bool>,
        reads_files: bool,
        problems: &mut ConfigProblems,
    ) -> Option<RedisTls> {
        let Some(Self { spot, ca, cert, key, server_name }) = given else {
            return (asks_for_tls == Some(true)).then(RedisTls::default);
        };
        if asks_for_tls == Some(false) {
            problems.add(&spot, "is for a URL that starts with rediss:// or valkeys://");
        }
        let ca = ca.map(|given| path(given, problems));
        let pair = match (cert, key) {
            (Some(cert), Some(key)) => Some((path(cert, problems), path(key, problems))),
            (Some(Spanned { spot, .. }), None) => {
                problems.add(&spot, "has no `key` beside it; name the file of its private key");
                None
            }
            (None, Some(Spanned { spot, .. })) => {
                problems.add(&spot, "has no `cert` beside it; name the file of its certificate");
                None
            }
            (None, None) => None,
        };
        if let Some(Spanned { spot, .. }) =
            server_name.as_ref().filter(|name| !is_name(&name.value))
        {
            problems.add(spot, "must be the DNS name or IP address in the server's certificate");
        }
        let files = RedisTls {
            ca: ca.as_ref().map(|given| given.value.clone()),
            pair: pair.as_ref().map(|(cert, key)| (cert.value.clone(), key.value.clone())),
            server_name: server_name.map(|given| given.value),
        };
        if reads_files && !problems.concern(&spot) {
            for (problem, key) in files.read() {
                problems.add(&spot.key(key), problem);
            }
        }
        Some(files)
    }
}

impl RedisTls {
    /// What is wrong with the files as they are now, each with its setting.
    fn read(&self) -> Vec<(String, &'static str)> {
        let ca = self.ca.as_ref().map(|ca| Authorities::read(ca).map(drop));
        let pair = self.pair.as_ref().map(|(cert, key)| Identity::read(cert, key).map(drop));
        let wrong = ca.into_iter().chain(pair).filter_map(Result::err);
        wrong
            .map(|problem| match problem {
                TlsProblem::Certificate(what) => (what, "cert"),
                TlsProblem::Key(what) => (what, "key"),
                TlsProblem::Authorities(what) => (what, "ca"),
            })
            .collect()
    }
}

fn path(
    Spanned { spot, value }: Spanned<String>,
    problems: &mut ConfigProblems,
) -> Spanned<PathBuf> {
    if value.is_empty() {
        problems.add(&spot, "is empty; remove it or name a file");
    }
    Spanned { spot, value: value.into() }
}

/// Whether a certificate can be for it: a name of letters, digits, `-`, `_` and `.`, or an address.
fn is_name(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(legal);
    let is_short = text.len() <= limits::OBJECT_NAME_BYTES;
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    is_address || is_short && text.split('.').all(is_label)
}
