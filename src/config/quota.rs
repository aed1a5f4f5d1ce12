//! How much one namespace may have of what all namespaces share.

use crate::limits;

use super::{problem::ConfigProblems, spanned::Spanned};

/// The limits of each namespace, whatever its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Triggers that are remembered, 1 to [`limits::TRIGGERS`].
    pub triggers: usize,
    /// Keys that those triggers name, and that their patterns find, together, 1 to [`limits::TRIGGERS`] times
    /// [`limits::KEYS_PER_TRIGGER`].
    pub keys: usize,
    /// Streams that are open, 1 to [`limits::STREAMS`].
    pub streams: usize,
    /// Searches for the keys of patterns, 1 to [`limits::SEARCHES`].
    pub searches: usize,
    /// Sets of heartbeat channels that are listened to, 1 to [`limits::HEARTBEAT_FORMATS`].
    pub heartbeats: usize,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            triggers: limits::NAMESPACE_TRIGGERS,
            keys: limits::NAMESPACE_KEYS,
            streams: limits::NAMESPACE_STREAMS,
            searches: limits::NAMESPACE_SEARCHES,
            heartbeats: limits::NAMESPACE_HEARTBEATS,
        }
    }
}

/// The section `[limits]` as the file writes it.
#[derive(Default)]
pub(super) struct RawQuota {
    pub(super) triggers: Option<Spanned<i64>>,
    pub(super) keys: Option<Spanned<i64>>,
    pub(super) streams: Option<Spanned<i64>>,
    pub(super) searches: Option<Spanned<i64>>,
    pub(super) heartbeats: Option<Spanned<i64>>,
}

impl RawQuota {
    /// The limits, each the given one or its default.
    pub(super) fn settle(self, problems: &mut ConfigProblems) -> Quota {
        let mut number = |given: Option<Spanned<i64>>, default: usize, most: usize| {
            let Some(Spanned { spot, value }) = given else { return default };
            let number = usize::try_from(value).ok().filter(|number| (1..=most).contains(number));
            if number.is_none() {
                problems.add(&spot, format!("is {value}; must be a number from 1 to {most}"));
            }
            number.unwrap_or(default)
        };
        let default = Quota::default();
        let most_keys = limits::TRIGGERS * limits::KEYS_PER_TRIGGER;
        Quota {
            triggers: number(self.triggers, default.triggers, limits::TRIGGERS),
            keys: number(self.keys, default.keys, most_keys),
            streams: number(self.streams, default.streams, limits::STREAMS),
            searches: number(self.searches, default.searches, limits::SEARCHES),
            heartbeats: number(self.heartbeats, default.heartbeats, limits::HEARTBEAT_FORMATS),
        }
    }
}
