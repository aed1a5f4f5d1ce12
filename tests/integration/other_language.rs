//! A client that is not ours and not in Rust: Python's grpcio with stubs made of the `.proto`.

use std::process::Stdio;

use crate::harness::{Kind, Server, Service, python};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_client_is_answered_by_every_method() {
    let server = Server::start(Kind::Redis);
    let service = Service::of(&server).await;
    let root = env!("CARGO_MANIFEST_DIR");
    let output = tokio::process::Command::new(python())
        .arg(format!("{root}/tests/clients/probe.py"))
        .args(["--proto", &format!("{root}/proto/externalscaler.proto")])
        .args(["--penstock", service.grpc(), "--redis", &server.address()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}:\n{said}{complained}", output.status);
    assert!(said.trim_end().ends_with("all five methods answered"), "{said}");
}
