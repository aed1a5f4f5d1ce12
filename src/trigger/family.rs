//! The three vocabularies in which a trigger may be written: penstock's own keys, and those of
//! KEDA's built-in `redis` and `redis-streams` triggers (KEDA 2.20, `pkg/scalers/redis_scaler.go`
//! and `redis_streams_scaler.go`). Migrating a trigger is one table, and the parser sees one vocabulary.

use std::collections::BTreeMap;

use crate::{
    metadata::{Entry, Metadata, plain_key},
    signals::Setting,
    time::parse_decimal,
};

use super::problem::{Problems, shown};

/// Whose keys a trigger uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// penstock's own.
    Own,
    /// KEDA's `redis` trigger.
    Redis,
    /// KEDA's `redis-streams` trigger.
    RedisStreams,
}

/// Keys that KEDA reads itself and sends along. They mean nothing here.
pub(super) const IGNORED: &[&str] =
    &["scalerAddress", "enableTLS", "unsafeSsl", "caCert", "tlsClientCert", "tlsClientKey"];
/// Keys of the connection, which the administrator configures; never taken from a trigger.
const REFUSED: &[&str] = &[
    "address",
    "addresses",
    "host",
    "hosts",
    "port",
    "ports",
    "username",
    "password",
    "sentinelMaster",
    "sentinelUsername",
    "sentinelPassword",
];
/// Keys that every family may use.
pub(super) const COMMON: &[&str] =
    &["redis", "database", "databaseIndex", "staleFor", "activityWindow"];
/// penstock's own keys that every layout has.
pub(super) const OWN: &[&str] = &[
    "layout",
    "signal",
    "target",
    "activation",
    Setting::Window.key(),
    Setting::Slots.key(),
    Setting::MaxWait.key(),
    Setting::TaskTime.key(),
    Setting::KeepUp.key(),
];
const REDIS: &[&str] = &["listName", "listLength", "activationListLength"];
const STREAMS: &[&str] = &[
    "stream",
    "consumerGroup",
    "pendingEntriesCount",
    "lagCount",
    "activationLagCount",
    "streamLength",
];

/// Whether a key, without its suffix `FromEnv`, belongs to the connection. Its value is never taken
/// from a trigger, and never shown.
#[must_use]
pub fn belongs_to_connection(key: &str) -> bool {
    REFUSED.contains(&key) || key.starts_with("sentinel")
}

/// Whether a key means something in every trigger, or may be in none, so that no layout can have a
/// parameter of its name.
#[must_use]
pub fn is_reserved(key: &str) -> bool {
    let theirs = [IGNORED, COMMON, OWN].concat();
    theirs.contains(&key)
        || belongs_to_connection(key)
        || Family::of_keda_key(key).is_some()
        || plain_key(key) != key
}

impl Family {
    /// The family that a key belongs to alone, among KEDA's.
    pub(super) fn of_keda_key(key: &str) -> Option<Self> {
        if REDIS.contains(&key) {
            Some(Self::Redis)
        } else if STREAMS.contains(&key) {
            Some(Self::RedisStreams)
        } else {
            None
        }
    }

    /// Every key of KEDA's families.
    pub(super) fn keda_keys() -> impl Iterator<Item = &'static str> {
        REDIS.iter().chain(STREAMS).copied()
    }

    /// In words, for people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Own => "penstock's own keys",
            Self::Redis => "KEDA's redis trigger",
            Self::RedisStreams => "KEDA's redis-streams trigger",
        }
    }
}

/// A trigger in penstock's vocabulary, each value with the key that the user wrote.
#[derive(Debug, Default)]
pub(super) struct Fields {
    fields: BTreeMap<String, Entry>,
    /// Whether names are taken as they are, as KEDA's own triggers do.
    pub(super) literal: bool,
}

impl Fields {
    /// A trigger that is in penstock's vocabulary already.
    pub(super) fn own(metadata: &Metadata) -> Self {
        let fields = metadata.entries().map(|(key, entry)| (key.to_owned(), entry.clone()));
        Self { fields: fields.collect(), literal: false }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.fields.get(key)
    }

    fn word(&mut self, key: &str, value: &str) {
        let entry = Entry { spelled: key.to_owned(), value: value.to_owned() };
        self.fields.insert(key.to_owned(), entry);
    }

    fn rename(&mut self, metadata: &Metadata, from: &str, to: &str) {
        if let Some(entry) = metadata.get(from) {
            self.fields.insert(to.to_owned(), entry.clone());
        }
    }
}

/// KEDA's `redis`: one key of any type, `listLength` per replica.
pub(super) fn from_redis(metadata: &Metadata, problems: &mut Problems) -> Fields {
    let mut fields = Fields { literal: true, ..Fields::default() };
    fields.word("layout", "keys");
    fields.word("signal", "backlog");
    fields.rename(metadata, "listName", "waiting");
    fields.rename(metadata, "listLength", "target");
    fields.rename(metadata, "activationListLength", "activation");
    if metadata.get("listName").is_none() {
        problems.add("listName", "is required by the keys of KEDA's redis trigger");
    }
    fields
}

/// KEDA's `redis-streams`: with a group its lag (`lagCount`) or its pending entries, without one
/// the length of the stream, whatever else is given. A `lagCount` of 0 is none, as in KEDA.
pub(super) fn from_streams(metadata: &Metadata, problems: &mut Problems) -> Fields {
    let mut fields = Fields { literal: true, ..Fields::default() };
    let has = |key: &str| metadata.get(key).is_some();
    let is_zero = |entry: &Entry| parse_decimal(entry.value.trim()) == Some(0.0);
    let lag = metadata.get("lagCount").is_some_and(|entry| !is_zero(entry));
    if has("consumerGroup") {
        fields.word("layout", "stream");
        fields.rename(metadata, "stream", "queue");
        fields.rename(metadata, "consumerGroup", "group");
        let (signal, target) =
            if lag { ("waiting", "lagCount") } else { ("in-flight", "pendingEntriesCount") };
        fields.word("signal", signal);
        fields.rename(metadata, target, "target");
    } else {
        fields.word("layout", "keys");
        fields.word("signal", "backlog");
        fields.rename(metadata, "stream", "waiting");
        fields.rename(metadata, "streamLength", "target");
    }
    // KEDA reads all of its numbers, also those that then do not matter.
    for key in ["lagCount", "pendingEntriesCount", "streamLength"] {
        let entry = metadata.get(key).filter(|entry| entry.value.trim().parse::<i64>().is_err());
        if let Some(entry) = entry.filter(|entry| fields.get("target") != Some(entry)) {
            let value = shown(&entry.value);
            problems.add(&entry.spelled, format!("`{value}` must be a whole number, as for KEDA"));
        }
    }
    fields.rename(metadata, "activationLagCount", "activation");
    if !has("stream") {
        problems.add("stream", "is required by the keys of KEDA's redis-streams trigger");
    }
    fields
}
