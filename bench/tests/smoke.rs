//! The benchmark itself, with tiny numbers: every measurement gives every row, and nothing fails.
//!
//! It does not time anything: whether a bound holds depends on the machine.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The rows of each measurement, in order, by what they begin with.
const ROWS: &[(&str, &[&str])] = &[
    (
        "activation",
        &[
            "LPUSH to `true`, 5 streams open, p50",
            "LPUSH to `true`, 5 streams open, p99",
            "LPUSH to `true`, 5 streams open, max",
            "LPUSH to `true`, 10 streams open, p50",
            "LPUSH to `true`, 10 streams open, p99",
            "LPUSH to `true`, 10 streams open, max",
            "LPUSH to `true`, 50 streams open, p50",
            "LPUSH to `true`, 50 streams open, p99",
            "LPUSH to `true`, 50 streams open, max",
            "IsActive of the no-op server, p50",
            "IsActive of the no-op server, p99",
        ],
    ),
    (
        "throughput",
        &[
            "unary calls, 1 in flight",
            "unary calls, 8 in flight",
            "unary calls, 64 in flight",
            "Redis commands for ",
        ],
    ),
    (
        "commands",
        &[
            "commands per poll, 200 idle triggers",
            SAFETY,
            "polls, 200 idle triggers",
            "commands per poll, 200 triggers, 1 % change a second",
            "commands per poll, 40 triggers, all change each second",
            "connections to Redis, 200 triggers",
        ],
    ),
    (
        "cluster-commands",
        &[
            "commands per poll, 200 idle triggers, 3 masters",
            SAFETY,
            "polls, 200 idle triggers, 3 masters",
            "PING of each node, 200 idle triggers, 3 masters",
            "CLUSTER NODES and SLOTS of each node, 200 idle triggers, 3 masters",
            "commands per poll, 200 triggers, 1 % change a second, 3 masters",
            "commands per poll, 40 triggers, all change each second, 3 masters",
            "connections to Redis, 200 triggers, 3 masters",
        ],
    ),
    (
        "hot-queue",
        &[
            "reads of a hot queue",
            "age of its value, p50",
            "age of its value, p99",
            "age of its value, max",
            "GetMetrics of it, p50",
            "GetMetrics of it, p99",
        ],
    ),
    (
        "ages",
        &["commands per poll, 200 triggers of ages, idle", "refreshes of the age of a hot queue"],
    ),
    (
        "memory",
        &[
            "memory, idle",
            "memory, 20 triggers with a stream each",
            "memory, 100 triggers with a stream each",
            "memory, all opened again, last time",
            "memory, all opened again, last time, no-op server",
        ],
    ),
];
/// What a service without causes in its metrics does not tell.
const SAFETY: &str = "safety re-reads per poll, 200 idle triggers";

/// The service, built beside the benchmark when the whole workspace is.
fn penstock(bench: &Path) -> PathBuf {
    let program = bench.with_file_name("penstock");
    assert!(program.is_file(), "there is no {}: run `cargo build` first", program.display());
    program
}

#[expect(clippy::disallowed_methods, reason = "`make test` tells the server by environment")]
fn redis_server() -> PathBuf {
    std::env::var_os("PENSTOCK_TEST_REDIS_SERVER").map_or_else(|| "redis-server".into(), Into::into)
}

#[test]
fn every_measurement_gives_all_its_rows() {
    let bench = Path::new(env!("CARGO_BIN_EXE_penstock-bench"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("table.json");
    let run = Command::new(bench)
        .arg("--quick")
        .arg("--penstock")
        .arg(penstock(bench))
        .arg("--redis-server")
        .arg(redis_server())
        .arg("--json")
        .arg(&file)
        .output()
        .unwrap();
    let (said, table) = (String::from_utf8(run.stderr).unwrap(), String::from_utf8(run.stdout));
    let table = table.unwrap();
    assert!(run.status.success(), "{said}");

    let whole: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(whole["quick"], true);
    let measurements: BTreeMap<String, Vec<Value>> =
        serde_json::from_value(whole["measurements"].clone()).unwrap();
    assert_eq!(measurements.len(), ROWS.len());
    for (name, expected) in ROWS {
        let rows = &measurements[*name];
        assert_eq!(rows.len(), expected.len(), "{name}: {rows:#?}");
        for (row, begin) in rows.iter().zip(*expected) {
            let what = row["what"].as_str().unwrap();
            assert!(what.starts_with(begin), "`{what}` does not begin with `{begin}`");
            assert!(table.contains(what), "the table does not show `{what}`:\n{table}");
            match row["measured"].as_f64() {
                Some(number) => assert!(number.is_finite() && number >= 0.0, "{row}"),
                None => assert_eq!(*begin, SAFETY, "{row}"),
            }
        }
    }
}

#[test]
fn what_cannot_be_started_is_named_and_fails() {
    let bench = Path::new(env!("CARGO_BIN_EXE_penstock-bench"));
    let run = Command::new(bench)
        .args(["--quick", "--only", "memory", "--penstock", "/nowhere/penstock"])
        .arg("--redis-server")
        .arg(redis_server())
        .output()
        .unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot start /nowhere/penstock"), "{said}");
}
