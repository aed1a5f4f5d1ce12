//! The server's configuration: refused without showing a value that may be a secret, or within every
//! bound.

use std::collections::BTreeSet;

use penstock::{
    config::{Config, Endpoint, Node},
    limits,
};

use crate::{
    engine::{Target, Traits},
    hold,
};

pub const TARGET: Target = Target { name: "config", words: WORDS, check };

const WORDS: &[&str] = &[
    "[server]",
    "[redis.default]",
    "[redis.a]",
    "[layouts.acme]",
    "[[layouts.acme.waiting]]",
    "[layouts.acme.params.queue]",
    "listen",
    "admin_listen",
    "push_inactive",
    "url",
    "username",
    "password_file",
    "password_env",
    "hold_stale",
    "namespaces",
    "keys",
    "databases",
    "scan",
    "tls",
    "sentinel",
    "[redis.default.sentinel]",
    "[redis.default.tls]",
    "[redis.default.sentinel.tls]",
    "[server.tls]",
    "[limits]",
    "cluster",
    "cluster = [\"n1\", \"n2:7001\"]",
    "nodes = [\"s1\", \"[::1]:26380\"]",
    "master = \"m\"",
    "server_name",
    "client_ca",
    "client_names",
    "cert",
    "ca",
    "password_command",
    "password_refresh",
    "triggers_per_namespace",
    "\"u:S3CR3T@n1:6379\"",
    "replicas",
    "nodes",
    "password",
    "\"redis://u:S3CR3T@h:6379/0\"",
    "\"rediss://h\"",
    "'S3CR3T'",
    "\"0.0.0.0:9090\"",
    "\"30s\"",
    "true",
    "false",
    "[0, 1]",
    "[\"*\"]",
    "\"\"\"",
    "'''",
    " = ",
    "\n",
    "1979-05-27T07:32:00Z",
    "{",
    "}",
    "read",
    "size",
    "key",
    "\"{queue}\"",
    "type",
    "doc",
    "example",
    "required",
    "when",
    "0x06",
    "{{",
    "{0x06}",
    "inf",
    "nan",
    "1e5",
    "0o7",
];
/// What stands for a secret in the committed inputs.
const SECRET: &str = "S3CR3T";
/// Where somebody may have written a secret, by mistake or not.
const SECRETIVE: &[&str] = &[
    "url",
    "cluster",
    "nodes",
    "password",
    "username",
    "password_file",
    "password_env",
    "password_command",
];
/// The longest that one problem may be.
const PROBLEM_BYTES: usize = 4 * 1024;

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    let parsed = Config::parse(&text, "penstock.toml");
    let commented = Config::parse(&format!("{text}\n# the end"), "penstock.toml");
    // Inside a string that has no end a comment is none.
    let is_toml = text.parse::<toml::Table>().is_ok();
    hold!(!is_toml || parsed.is_ok() == commented.is_ok(), "a comment makes a difference");
    match parsed {
        Ok(config) => {
            traits.note((config.connections.len().min(4), config.layouts.layouts().count()));
            let debug = format!("{config:?}");
            traits.note(debug.contains("Secret"));
            is_within_bounds(&config)
        }
        Err(problems) => {
            hold!(problems.iter().len() > 0, "no configuration and no problem");
            for problem in problems.iter() {
                traits.note_message(&problem.what);
                let told = problem.to_string();
                hold!(told.len() <= PROBLEM_BYTES, "a problem of {} bytes", told.len());
                hold!(!told.chars().any(char::is_control), "a control character: {told:?}");
            }
            shows_no_secret(&text, &problems.to_string())
        }
    }
}

fn is_within_bounds(config: &Config) -> Result<(), String> {
    hold!(config.connections.len() <= limits::CONNECTIONS, "too many connections");
    for (name, connection) in &config.connections {
        let budget = connection.hold_stale;
        hold!(budget <= limits::HOLD_STALE_MAX, "`{name}` holds for {budget:?}");
        let databases = connection.access.databases();
        hold!((1..=limits::DATABASES).contains(&databases.len()), "the databases of `{name}`");
        let is_legal = |number: &u32| *number <= limits::DATABASE_NUMBER;
        hold!(databases.iter().all(is_legal), "`{name}` has {databases:?}");
        hold!(databases.contains(&connection.database), "the database of `{name}` is refused");
        is_somewhere(name, &connection.endpoint)?;
        let is_cluster = matches!(connection.endpoint, Endpoint::Cluster(_));
        hold!(!is_cluster || databases == [0], "the cluster `{name}` has {databases:?}");
        let shown = format!("{:?}", connection.password);
        hold!(!shown.contains(SECRET), "the password of `{name}` is shown: {shown}");
    }
    Ok(())
}

/// Nodes that can be connected to, as many as may be and none twice.
fn is_somewhere(name: &str, endpoint: &Endpoint) -> Result<(), String> {
    let (nodes, most): (&[Node], usize) = match endpoint {
        Endpoint::Standalone(node) => (std::slice::from_ref(node), 1),
        Endpoint::Cluster(seeds) => (seeds, limits::CLUSTER_SEEDS),
        Endpoint::Sentinel(sentinels) => {
            hold!(!sentinels.master.is_empty(), "the sentinels of `{name}` watch nobody");
            (&sentinels.nodes, limits::SENTINELS)
        }
    };
    hold!((1..=most).contains(&nodes.len()), "`{name}` has {} nodes", nodes.len());
    for Node { host, port } in nodes {
        let foreign = |c: char| c.is_control() || c.is_whitespace() || "/?#@\\".contains(c);
        hold!(!host.is_empty() && !host.contains(foreign) && *port > 0, "`{name}`: {nodes:?}");
    }
    let distinct: BTreeSet<&Node> = nodes.iter().collect();
    hold!(distinct.len() == nodes.len(), "`{name}` names a node twice: {nodes:?}");
    let told = endpoint.to_string();
    hold!(!told.is_empty() && !told.contains('@'), "`{name}` is at {told}");
    Ok(())
}

/// A file that is no TOML is never quoted; of one that is, keys and patterns are.
fn shows_no_secret(text: &str, told: &str) -> Result<(), String> {
    if !told.contains(SECRET) {
        return Ok(());
    }
    let Ok(table) = text.parse::<toml::Table>() else {
        return Err(format!("what is no TOML is quoted: {told}"));
    };
    let section = table.get("redis").and_then(toml::Value::as_table);
    let connections = section.into_iter().flatten().filter_map(|(_, value)| value.as_table());
    let sentinels = |connection| toml::Table::get(connection, "sentinel")?.as_table();
    for place in connections.flat_map(|one| [Some(one), sentinels(one)].into_iter().flatten()) {
        for key in SECRETIVE {
            let texts = match place.get(*key) {
                Some(toml::Value::Array(all)) => {
                    all.iter().filter_map(toml::Value::as_str).collect()
                }
                Some(value) => value.as_str().into_iter().collect(),
                None => Vec::new(),
            };
            let is_shown = |text: &&str| text.len() > SECRET.len() + 2 && told.contains(*text);
            hold!(!texts.iter().any(is_shown), "the value of `{key}` is shown: {told}");
        }
    }
    Ok(())
}
