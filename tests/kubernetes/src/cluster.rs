//! A control plane with one KEDA and a node: what all scenarios of that KEDA share.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tokio::runtime::Runtime;

use crate::{
    api::Kubernetes,
    control_plane::ControlPlane,
    keda::{Keda, Version},
    node::Node,
    stage::Stage,
};

/// It ends in the order of its fields: first what asks, last what is asked.
pub struct Cluster {
    node: Node,
    pub keda: Keda,
    pub kubernetes: Kubernetes,
    pub plane: ControlPlane,
    runtime: Runtime,
}

impl Cluster {
    pub fn start(version: Version) -> Self {
        let runtime = Runtime::new().unwrap();
        let plane = ControlPlane::start();
        let kubernetes = runtime.block_on(Kubernetes::connect(&plane.kubeconfig()));
        let keda = runtime.block_on(Keda::start(version, &plane, &kubernetes));
        let node = Node::start(plane.kubeconfig());
        Self { node, keda, kubernetes, plane, runtime }
    }

    /// Runs a scenario in a namespace of its own, which is deleted in the end, whatever came out.
    pub fn run(&self, name: &str, scenario: impl AsyncFn(&Stage<'_>)) {
        // A name has at most 63 bytes, and ends with a letter.
        let namespace: String = name.replace('_', "-").chars().take(60).collect();
        let namespace = namespace.trim_end_matches('-');
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            self.runtime.block_on(async {
                let stage = Stage::open(self, namespace).await;
                scenario(&stage).await;
            });
        }));
        self.runtime.block_on(self.kubernetes.delete("Namespace", "", namespace, None));
        self.node.assert_runs();
        if let Err(panic) = outcome {
            println!("{name} on KEDA {}", self.keda.version().name());
            println!("{}\n{}", self.keda.last_lines(), self.plane.last_lines());
            resume_unwind(panic);
        }
    }
}
