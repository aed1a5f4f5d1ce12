//! One trigger of ours: would penstock take it, may it read what it names, does it count what its author
//! means. It asks the server's own parser and rules, so that `check` and the server cannot differ.

use serde_json::Value;

use crate::{
    config::{Config, Connection, Denied},
    layouts::{Measure, Registry, RequiredAccess},
    trigger::{Family, Trigger, shown},
};

use super::{
    manifest::{Object, ObjectKind},
    metadata::Metadata,
    report::Reporter,
    tls,
};

/// What one trigger is checked against.
pub(super) struct TriggerCheck<'a, 'd> {
    pub(super) object: &'a Object<'a>,
    pub(super) path: &'a str,
    pub(super) config: Option<&'a Config>,
    pub(super) reporter: &'a mut Reporter<'d>,
}

impl TriggerCheck<'_, '_> {
    /// Checks the trigger: its metadata, and how KEDA will dial. Gives it if it is one.
    pub(super) fn run(mut self, trigger: &Value) -> Option<Trigger> {
        let path = format!("{}.metadata", self.path);
        let Some(map) = trigger.get("metadata").and_then(Value::as_object) else {
            self.reporter.problem(&path, "must be a map of strings");
            return None;
        };
        let metadata = Metadata::collect(map, &path, self.reporter);
        self.address(&metadata);
        tls::check(trigger, &metadata, self.path, self.config, self.reporter);
        let kind = trigger.get("type").and_then(Value::as_str).unwrap_or_default();
        match metadata.parse(self.registry()) {
            Ok(parsed) => {
                self.means(&parsed, kind, &metadata);
                self.access(parsed.clone(), &metadata);
                Some(parsed)
            }
            Err(problems) => {
                for problem in problems.iter() {
                    let of_all = problem.key == "metadata";
                    let at = if of_all { path.clone() } else { self.at(&problem.key) };
                    self.reporter.problem(&at, &problem.what);
                }
                None
            }
        }
    }

    /// Whether it is what its author means.
    fn means(&mut self, trigger: &Trigger, kind: &str, metadata: &Metadata<'_>) {
        if let Some(invisible) = &trigger.invisible {
            self.reporter.note(&self.at("layout"), invisible);
        }
        if let Some(hint) = &trigger.hint {
            self.reporter.note(&self.at(&hint.key), &hint.what);
        }
        for key in metadata.without_effect(trigger, self.registry()) {
            let what = "changes nothing beside the other keys of this trigger";
            self.reporter.note(&self.at(&key), what);
        }
        self.counting(trigger, metadata);
        self.target(trigger);
        self.moving_target(trigger, kind);
        self.globs(trigger);
        self.database(trigger, metadata);
    }

    /// The layouts of the configuration, if one is given.
    fn registry(&self) -> &Registry {
        match self.config {
            Some(config) => &config.layouts,
            None => Registry::builtin(),
        }
    }

    fn at(&self, key: &str) -> String {
        format!("{}.metadata.{key}", self.path)
    }

    /// KEDA reads it from the metadata alone, without the suffix `FromEnv` (KEDA 2.20,
    /// `pkg/scalers/external_scaler.go`), and hands it to gRPC as it is.
    fn address(&mut self, metadata: &Metadata<'_>) {
        let at = self.at("scalerAddress");
        match metadata.get("scalerAddress") {
            None => self.reporter.problem(
                &at,
                "is required: where KEDA finds penstock, as penstock.penstock.svc:9090 (KEDA does \
                 not read it from the environment)",
            ),
            Some(address) if !is_address(address) => self
                .reporter
                .problem(&at, "must be host:port without a scheme, as penstock.penstock.svc:9090"),
            Some(_) => {}
        }
    }

    /// Whether the number is the one that is meant.
    fn counting(&mut self, trigger: &Trigger, metadata: &Metadata<'_>) {
        let sees_in_flight = !trigger.in_words().terms()[Measure::InFlight].is_empty();
        let job = self.object.kind == ObjectKind::ScaledJob;
        match trigger.family {
            Family::Redis => self.reporter.note(
                &self.at("listName"),
                "counts what KEDA's trigger counted: jobs in flight are not among it, so a scale \
                 to zero may cut them; to count them write queue and inFlight instead",
            ),
            Family::RedisStreams => self.reporter.note(
                &self.at("stream"),
                "counts what KEDA's trigger counted, either what waits or what is in flight; for \
                 both write layout: stream with queue and group, and no signal",
            ),
            Family::Own
                if trigger.counts_jobs
                    && !sees_in_flight
                    && !job
                    && trigger.invisible.is_none() =>
            {
                self.reporter.note(
                    &self.at("inFlight"),
                    "is not given, so jobs in flight are not seen and a scale to zero may cut them",
                )
            }
            Family::Own => {}
        }
        if job && trigger.counts_jobs && metadata.unknown("signal").is_none() {
            self.strategy(trigger, sees_in_flight);
        }
    }

    /// Whether KEDA hears of a target that follows what is measured.
    fn moving_target(&mut self, trigger: &Trigger, kind: &str) {
        // Of a ScaledJob KEDA asks for it at every poll.
        let is_object = self.object.kind == ObjectKind::ScaledObject;
        if trigger.has_moving_target() && is_object && kind != "external-push" {
            self.reporter.note(
                &self.at("target"),
                "follows what is measured, and KEDA is streamed that for external-push alone (2.21 and \
                 newer); here it is what was known when the object last changed, and a fallback is \
                 computed with another. signal: replicas follows on every KEDA",
            );
        }
    }

    /// A target that the value of its signal does not go with.
    fn target(&mut self, trigger: &Trigger) {
        if let Some(what) = trigger.signal.against_target(trigger.target.get()) {
            self.reporter.note(&self.at("target"), what);
        }
    }

    /// `default` takes the Jobs that run off the value, `accurate` and `eager` do not (KEDA 2.20,
    /// `pkg/scaling/executor/scale_jobs.go`). A word that KEDA does not know is `default` to it.
    fn strategy(&mut self, trigger: &Trigger, sees_in_flight: bool) {
        let spec = self.object.spec.get("scalingStrategy");
        let strategy = spec.and_then(|spec| spec.get("strategy")).and_then(Value::as_str);
        let strategy = strategy.unwrap_or("default");
        let counts = |measure| trigger.signal.is_made_of(measure, &trigger.settings);
        let counts_running = counts(Measure::InFlight) && sees_in_flight;
        let counts_waiting = counts(Measure::Waiting);
        let what = match strategy {
            "custom" => return,
            "accurate" | "eager" if counts_waiting && !counts_running => return,
            "accurate" | "eager" => format!(
                "the strategy `{strategy}` starts a Job for all of the value, so work in flight \
                 must not be in it: use the signal waiting, or the strategy default"
            ),
            _ if counts_waiting && counts_running => return,
            _ => "the strategy `default` takes running Jobs off the value, so work in flight must \
                  be in it: use the signal backlog and say where it is, or the strategy accurate"
                .to_owned(),
        };
        self.reporter.note(&self.at("signal"), what);
    }

    /// A pattern in a queue name needs a connection that scans, which only the configuration knows.
    fn globs(&mut self, trigger: &Trigger) {
        let Some(search) = trigger.search.as_ref().filter(|_| self.config.is_none()) else {
            return;
        };
        for pattern in search.patterns() {
            let what = format!(
                "`{}` is a pattern, which needs `scan = true` in the section of the connection; \
                 `\\*`, `\\?` and `\\[` are the characters themselves",
                shown(&pattern.glob.to_string())
            );
            self.reporter.note(&format!("{}.metadata", self.path), what);
        }
    }

    /// A database of its own has to be allowed, which only the configuration knows.
    fn database(&mut self, trigger: &Trigger, metadata: &Metadata<'_>) {
        let named = trigger.database.filter(|number| self.config.is_none() && *number > 0);
        let given = |key: &&&str| metadata.get(key).is_some();
        let (Some(number), Some(key)) = (named, ["database", "databaseIndex"].iter().find(given))
        else {
            return;
        };
        let what = format!(
            "database {number} is denied unless it is that of the connection's URL or in its `databases`"
        );
        self.reporter.note(&self.at(key), what);
    }

    /// Some of what a pattern finds may be left out.
    fn left_out(&mut self, connection: &Connection, trigger: &Trigger) {
        let Some((pattern, allowed)) = connection.access.leaves_out(trigger) else { return };
        let what = format!(
            "of the keys that match `{pattern}` those are left out that the rule `keys` of the \
             connection `{}` does not include; allowed: {allowed}",
            connection.name
        );
        self.reporter.note(&format!("{}.metadata", self.path), what);
    }

    /// Whether the configured connection lets it. What only the cluster knows is not asked.
    fn access(&mut self, mut trigger: Trigger, metadata: &Metadata<'_>) {
        let Some(config) = self.config else { return };
        if let Some(key) = metadata.unknown("redis") {
            self.unchecked(key, "the connection's rules are");
            // It may be any of those that its namespace may use.
            let admits = |connection: &&Connection| {
                self.object.namespace.is_none_or(|name| connection.access.admits(name).is_ok())
            };
            for connection in config.connections.values().filter(admits) {
                self.reporter.asks(&connection.name, RequiredAccess::default(), false);
            }
            return;
        }
        let Some(connection) = config.connections.get(&trigger.connection) else {
            let name = shown(&trigger.connection);
            let known: Vec<&str> = config.connections.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let what = format!("`{name}` is no configured connection; known: {known}");
            self.reporter.problem(&self.at("redis"), what);
            return;
        };
        let database = ["database", "databaseIndex"].iter().find_map(|key| metadata.unknown(key));
        if let Some(key) = database {
            self.unchecked(key, "the rule `databases` is");
        }
        if database.is_some() || !connection.endpoint.is_given() {
            trigger.database = None;
        }
        let admitted = self.object.namespace.map_or(Ok(()), |name| connection.access.admits(name));
        let is_admitted = admitted.is_ok();
        if let Err(denied) = admitted {
            self.denied(connection, &denied, "metadata.namespace");
        }
        match connection.access.covers(&trigger) {
            Ok(database) => {
                self.left_out(connection, &trigger);
                if is_admitted {
                    let is_whole = metadata.says_what_is_read();
                    self.reporter.asks(&connection.name, trigger.reach(database), is_whole);
                    let known = self.object.namespace.filter(|_| is_whole);
                    let any = || is_whole.then_some("default");
                    let namespace = known.or_else(any);
                    if let Some(name) =
                        namespace.filter(|name| connection.access.admits(name).is_ok())
                    {
                        self.reporter.may_be_asked(
                            &format!("{}.metadata", self.path),
                            name,
                            trigger,
                        );
                    }
                }
            }
            Err(ref denied @ Denied::Key { ref key, .. }) => {
                match metadata.stood_in(key, self.registry()) {
                    Some(unknown) => {
                        self.unchecked(unknown, "the rule `keys` is");
                        self.reporter.asks(&connection.name, RequiredAccess::default(), false);
                    }
                    None => self.denied(connection, denied, &format!("{}.metadata", self.path)),
                }
            }
            Err(denied @ Denied::Database { .. }) => {
                let mut keys = ["database", "databaseIndex"].into_iter();
                let key = keys.find(|key| metadata.get(key).is_some());
                self.denied(connection, &denied, &self.at(key.unwrap_or("database")));
            }
            Err(denied @ (Denied::Namespace { .. } | Denied::Scan { .. })) => {
                self.denied(connection, &denied, &format!("{}.metadata", self.path));
            }
        }
    }

    fn unchecked(&mut self, key: &str, what: &str) {
        let what = format!("is only known in the cluster, so {what} not checked");
        self.reporter.note(&self.at(&shown(key)), what);
    }

    fn denied(&mut self, connection: &Connection, denied: &Denied, path: &str) {
        self.reporter
            .problem(path, format!("the connection `{}` denies it: {denied}", connection.name));
    }
}

/// `host:port`, also with gRPC's own `dns:///` before it.
fn is_address(text: &str) -> bool {
    let text = text.strip_prefix("dns:///").unwrap_or(text);
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_is_legal = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            !host.is_empty() && host.bytes().all(legal)
        }
    };
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    host_is_legal && digits && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for text in ["penstock.penstock.svc:9090", "dns:///p:1", "10.0.0.1:9090", "[::1]:9090"] {
            assert!(is_address(text), "{text}");
        }
        for text in ["", "penstock", "http://p:9090", "p:", "p:0", "p:65536", ":9090", "::1:9090"] {
            assert!(!is_address(text), "{text}");
        }
    }
}
