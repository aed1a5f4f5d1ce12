//! The Redis side of the sampler's seam: connections, commands and replies.
//!
//! The only folder that names the `redis` and `deadpool` crates. It knows reads and answers, and
//! nothing of triggers, signals, gRPC or who asks.

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
pub mod offline;
mod transcript;

pub use connection::RedisSource;
pub use demo::{Job, Jobs, JobsError, Lengths};
pub use link::RedisLink;
pub use transcript::Exchange;
