//! The last answer to a read, and until when it was true.

use std::time::Duration;

use crate::{layouts::Answer, sampling::source::Validity, time::Instant};

/// The last answer to a read.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownAnswer {
    pub answer: Answer,
    /// When its read was sent.
    pub read_at: Instant,
    /// Until when it is known to have been true.
    pub valid_until: Instant,
    /// When it has to be read again although nothing was announced.
    pub fresh_until: Instant,
    /// How long it lasts; [`Validity::Unknown`] on a link that announces nothing.
    pub lasts: Validity,
    /// When the change was announced for which it was read, if one was.
    pub announced_at: Option<Instant>,
    /// Whether no change was known when its read was sent.
    pub unprompted: bool,
    /// The one moment at which it was true, if it took one: equal moments are one.
    pub moment: Option<u64>,
    /// What Redis's clock said when its read was sent, if it depends on that.
    pub clock: Option<Duration>,
    /// Whether the mark of its read no longer speaks for it: it was already dirty, or had outlived
    /// itself, when the read was sent anew. Only the next answer takes its place.
    pub superseded: bool,
}

impl KnownAnswer {
    /// Until when it was true, if everything that changed it until `confirmed_at` was announced.
    #[must_use]
    pub fn valid_until(&self, confirmed_at: Instant) -> Instant {
        let announced = match self.lasts {
            Validity::UntilAnnounced => confirmed_at,
            Validity::For(_) => confirmed_at.min(self.fresh_until),
            Validity::Unknown => self.valid_until,
        };
        self.valid_until.max(announced)
    }
}
