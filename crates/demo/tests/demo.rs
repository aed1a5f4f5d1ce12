//! The demo as a user runs it, on Redis and on Valkey.

#![expect(clippy::unwrap_used, reason = "a test ends at what it cannot use")]

use std::process::{Command, Output};

/// What a run said, and its exit code.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock-demo"));
    let Output { status, stdout, stderr } = command.args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[expect(clippy::disallowed_methods, reason = "`make test` tells the servers by environment")]
fn server(variable: &str, name: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| name.to_owned())
}

#[test]
fn the_demo_scales_from_zero_and_back_and_cuts_no_job_on_redis() {
    scales_and_cuts_no_job(&server("PENSTOCK_TEST_REDIS_SERVER", "redis-server"));
}

#[test]
fn the_demo_scales_from_zero_and_back_and_cuts_no_job_on_valkey() {
    scales_and_cuts_no_job(&server("PENSTOCK_TEST_VALKEY_SERVER", "valkey-server"));
}

fn scales_and_cuts_no_job(program: &str) {
    let quick = ["--speed", "60", "--jobs", "12", "--job-time", "500ms", "--give-up", "90s"];
    let arguments = [["--redis-server", program].as_slice(), quick.as_slice()].concat();
    let (code, said, complained) = run(&arguments);
    assert_eq!(code, 0, "{said}{complained}");
    let line = |start: &str| said.lines().find(|line| line.starts_with(start)).unwrap_or_default();
    assert!(line("jobs done").ends_with("12 of 12"), "{said}");
    assert!(line("jobs cut").ends_with(" 0"), "{said}");
    let replicas = line("replicas").trim_start_matches("replicas").trim();
    assert!(replicas.starts_with("0 → 1") && replicas.ends_with("→ 0"), "{said}");
}

#[test]
fn what_cannot_be_meant_is_a_usage_error_and_no_panic() {
    for (arguments, word) in [(["--target", "0"], "target"), (["--speed", "0"], "speed")] {
        let (code, said, complained) = run(&arguments);
        assert_eq!(code, 2, "{arguments:?}: {said}{complained}");
        assert!(complained.contains(word), "{arguments:?}: {complained}");
    }
}

#[test]
fn a_server_that_cannot_be_started_is_named_and_fails() {
    let (code, said, complained) = run(&["--redis-server", "/nowhere/redis-server"]);
    assert_eq!(code, 1, "{said}{complained}");
    assert!(complained.contains("cannot start /nowhere/redis-server"), "{complained}");
}
