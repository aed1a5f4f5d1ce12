//! A Redis Cluster: each key is read at the node that serves it, on a tracked connection of its own to each
//! master.
//!
//! The client library's own cluster connection opens its nodes without a hook, so none of them could be told
//! to announce changes. Hence the slot map, the redirects and the state of each node are ours. Commands and
//! answers are shared with the link to one server.

mod events;
mod guard;
mod heartbeats;
mod link;
mod map;
mod member;
mod members;
pub(super) mod offline;
mod said;
mod search;
mod seeds;
mod stages;
mod turns;
mod wire;

pub(super) use link::ClusterLink;

/// What a user of a cluster needs beside what the reads of any Redis need: who serves what, what a node
/// is giving away, and to ask for it where it goes.
pub(super) const COMMANDS: &[&str] = &["cluster|slots", "cluster|nodes", "asking"];
