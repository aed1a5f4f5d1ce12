//! A trigger's metadata as a manifest has it, made into what KEDA would send.
//!
//! For a key with the suffix `FromEnv` a manifest has the name of an environment variable where KEDA sends its
//! value, so a value that would be valid stands in.

use serde_json::{Map, Value};

use crate::{
    layouts::{Layout, ParameterKind, Registry},
    metadata::plain_key,
    signals::Signal,
    trigger::{Problems, Trigger, belongs_to_connection, shown, without_effect},
};

use super::report::Reporter;

/// What a name begins with that stands in for one which only the cluster knows.
const STAND_IN: &str = "value-of-";

pub(super) struct Metadata<'v> {
    /// Values that a manifest can have.
    given: Vec<(&'v str, String)>,
    /// Keys whose value only the cluster knows, as they are spelled.
    unknown: Vec<&'v str>,
}

impl<'v> Metadata<'v> {
    /// Takes the map; a value that is no string is a problem, since KEDA's map takes strings only.
    pub(super) fn collect(
        map: &'v Map<String, Value>,
        path: &str,
        reporter: &mut Reporter<'_>,
    ) -> Self {
        let (mut given, mut unknown) = (Vec::new(), Vec::new());
        for (key, value) in map {
            let text = match value {
                Value::String(text) => Some(text.clone()),
                Value::Number(_) | Value::Bool(_) => {
                    let what = "must be a string, as KEDA takes no other; put it in quotes";
                    reporter.problem(&format!("{path}.{}", shown(key)), what);
                    Some(value.to_string())
                }
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    let what = "must be a string; a list of names is one string with commas";
                    reporter.problem(&format!("{path}.{}", shown(key)), what);
                    None
                }
            };
            match text {
                Some(text) if plain_key(key) == key => given.push((key.as_str(), text)),
                Some(_) | None => unknown.push(key.as_str()),
            }
        }
        Self { given, unknown }
    }

    /// The value of a key that the manifest has.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| *given == key).map(|(_, value)| value.as_str())
    }

    /// The key as it is spelled, if only the cluster knows its value.
    pub(super) fn unknown(&self, key: &str) -> Option<&'v str> {
        self.unknown.iter().find(|spelled| plain_key(spelled) == key).copied()
    }

    /// The key that only the cluster knows and that stood in for a part of this Redis key, if any
    /// did.
    pub(super) fn stood_in(&self, redis_key: &str, registry: &Registry) -> Option<&'v str> {
        if !redis_key.contains(STAND_IN) {
            return None;
        }
        let is_name = |spelled: &&&str| {
            let key = plain_key(spelled);
            let mut kinds = registry.layouts().filter_map(|layout| layout.parameter(key));
            let keda = ["listName", "stream", "layout"].contains(&key);
            keda || kinds.any(|parameter| parameter.kind == ParameterKind::Keys)
        };
        self.unknown.iter().find(is_name).copied()
    }

    /// Whether what only the cluster knows changes nothing of what is read.
    pub(super) fn says_what_is_read(&self) -> bool {
        let of_the_number = ["target", "activation", "staleFor", "activityWindow", "signal"];
        self.unknown.iter().all(|spelled| of_the_number.contains(&plain_key(spelled)))
    }

    /// What KEDA would send, parsed. Where only the cluster knows the layout, it is the one that
    /// fits the other keys best.
    pub(super) fn parse(&self, registry: &Registry) -> Result<Trigger, Problems> {
        let named = self.get("layout").and_then(|name| registry.get(name));
        let candidates: Vec<Option<&Layout>> = match self.unknown("layout") {
            Some(_) => registry.layouts().map(Some).collect(),
            None => vec![named.or_else(|| registry.get("keys"))],
        };
        let parsed = candidates.into_iter().map(|layout| self.parse_as(layout, registry));
        let by_problems = |parsed: &Result<Trigger, Problems>| {
            parsed.as_ref().err().map_or(0, |problems| problems.iter().len())
        };
        parsed.min_by_key(by_problems).unwrap_or_else(|| self.parse_as(None, registry))
    }

    fn parse_as(&self, layout: Option<&Layout>, registry: &Registry) -> Result<Trigger, Problems> {
        Trigger::parse(self.pairs(layout), registry)
    }

    /// What KEDA would send if this were the layout.
    fn pairs(&self, layout: Option<&Layout>) -> Vec<(String, String)> {
        let given = self.given.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
        let unknown =
            self.unknown.iter().map(|key| ((*key).to_owned(), sample(plain_key(key), layout)));
        given.chain(unknown).collect()
    }

    /// Keys that change nothing, among those whose values a manifest has.
    pub(super) fn without_effect(&self, trigger: &Trigger, registry: &Registry) -> Vec<String> {
        let idle = without_effect(&self.pairs(registry.get(&trigger.layout)), registry);
        idle.into_iter().filter(|key| self.get(key).is_some()).collect()
    }
}

/// A value that is valid for a key. Names are made of the key, so that no two are the same.
fn sample(key: &str, layout: Option<&Layout>) -> String {
    let parameter = layout.and_then(|layout| layout.parameter(key));
    match parameter.map(|found| &found.kind) {
        Some(
            kind @ (ParameterKind::Choice { .. }
            | ParameterKind::Words { .. }
            | ParameterKind::Name { default: Some(_) }),
        ) => return kind.default_text().unwrap_or_default(),
        Some(ParameterKind::Duration { .. }) => return "1s".to_owned(),
        Some(
            ParameterKind::Keys | ParameterKind::Pattern | ParameterKind::Name { default: None },
        )
        | None => {}
    }
    let word = match key {
        "redis" => "default",
        "database" | "databaseIndex" => "0",
        "staleFor" | "activityWindow" => "1s",
        "layout" => layout.map_or("keys", Layout::name),
        "signal" => Signal::default().name(),
        "target" | "listLength" | "pendingEntriesCount" | "lagCount" | "streamLength" => "5",
        "activation" | "activationListLength" | "activationLagCount" => "0",
        _ => return format!("{STAND_IN}{key}"),
    };
    word.to_owned()
}

/// Keys of KEDA's own Redis triggers that belong to the connection, among those of a map.
pub(super) fn of_connection(map: &Map<String, Value>) -> Vec<String> {
    let is_theirs = |key: &&String| {
        let plain = plain_key(key);
        belongs_to_connection(plain) || matches!(plain, "enableTLS" | "unsafeSsl")
    };
    map.keys().filter(is_theirs).map(|key| shown(key)).collect()
}
