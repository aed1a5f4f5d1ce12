//! The Redis side of the sampler's seam: connections, commands and replies.
//!
//! The only folder that names the `redis` and `deadpool` crates. It knows reads and answers, and
//! nothing of triggers, signals, gRPC or who asks.

mod cluster;
mod connection;
mod decode;
mod demo;
mod each;
mod encode;
mod error;
mod fields;
mod follow_up;
mod invalidation;
mod link;
mod role;
mod sentinel;
mod source;
mod transcript;

pub use cluster::CLUSTER_ACL;
pub use demo::{Job, Jobs, JobsError, Lengths};
pub use sentinel::sentinel_acl;
pub use source::{RedisSource, SourceLink};
pub use transcript::Exchange;
