//! Graflow's own design: a list of tasks, a worker for each ten of them, one at least and twenty at most.

use std::time::Duration;

use penstock_testkit::{Service, millis};
use tokio::time::sleep;

use crate::stage::{DECISION, Stage, set, shown};

/// Tasks that wait, and the workers that follow: ceil(depth / 10), from 1 to 20.
const STEPS: [(usize, u64); 5] = [(0, 1), (95, 10), (250, 20), (31, 4), (0, 1)];

pub async fn ceil_of_depth_over_ten_from_one_to_twenty(stage: &Stage<'_>) {
    let penstock = Service::of(&stage.redis).await;
    stage.deployment("graflow-worker", 1).await;
    stage.apply(&manifest(penstock.grpc())).await;
    stage.is_ready("graflow-worker").await;
    let play = async {
        for (depth, workers) in STEPS {
            set(&stage.redis, "graflow:queue", depth);
            stage.scales_to("graflow-worker", workers, DECISION + Duration::from_secs(30)).await;
            sleep(millis(500)).await;
        }
    };
    let changes = stage.changes_while("graflow-worker", play).await;
    println!("| {} | graflow | {} |", stage.keda(), shown(&changes));
    // Up to a step and down to it, never past it.
    let seen: Vec<u64> = changes.iter().map(|(_, replicas)| *replicas).collect();
    let up = seen.iter().position(|replicas| *replicas == 20).unwrap();
    assert!(seen[..=up].is_sorted(), "{seen:?}");
    assert!(seen[up..].is_sorted_by(|left, right| left >= right), "{seen:?}");
    assert!(seen.iter().all(|replicas| (1..=20).contains(replicas)), "{seen:?}");
}

fn manifest(penstock: &str) -> String {
    format!(
        "
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: graflow-worker}}
spec:
  scaleTargetRef: {{name: graflow-worker}}
  pollingInterval: 5
  minReplicaCount: 1
  maxReplicaCount: 20
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleUp:
          stabilizationWindowSeconds: 0
          policies: [{{type: Pods, value: 10, periodSeconds: 15}}]
        scaleDown:
          stabilizationWindowSeconds: 15
          policies: [{{type: Percent, value: 100, periodSeconds: 15}}]
  triggers:
    - type: external-push
      metadata: {{scalerAddress: '{penstock}', queue: 'graflow:queue', target: '10'}}
"
    )
}
