//! TLS where KEDA calls: who is let in, and what changes while streams are open.

mod client;
mod secret;

use std::{fs, time::Duration};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use client::KedaTls;
use secret::Secret;

use crate::{
    harness::{
        Authority, CALL, Kind, PATIENCE, Pair, Server, Service, Setup, eventually, eventually_is,
        seconds,
    },
    streams::Pushes,
    wire::{Keda, Trigger, queue},
};

/// Files are looked at every two seconds; this is with room for a slow machine.
const SEEN: Duration = seconds(15);
/// The name that KEDA knows us by: the host of `scalerAddress`.
const HOST: &str = "penstock.penstock.svc";
const OPERATOR: &str = "spiffe://cluster.local/ns/keda/sa/keda-operator";

/// A service with these lines of `[server.tls]`, whose Redis is nowhere.
async fn serving(tls: &str) -> Service {
    let config = format!("{tls}[redis.default]\nurl = 'redis://127.0.0.1:1'\n");
    Setup::default().config(config).start().await
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

async fn handshakes(service: &Service, result: &str) -> f64 {
    service.metric(&format!("penstock_tls_handshakes_total{{result=\"{result}\"}}")).await
}

async fn reloads(service: &Service, result: &str) -> f64 {
    service.metric(&format!("penstock_tls_reloads_total{{result=\"{result}\"}}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_kedas_settings_is_served_over_tls_1_2_and_1_3() {
    let (authority, other) = (Authority::new(), Authority::new());
    let issued = authority.sign_until(&[HOST], 2040);
    let secret = Secret::of(&issued);
    let service = serving(&secret.config("")).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let versions: &'static [_] = Box::leak(Box::new([version]));
        let tls = KedaTls { versions: Some(versions), ..KedaTls::new(authority.pem()) };
        let (_, shown) = tls.connect(service.grpc()).await.unwrap();
        assert_eq!(shown, der(&issued.cert));
    }
    let wrong_ca = KedaTls::new(other.pem()).connect(service.grpc()).await.unwrap_err();
    assert!(wrong_ca.message().contains("UnknownIssuer"), "{wrong_ca}");
    let name = Some("penstock.elsewhere.svc");
    let wrong_name = KedaTls { server_name: name, ..KedaTls::new(authority.pem()) };
    let wrong_name = wrong_name.connect(service.grpc()).await.unwrap_err();
    assert!(wrong_name.message().contains("not valid for name"), "{wrong_name}");
    eventually_is(PATIENCE, true, async || handshakes(&service, "failed").await >= 2.0).await;
    let ends = r#"penstock_tls_certificate_not_after_seconds{certificate="own"}"#;
    assert_eq!(service.metric(ends).await, 2_208_988_800.0);
    // Health and reflection are behind the same TLS, and the admin port is not.
    assert_eq!(service.get("/readyz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_let_in_by_its_authority_its_time_and_its_name() {
    let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let secret = Secret::mutual(&authority.sign(&[HOST]), &clients);
    let names = format!("client_names = ['{OPERATOR}', 'keda.example', '*.keda.svc']");
    let service = serving(&secret.config(&names)).await;
    let cases: [(Option<Pair>, &str); 10] = [
        (Some(clients.sign(&[OPERATOR])), "ok"),
        (Some(clients.sign(&["else.where", "keda.example"])), "ok"),
        (Some(clients.sign(&["keda-operator.keda.svc"])), "ok"),
        (None, "no_certificate"),
        (Some(strangers.sign(&[OPERATOR])), "bad_certificate"),
        (Some(clients.sign_until(&[OPERATOR], 2021)), "bad_certificate"),
        (Some(clients.sign(&["a.b.keda.svc", "keda.svc"])), "name_not_allowed"),
        (Some(clients.sign(&["spiffe://cluster.local/ns/keda/sa/else"])), "name_not_allowed"),
        (Some(clients.sign(&["*.keda.svc"])), "name_not_allowed"),
        (Some(clients.sign(&[])), "name_not_allowed"),
    ];
    for (client, result) in cases {
        let before = handshakes(&service, result).await;
        let client = KedaTls { client, ..KedaTls::new(authority.pem()) };
        let answer = client.connect(service.grpc()).await;
        assert_eq!(answer.is_ok(), result == "ok", "{result}: {:?}", answer.err());
        // A client hears that it is refused a moment before that is counted.
        eventually(PATIENCE, async || {
            let counted = handshakes(&service, result).await;
            if counted > before { Ok(()) } else { Err(format!("{counted} {result}")) }
        })
        .await;
    }
    let ends = r#"penstock_tls_certificate_not_after_seconds{certificate="client_ca"}"#;
    assert!(service.metric(ends).await > 2e9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_swapped_under_a_thousand_streams_fail_no_call_and_end_no_stream() {
    let server = Server::start(Kind::Redis);
    let authority = Authority::new();
    let mut issued = authority.sign(&[HOST]);
    let mut secret = Secret::mutual(&issued, &authority);
    let config = format!("{}[redis.default]\nurl = '{}'\n", secret.config(""), server.url());
    let service = Setup::default().config(config).start().await;
    let tls = KedaTls::with_client(authority.pem(), &authority.sign(&[OPERATOR]));
    let (keda, shown) = tls.connect(service.grpc()).await.unwrap();
    assert_eq!(shown, der(&issued.cert));
    let of = |number: usize| Trigger { name: format!("o{number}"), ..queue("q") };
    let mut streams = Vec::new();
    for number in 0..1_000 {
        streams.push(Pushes::of(&keda, &of(number)).await);
    }
    for stream in &mut streams {
        assert!(!stream.next(PATIENCE).await);
    }
    for swap in 1..=3 {
        issued = authority.sign(&[HOST]);
        let files = [("tls.crt", &*issued.cert), ("tls.key", &issued.key)];
        secret.change(&[files[0], files[1], ("ca.crt", authority.pem())]);
        eventually_is(SEEN, f64::from(swap), async || {
            assert_eq!(keda.value(&queue("other")).await.unwrap(), 0.0, "during the swap");
            reloads(&service, "ok").await
        })
        .await;
        let (new, shown) = tls.connect(service.grpc()).await.unwrap();
        assert_eq!(shown, der(&issued.cert), "a new connection gets the new certificate");
        assert_eq!(new.value(&queue("other")).await.unwrap(), 0.0);
    }
    assert_eq!(reloads(&service, "failed").await, 0.0);
    server.run("RPUSH q a");
    for stream in &mut streams {
        assert!(stream.next(PATIENCE).await, "each stream lives and pushes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_client_ca_holds_for_new_connections() {
    let (authority, before, after) = (Authority::new(), Authority::new(), Authority::new());
    let issued = authority.sign(&[HOST]);
    let mut secret = Secret::mutual(&issued, &before);
    let service = serving(&secret.config("")).await;
    let old = KedaTls::with_client(authority.pem(), &before.sign(&[OPERATOR]));
    let new = KedaTls::with_client(authority.pem(), &after.sign(&[OPERATOR]));
    let (keda, _) = old.connect(service.grpc()).await.unwrap();
    new.connect(service.grpc()).await.unwrap_err();
    let files = [("tls.crt", &*issued.cert), ("tls.key", &issued.key), ("ca.crt", after.pem())];
    secret.change(&files);
    eventually_is(SEEN, 1.0, async || reloads(&service, "ok").await).await;
    new.connect(service.grpc()).await.unwrap();
    old.connect(service.grpc()).await.unwrap_err();
    keda.get_metric_spec(&queue("q")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_cannot_be_used_leave_the_old_ones_in_use_and_are_told_once() {
    let authority = Authority::new();
    let (issued, next) = (authority.sign(&[HOST]), authority.sign(&[HOST]));
    let mut secret = Secret::of(&issued);
    let service = serving(&secret.config("")).await;
    let tls = KedaTls::new(authority.pem());
    let half = &next.cert[..next.cert.len() / 2];
    let states: [&[(&str, &str)]; 3] = [
        &[("tls.crt", half), ("tls.key", &next.key)],
        &[("tls.crt", &next.cert), ("tls.key", &issued.key)],
        &[("tls.crt", &next.cert)],
    ];
    for (count, files) in (1..).zip(states) {
        secret.change(files);
        eventually_is(SEEN, f64::from(count), async || reloads(&service, "failed").await).await;
        let (_, shown) = tls.connect(service.grpc()).await.unwrap();
        assert_eq!(shown, der(&issued.cert));
    }
    secret.change(&[("tls.crt", &next.cert), ("tls.key", &next.key)]);
    eventually_is(SEEN, 1.0, async || reloads(&service, "ok").await).await;
    assert_eq!(tls.connect(service.grpc()).await.unwrap().1, der(&next.cert));
    let told = service
        .logged("changed TLS files cannot be used; the ones before stay in use", 3)
        .await
        .into_iter()
        .map(|line| line["reason"].as_str().unwrap().to_owned())
        .collect::<Vec<_>>();
    for (told, part) in told.iter().zip(["is broken PEM", "is not the key", "cannot be read"]) {
        assert!(told.contains(part), "{told}");
    }
    let log = service.log().join("\n");
    assert!(!log.contains("BEGIN") && !log.contains(&next.key[40..60]), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_speak_the_other_way_fail_at_once_and_the_log_stays_short() {
    let authority = Authority::new();
    let secret = Secret::of(&authority.sign(&[HOST]));
    let with_tls = serving(&secret.config("")).await;
    for _ in 0..200 {
        let plain = Keda::connect(with_tls.grpc()).await;
        let status = timeout(PATIENCE, plain.get_metric_spec(&queue("q"))).await.unwrap();
        status.unwrap_err();
    }
    assert!(handshakes(&with_tls, "failed").await >= 200.0);
    with_tls.says("a TLS handshake failed").await;
    let told = with_tls.log_with("a TLS handshake failed").len();
    assert!((1..=2).contains(&told), "{told} lines for 200 failures");
    KedaTls::new(authority.pem()).connect(with_tls.grpc()).await.unwrap();

    let plain = Service::alone().await;
    let lines = plain.log().len();
    for _ in 0..50 {
        KedaTls::new(authority.pem()).connect(plain.grpc()).await.unwrap_err();
    }
    assert!(plain.log().len() <= lines + 1, "{:?}", plain.log());
    plain.keda().await.get_metric_spec(&queue("q")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_never_end_cost_a_bounded_number_of_places_and_hold_nobody_up() {
    let authority = Authority::new();
    let secret = Secret::of(&authority.sign(&[HOST]));
    let service = serving(&secret.config("")).await;
    let tls = KedaTls::new(authority.pem());
    let (keda, _) = tls.connect(service.grpc()).await.unwrap();
    let descriptors = service.descriptors();
    let mut stalled = Vec::new();
    for _ in 0..400 {
        let mut stream = TcpStream::connect(service.grpc()).await.unwrap();
        // The head of a record that says a ClientHello of 512 bytes follows, which does not.
        stream.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        stalled.push(stream);
    }
    eventually_is(PATIENCE, true, async || handshakes(&service, "crowded_out").await >= 144.0)
        .await;
    assert!(service.descriptors() <= descriptors + 256 + 8, "{}", service.descriptors());
    tls.connect(service.grpc()).await.unwrap();
    keda.get_metric_spec(&queue("q")).await.unwrap();
    // Those whose time is over are ended, all of them.
    for mut stream in stalled {
        let end = timeout(SEEN, stream.read_to_end(&mut Vec::new())).await;
        drop(end.expect("it is ended"));
    }
    eventually_is(PATIENCE, true, async || service.descriptors() <= descriptors + 8).await;
    service.says("a TLS handshake failed").await;
    let told = service.log_with("a TLS handshake failed").len();
    assert!((1..=2).contains(&told), "{told} lines");
}

/// What a start with these arguments and this configuration says.
async fn told(setup: Setup) -> String {
    let mut service = setup.redis("redis://127.0.0.1:1").spawn();
    let (status, _) = service.ended().await;
    assert_eq!(status.code(), Some(2), "{:?}", service.log());
    service.log().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_do_not_fit_are_told_by_name_at_the_start() {
    let authority = Authority::new();
    let (issued, other) = (authority.sign(&[HOST]), authority.sign(&[HOST]));
    let secret = Secret::new(&[
        ("tls.crt", &issued.cert),
        ("tls.key", &issued.key),
        ("other.key", &other.key),
        ("text", "hunter2"),
        ("empty", ""),
    ]);
    let file = |name: &str| secret.path(name).display().to_string();
    let (cert, key) = (("--tls-cert", file("tls.crt")), ("--tls-key", file("tls.key")));
    let (ca, name) = ("--tls-client-ca", "--tls-client-name");
    let cases: [(&[(&str, String)], &str); 11] = [
        (std::slice::from_ref(&cert), "--tls-cert: needs the certificate's key"),
        (std::slice::from_ref(&key), "--tls-key: needs the key's certificate"),
        (&[(ca, file("tls.crt"))], "--tls-client-ca: needs the server's own certificate"),
        (
            &[cert.clone(), key.clone(), (name, "a".into())],
            "--tls-client-name: needs the authority",
        ),
        (&[("--tls-cert", file("no")), key.clone()], "--tls-cert: /"),
        (&[("--tls-cert", file("text")), key.clone()], "has no certificate"),
        (&[("--tls-cert", file("empty")), key.clone()], "has no certificate"),
        (&[cert.clone(), ("--tls-key", file("text"))], "--tls-key: /"),
        (&[cert.clone(), ("--tls-key", file("other.key"))], "is not the key of the certificate"),
        (&[cert.clone(), ("--tls-key", issued.key.clone())], "must be the name of a file"),
        (&[cert.clone(), key.clone(), (ca, file("text"))], "--tls-client-ca: /"),
    ];
    for (flags, part) in cases {
        let setup =
            flags.iter().fold(Setup::default(), |setup, (name, value)| setup.flag(name, value));
        let told = told(setup).await;
        assert!(told.contains(part), "{told}\nexpected: {part}");
        assert!(!told.contains("hunter2") && !told.contains(&issued.key[40..60]), "{told}");
    }
    let tls = format!("[server.tls]\ncert = '{}'\nclient_names = ['*']\ncerts = 1\n", cert.1);
    let told = told(Setup::default().config(tls)).await;
    for part in [
        "server.tls.cert: needs the certificate's key: `key`, --tls-key",
        "server.tls.client_names[0]: `*` must be a DNS name",
        "server.tls.certs: is unknown; known here: cert, key, client_ca, client_names",
    ] {
        assert!(told.contains(part), "{told}\nexpected: {part}");
    }
    fs::remove_file(secret.path("tls.key")).unwrap();
    // A variable does the same as a flag, and a flag comes first.
    let setup = Setup::default()
        .variable("PENSTOCK_TLS_CERT", file("text"))
        .variable("PENSTOCK_TLS_KEY", file("other.key"))
        .flag("--tls-cert", &file("tls.crt"));
    let told = self::told(setup).await;
    assert!(told.contains("other.key is not the key of the certificate"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_tls_keeps_its_deadline() {
    let authority = Authority::new();
    let secret = Secret::of(&authority.sign(&[HOST]));
    let service = serving(&secret.config("")).await;
    let (keda, _) = KedaTls::new(authority.pem()).connect(service.grpc()).await.unwrap();
    let status = timeout(CALL, keda.value(&queue("q"))).await.unwrap().unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ends_is_told_once_and_the_renewed_one_is_shown() {
    let authority = Authority::new();
    let mut secret = Secret::of(&authority.sign_for(&[HOST], Duration::from_hours(48)));
    let service = serving(&secret.config("")).await;
    let (soon, over) =
        ("our TLS certificate ends within seven days", "our TLS certificate has ended");
    service.logged(soon, 1).await;
    let tls = KedaTls::new(authority.pem());
    tls.connect(service.grpc()).await.expect("it has not ended yet");
    let ended = authority.sign_until(&[HOST], 2021);
    secret.change(&[("tls.crt", &ended.cert), ("tls.key", &ended.key)]);
    eventually_is(SEEN, 1.0, async || reloads(&service, "ok").await).await;
    let refused = tls.connect(service.grpc()).await.unwrap_err();
    assert!(refused.message().contains("certificate expired"), "{refused}");
    let renewed = authority.sign(&[HOST]);
    secret.change(&[("tls.crt", &renewed.cert), ("tls.key", &renewed.key)]);
    eventually_is(SEEN, 2.0, async || reloads(&service, "ok").await).await;
    assert_eq!(tls.connect(service.grpc()).await.unwrap().1, der(&renewed.cert));
    assert_eq!(service.log_with(soon).len(), 1);
    let told = service.logged(over, 1).await;
    assert_eq!(told[0]["not_after"], 1_609_459_200, "the start of 2021");
}
