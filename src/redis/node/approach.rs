//! The words in which a connection to a node begins, and how far it came.
//!
//! A node may be tried in one manner after another; whether it took the connection at all decides which is
//! next.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use deadpool_redis::redis::ProtocolVersion;

use crate::sampling::Fault;

/// In which words a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// HELLO, and then tracking.
    Hello,
    /// The protocol before HELLO.
    Old,
    /// The same without any word that a proxy may not know: AUTH where there is a password, SELECT where
    /// the database is not 0.
    Plain,
}

impl Manner {
    pub(super) fn protocol(self) -> ProtocolVersion {
        match self {
            Self::Hello => ProtocolVersion::RESP3,
            Self::Old | Self::Plain => ProtocolVersion::RESP2,
        }
    }
}

/// How a connection is made: in which words, and whether the node took it at all.
#[derive(Debug, Clone)]
pub(super) struct Approach {
    pub(super) manner: Manner,
    pub(super) reached: Arc<AtomicBool>,
}

impl Approach {
    pub(super) fn new(manner: Manner) -> Self {
        Self { manner, reached: Arc::default() }
    }

    /// Whether it ended while the first words were said.
    pub(super) fn ended_at_words(&self, fault: &Fault) -> bool {
        matches!(fault, Fault::Unreachable(_)) && self.reached.load(Ordering::SeqCst)
    }
}
