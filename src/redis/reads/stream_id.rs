//! The ids of stream entries, which say what comes after what.

use std::{fmt, time::Duration};

/// The id of a stream entry: milliseconds and a sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::redis) struct StreamId {
    ms: u64,
    sequence: u64,
}

impl StreamId {
    pub(in crate::redis) const FIRST: Self = Self { ms: 0, sequence: 0 };

    pub(in crate::redis) fn parse(text: &str) -> Option<Self> {
        let (ms, sequence) = text.split_once('-')?;
        Some(Self { ms: ms.parse().ok()?, sequence: sequence.parse().ok()? })
    }

    /// When its entry was added, since the Unix epoch, if Redis made it.
    pub(in crate::redis) fn time(self) -> Duration {
        Duration::from_millis(self.ms)
    }

    /// The next possible id; `None` after the last one. (Exclusive ranges came with Redis 6.2.)
    pub(in crate::redis) fn next(self) -> Option<Self> {
        match self.sequence.checked_add(1) {
            Some(sequence) => Some(Self { sequence, ..self }),
            None => Some(Self { ms: self.ms.checked_add(1)?, sequence: 0 }),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_after_the_last_sequence_is_in_the_next_millisecond() {
        let next = |text: &str| StreamId::parse(text).unwrap().next().map(|id| id.to_string());
        assert_eq!(next("5-7").as_deref(), Some("5-8"));
        assert_eq!(next("5-18446744073709551615").as_deref(), Some("6-0"));
        assert_eq!(next("18446744073709551615-18446744073709551615"), None);
        assert_eq!(StreamId::parse("5"), None);
    }
}
