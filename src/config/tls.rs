//! The server's TLS: which files, and which clients of the authority are let in. A certificate needs its key,
//! and names need an authority.

use std::path::{Path, PathBuf};

use crate::{
    limits,
    tls::{Authorities, Identity, Names, TlsProblem},
    trigger::shown,
};

use super::{
    problem::{ConfigProblems, Spot},
    raw::RawTls,
    scope::Scope,
    spanned::Spanned,
};

/// What the listener for gRPC shows its peers, and asks of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// PEM: our certificate, then those between it and the authority.
    pub cert: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// PEM: the authorities of clients. With it a client without a certificate is refused.
    pub client_ca: Option<PathBuf>,
    /// Whose certificates of those authorities are let in; empty means all.
    pub client_names: Vec<ClientName>,
}

/// A rule that a subject alternative name of a client's certificate can satisfy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientName {
    /// This DNS name.
    Dns(String),
    /// A DNS name of one label more than this.
    DnsBelow(String),
    /// This URI, such as a SPIFFE ID.
    Uri(String),
}

/// Why a text is no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a DNS name as keda-operator.keda.svc, one with *. for its first label, or a URI as \
     spiffe://cluster.local/ns/keda/sa/keda-operator"
)]
pub struct NoClientName;

/// TLS settings of flags and environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate's file.
    pub cert: Option<PathBuf>,
    /// The key's file.
    pub key: Option<PathBuf>,
    /// The file of the clients' authorities.
    pub client_ca: Option<PathBuf>,
    /// The clients' names.
    pub client_names: Vec<String>,
}

impl ClientName {
    /// Reads a rule.
    ///
    /// # Errors
    /// [`NoClientName`] for anything else than a DNS name, `*.` and a DNS name, or a URI.
    pub fn parse(text: &str) -> Result<Self, NoClientName> {
        let is_plain = text.chars().all(|c| c.is_ascii_graphic() && c != '*');
        if let Some((scheme, rest)) = text.split_once("://") {
            let is_scheme = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
            let is_uri = is_plain && is_scheme && !scheme.is_empty() && !rest.is_empty();
            return if is_uri { Ok(Self::Uri(text.to_owned())) } else { Err(NoClientName) };
        }
        let (below, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
        let is_label = |label: &str| {
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            (1..=63).contains(&label.len()) && label.chars().all(legal)
        };
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(NoClientName);
        }
        let name = name.to_ascii_lowercase();
        Ok(if below { Self::DnsBelow(name) } else { Self::Dns(name) })
    }

    /// Whether a certificate of these names satisfies it. A name in a certificate that has a `*` is
    /// no client's, and satisfies none.
    #[must_use]
    pub fn admits(&self, names: &Names) -> bool {
        match self {
            Self::Dns(name) => names.dns.contains(name),
            Self::DnsBelow(parent) => names.dns.iter().any(|name| {
                let parts = name.split_once('.');
                parts.is_some_and(|(label, rest)| {
                    rest == parent && !label.is_empty() && !label.contains('*')
                })
            }),
            Self::Uri(uri) => names.uris.contains(uri),
        }
    }
}

/// A setting with where it stands.
type Setting<T> = Option<Spanned<T>>;

/// The settings of flags, then file; `None` without any, or with a problem.
pub(super) fn settle(
    raw: Option<RawTls>,
    flags: &TlsSettings,
    scope: Scope<'_>,
    problems: &mut ConfigProblems,
) -> Option<ServerTls> {
    let section = raw.as_ref().map(|raw| raw.spot.clone());
    let raw = raw.unwrap_or_default();
    let cert = path("--tls-cert", flags.cert.as_deref(), raw.cert, problems);
    let key = path("--tls-key", flags.key.as_deref(), raw.key, problems);
    let client_ca = path("--tls-client-ca", flags.client_ca.as_deref(), raw.client_ca, problems);
    let names = if flags.client_names.is_empty() {
        raw.client_names
    } else {
        let spot = Spot::new("--tls-client-name");
        Some(Spanned { spot, value: flags.client_names.clone() })
    };
    let client_names = rules(names.as_ref(), problems);
    if let (Scope::Everything(_), Some(missing)) =
        (scope, missing(&cert, &key, &client_ca, &names, section))
    {
        problems.add(&missing.spot, missing.value);
    }
    let (cert, key) = (cert?, key?);
    if let Scope::Everything(_) = scope {
        try_files(&cert, &key, client_ca.as_ref(), problems);
    }
    let client_ca = client_ca.map(|given| given.value);
    Some(ServerTls { cert: cert.value, key: key.value, client_ca, client_names })
}

fn path(
    flag: &str,
    by_flag: Option<&Path>,
    in_file: Setting<String>,
    problems: &mut ConfigProblems,
) -> Setting<PathBuf> {
    let of_flag = by_flag.map(|path| Spanned { spot: Spot::new(flag), value: path.to_owned() });
    let of_file = in_file.map(|Spanned { spot, value }| Spanned { spot, value: value.into() });
    let given = of_flag.or(of_file)?;
    if given.value.as_os_str().is_empty() {
        problems.add(&given.spot, "is empty; remove it or name a file");
        return None;
    }
    // What is in the file may have come here instead, and is not to be repeated.
    let text = given.value.to_string_lossy();
    if text.contains("-----") || text.chars().any(char::is_control) {
        problems.add(&given.spot, "must be the name of a file, not what is in it");
        return None;
    }
    Some(given)
}

fn rules(names: Option<&Spanned<Vec<String>>>, problems: &mut ConfigProblems) -> Vec<ClientName> {
    let Some(Spanned { spot, value }) = names else { return Vec::new() };
    if value.is_empty() {
        // A list that somebody emptied is not a wish for "everybody".
        problems.add(spot, "is empty; remove it to let in every client of `client_ca`");
    }
    if value.len() > limits::CLIENT_NAMES {
        let what = format!("has {} names, at most {} may be", value.len(), limits::CLIENT_NAMES);
        problems.add(spot, what);
    }
    let mut rules = Vec::new();
    for (index, text) in value.iter().enumerate().take(limits::CLIENT_NAMES) {
        match ClientName::parse(text) {
            Ok(rule) => rules.push(rule),
            Err(error) => {
                problems.add(&spot.item(index), format!("`{}` {error}", shown(text)));
            }
        }
    }
    rules
}

/// The first setting that lacks another one, and which.
fn missing(
    cert: &Setting<PathBuf>,
    key: &Setting<PathBuf>,
    client_ca: &Setting<PathBuf>,
    names: &Setting<Vec<String>>,
    section: Option<Spot>,
) -> Setting<&'static str> {
    let at = |spot: &Spot, value| Some(Spanned { spot: spot.clone(), value });
    match (cert, key, client_ca, names) {
        (Some(cert), None, _, _) => at(&cert.spot, "needs the certificate's key: `key`, --tls-key"),
        (None, Some(key), _, _) => at(&key.spot, "needs the key's certificate: `cert`, --tls-cert"),
        (None, None, Some(ca), _) => {
            at(&ca.spot, "needs the server's own certificate too: `cert` and `key`")
        }
        (_, _, None, Some(names)) => {
            at(&names.spot, "needs the authority of these clients: `client_ca`, --tls-client-ca")
        }
        (None, None, None, None) => {
            let spot = section?;
            Some(Spanned { spot, value: "is empty; it needs `cert` and `key`, or has to go" })
        }
        (Some(_), Some(_), _, _) => None,
    }
}

/// A wrong file is told now and not by a refused connection.
fn try_files(
    cert: &Spanned<PathBuf>,
    key: &Spanned<PathBuf>,
    client_ca: Option<&Spanned<PathBuf>>,
    problems: &mut ConfigProblems,
) {
    let identity = Identity::read(&cert.value, &key.value).err();
    let authorities = client_ca.and_then(|ca| Authorities::read(&ca.value).err());
    for problem in identity.into_iter().chain(authorities) {
        match (problem, client_ca) {
            (TlsProblem::Certificate(what), _) => problems.add(&cert.spot, what),
            (TlsProblem::Key(what), _) => problems.add(&key.spot, what),
            (TlsProblem::Authorities(what), Some(ca)) => problems.add(&ca.spot, what),
            (TlsProblem::Authorities(_), None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_satisfies_its_own_rule_and_that_of_its_parent() {
        let names = |dns: &str, uri: &str| Names { dns: vec![dns.into()], uris: vec![uri.into()] };
        let id = "spiffe://cluster.local/ns/keda/sa/keda-operator";
        let keda = names("keda-operator.keda.svc", id);
        for (rule, dns, admitted) in [
            ("keda-operator.keda.svc", None, true),
            ("KEDA-operator.keda.svc", None, true),
            ("*.keda.svc", None, true),
            (id, None, true),
            ("keda.svc", None, false),
            ("*.svc", None, false),
            ("*.keda.svc", Some("a.b.keda.svc"), false),
            ("*.keda.svc", Some("keda.svc"), false),
            ("*.keda.svc", Some(".keda.svc"), false),
            ("*.keda.svc", Some("*.keda.svc"), false),
            ("*.keda.svc", Some("x-keda.svc"), false),
            ("spiffe://cluster.local/ns/keda/sa/keda", None, false),
            ("spiffe://CLUSTER.local/ns/keda/sa/keda-operator", None, false),
        ] {
            let names = dns.map_or_else(|| keda.clone(), |dns| names(dns, "x://y"));
            assert_eq!(ClientName::parse(rule).unwrap().admits(&names), admitted, "{rule} {dns:?}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in
            ["", "*", "*.", "a.*.b", "*a.b", "a..b", "a b", "://x", "spiffe://", "spiffe://x/*"]
        {
            assert_eq!(ClientName::parse(text), Err(NoClientName), "{text}");
        }
    }
}
