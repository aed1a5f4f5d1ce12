//! What the sampler was told by its links: the last answer to each read, and when that was true.
//!
//! It notes only what crossed the seam, and nothing of what the sampler thinks of it.

use penstock::layouts::Answer;

use crate::{transcript::Moment, wire::ConnId};

/// An answer that the worker took.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The answer.
    pub answer: Answer,
    /// When it was true.
    pub at: Moment,
    /// When the clock was read that it was counted by; `at` where there is none.
    pub clock_at: Moment,
    /// Whether its changes are announced, but for those that time brings.
    pub is_announced: bool,
    /// On which connection it came.
    pub conn: ConnId,
    /// In which batch.
    pub batch: u64,
    /// When its batch was sent.
    pub sent: Moment,
}

/// Everything that the worker took and sent.
#[derive(Debug)]
pub struct Ledger {
    /// The last answer to each read of the catalog.
    pub taken: Vec<Option<Taken>>,
    /// When each was last sent.
    pub sent_ms: Vec<Option<u64>>,
    /// The connection that the worker was given last and has not dropped.
    pub conn: Option<ConnId>,
    /// The batch that was taken in the worker's present turn, and its connection.
    pub just_taken: Option<(u64, ConnId)>,
    /// How many batches were sent.
    pub batches: u64,
    /// A batch that broke a bound when it was sent, and which.
    pub excess: Option<String>,
}

impl Ledger {
    /// Nothing taken, of so many reads.
    pub fn new(reads: usize) -> Self {
        Self {
            taken: vec![None; reads],
            sent_ms: vec![None; reads],
            conn: None,
            just_taken: None,
            batches: 0,
            excess: None,
        }
    }
}
