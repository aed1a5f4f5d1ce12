//! The architecture as a test: which level may use which, and who alone may name a crate.
//!
//! It reads the source of the service and of `crates/`, and runs nothing of it. A rule is a row of a
//! table here; the samples at the end break each rule, to prove that it would be seen.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a source that cannot be read fails a test")]

#[path = "levels/circles.rs"]
mod circles;
#[path = "levels/reader.rs"]
mod reader;

use std::{collections::BTreeSet, fs, path::Path};

use syn::{File, Item};

use circles::Room;
use reader::{Found, What};

/// Every top-level module by its level. A file uses lower levels and its own module only.
const LEVELS: &[&[&str]] = &[
    &["limits", "time", "secret"],
    &["metadata", "readiness", "telemetry", "supervise", "tls", "peers"],
    &["layouts", "signals"],
    &["trigger"],
    &["config", "sampling"],
    &["redis", "scaler"],
    &["grpc", "http"],
    &["cli"],
];
/// Who may use whom on its own level: signals weigh the counts of layouts, and connections of peers
/// count themselves.
const SAME_LEVEL: &[(&str, &str)] = &[("signals", "layouts"), ("peers", "telemetry")];
/// The levels that are pure, and what they may not name.
const PURE: std::ops::RangeInclusive<usize> = 2..=3;
const IMPURE: &[&[&str]] = &[
    &["tokio"],
    &["tracing"],
    &["redis"],
    &["tonic"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
];
/// What pure code may not take from the module `time`: the clock. It gets the time as an argument.
const CLOCK: &[&str] = &["wall_now"];
/// The crates beside the service that are pure as well.
const PURE_CRATES: &[&str] = &["crates/hpa/"];
/// Crates that only these files may name: below `src`, or below `crates`.
const OWNED: &[(&str, &[&str])] = &[
    ("redis", &["redis/", "crates/demo/src/jobs.rs", "crates/testkit/"]),
    ("deadpool", &["redis/"]),
    ("deadpool_redis", &["redis/", "crates/demo/src/jobs.rs", "crates/testkit/"]),
    ("tonic", &["grpc/", "crates/keda-client/", "crates/testkit/src/wire.rs"]),
    ("tonic_health", &["grpc/"]),
    ("tonic_prost", &["grpc/", "crates/testkit/src/wire.rs"]),
    ("tonic_reflection", &["grpc/"]),
    ("tonic_types", &["grpc/"]),
    ("http_body", &["grpc/"]),
    ("prost", &["grpc/", "crates/testkit/src/wire.rs"]),
    ("prost_types", &["grpc/"]),
    ("clap", &["cli/", "main.rs", "crates/demo/src/main.rs"]),
    ("anyhow", &["cli/", "main.rs", "crates/demo/src/main.rs"]),
    ("console", &["crates/demo/src/main.rs"]),
    ("x509_cert", &["tls/"]),
    ("tokio_rustls", &["grpc/", "redis/"]),
    ("rustls_native_certs", &["tls/"]),
    ("rustls", &["tls/", "grpc/", "redis/"]),
    ("rustix", &["redis/credentials/password_command.rs"]),
    // Other crates than the demo know nothing of the service. What tests start, they start from outside.
    ("penstock", &["crates/demo/"]),
    // A recording of the real KEDA is held against the model.
    (
        "penstock_hpa",
        &["cli/", "crates/demo/", "crates/keda-client/", "crates/testkit/src/recording.rs"],
    ),
    ("penstock_keda_client", &["crates/demo/"]),
    ("penstock_demo", &["crates/demo/src/main.rs"]),
    (
        "prometheus_client",
        &[
            "telemetry/metrics.rs",
            "telemetry/edge.rs",
            "telemetry/link.rs",
            "telemetry/labels.rs",
            "telemetry/credentials.rs",
            "telemetry/sentinels.rs",
        ],
    ),
];
const PRINTS: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];
const MAY_PRINT: &[&str] = &["cli/", "crates/demo/src/main.rs", "crates/testkit/"];
const LINES: usize = 400;

/// One file: its path below `src`, or from `crates/` on, and its text.
type Source = (String, String);

/// Everything that is wrong, one line each.
fn check(sources: &[Source]) -> Vec<String> {
    let parse = |source @ (path, text): &Source| {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", shown(path)));
        (source.clone(), file)
    };
    let parsed: Vec<(Source, File)> = sources.iter().map(parse).collect();
    let tests: BTreeSet<Vec<String>> = (parsed.iter())
        .flat_map(|((path, _), file)| reader::test_modules(&module_of(path), file))
        .collect();
    let mut wrong = Vec::new();
    let mut rooms = Vec::new();
    for ((path, text), file) in &parsed {
        let module = module_of(path);
        let is_test = tests.iter().any(|test| module.starts_with(test));
        let mut say =
            |line: usize, what: String| wrong.push(format!("{}:{line}: {what}", shown(path)));
        if !text.starts_with("//!") {
            say(1, "does not start with //!".to_owned());
        }
        let lines = text.lines().count();
        if lines > LINES {
            say(lines, format!("has {lines} lines, at most {LINES} are allowed"));
        }
        for module in without_level(path, file) {
            say(1, format!("the module `{module}` has no level in tests/levels.rs"));
        }
        let mut uses = Vec::new();
        for Found { line, is_test, is_handed_on, what } in
            reader::read(module.clone(), is_test, file)
        {
            if let Some(what) = judge(path, is_test, &what) {
                say(line, what);
            }
            if let What::Own(path) = what
                && !is_test
                && !is_handed_on
            {
                uses.push(path);
            }
        }
        if !is_test {
            let bound = reader::bound(module.clone(), file);
            rooms.push(Room { path: path.clone(), module, uses, bound });
        }
    }
    for circle in circles::circles(&rooms) {
        let files: Vec<String> = circle.iter().map(|path| shown(path)).collect();
        wrong.push(format!("{}:1: stands in a circle: {}", files[0], files.join(" uses ")));
    }
    wrong
}

/// The parts of a path of another crate than the service: the crate, and the path below its `src`.
fn beside(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("crates/")?.split_once("/src/")
}

/// The path from the root of the repository on.
fn shown(path: &str) -> String {
    if beside(path).is_some() { path.to_owned() } else { format!("src/{path}") }
}

/// The module of a file within its crate.
fn module_of(path: &str) -> Vec<String> {
    reader::module_of(beside(path).map_or(path, |(_, below)| below))
}

fn level(module: &str) -> Option<usize> {
    LEVELS.iter().position(|modules| modules.contains(&module))
}

/// The modules that lib.rs declares and no level has, or a file's own. Other crates are too small to
/// have levels.
fn without_level(path: &str, file: &File) -> Vec<String> {
    if beside(path).is_some() {
        return vec![];
    }
    let declared = file.items.iter().filter_map(|item| {
        let Item::Mod(module) = item else { return None };
        (path == "lib.rs").then(|| module.ident.to_string())
    });
    let own = module_of(path).into_iter().take(1);
    declared.chain(own).filter(|module| level(module).is_none()).collect()
}

fn judge(path: &str, is_test: bool, what: &What) -> Option<String> {
    match what {
        What::Own(names) => judge_own(path, is_test, names),
        What::Service(names) if beside(path).is_none() => judge_own(path, is_test, names),
        What::Service(names) => judge_other(path, &[&["penstock".to_owned()], &names[..]].concat()),
        What::Other(names) => judge_other(path, names),
        What::Macro(name) => (PRINTS.contains(&name.as_str()) && !is_below(path, MAY_PRINT))
            .then(|| format!("{name}! prints, which only a command line does")),
        What::Allow => Some("allow(…): expect the lint, with a reason".to_owned()),
        What::Unreasoned => Some("expect(…) without a reason".to_owned()),
    }
}

fn judge_own(path: &str, is_test: bool, names: &[String]) -> Option<String> {
    if beside(path).is_some() {
        return None;
    }
    let modules = module_of(path);
    let (own, asked) = (modules.first()?, &names[0]);
    let clock = names.get(1).filter(|name| asked == "time" && CLOCK.contains(&name.as_str()));
    if let Some(name) = clock.filter(|_| is_pure(path)) {
        return Some(format!("names time::{name}, and its level is pure"));
    }
    let is_allowed = match (level(own), level(asked)) {
        _ if own == asked => true,
        (Some(own_level), Some(level)) => {
            let same = own_level == level;
            level < own_level
                || same && (is_test || SAME_LEVEL.contains(&(own.as_str(), asked.as_str())))
        }
        (None, _) | (_, None) => false,
    };
    (!is_allowed).then(|| format!("`{own}` may not use `{}`: it is not below it", names.join("::")))
}

fn judge_other(path: &str, names: &[String]) -> Option<String> {
    let named = names.join("::");
    let owner = OWNED.iter().find(|(owned, _)| *owned == names[0]);
    if let Some((_, owners)) = owner.filter(|(_, owners)| !is_below(path, owners)) {
        return Some(format!("names {named}, which only {} may", owners.join(" ")));
    }
    let is_in = |impure: &&[&str]| {
        names.len() >= impure.len() && impure.iter().zip(names).all(|(part, name)| part == name)
    };
    let is_impure = IMPURE.iter().any(is_in);
    (is_impure && is_pure(path)).then(|| format!("names {named}, and its level is pure"))
}

fn is_below(path: &str, owners: &[&str]) -> bool {
    owners.iter().any(|owner| path.starts_with(owner))
}

fn is_pure(path: &str) -> bool {
    if beside(path).is_some() {
        return is_below(path, PURE_CRATES);
    }
    let modules = module_of(path);
    modules.first().and_then(|module| level(module)).is_some_and(|level| PURE.contains(&level))
}

fn sources_below(folder: &Path, prefix: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            sources.extend(sources_below(&entry.path(), &format!("{name}/")));
        } else if name.ends_with(".rs") {
            sources.push((name, fs::read_to_string(entry.path()).unwrap()));
        }
    }
    sources
}

#[test]
fn every_file_keeps_to_its_level() {
    let sources = sources_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "");
    assert!(sources.len() > 50, "only {} files were found", sources.len());
    let wrong = check(&sources);
    assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_file_of_another_crate_keeps_to_what_the_crate_is_for() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    let names = fs::read_dir(&crates).unwrap().map(|entry| entry.unwrap().file_name());
    let names: BTreeSet<String> = names.map(|name| name.into_string().unwrap()).collect();
    assert!(
        ["demo", "hpa", "keda-client", "testkit"].iter().all(|name| names.contains(*name)),
        "{names:?}"
    );
    for name in names {
        let folder = crates.join(&name).join("src");
        let sources = sources_below(&folder, &format!("crates/{name}/src/"));
        assert!(!sources.is_empty(), "crates/{name} has no source");
        let wrong = check(&sources);
        assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
}

/// What is wrong with one file of this text, given its `//!`.
fn wrong_with(path: &str, text: &str) -> Vec<String> {
    check(&[(path.to_owned(), format!("//! A sample.\n{text}\n"))])
}

#[test]
fn a_use_of_a_higher_level_is_seen_however_it_is_written() {
    for (path, text) in [
        ("trigger/mod.rs", "use crate::sampling::Sampler;"),
        ("trigger/mod.rs", "use crate::{limits, layouts::{self, Read}, config as settings};"),
        ("layouts/mod.rs", "use crate::trigger::*;"),
        ("layouts/mod.rs", "use crate::*;"),
        ("layouts/read.rs", "fn f() -> crate::grpc::Service { todo() }"),
        ("layouts/read.rs", "use super::super::trigger::Trigger;"),
        ("layouts/mod.rs", "mod inner { use super::super::trigger::Trigger; }"),
        ("layouts/mod.rs", "fn f() { super::trigger::parse() }"),
        ("layouts/mod.rs", "fn f() { assert!(crate::trigger::ok()); }"),
        ("layouts/mod.rs", "fn f() { vec![x, { crate::trigger::ok() }]; }"),
        ("layouts/mod.rs", "#[derive(crate::trigger::Derive)] struct S;"),
        ("layouts/mod.rs", "#[cfg(test)] mod tests { use crate::trigger::Trigger; }"),
        ("cli/mod.rs", "use crate::nowhere::X;"),
    ] {
        assert_eq!(wrong_with(path, text).len(), 1, "{path}: {text}");
    }
}

#[test]
fn siblings_are_apart_except_in_tests_and_where_the_table_says_so() {
    for (path, text, wrong) in [
        ("limits.rs", "use crate::secret::Secret;", 1),
        ("tls/mod.rs", "use crate::telemetry::Metrics;", 1),
        ("layouts/mod.rs", "use crate::signals::Signal;", 1),
        ("signals/mod.rs", "use crate::layouts::Counts;", 0),
        ("config/mod.rs", "use crate::sampling::Sampler;", 1),
        ("scaler/mod.rs", "use crate::redis::RedisSource;", 1),
        ("grpc/mod.rs", "#[cfg(test)] mod tests { use crate::redis::RedisSource; }", 0),
        ("cli/mod.rs", "use crate::grpc::Service;", 0),
        ("grpc/mod.rs", "use crate::cli::Cli;", 1),
        ("main.rs", "fn main() { penstock::cli::run() }", 0),
    ] {
        assert_eq!(wrong_with(path, text).len(), wrong, "{path}: {text}");
    }
    let sampling = ("sampling/mod.rs".to_owned(), "//! S.\n#[cfg(test)] mod tests;".to_owned());
    let tests = ("sampling/tests.rs".to_owned(), "//! T.\nuse crate::config::Config;".to_owned());
    assert_eq!(check(&[sampling, tests.clone()]), [""; 0]);
    assert_eq!(check(&[tests]).len(), 1);
}

#[test]
fn a_crate_has_one_owner() {
    for (path, text, wrong) in [
        ("sampling/worker.rs", "use redis::Cmd;", 1),
        ("sampling/worker.rs", "use deadpool_redis as pool;", 1),
        ("redis/link.rs", "use deadpool_redis::redis::{Cmd, Value};", 0),
        ("cli/serve.rs", "use crate::redis; fn f() { redis::RedisSource::new() }", 0),
        ("cli/serve.rs", "fn f() { tonic::include_proto!(\"x\"); }", 1),
        ("http/mod.rs", "#[tonic::async_trait] impl X for Y {}", 1),
        ("http/mod.rs", "use prost::Message as _;", 1),
        ("redis/link.rs", "fn f(s: tonic_health::ServingStatus) {}", 1),
        ("redis/link.rs", "extern crate tonic_types;", 1),
        ("config/mod.rs", "fn f() -> anyhow::Result<()> { Ok(()) }", 1),
        ("config/mod.rs", "#[derive(clap::Args)] struct S;", 1),
        ("cli/mod.rs", "use clap::Args; use anyhow::Context;", 0),
        ("telemetry/logging.rs", "use prometheus_client::registry::Registry;", 1),
        ("telemetry/metrics.rs", "use prometheus_client::registry::Registry;", 0),
        ("cli/probe.rs", "use penstock_hpa::Load;", 0),
        ("sampling/worker.rs", "use penstock_hpa::Load;", 1),
        ("sampling/worker.rs", "use penstock_demo::Load;", 1),
        ("sampling/worker.rs", "use penstock_keda_client::Keda;", 1),
        ("crates/hpa/src/keda.rs", "use clap::Args;", 1),
        ("crates/hpa/src/keda.rs", "use tonic::Status;", 1),
        ("crates/hpa/src/keda.rs", "use redis::Cmd;", 1),
        ("crates/keda-client/src/client.rs", "use tonic::Status;", 0),
        ("crates/keda-client/src/client.rs", "use penstock::limits;", 1),
        ("crates/keda-client/src/client.rs", "use clap::Args;", 1),
        ("crates/demo/src/main.rs", "use clap::Args; use penstock::config::Config;", 0),
        ("crates/demo/src/main.rs", "use tonic::Status;", 1),
        ("crates/demo/src/fleet.rs", "use clap::Args;", 1),
        ("crates/demo/src/fleet.rs", "use deadpool_redis::redis;", 1),
        ("crates/demo/src/jobs.rs", "use deadpool_redis::redis;", 0),
        ("crates/testkit/src/server.rs", "use deadpool_redis::redis;", 0),
        ("crates/testkit/src/server.rs", "use penstock::limits;", 1),
    ] {
        assert_eq!(wrong_with(path, text).len(), wrong, "{path}: {text}");
    }
}

#[test]
fn the_pure_levels_know_no_clock_no_log_and_no_runtime() {
    for text in [
        "use tokio::sync::Mutex;",
        "fn f() { tracing::info!(\"x\") }",
        "fn f(now: std::time::Instant) {}",
        "use std::time; fn f(now: time::Instant) {}",
        "use crate::time; fn f() { g(time::wall_now()) }",
    ] {
        assert!(!wrong_with("layouts/plan.rs", text).is_empty(), "{text}");
        assert!(!wrong_with("trigger/parse.rs", text).is_empty(), "{text}");
        assert_eq!(wrong_with("sampling/worker.rs", text), [""; 0], "{text}");
    }
    for text in [
        "use tokio::sync::Mutex;",
        "fn f() { tracing::info!(\"x\") }",
        "fn f(now: std::time::Instant) {}",
        "use penstock::limits;",
    ] {
        assert_eq!(wrong_with("crates/hpa/src/keda.rs", text).len(), 1, "{text}");
    }
}

#[test]
fn prints_lints_and_the_shape_of_files_are_seen() {
    for (path, text, wrong) in [
        ("grpc/mod.rs", "fn f() { println!(\"x\") }", 1),
        ("grpc/mod.rs", "fn f() { run(vec![{ eprintln!(\"x\") }]) }", 1),
        ("cli/mod.rs", "fn f() { println!(\"x\") }", 0),
        ("crates/hpa/src/lib.rs", "fn f() { println!(\"x\") }", 1),
        ("crates/demo/src/lib.rs", "fn f() { println!(\"x\") }", 1),
        ("crates/demo/src/main.rs", "fn f() { println!(\"x\") }", 0),
        ("crates/hpa/src/lib.rs", "#[allow(dead_code)] fn f() {}", 1),
        ("crates/hpa/src/lib.rs", "mod keda; use crate::keda::Keda;", 0),
        ("crates/hpa/src/history.rs", &"\n".repeat(LINES - 1), 1),
        ("grpc/mod.rs", "#[allow(dead_code)] fn f() {}", 1),
        ("grpc/mod.rs", "#![allow(dead_code)]", 1),
        ("grpc/mod.rs", "#[cfg_attr(test, allow(dead_code))] fn f() {}", 1),
        ("grpc/mod.rs", "#[expect(dead_code)] fn f() {}", 1),
        ("grpc/mod.rs", "#[expect(dead_code, reason = \"a sample\")] fn f() {}", 0),
        ("grpc/mod.rs", "fn f() { x.expect(\"holds\"); }", 0),
        ("lib.rs", "pub mod helpers;", 1),
        ("helpers.rs", "", 1),
        ("lib.rs", "pub mod limits;", 0),
        ("limits.rs", &"\n".repeat(LINES - 2), 0),
        ("limits.rs", &"\n".repeat(LINES - 1), 1),
    ] {
        assert_eq!(wrong_with(path, text).len(), wrong, "{path}: {text}");
    }
    let plain = [("limits.rs".to_owned(), "// No description.\n".to_owned())];
    assert_eq!(check(&plain), ["src/limits.rs:1: does not start with //!"]);
}
