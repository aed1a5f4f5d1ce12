//! The Redis side of the sampler's seam: connections, commands and replies.
//!
//! The only folder that names the `redis` and `deadpool` crates. It knows reads and answers, and
//! nothing of triggers, signals, gRPC or who asks.

mod cluster;
mod credentials;
mod error;
mod heartbeats;
mod invalidation;
mod keyspace;
mod node;
pub mod offline;
mod reads;
mod rights;
mod scan;
mod sentinel;
mod session;
mod slot;
mod source;
mod transcript;
mod wire;

pub use credentials::Credentials;
pub use reads::{asked::Cost, kinds::cost};
pub use rights::{acl_line, acl_line_of, acl_line_on_sentinels, acl_line_with};
pub use sentinel::sentinel_acl;
pub use source::{RedisSource, SourceLink};
pub use transcript::Exchange;
