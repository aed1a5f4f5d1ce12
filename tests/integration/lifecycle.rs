//! Start, health, probes and the end: what Kubernetes and KEDA see of the process itself.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};

use crate::{
    harness::{CALL, Kind, PATIENCE, Server, Service, Setup, eventually_is, millis, seconds},
    wire::{Keda, queue, trigger},
};

/// KEDA's service by its name.
const SERVICE: &str = "externalscaler.ExternalScaler";
/// How long the end may take when nothing is in progress; its bound is 10 s.
const IDLE_END: Duration = Duration::from_secs(3);

async fn health(keda: &Keda, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(keda.channel()).check(request).await.unwrap();
    answer.into_inner().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_and_health_do_not_depend_on_redis() {
    let mut server = Server::absent(Kind::Redis);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    for _ in 0..2 {
        for name in ["", SERVICE] {
            assert_eq!(health(&keda, name).await, ServingStatus::Serving, "{name}");
        }
        assert_eq!(service.get("/readyz").await.0, 200);
        assert_eq!(service.get("/livez").await.0, 200);
        server.run_again();
        assert_eq!(keda.value(&queue("q")).await.unwrap_or_default(), 0.0);
        server.kill();
        // Until the link is known to be broken.
        let unheld = trigger([("queue", "q"), ("staleFor", "0")]);
        eventually_is(PATIENCE, Err(Code::Unavailable), async || {
            keda.value(&unheld).await.map_err(|status| status.code())
        })
        .await;
    }
    assert_eq!(service.get("/nowhere").await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_open_metrics_and_count_what_happened() {
    let server = Server::start(Kind::Redis);
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    keda.value(&queue("q")).await.unwrap();
    keda.value(&trigger([("quue", "q")])).await.unwrap_err();
    let _stream = keda.stream_is_active(&queue("q")).await.unwrap();
    let (status, text) = service.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(text.ends_with("# EOF\n"), "{text}");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    for line in samples {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("penstock_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let labels = name.split_once('{').map_or("}", |(_, labels)| labels);
        assert!(labels.ends_with('}'), "{line}");
    }
    let of_method = |code: &str| {
        let is_it = |line: &&str| line.contains("GetMetrics") && line.contains(code);
        text.lines().filter(is_it).count()
    };
    assert!(of_method("OK") + of_method("ok") > 0, "{text}");
    assert!(!text.contains("=\"q\""), "a queue's name is no label: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_versions_of_reflection_list_the_service() {
    let service = Service::alone().await;
    let channel = service.keda().await.channel();
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let answers = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    assert!(format!("{answer:?}").contains(SERVICE), "{answer:?}");
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                SERVICE.to_owned(),
            ),
        ),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let is_file = |text: &str| text.contains("FileDescriptorResponse");
    assert!(is_file(&format!("{answer:?}")), "{answer:?}");
}

/// Ends the service by a signal while everything that may hold an end is open.
async fn ends_by(signal: &str) {
    let server = Server::start(Kind::Redis);
    let mut service = Service::of(&server).await;
    let keda = service.keda().await;
    let mut idle = TcpStream::connect(service.grpc()).await.unwrap();
    let mut half = TcpStream::connect(service.admin()).await.unwrap();
    half.write_all(b"GET /metr").await.unwrap();
    let other = service.keda().await;
    let watches = ["", SERVICE].map(|name| {
        let request = HealthCheckRequest { service: name.to_owned() };
        let mut client = HealthClient::new(other.channel());
        async move { client.watch(request).await.unwrap().into_inner() }
    });
    let [of_all, of_service] = watches;
    let (mut of_all, mut of_service) = tokio::join!(of_all, of_service);
    for watch in [&mut of_all, &mut of_service] {
        let first = watch.message().await.unwrap().unwrap();
        assert_eq!(first.status(), ServingStatus::Serving);
    }
    let mut client =
        v1::server_reflection_client::ServerReflectionClient::new(service.keda().await.channel());
    let _reflection = client.server_reflection_info(tokio_stream::pending()).await.unwrap();
    let mut activity = keda.stream_is_active(&queue("q")).await.unwrap();
    assert!(!activity.message().await.unwrap().unwrap().result);

    service.signal(signal);
    for watch in [&mut of_all, &mut of_service] {
        let last = timeout(PATIENCE, watch.message()).await.unwrap().unwrap().unwrap();
        assert_eq!(last.status(), ServingStatus::NotServing);
    }
    // Only a clean end resets KEDA's back-off.
    assert_eq!(timeout(PATIENCE, activity.message()).await.unwrap().unwrap(), None);
    let (status, took) = service.ended().await;
    assert_eq!(status.code(), Some(0), "{signal}");
    assert!(took < IDLE_END, "it took {took:?}");
    let mut bytes = Vec::new();
    timeout(seconds(1), idle.read_to_end(&mut bytes)).await.unwrap().unwrap_or_default();
    assert_eq!(service.log_with("drained").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_streams_with_ok_and_nothing_that_is_open_holds_the_exit() {
    ends_by("TERM").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigint_does_the_same() {
    ends_by("INT").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_in_progress_at_sigterm_is_still_answered() {
    let server = Server::start(Kind::Redis);
    let mut service = Service::of(&server).await;
    let keda = service.keda().await;
    assert_eq!(keda.value(&queue("q")).await.unwrap(), 0.0);
    server.signal("STOP");
    // A queue that was never read waits for Redis until the deadline of the call.
    let asked = Instant::now();
    let asked_for = queue("never-read");
    let call = keda.value(&asked_for);
    let end = async {
        tokio::time::sleep(millis(200)).await;
        service.signal("TERM");
    };
    let (answer, ()) = tokio::join!(call, end);
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("Redis") || status.message().contains("known"), "{status}");
    assert!(asked.elapsed() < CALL, "it took {:?}", asked.elapsed());
    let (status, took) = service.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(took < IDLE_END, "it took {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_quickly_also_while_redis_is_away_or_hangs() {
    let server = Server::start(Kind::Redis);
    server.signal("STOP");
    let mut hangs = Service::of(&server).await;
    let mut away = Service::alone().await;
    for service in [&mut hangs, &mut away] {
        let keda = service.keda().await;
        let mut stream = keda.stream_is_active(&queue("q")).await.unwrap();
        service.signal("TERM");
        assert_eq!(timeout(PATIENCE, stream.message()).await.unwrap().unwrap(), None);
        let (status, took) = service.ended().await;
        assert_eq!(status.code(), Some(0));
        assert!(took < IDLE_END, "it took {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_on_a_taken_port_fails_and_says_which() {
    let first = Service::alone().await;
    let setup = Setup::default().variable("PENSTOCK_REDIS", "redis://127.0.0.1:1");
    let mut second = setup.listen(first.grpc()).spawn();
    let (status, _) = second.ended().await;
    assert_eq!(status.code(), Some(1), "{:?}", second.log());
    assert!(second.log().join("\n").contains(first.grpc()), "{:?}", second.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_any_redis_is_a_problem_of_usage() {
    let mut service = Setup::default().spawn();
    let (status, _) = service.ended().await;
    assert_eq!(status.code(), Some(2), "{:?}", service.log());
    assert!(service.log().join("\n").contains("--redis"), "{:?}", service.log());
}
