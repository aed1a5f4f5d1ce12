//! A connection's URL: `redis://` or `valkey://`, with TLS `rediss://` or `valkeys://`; `user:password@`, host,
//! `:port`, `/database`.
//!
//! Nothing of a URL may ever be repeated: a character that should have been escaped can move a password into
//! the host, the port, the path or the query. So an error here says what is wrong and never what was written.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::secret::Secret;

use crate::limits::DATABASE_NUMBER;

/// The port of a Redis that names none.
pub(super) const DEFAULT_PORT: u16 = 6379;

/// Where a Redis is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: u32,
    /// Whether it is spoken to by TLS.
    pub(super) tls: bool,
}

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) address: Address,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
}

/// Why a text is no such URL. No variant holds any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    #[error("is empty; write a URL such as redis://host:6379/0")]
    Empty,
    #[error(
        "is no URL such as redis://host:6379/0; in a user or password write `@`, `/`, `:`, `?`, \
         `#` and `%` as %40, %2F, %3A, %3F, %23 and %25"
    )]
    NotAUrl,
    #[error("must start with redis:// or valkey://, with TLS rediss:// or valkeys://")]
    Scheme,
    #[error("asks for a Unix socket, which is not in this release; use redis://host:port")]
    UnixSocket,
    #[error(
        "asks for Sentinel; write sentinel = {{…}} in the connection's section of the file instead"
    )]
    Sentinel,
    #[error(
        "asks for Cluster; write cluster = [\"host:6379\"] in the connection's section of the file instead"
    )]
    Cluster,
    #[error("has no host; write redis://host:6379/0")]
    NoHost,
    #[error("has a host with other characters than letters, digits, `.`, `-` and `_`")]
    Host,
    #[error("has port 0")]
    Port,
    #[error("must end in /N, N being a database from 0 to {DATABASE_NUMBER}")]
    Database,
    #[error("has a query (`?…`), and none is known; write a `?` in a password as %3F")]
    Query,
    #[error("has a fragment (`#…`), and none is known; write a `#` in a password as %23")]
    Fragment,
    #[error("has a user or password with a percent escape that is no UTF-8")]
    Escape,
}

impl Location {
    pub(super) fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        let scheme = text.split_once("://").ok_or(AddressError::NotAUrl)?.0;
        let tls = is_tls(scheme)?;
        // The parser would drop tabs and line ends in silence.
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(AddressError::NotAUrl);
        }
        let url = Url::parse(text).map_err(not_a_url)?;
        if url.query().is_some() {
            return Err(AddressError::Query);
        }
        if url.fragment().is_some() {
            return Err(AddressError::Fragment);
        }
        let host = host(url.host().ok_or(AddressError::NoHost)?)?;
        let port = url.port().unwrap_or(DEFAULT_PORT);
        if port == 0 {
            return Err(AddressError::Port);
        }
        let database = database(url.path()).ok_or(AddressError::Database)?;
        let username = Some(url.username()).filter(|username| !username.is_empty());
        let password = url.password().filter(|password| !password.is_empty());
        Ok(Self {
            address: Address { host, port, database, tls },
            username: username.map(decode).transpose()?,
            password: password.map(decode).transpose()?.map(Secret::new),
        })
    }
}

/// Whether a scheme is one with TLS.
fn is_tls(scheme: &str) -> Result<bool, AddressError> {
    let scheme = scheme.to_ascii_lowercase();
    let names = |part: &str| scheme.contains(part);
    match scheme.as_str() {
        "redis" | "valkey" => Ok(false),
        "rediss" | "valkeys" => Ok(true),
        "unix" | "redis-socket" | "redis+unix" | "valkey+unix" => Err(AddressError::UnixSocket),
        _ if names("sentinel") => Err(AddressError::Sentinel),
        _ if names("cluster") => Err(AddressError::Cluster),
        _ => Err(AddressError::Scheme),
    }
}

/// The parser's errors are fixed sentences, but they speak of more than a Redis URL has.
fn not_a_url(error: url::ParseError) -> AddressError {
    if error == url::ParseError::EmptyHost { AddressError::NoHost } else { AddressError::NotAUrl }
}

/// A host as text, an IPv6 address without brackets.
pub(super) fn host(host: url::Host<&str>) -> Result<String, AddressError> {
    match host {
        url::Host::Domain("") => Err(AddressError::NoHost),
        url::Host::Domain(name) => {
            let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            if name.bytes().all(legal) { Ok(name.to_owned()) } else { Err(AddressError::Host) }
        }
        url::Host::Ipv4(address) => Ok(address.to_string()),
        url::Host::Ipv6(address) => Ok(address.to_string()),
    }
}

fn database(path: &str) -> Option<u32> {
    let number = path.strip_prefix('/').unwrap_or(path);
    if number.is_empty() {
        return Some(0);
    }
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| number.parse().ok()).flatten();
    number.filter(|number| *number <= DATABASE_NUMBER)
}

/// Decodes `%40` and its like; a percent sign without two hexadecimal digits is itself.
fn decode(text: &str) -> Result<String, AddressError> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| AddressError::Escape)?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(host: &str, port: u16, database: u32) -> Address {
        Address { host: host.to_owned(), port, database, tls: false }
    }

    #[test]
    fn a_url_says_where_redis_is() {
        for (text, wanted) in [
            ("redis://redis", address("redis", 6379, 0)),
            ("redis://redis/", address("redis", 6379, 0)),
            ("valkey://r.default.svc:6380/15", address("r.default.svc", 6380, 15)),
            ("REDIS://127.0.0.1:1", address("127.0.0.1", 1, 0)),
            (" redis://[::1]:6379/3\n", address("::1", 6379, 3)),
        ] {
            let location = Location::parse(text).unwrap();
            assert_eq!(location.address, wanted, "{text}");
            assert_eq!((location.username, location.password), (None, None), "{text}");
        }
    }

    #[test]
    fn a_scheme_with_one_more_s_is_tls() {
        for (text, tls) in [
            ("redis://h", false),
            ("valkey://h", false),
            ("rediss://h", true),
            ("valkeys://h", true),
            ("REDISS://h", true),
        ] {
            let wanted = Address { tls, ..address("h", 6379, 0) };
            assert_eq!(Location::parse(text).unwrap().address, wanted, "{text}");
        }
    }

    #[test]
    fn user_and_password_are_decoded() {
        let location = Location::parse("redis://a%40b:p%2Fw%25%3a=+@host").unwrap();
        assert_eq!(location.username.as_deref(), Some("a@b"));
        assert_eq!(location.password, Some(Secret::new("p/w%:=+")));
        let location = Location::parse("redis://:pw@host").unwrap();
        assert_eq!((location.username, location.password), (None, Some(Secret::new("pw"))));
    }

    #[test]
    fn what_is_not_in_this_release_is_refused_by_name() {
        for (text, wanted) in [
            ("unix:///run/redis.sock", AddressError::UnixSocket),
            ("redis+sentinel://h/mymaster", AddressError::Sentinel),
            ("redis-cluster://h", AddressError::Cluster),
            ("http://h", AddressError::Scheme),
        ] {
            assert_eq!(Location::parse(text), Err(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        for (text, wanted) in [
            ("", AddressError::Empty),
            ("host:6379", AddressError::NotAUrl),
            ("redis://", AddressError::NoHost),
            ("redis://:6379", AddressError::NoHost),
            ("redis:///0", AddressError::NoHost),
            ("redis://a b", AddressError::NotAUrl),
            ("redis://a\tb", AddressError::NotAUrl),
            ("redis://h:port", AddressError::NotAUrl),
            ("redis://h:0", AddressError::Port),
            ("redis://a,b", AddressError::Host),
            ("redis://a%20b", AddressError::Host),
            ("redis://h/x", AddressError::Database),
            ("redis://h/0/1", AddressError::Database),
            ("redis://h/+1", AddressError::Database),
            ("redis://h/65536", AddressError::Database),
            ("redis://h?db=1", AddressError::Query),
            ("redis://h#a", AddressError::Fragment),
            ("redis://:%ff@h", AddressError::Escape),
        ] {
            assert_eq!(Location::parse(text), Err(wanted), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_password_survives_being_escaped(password in "\\PC{1,20}") {
            let escaped: String = password.bytes().map(|b| format!("%{b:02x}")).collect();
            let location = Location::parse(&format!("redis://u:{escaped}@h")).unwrap();
            prop_assert_eq!(location.password, Some(Secret::new(password)));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(redis://)?\\PC{0,30}") {
            drop(Location::parse(&text));
        }
    }
}
