//! TLS to Redis: whom penstock trusts, whom it says it is, and certificates that change while links
//! are open.
//!
//! Only on Redis: the Valkey that the tests install is built without TLS.

use std::{fs, path::PathBuf, time::Duration};

use tempfile::TempDir;
use tonic::{Code, Status};

use crate::{
    harness::{
        Authority, Kind, PATIENCE, Pair, RECOVERY, Server, Service, Setup, eventually,
        eventually_is,
    },
    streams::Pushes,
    wire::{Keda, Trigger, queue},
};

/// The files that `[redis.default.tls]` names.
pub struct Files(TempDir);

impl Files {
    pub fn new(ca: &str, pair: &Pair) -> Self {
        let files = Self(TempDir::new().unwrap());
        files.write("ca", ca);
        files.write("cert", &pair.cert);
        files.write("key", &pair.key);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let new = self.path("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    /// The settings of these names.
    pub fn settings(&self, names: &[&str]) -> String {
        let lines =
            names.iter().map(|name| format!("{name} = \"{}\"\n", self.path(name).display()));
        lines.collect()
    }
}

/// Streams that are open while certificates are swapped.
const STREAMS: usize = 1_000;
/// How a peer that does not go along is told of: it may end the connection, or say nothing.
const SILENT: &str = "cannot be reached|did not answer in time";

async fn service(url: &str, tls: &str) -> Service {
    let section =
        if tls.is_empty() { String::new() } else { format!("[redis.default.tls]\n{tls}") };
    Setup::default().config(format!("[redis.default]\nurl = \"{url}\"\n{section}")).start().await
}

async fn value(keda: &Keda) -> Result<f64, Status> {
    keda.value(&queue("q")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_rotated_without_a_lost_link_or_a_failed_call() {
    let (first, second) = (Authority::new(), Authority::new());
    let server = Server::with_tls(Kind::Redis, first.pem(), &first.sign(&["127.0.0.1"]), true);
    server.run("RPUSH q a");
    let files = Files::new(first.pem(), &first.sign(&["penstock"]));
    let url = format!("rediss://{}/0", server.tls_address());
    let service = service(&url, &files.settings(&["ca", "cert", "key"])).await;
    let keda = service.keda().await;
    assert_eq!(value(&keda).await.unwrap(), 1.0);
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        let named = Trigger { name: format!("worker-{number}"), ..queue("idle") };
        streams.push(Pushes::of(&keda, &named).await);
    }
    for pushes in &mut streams {
        assert!(!pushes.next(PATIENCE).await);
    }

    // Everything becomes another's, one file after the other.
    let pair = second.sign(&["penstock"]);
    for (name, text) in [("ca", second.pem()), ("cert", &pair.cert), ("key", &pair.key)] {
        files.write(name, text);
        assert!(value(&keda).await.is_ok());
    }
    let changed = "the certificates changed; new connections use them";
    let holds = async || {
        assert!(value(&keda).await.is_ok(), "no call fails");
        !service.log_with(changed).is_empty()
    };
    eventually_is(PATIENCE, true, holds).await;
    server.use_tls(second.pem(), &second.sign(&["127.0.0.1"]));
    server.run("RPUSH q b\nRPUSH idle a");
    for pushes in &mut streams {
        assert!(pushes.next(PATIENCE).await, "the link is as it was");
    }
    assert_eq!(value(&keda).await.unwrap(), 2.0);
    assert_eq!(service.log_with("connected to Redis").len(), 1);

    // A new connection shows the new certificate and trusts the new authority, or there is none.
    server.run("CLIENT KILL TYPE normal SKIPME yes\nRPUSH q c");
    eventually_is(RECOVERY, 3.0, async || value(&keda).await.unwrap()).await;

    // A key that is not the certificate's is told, and the last pair stays in use.
    files.write("key", &first.sign(&["penstock"]).key);
    let unusable = "the certificates cannot be used";
    service.logged(unusable, 1).await;
    server.run("CLIENT KILL TYPE normal SKIPME yes\nRPUSH q d");
    eventually_is(RECOVERY, 4.0, async || value(&keda).await.unwrap()).await;
    assert_eq!(service.log_with(unusable).len(), 1, "it is told once");
    assert_eq!(service.metric("penstock_redis_tracking").await, 1.0);
    let renewed = "penstock_redis_credentials_total{connection=\"default\",event=\"certificates_";
    assert!(service.metric(&format!("{renewed}renewed\"}}")).await >= 1.0);
    assert_eq!(service.metric(&format!("{renewed}unusable\"}}")).await, 1.0);
    assert!(!service.log().join("\n").contains("PRIVATE"), "{:?}", service.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_be_trusted_is_unavailable_and_the_reason_is_told() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let good = ours.sign(&["127.0.0.1", "redis.example"]);
    let server = Server::with_tls(Kind::Redis, ours.pem(), &good, true);
    server.run("RPUSH q a");
    let files = Files::new(ours.pem(), &ours.sign(&["penstock"]));
    files.write("other", theirs.pem());
    let (plain, tls) = (server.address(), server.tls_address());
    let all = files.settings(&["ca", "cert", "key"]);
    let by_name = format!("{all}server_name = \"redis.example\"\n");
    for settings in [&all, &by_name] {
        let service = service(&format!("rediss://{tls}"), settings).await;
        assert_eq!(value(&service.keda().await).await.unwrap(), 1.0, "{settings}");
    }
    let other = format!("ca = \"{}\"\n", files.path("other").display());
    let elsewhere = format!("{all}server_name = \"elsewhere.example\"\n");
    for (url, settings, told) in [
        (format!("rediss://{tls}"), other.as_str(), "UnknownIssuer"),
        (format!("rediss://{tls}"), "", "UnknownIssuer"),
        (format!("rediss://{tls}"), &elsewhere, "certificate not valid for name"),
        (format!("rediss://{tls}"), &files.settings(&["ca"]), SILENT),
        (format!("rediss://{plain}"), &all, SILENT),
        (format!("redis://{tls}"), "", SILENT),
    ] {
        is_unavailable(&service(&url, settings).await, told).await;
    }
    server.use_tls(ours.pem(), &ours.sign_until(&["127.0.0.1"], 2020));
    is_unavailable(&service(&format!("rediss://{tls}"), &all).await, "certificate expired").await;
}

async fn is_unavailable(service: &Service, told: &str) {
    let keda = service.keda().await;
    eventually(PATIENCE, async || {
        let status = value(&keda).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        if told.split('|').any(|told| status.message().contains(told)) {
            Ok(())
        } else {
            Err(format!("{status}, not {told}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_given_authority_those_of_the_system_are_trusted() {
    let authority = Authority::new();
    let pair = authority.sign(&["127.0.0.1"]);
    let server = Server::with_tls(Kind::Redis, authority.pem(), &pair, false);
    server.run("RPUSH q a");
    let files = Files::new(authority.pem(), &pair);
    let setup = Setup::default().redis(format!("rediss://{}", server.tls_address()));
    let trusted = files.path("ca").display().to_string();
    let service = setup.variable("SSL_CERT_FILE", trusted).start().await;
    assert_eq!(value(&service.keda().await).await.unwrap(), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ends_is_told_once_for_its_connection() {
    let authority = Authority::new();
    let pair = authority.sign(&["127.0.0.1"]);
    let server = Server::with_tls(Kind::Redis, authority.pem(), &pair, true);
    server.run("RPUSH q a");
    let names = ["penstock"];
    let files = Files::new(authority.pem(), &authority.sign_for(&names, Duration::from_hours(48)));
    let url = format!("rediss://{}", server.tls_address());
    let service = service(&url, &files.settings(&["ca", "cert", "key"])).await;
    let keda = service.keda().await;
    assert_eq!(value(&keda).await.unwrap(), 1.0);
    let soon = "the certificate that we show to Redis ends within seven days";
    service.logged(soon, 1).await;
    // What is connected stays so, and what is pushed is heard.
    let ended = authority.sign_until(&names, 2021);
    files.write("cert", &ended.cert);
    files.write("key", &ended.key);
    let over = "the certificate that we show to Redis has ended";
    service.logged(over, 1).await;
    server.run("RPUSH q b");
    eventually_is(RECOVERY, 2.0, async || value(&keda).await.unwrap()).await;
    // A new connection has to wait for one that has not ended.
    server.run("CLIENT KILL TYPE normal SKIPME yes");
    let renewed = authority.sign(&names);
    files.write("cert", &renewed.cert);
    files.write("key", &renewed.key);
    let connected = "connected to Redis";
    service.logged(connected, 2).await;
    server.run("RPUSH q c");
    eventually_is(RECOVERY, 3.0, async || value(&keda).await.unwrap()).await;
    for (told, not_after) in [(soon, None), (over, Some(1_609_459_200))] {
        let lines = service.logged(told, 1).await;
        assert_eq!(lines[0]["connection"], "default");
        assert!(not_after.is_none_or(|at: u64| lines[0]["not_after"] == at), "{lines:?}");
    }
}
