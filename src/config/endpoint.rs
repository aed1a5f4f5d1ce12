//! Where a connection's Redis is: which nodes, and how the one to read is found among them.
//!

use std::fmt;

use super::{node::Node, sentinel::Sentinels};

/// The host of a connection whose URL is not in the file, when the file is read alone. It can
/// never be resolved (RFC 6761).
const NOT_GIVEN: &str = "url-not-given.invalid";

/// Where a connection's Redis is.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// One server.
    Standalone(Node),
    /// The master that sentinels name.
    Sentinel(Sentinels),
    /// A Redis Cluster, found by any of these nodes.
    Cluster(Vec<Node>),
}

impl Endpoint {
    /// The endpoint of a connection whose URL is not in the file, when the file is read alone.
    pub(super) fn not_given() -> Self {
        Self::Standalone(Node { host: NOT_GIVEN.to_owned(), port: 6379 })
    }

    /// Whether anybody said where it is. A file that is read alone may leave that to the flags and
    /// the environment of the server.
    #[must_use]
    pub fn is_given(&self) -> bool {
        match self {
            Self::Standalone(node) => node.host != NOT_GIVEN,
            Self::Sentinel(_) | Self::Cluster(_) => true,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standalone(node) => node.fmt(f),
            Self::Cluster(seeds) => {
                let seeds: Vec<String> = seeds.iter().map(Node::to_string).collect();
                write!(f, "the cluster at {}", seeds.join(","))
            }
            Self::Sentinel(Sentinels { master, nodes, .. }) => {
                let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
                write!(f, "the master `{master}` of the sentinels {}", nodes.join(", "))
            }
        }
    }
}
