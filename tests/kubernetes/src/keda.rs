//! KEDA's operator and metrics adapter of one version, as processes, and what they need in the cluster: its
//! kinds of objects, its certificates, and the API of external metrics that the HPA asks.

use std::{path::PathBuf, process::Command, time::Duration};

use serde_json::Value;

use penstock_testkit::Port;

use crate::{
    api::{Kubernetes, eventually},
    control_plane::ControlPlane,
    kept::Kept,
    process::{Process, root, tool},
};

/// How long KEDA may take to start on a machine that does much else.
const START: Duration = Duration::from_secs(120);

/// The versions of KEDA that the tests are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V2_20,
    V2_21,
}

impl Version {
    pub const ALL: [Self; 2] = [Self::V2_20, Self::V2_21];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V2_20 => "2.20",
            Self::V2_21 => "2.21",
        }
    }

    fn folder(self) -> String {
        format!("kubernetes-keda-{}", self.name())
    }
}

/// A running KEDA.
pub struct Keda {
    version: Version,
    operator: Kept,
    adapter: Kept,
    _ports: Ports,
}

struct Ports {
    operator: OperatorPorts,
    adapter: Port,
    adapter_metrics: Port,
}

/// Where an operator serves metrics to the adapter, its own metrics, and its health.
struct OperatorPorts([Port; 3]);

impl OperatorPorts {
    fn take() -> Self {
        Self(std::array::from_fn(|_| Port::take()))
    }
}

/// One more operator, until it is dropped.
pub struct Second {
    _operator: Process,
    _ports: OperatorPorts,
}

impl Keda {
    /// Installs a version of KEDA and starts it.
    pub async fn start(version: Version, plane: &ControlPlane, kubernetes: &Kubernetes) -> Self {
        plane.kubectl(&["apply", "--server-side", "-f", &crds(version).display().to_string()]);
        let ports = Ports {
            operator: OperatorPorts::take(),
            adapter: Port::take(),
            adapter_metrics: Port::take(),
        };
        write_certificates(plane);
        kubernetes.apply("", &objects(ports.adapter.number())).await;
        let folder = plane.path("");
        let command = operator(version, plane, &ports.operator);
        let operator = Kept::start("keda-operator", &folder, command);
        let adapter = Kept::start("keda-adapter", &folder, adapter(version, plane, &ports));
        let keda = Self { version, operator, adapter, _ports: ports };
        eventually(START, "the API of external metrics", async || {
            let told = kubernetes.get_text("/apis/external.metrics.k8s.io/v1beta1").await;
            told.map_err(|error| format!("{error}\n{}", keda.last_lines()))
        })
        .await;
        keda
    }

    pub fn version(&self) -> Version {
        self.version
    }

    /// Ends the operator at once and starts it again.
    pub fn restart_operator(&self) {
        self.operator.restart();
    }

    /// Starts another operator beside it, which scales the same objects: no election keeps it from that.
    pub fn second_operator(&self, plane: &ControlPlane) -> Second {
        let ports = OperatorPorts::take();
        let command = operator(self.version, plane, &ports);
        let operator = Process::start("second-operator", &plane.path(""), &command);
        Second { _operator: operator, _ports: ports }
    }

    /// Kilobytes of memory that the operator has.
    pub fn memory(&self) -> Option<u64> {
        self.operator.memory()
    }

    /// The last lines of both logs.
    pub fn last_lines(&self) -> String {
        format!("{}\n{}", self.operator.last_lines(), self.adapter.last_lines())
    }
}

fn crds(version: Version) -> PathBuf {
    root().join(".tools").join(version.folder()).join("crds.yaml")
}

/// KEDA's two programs know each other by these, as by the Secret `kedaorg-certs` of an installation.
fn write_certificates(plane: &ControlPlane) {
    let pair = plane.authority.sign(&["localhost", "127.0.0.1", "keda-operator.keda.svc"]);
    plane.write("keda/ca.crt", plane.authority.pem());
    plane.write("keda/tls.crt", &pair.cert);
    plane.write("keda/tls.key", &pair.key);
}

/// The Service is another name for this machine, since there is no network of Pods.
fn objects(adapter: u16) -> String {
    format!(
        "
apiVersion: v1
kind: Namespace
metadata: {{name: keda}}
---
apiVersion: v1
kind: Service
metadata: {{name: keda-metrics-apiserver, namespace: keda}}
spec:
  type: ExternalName
  externalName: localhost
  ports: [{{port: {adapter}}}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {{name: v1beta1.external.metrics.k8s.io}}
spec:
  service: {{name: keda-metrics-apiserver, namespace: keda, port: {adapter}}}
  group: external.metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
"
    )
}

fn operator(version: Version, plane: &ControlPlane, ports: &OperatorPorts) -> Command {
    let [service, metrics, health] =
        ports.0.each_ref().map(|port| format!("127.0.0.1:{}", port.number()));
    let mut command = plane.own(tool(&format!("{}/operator", version.folder())));
    in_keda(&mut command)
        .args(["--leader-elect=false", "--enable-cert-rotation=false", "--cert-dir=keda"])
        .args(["--zap-log-level=info", "--kube-api-qps=300", "--kube-api-burst=600"])
        .arg(format!("--metrics-service-bind-address={}", service))
        .arg(format!("--metrics-bind-address={}", metrics))
        .arg(format!("--health-probe-bind-address={}", health));
    command
}

fn adapter(version: Version, plane: &ControlPlane, ports: &Ports) -> Command {
    let kubeconfig = plane.kubeconfig().display().to_string();
    let mut command = plane.own(tool(&format!("{}/adapter", version.folder())));
    in_keda(&mut command)
        .arg(format!("--secure-port={}", ports.adapter.number()))
        .arg(format!("--port={}", ports.adapter_metrics.number()))
        .arg(format!("--metrics-service-address=localhost:{}", ports.operator.0[0].number()))
        .args(["--bind-address=127.0.0.1", "--cert-dir=keda", "--client-ca-file=keda/ca.crt"])
        .args(["--tls-cert-file=keda/tls.crt", "--tls-private-key-file=keda/tls.key"])
        .args(["--kube-api-qps=300", "--kube-api-burst=600"])
        .arg(format!("--lister-kubeconfig={kubeconfig}"))
        .arg(format!("--authentication-kubeconfig={kubeconfig}"))
        .arg(format!("--authorization-kubeconfig={kubeconfig}"));
    command
}

/// What a Pod of KEDA's manifests has in its environment, and what docs/operations.md advises for many objects.
fn in_keda(command: &mut Command) -> &mut Command {
    command
        .env("POD_NAMESPACE", "keda")
        .env("KEDA_CLUSTER_OBJECT_NAMESPACE", "keda")
        .env("WATCH_NAMESPACE", "")
        // Five and one by default, of which each waits for what its triggers answer.
        .env("KEDA_SCALEDOBJECT_CTRL_MAX_RECONCILES", "20")
        .env("KEDA_SCALEDJOB_CTRL_MAX_RECONCILES", "20")
}

/// The condition of this type, as `STATUS REASON: MESSAGE`.
pub fn condition(object: &Value, kind: &str) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|condition| condition["type"] == kind);
    let word = |name: &str| found.and_then(|found| found[name].as_str()).unwrap_or_default();
    format!("{} {}: {}", word("status"), word("reason"), word("message"))
}
