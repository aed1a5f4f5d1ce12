//! The Redis side of the sampler's seam: connections, commands and replies.
//!
//! The only folder that names the `redis` and `deadpool` crates. It knows reads and answers, and
//! nothing of triggers, signals, gRPC or who asks.

mod answering;
mod certificates;
mod cluster;
mod counted;
mod credentials;
mod decode;
mod encode;
mod error;
mod fields;
mod follow_up;
mod heartbeats;
mod invalidation;
mod keyspace;
mod known_tails;
mod known_types;
mod member_questions;
mod node;
pub mod offline;
mod password_command;
mod per_member;
mod rights;
mod scan;
mod sentinel;
mod session;
mod slot;
mod source;
mod stream_id;
mod tail;
mod transaction;
mod transcript;
mod values;
mod wire;

pub use credentials::Credentials;
pub use rights::{acl_line, acl_line_of, acl_line_on_sentinels, acl_line_with};
pub use sentinel::sentinel_acl;
pub use source::{RedisSource, SourceLink};
pub use transcript::Exchange;
