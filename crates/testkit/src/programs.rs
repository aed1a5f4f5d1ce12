//! Where the programs are that the tests start. A program that is missing fails the test.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// The redis-server to start.
pub(crate) fn redis() -> PathBuf {
    program("PENSTOCK_TEST_REDIS_SERVER", "redis-server")
}

/// The valkey-server to start.
pub(crate) fn valkey() -> PathBuf {
    program("PENSTOCK_TEST_VALKEY_SERVER", "valkey-server")
}

/// A Python that has grpcio and grpcio-tools.
pub fn python() -> PathBuf {
    program("PENSTOCK_TEST_PYTHON", "python3")
}

/// The real binary, with an empty environment. Cargo builds it for the tests of its own package, and puts it beside
/// the folder of their programs; for those of another one `make` has it built first.
pub fn penstock() -> Command {
    let own = std::env::current_exe().unwrap();
    bare(own.ancestors().nth(2).unwrap().join("penstock"))
}

/// The seed that somebody asks for, to see again what a test did at random.
#[expect(clippy::disallowed_methods, reason = "a failed test tells the variable to set")]
pub(crate) fn seed() -> Option<u64> {
    std::env::var("PENSTOCK_TEST_SEED").ok().map(|number| number.parse().unwrap())
}

#[expect(clippy::disallowed_methods, reason = "`make test` tells the programs by environment")]
fn program(variable: &str, name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return PathBuf::from(path);
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name));
    found.into_iter().find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("there is no {name}: {variable} is not set and PATH has none; `make test` sets it")
    })
}

/// Sends a signal (`TERM`, `STOP`, …) to one process.
pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status().unwrap();
    assert!(sent.success(), "no signal {name} to process {pid}");
}

/// A command with no environment but PATH, so that no setting of the machine is in the way.
pub fn bare(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env_clear().env("PATH", path());
    command
}

#[expect(clippy::disallowed_methods, reason = "programs need the PATH of the tests")]
fn path() -> impl AsRef<OsStr> {
    std::env::var_os("PATH").unwrap_or_default()
}
