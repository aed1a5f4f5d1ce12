//! TLS to the sentinels and to the master that they name: each for itself.
//!
//! Only on Redis: the Valkey that the tests install is built without TLS.

use std::fs;

use tempfile::TempDir;
use tonic::Code;

use crate::{
    harness::{
        Authority, Kind, MASTER, PATIENCE, RECOVERY, Sentinel, Server, Setup, eventually,
        eventually_is,
    },
    wire::queue,
};

use super::value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_are_spoken_to_by_tls_as_their_own_setting_says() {
    let (of_master, of_sentinel) = (Authority::new(), Authority::new());
    let host = ["127.0.0.1"];
    let master = Server::with_tls(Kind::Redis, of_master.pem(), &of_master.sign(&host), false);
    master.run("RPUSH q a b c");
    let port = master.tls_address().rsplit_once(':').unwrap().1.to_owned();
    let sentinel = Sentinel::with_tls(&port, of_sentinel.pem(), &of_sentinel.sign(&host));
    let folder = TempDir::new().unwrap();
    let ca = |name: &str, authority: &Authority| {
        let path = folder.path().join(name);
        fs::write(&path, authority.pem()).unwrap();
        format!("ca = \"{}\"\n", path.display())
    };
    let (master_tls, sentinel_tls) = (
        ca("master", &of_master),
        format!("[redis.default.sentinel.tls]\n{}", ca("s", &of_sentinel)),
    );
    let wrong_tls = format!("[redis.default.sentinel.tls]\n{master_tls}");
    let start = async |node: String, of_sentinels: &str| {
        let config = format!(
            "[redis.default]\n[redis.default.tls]\n{master_tls}[redis.default.sentinel]\n\
             master = \"{MASTER}\"\nnodes = [\"{node}\"]\n{of_sentinels}"
        );
        let service = Setup::default().config(config).start().await;
        let keda = service.keda().await;
        (service, keda)
    };
    for (node, of_sentinels) in
        [(sentinel.tls_address(), sentinel_tls.as_str()), (sentinel.address(), "")]
    {
        let (service, keda) = start(node, of_sentinels).await;
        eventually_is(RECOVERY, Ok(3.0), async || value(&keda, "q").await).await;
        assert_eq!(service.metric("penstock_redis_tracking").await, 1.0);
    }
    // What is set for the master is never used for the sentinels, nor the other way round.
    for (node, of_sentinels, part) in [
        (sentinel.tls_address(), "", "1 cannot be asked"),
        (sentinel.tls_address(), wrong_tls.as_str(), "UnknownIssuer"),
        (sentinel.address(), sentinel_tls.as_str(), "1 cannot be asked"),
    ] {
        let (_service, keda) = start(node, of_sentinels).await;
        eventually(PATIENCE, async || match keda.value(&queue("q")).await {
            Ok(value) => panic!("{value}"),
            Err(status) if status.message().contains(part) => {
                assert_eq!(status.code(), Code::Unavailable);
                Ok(())
            }
            Err(status) => Err(status),
        })
        .await;
    }
}
