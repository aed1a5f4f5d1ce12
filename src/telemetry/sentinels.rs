//! What the sentinels of each link said when they were last asked.
//!
//! Most links have none. A sentinel that is lost is seen nowhere else until the next failover needs it.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::labels::{SentinelWord, labels, registered};

labels!(OfSentinels { connection: String, database: u32, says: SentinelWord });

/// Those of every link.
#[derive(Clone)]
pub(super) struct Sentinels(Family<OfSentinels, Gauge>);

impl Sentinels {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let help = "Sentinels by what they said when they were last asked for the master";
        Self(registered(registry, "redis_sentinels", help))
    }

    /// Those of one link, which shows up once its sentinels are asked.
    pub(super) fn of(&self, connection: &str, database: u32) -> SentinelMetrics {
        SentinelMetrics(Some((self.clone(), connection.to_owned(), database)))
    }
}

/// Those of one link.
#[derive(Clone, Default)]
pub struct SentinelMetrics(Option<(Sentinels, String, u32)>);

impl SentinelMetrics {
    /// Counts nothing that is exported, for a command that asks Redis once.
    #[must_use]
    pub fn detached() -> Self {
        Self(None)
    }

    /// Notes what each sentinel said last.
    pub fn say(&self, words: impl Iterator<Item = SentinelWord>) {
        let Some((sentinels, connection, database)) = &self.0 else { return };
        let mut counts = [0; SentinelWord::ALL.len()];
        for word in words {
            counts[word as usize] += 1;
        }
        for (says, count) in SentinelWord::ALL.into_iter().zip(counts) {
            let connection = connection.clone();
            let labels = OfSentinels { connection, database: *database, says };
            sentinels.0.get_or_create(&labels).set(count);
        }
    }
}
