//! Keeps what is known of Redis true, and tells it to calls and streams.
//!
//! One [`Sampler`] stands for one link (a connection and a database). It knows triggers, reads and
//! answers, and nothing of gRPC, commands or sockets: those are its siblings' and its
//! [`Source`]'s.

mod absence;
mod arrivals;
mod batch;
mod cache;
mod clock;
mod exactness;
mod falls;
mod ids;
mod news;
mod note;
mod observation;
mod quarantine;
mod queues;
mod sampler;
mod schedule;
mod searches;
mod shares;
mod source;
mod state;
mod step;
mod subject;
mod subscriptions;
mod task_time;
#[cfg(test)]
mod tests;
mod worker;

pub use arrivals::Arrivals;
pub use clock::Clock;
pub use news::News;
pub use observation::{Look, Observation, Why};
pub use sampler::{Sampler, Watch};
pub use shares::KeyShares;
pub use source::{
    Change, Changes, Fault, Flow, FlowRead, KeyPage, KeySet, Link, Position, Reply, Source,
    Validity,
};
pub use subject::Subject;
pub use subscriptions::TooMany;
