//! A server that can be connected to.
//!
//! What somebody wrote in a node's place is never repeated: it may be a URL with a password.

use std::{fmt, net::IpAddr};

use url::Url;

use super::address;

/// The longest host name (RFC 1035).
const HOST_BYTES: usize = 253;

/// A server that can be connected to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Host name or IP address, an IPv6 address without brackets.
    pub host: String,
    /// TCP port, 1 to 65535.
    pub port: u16,
}

/// Why a text names no node. No variant holds any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// Nothing is written.
    #[error("is empty; write HOST:PORT")]
    Empty,
    /// More than a host and a port, or something else.
    #[error("must be HOST:PORT and no more, without scheme, user, password or database")]
    Form,
    /// Only a port.
    #[error("has no host; write HOST:PORT")]
    NoHost,
    /// The host is no name and no address.
    #[error("has a host with other characters than letters, digits, `.`, `-` and `_`")]
    Host,
    /// Nothing listens there.
    #[error("has port 0")]
    Port,
}

impl Node {
    /// Reads `HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`.
    ///
    /// # Errors
    /// [`NodeError`] when it is none of these.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, NodeError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NodeError::Empty);
        }
        let foreign = |c: char| c.is_control() || c.is_whitespace() || "/?#@\\".contains(c);
        if text.contains(foreign) {
            return Err(NodeError::Form);
        }
        let url = Url::parse(&format!("redis://{text}")).map_err(|_| NodeError::Form)?;
        let host = url.host().ok_or(NodeError::NoHost)?;
        let host = address::host(host).map_err(|_| NodeError::Host)?;
        let port = url.port().unwrap_or(default_port);
        if port == 0 { Err(NodeError::Port) } else { Ok(Self { host, port }) }
    }

    /// A node as a server names it: host name or IP address without brackets, and port.
    pub fn named(host: &str, port: u16) -> Option<Self> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let is_name = (1..=HOST_BYTES).contains(&host.len()) && host.bytes().all(legal);
        let is_host = is_name || host.parse::<IpAddr>().is_ok();
        (is_host && port > 0).then(|| Self { host: host.to_owned(), port })
    }
}

/// `host:port`, an IPv6 address in brackets.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_a_host_and_a_port() {
        for (text, wanted) in [
            ("s1", "s1:26379"),
            (" s1:1 ", "s1:1"),
            ("10.0.0.1:6379", "10.0.0.1:6379"),
            ("[::1]", "[::1]:26379"),
            ("[::1]:6379", "[::1]:6379"),
        ] {
            assert_eq!(Node::parse(text, 26379).unwrap().to_string(), wanted);
        }
    }

    #[test]
    fn what_is_no_node_is_refused() {
        for (text, wanted) in [
            ("", NodeError::Empty),
            (":6379", NodeError::Form),
            ("redis://s1:6379", NodeError::Form),
            ("u:pw@s1:6379", NodeError::Form),
            ("s1:6379/0", NodeError::Form),
            ("s1:x", NodeError::Form),
            ("s1:65536", NodeError::Form),
            ("s1 s2", NodeError::Form),
            ("s1,s2", NodeError::Host),
            ("s1:0", NodeError::Port),
        ] {
            assert_eq!(Node::parse(text, 26379), Err(wanted), "{text}");
        }
    }
}
