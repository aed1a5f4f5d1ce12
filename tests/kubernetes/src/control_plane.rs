//! etcd, the API server and the controller manager, as processes on free loopback ports, with certificates
//! of their own. There is no scheduler and no kubelet: `node.rs` is the node.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use tempfile::TempDir;

use penstock_testkit::{Authority, Pair, Port};

use crate::process::{Process, tool, wait_for};

/// How long a part may take to start on a machine that does much else.
const START: Duration = Duration::from_secs(120);

/// What decides about replicas and Jobs, and what takes away what belongs to something that is gone.
const CONTROLLERS: &str = "deployment-controller,replicaset-controller,job-controller,\
    horizontal-pod-autoscaler-controller,garbage-collector-controller,namespace-controller,\
    serviceaccount-controller";

/// A running control plane. Its parts end with it.
pub struct ControlPlane {
    // In the order in which they are to end.
    parts: Vec<Process>,
    pub authority: Authority,
    folder: TempDir,
    _ports: Vec<Port>,
}

impl ControlPlane {
    pub fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let ports: [Port; 3] = std::array::from_fn(|_| Port::take());
        let [client, peer, api] = [0, 1, 2].map(|nth: usize| ports[nth].number());
        let authority = Authority::new();
        let mut plane = Self { parts: vec![], authority, folder, _ports: ports.into() };
        plane.write_certificates(api);
        plane.start_etcd(client, peer);
        plane.start_api_server(client, api);
        plane.start_controllers();
        plane
    }

    /// The file that says how to reach the API server and who one is.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// Where its files are.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate and its key as two files, named so.
    pub fn write_pair(&self, name: &str, pair: &Pair) -> [String; 2] {
        [
            self.write(&format!("{name}.crt"), &pair.cert),
            self.write(&format!("{name}.key"), &pair.key),
        ]
    }

    /// Writes a file of its own and gives its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// `kubectl` with these arguments; what it prints.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.command("kubectl").args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {complaint}{said}");
        said
    }

    /// The last lines of all logs.
    pub fn last_lines(&self) -> String {
        self.parts.iter().map(|part| part.last_lines() + "\n").collect()
    }

    /// A program whose home is the folder of this control plane, which it reaches by the kubeconfig.
    pub fn own(&self, mut command: Command) -> Command {
        command.current_dir(self.folder.path()).env("HOME", self.folder.path());
        command.env("KUBECONFIG", self.kubeconfig());
        command
    }

    fn command(&self, part: &str) -> Command {
        let mut command = self.own(tool("kubernetes"));
        // As by default an API server spends half of its time on collecting garbage, and most of a core on all.
        command.arg(part).env("GOGC", "400").env("GOMEMLIMIT", "1500MiB");
        command
    }

    fn write_certificates(&self, api: u16) {
        self.write("ca.crt", self.authority.pem());
        let names = ["localhost", "127.0.0.1", "kubernetes.default.svc", "10.0.0.1"];
        self.write_pair("server", &self.authority.sign(&names));
        let [cert, key] = self.write_pair("client", &self.authority.sign(&["penstock-tests"]));
        let proxies = Authority::new();
        self.write("front-proxy-ca.crt", proxies.pem());
        self.write_pair("front-proxy", &proxies.sign(&["front-proxy"]));
        let tokens = Authority::new().sign(&["tokens"]);
        self.write_pair("tokens", &tokens);
        let authority = self.path("ca.crt").display().to_string();
        self.write(
            "kubeconfig",
            &format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: tests\n\
                 clusters:\n- name: tests\n  cluster:\n    server: https://127.0.0.1:{api}\n    \
                 certificate-authority: {authority}\n\
                 users:\n- name: tests\n  user:\n    client-certificate: {cert}\n    client-key: {key}\n\
                 contexts:\n- name: tests\n  context: {{cluster: tests, user: tests}}\n"
            ),
        );
    }

    fn start_etcd(&mut self, client: u16, peer: u16) {
        let mut command = self.command("etcd");
        let [client, peer] = [client, peer].map(|port| format!("http://127.0.0.1:{port}"));
        command
            .args([
                "--name",
                "tests",
                "--data-dir",
                "etcd",
                "--unsafe-no-fsync",
                "--log-level",
                "warn",
            ])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("tests={peer}")]);
        self.parts.insert(0, Process::start("etcd", self.folder.path(), &command));
    }

    fn start_api_server(&mut self, etcd: u16, port: u16) {
        let mut command = self.command("kube-apiserver");
        command
            .args(["--etcd-servers", &format!("http://127.0.0.1:{etcd}")])
            .args(["--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1"])
            .args(["--secure-port", &port.to_string()])
            .args(["--tls-cert-file", "server.crt", "--tls-private-key-file", "server.key"])
            .args(["--client-ca-file", "ca.crt", "--authorization-mode", "AlwaysAllow"])
            .args(["--requestheader-client-ca-file", "front-proxy-ca.crt"])
            .args(["--requestheader-username-headers", "X-Remote-User"])
            .args(["--requestheader-group-headers", "X-Remote-Group"])
            .args(["--requestheader-extra-headers-prefix", "X-Remote-Extra-"])
            .args(["--proxy-client-cert-file", "front-proxy.crt"])
            .args(["--proxy-client-key-file", "front-proxy.key"])
            .args(["--service-account-issuer", "https://kubernetes.default.svc"])
            .args(["--service-account-key-file", "tokens.crt"])
            .args(["--service-account-signing-key-file", "tokens.key"])
            .args(["--service-cluster-ip-range", "10.0.0.0/24"])
            .args(["--disable-admission-plugins", "ServiceAccount"])
            .args(["--endpoint-reconciler-type", "none", "--profiling=false"]);
        self.parts.insert(0, Process::start("kube-apiserver", self.folder.path(), &command));
        let ready = wait_for(START, || {
            let mut look = self.command("kubectl");
            let is_ready =
                look.args(["get", "--raw", "/readyz"]).output().unwrap().status.success();
            let ended = self.parts.iter_mut().any(|part| part.ended().is_some());
            (is_ready || ended).then_some(is_ready)
        });
        assert!(ready == Some(true), "the API server is not ready:\n{}", self.last_lines());
    }

    fn start_controllers(&mut self) {
        let mut command = self.command("kube-controller-manager");
        let kubeconfig = self.kubeconfig().display().to_string();
        command
            .args(["--kubeconfig", &kubeconfig, "--controllers", CONTROLLERS])
            .args(["--leader-elect=false", "--secure-port=0", "--profiling=false"])
            .args(["--kube-api-qps=300", "--kube-api-burst=600"]);
        self.parts
            .insert(0, Process::start("kube-controller-manager", self.folder.path(), &command));
    }
}
