//! penstock under the real KEDA, HPA, ReplicaSet and Job controllers: a control plane of plain processes for
//! each version of KEDA, and scenarios that say what must come out.
//!
//! `make test-kubernetes` builds what it needs. A table of what was seen is printed with `-- --nocapture`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "all of this is test code: it fails where it stands, and shows what it saw"
)]

mod api;
mod cluster;
mod control_plane;
mod keda;
mod node;
mod process;
mod scenarios;
mod stage;

use std::{
    panic::catch_unwind,
    sync::{Arc, OnceLock},
};

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

use cluster::Cluster;
use keda::Version;
use scenarios::{ALONE, Scenario, TOGETHER};

/// Scenarios wait for something most of the time, but workers that start keep a core busy.
const AT_ONCE: usize = 10;

/// The cluster of a KEDA, started by the first scenario that wants it; if it does not start, all fail.
struct Lazy {
    version: Version,
    cluster: OnceLock<Result<Cluster, Failed>>,
}

impl Lazy {
    fn get(&self) -> Result<&Cluster, Failed> {
        let version = self.version;
        let start = || catch_unwind(|| Cluster::start(version)).map_err(|_| "no cluster".into());
        self.cluster.get_or_init(start).as_ref().map_err(Clone::clone)
    }
}

fn main() {
    let mut arguments = Arguments::from_args();
    let clusters = Version::ALL.map(|version| Arc::new(Lazy { version, cluster: OnceLock::new() }));
    let trials = |scenarios: &'static [Scenario]| {
        let on_all = |scenario| clusters.iter().map(move |lazy| trial(lazy, scenario));
        scenarios.iter().flat_map(on_all).collect::<Vec<_>>()
    };
    arguments.test_threads.get_or_insert(AT_ONCE);
    let together = libtest_mimic::run(&arguments, trials(TOGETHER));
    arguments.test_threads = Some(1);
    let alone = libtest_mimic::run(&arguments, trials(ALONE));
    // The control planes end here: `exit` drops nothing.
    drop(clusters);
    let failed = [&together, &alone].into_iter().find(|outcome| outcome.has_failed());
    failed.map_or_else(|| (), Conclusion::exit_if_failed);
}

fn trial(lazy: &Arc<Lazy>, (name, scenario): &'static Scenario) -> Trial {
    let lazy = Arc::clone(lazy);
    let kind = format!("KEDA {}", lazy.version.name());
    let run = move || {
        scenario(lazy.get()?, name);
        Ok(())
    };
    Trial::test(*name, run).with_kind(kind)
}
