//! What a call and the worker are to do next, as the state says it.

use tokio::sync::oneshot;

use crate::{layouts::Read, telemetry::ReadCause, time::Instant};

use super::{cache::ReadId, observation::Observation, searches::Scan, source::Fault};

/// What a call is to do.
#[derive(Debug)]
pub enum Ask {
    /// Answer this.
    Ready(Observation),
    /// The answer comes here.
    Wait {
        /// Where.
        answer: oneshot::Receiver<Observation>,
        /// Whether the reads are done anyway, for a stream or for another call.
        coalesced: bool,
    },
}

/// What the worker is to do.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Send these reads, in this order.
    Read(Vec<Due>),
    /// Prove the link, and ask for Redis's clock if so.
    Prove {
        /// Whether anything depends on that clock.
        clock: bool,
    },
    /// Give the link up.
    Reconnect(Fault),
    /// Take a step of a search.
    Scan(Scan),
    /// Nothing before this moment, unless something new comes in.
    Wait(Instant),
}

/// A read that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// Its place in the cache.
    pub id: ReadId,
    /// The question.
    pub read: Read,
    /// Why it is sent.
    pub cause: ReadCause,
}
