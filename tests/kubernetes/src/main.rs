//! penstock under the real KEDA, HPA, ReplicaSet and Job controllers: a control plane of plain processes for
//! each version of KEDA, and scenarios that say what must come out.
//!
//! `make test-kubernetes` builds what it needs. What was seen is printed as rows of a table.

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
mod kept;
mod node;
mod pod;
mod process;
mod scenarios;
mod stage;

use std::{
    panic::catch_unwind,
    slice,
    sync::{Arc, OnceLock},
};

use libtest_mimic::{Arguments, Failed, Trial};

use cluster::Cluster;
use keda::Version;
use scenarios::{ALONE, IN_PAIRS, Scenario, TOGETHER};

/// Scenarios wait for something most of the time, but workers that start keep a core busy.
const THREADS: usize = 12;

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
    let mut run = |clusters: &[Arc<Lazy>], scenarios: &'static [Scenario], at_once| {
        let on_all = |scenario| clusters.iter().map(move |lazy| trial(lazy, scenario));
        arguments.test_threads = Some(at_once);
        libtest_mimic::run(&arguments, scenarios.iter().flat_map(on_all).collect()).has_failed()
    };
    let mut has_failed = run(&clusters, TOGETHER, THREADS);
    for scenario in IN_PAIRS {
        has_failed |= run(&clusters, slice::from_ref(scenario), clusters.len());
    }
    for cluster in clusters {
        has_failed |= run(&[cluster], ALONE, 1);
        // The control plane ends here, and leaves the machine to the next.
    }
    assert!(!has_failed, "a scenario failed");
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
