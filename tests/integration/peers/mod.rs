//! Whoever connects, and whatever they send: a table of what each gets, and what a flood may cost.
//!
//! After each row the stream of a bystander still pushes, and memory, descriptors and log have not grown with
//! what was sent.

mod edges;
mod peer;

use axum::body::Body as AnyBody;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use tokio_stream::StreamExt;
use tonic::{
    Code, Status,
    body::Body,
    codegen::{Bytes, Service as _, http},
    transport::Channel,
};

use crate::{
    harness::{Kind, PATIENCE, RECOVERY, Server, Service, eventually_is, seconds},
    streams::Pushes,
    wire::{Keda, queue},
};

use peer::{PREFACE, Peer, fields, frame, kind};

const REQUEST_BYTES: usize = 8 * 1024 * 1024;
/// What the process may grow by, whatever is sent: kilobytes.
const GROWTH: u64 = 64 * 1024;

/// What is sent the nth time.
type Frames = dyn Fn(u32) -> Vec<u8>;

/// A service that others use while a peer does its worst.
struct Bystander {
    server: Server,
    service: Service,
    keda: Keda,
    pushes: Pushes,
    memory: u64,
    descriptors: usize,
}

impl Bystander {
    async fn start() -> Self {
        let server = Server::start(Kind::Redis);
        let service = Service::of(&server).await;
        let keda = service.keda().await;
        let mut pushes = Pushes::of(&keda, &queue("q")).await;
        assert!(!pushes.next(RECOVERY).await);
        let (memory, descriptors) = (service.memory(), service.descriptors());
        Self { server, service, keda, pushes, memory, descriptors }
    }

    /// Calls are answered, its stream pushes, and nothing of what came is held or was logged.
    async fn expect_well(&mut self, what: &str) {
        assert_eq!(self.keda.value(&queue("other")).await.unwrap(), 0.0, "{what}");
        self.server.run("RPUSH q a");
        assert!(self.pushes.next(RECOVERY).await, "{what}");
        self.server.run("DEL q");
        let is_idle = async || self.keda.is_active(&queue("q")).await.unwrap();
        eventually_is(RECOVERY, false, is_idle).await;
        let (memory, descriptors) = (self.service.memory(), self.service.descriptors());
        assert!(memory < self.memory + GROWTH, "{what}: {} kB became {memory}", self.memory);
        assert!(descriptors < self.descriptors + 16, "{what}: {descriptors} descriptors");
        let log = self.service.log();
        assert!(log.len() < 60, "{what}: {log:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_the_protocol_ends_its_own_connection_and_no_other() {
    let mut bystander = Bystander::start().await;
    let hello: &[u8] = &[22, 3, 1, 0, 5, 1, 0, 0, 1, 3];
    let raw: [(&str, &[u8]); 5] = [
        ("HTTP/1.1", b"GET / HTTP/1.1\r\nHost: penstock\r\n\r\n padding for the preface"),
        ("a TLS hello and zeros", &[hello, &[0; 64]].concat()),
        ("a Redis command", b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n"),
        ("a preface with a wrong end", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX and more of it"),
        ("zeros", &[0; 4096]),
    ];
    for (what, bytes) in raw {
        let mut peer = Peer::connect(&bystander.service).await;
        peer.send(bytes).await;
        assert!(peer.ended(PATIENCE).await.is_some(), "{what}");
        bystander.expect_well(what).await;
    }
    let long = [&[0x7f, 0xff, 0xff, kind::DATA, 0][..], &[0; 4]].concat();
    let broken: [(&str, Vec<u8>); 13] = [
        ("a frame of eight megabytes", long),
        ("DATA of no stream", frame(kind::DATA, 0, 0, b"x")),
        ("DATA of a stream that never was", frame(kind::DATA, 0, 1, b"x")),
        ("HEADERS of an even stream", frame(kind::HEADERS, 5, 2, &fields())),
        ("HEADERS that no table has", frame(kind::HEADERS, 5, 1, &[0x80])),
        ("HEADERS that are cut off", frame(kind::HEADERS, 5, 1, &[0x04, 0x7f])),
        ("CONTINUATION of nothing", frame(kind::CONTINUATION, 4, 1, &fields())),
        ("a PING of seven bytes", frame(kind::PING, 0, 0, &[0; 7])),
        ("a window of no bytes", frame(kind::WINDOW, 0, 0, &[0; 4])),
        ("a window beyond all windows", frame(kind::WINDOW, 0, 0, &[0x7f, 255, 255, 255])),
        ("SETTINGS that are none", frame(kind::SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 9])),
        ("a PUSH_PROMISE", frame(kind::PROMISE, 4, 1, &[0, 0, 0, 2, 0x82])),
        ("a reset of a stream that never was", frame(kind::RESET, 0, 1, &[0, 0, 0, 8])),
    ];
    for (what, bytes) in broken {
        let mut peer = Peer::greeted(&bystander.service).await;
        peer.send(&bytes).await;
        assert!(peer.ended(PATIENCE).await.is_some(), "{what}");
        bystander.expect_well(what).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_costs_a_bounded_amount_of_memory_and_holds_nobody_up() {
    let mut bystander = Bystander::start().await;
    let reset = |stream: u32| {
        let number = 2 * stream + 1;
        let call = frame(kind::HEADERS, 4, number, &fields());
        [call, frame(kind::RESET, 0, number, &[0, 0, 0, 8])].concat()
    };
    let floods: [(&str, u32, &Frames); 8] = [
        ("calls that are refused", 50_000, &|n| edges::call(2 * n + 1, &[])),
        ("calls that are cancelled at once", 100_000, &reset),
        ("pings", 200_000, &|_| frame(kind::PING, 0, 0, &[0; 8])),
        ("settings", 100_000, &|_| frame(kind::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])),
        ("priorities", 200_000, &|n| frame(kind::PRIORITY, 0, 2 * n + 1, &[0, 0, 0, 0, 1])),
        ("windows", 200_000, &|_| frame(kind::WINDOW, 0, 0, &[0, 0, 0, 1])),
        ("frames of no known kind", 200_000, &|_| frame(99, 0, 0, &[0; 16])),
        ("headers that never end", 100_000, &|n| match n {
            0 => frame(kind::HEADERS, 0, 1, &fields()),
            _ => frame(kind::CONTINUATION, 0, 1, &[0x00, 1, b'x', 1, b'y']),
        }),
    ];
    for (what, number, make) in floods {
        let mut peer = Peer::greeted(&bystander.service).await;
        let mut bytes = Vec::new();
        for n in 0..number {
            bytes.extend(make(n));
            // Whoever sends without reading is held up by its own socket in the end.
            if bytes.len() > 64 * 1024 {
                let sent = timeout(seconds(1), peer.0.write_all(&bytes)).await;
                bytes.clear();
                if !sent.is_ok_and(|sent| sent.is_ok()) {
                    break;
                }
            }
        }
        assert!(bystander.service.memory() < bystander.memory + GROWTH, "{what}: while it lasts");
        drop(peer);
        bystander.expect_well(what).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_unpack_to_more_cost_what_was_sent() {
    let mut bystander = Bystander::start().await;
    // A field of 3 kB into the dynamic table, and then its index: 24 kB of header fields, or 12 MB.
    let unpacking_to = |times: usize| {
        let mut block = fields();
        block.extend([0x40, 1, b'x', 0x7f, 0xb9, 0x16]);
        block.extend([b'y'; 3_000]);
        block.extend(vec![0xbe; times]);
        block
    };
    let mut peer = Peer::greeted(&bystander.service).await;
    assert!(peer.send(&frame(kind::HEADERS, 5, 1, &unpacking_to(7))).await);
    assert!(peer.answers().await, "one refused call is no fault of the connection");
    for _ in 0..20 {
        let mut peer = Peer::greeted(&bystander.service).await;
        peer.send(&frame(kind::HEADERS, 5, 1, &unpacking_to(4_000))).await;
        assert!(peer.ended(PATIENCE).await.is_some(), "far too much is one");
        assert!(bystander.service.memory() < bystander.memory + GROWTH);
    }
    bystander.expect_well("headers that unpack").await;
}

/// What a call of these bytes gets, over KEDA's own channel.
async fn call(channel: &Channel, request: http::request::Builder, body: AnyBody) -> Status {
    let mut channel = channel.clone();
    std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    let answer = channel.call(request.body(Body::new(body)).unwrap());
    let answer = timeout(seconds(30), answer).await.expect("an answer").unwrap();
    let (status, headers) = (answer.status(), answer.headers());
    Status::from_header_map(headers).unwrap_or_else(|| Status::unknown(status.to_string()))
}

fn to(path: &str) -> http::request::Builder {
    let request = http::Request::builder().method("POST").uri(format!("http://penstock{path}"));
    request.header("content-type", "application/grpc").header("te", "trailers")
}

const IS_ACTIVE: &str = "/externalscaler.ExternalScaler/IsActive";

/// The head of a message of this many bytes.
fn head(flag: u8, bytes: u32) -> Vec<u8> {
    [&[flag][..], &bytes.to_be_bytes()].concat()
}

/// A body that sends this and then nothing, without an end.
fn unfinished(bytes: Vec<u8>) -> AnyBody {
    let first = tokio_stream::once(Ok::<_, Status>(Bytes::from(bytes)));
    AnyBody::from_stream(first.chain(tokio_stream::pending()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_none_gets_a_status_and_its_connection_lives_on() {
    let mut bystander = Bystander::start().await;
    let channel = bystander.keda.channel();
    let with = |path: &str, body: Vec<u8>| (to(path), AnyBody::from(body));
    let plain = http::Request::builder().method("POST").uri(format!("http://penstock{IS_ACTIVE}"));
    let gzip =
        [head(1, 22), b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0\0\0".to_vec()].concat();
    let rows: [(&str, (http::request::Builder, AnyBody), Code); 13] = [
        ("no message", with(IS_ACTIVE, vec![]), Code::Internal),
        ("half a head", with(IS_ACTIVE, vec![0, 0]), Code::Internal),
        ("half a message", with(IS_ACTIVE, [head(0, 9), vec![1]].concat()), Code::Internal),
        ("4 GiB to come", with(IS_ACTIVE, head(0, u32::MAX)), Code::OutOfRange),
        ("compressed by nothing", with(IS_ACTIVE, head(1, 0)), Code::Internal),
        ("a flag that is none", with(IS_ACTIVE, head(7, 0)), Code::Internal),
        ("a tag that is none", with(IS_ACTIVE, [head(0, 2), vec![7, 7]].concat()), Code::Internal),
        (
            "a name of no text",
            with(IS_ACTIVE, [head(0, 3), vec![10, 1, 255]].concat()),
            Code::Internal,
        ),
        ("no method", with("/externalscaler.ExternalScaler/Drop", vec![]), Code::Unimplemented),
        ("no service", with("/else.Where/Is", vec![]), Code::Unimplemented),
        ("no path", with("/", vec![]), Code::Unimplemented),
        (
            "an encoding that is none",
            (to(IS_ACTIVE).header("grpc-encoding", "zip"), AnyBody::from(head(1, 0))),
            Code::Unimplemented,
        ),
        (
            "an encoding that is not spoken, and would unpack",
            (to(IS_ACTIVE).header("grpc-encoding", "gzip"), AnyBody::from(gzip)),
            Code::Unimplemented,
        ),
    ];
    for (what, (request, body), code) in rows {
        let status = call(&channel, request, body).await;
        assert_eq!(status.code(), code, "{what}: {status:?}");
        bystander.expect_well(what).await;
    }
    let too_large = r#"penstock_requests_unread_total{why="too_large"}"#;
    assert_eq!(bystander.service.metric(too_large).await, 1.0);
    let html = plain.header("content-type", "text/html");
    let status = call(&channel, html, AnyBody::from(head(0, 0))).await;
    assert_ne!(status.code(), Code::Ok, "{status:?}");
    bystander.expect_well("a form").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_never_end_hold_a_bounded_number_of_bytes_for_a_bounded_time() {
    let mut bystander = Bystander::start().await;
    let keda = bystander.service.keda().await;
    let whole = u32::try_from(REQUEST_BYTES).unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let channel = keda.channel();
        // Named, and half of it sent.
        let body = unfinished([head(0, whole), vec![0; REQUEST_BYTES / 64]].concat());
        calls.spawn(async move { call(&channel, to(IS_ACTIVE), body).await.code() });
    }
    for _ in 0..40 {
        let channel = keda.channel();
        calls.spawn(async move { call(&channel, to(IS_ACTIVE), unfinished(vec![])).await.code() });
    }
    let codes = calls.join_all().await;
    let count = |code: Code| codes.iter().filter(|of| **of == code).count();
    // Eight of the largest are let in, and given up when their time is over.
    let seen = (count(Code::ResourceExhausted), count(Code::DeadlineExceeded));
    assert_eq!(seen, (32, 48), "{codes:?}");
    for (why, number) in [("incomplete", 32.0), ("slow", 48.0)] {
        let counted = format!("penstock_requests_unread_total{{why=\"{why}\"}}");
        assert_eq!(bystander.service.metric(&counted).await, number, "{why}");
    }
    bystander.expect_well("requests that never end").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_other_services_that_stay_open_are_bounded() {
    let mut bystander = Bystander::start().await;
    let channel = bystander.service.keda().await.channel();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let mut open = Vec::new();
    let asked = || tonic_health::pb::HealthCheckRequest { service: String::new() };
    let refused = loop {
        match health.watch(asked()).await {
            Ok(watch) => open.push(watch),
            Err(status) => break status,
        }
        assert!(open.len() <= 256, "no end");
    };
    assert_eq!((open.len(), refused.code()), (256, Code::ResourceExhausted), "{refused}");
    let counted = r#"penstock_requests_unread_total{why="side_calls"}"#;
    assert_eq!(bystander.service.metric(counted).await, 1.0);
    drop(open);
    let again = async || health.clone().check(asked()).await.is_ok();
    eventually_is(PATIENCE, true, again).await;
    bystander.expect_well("watches").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_is_ended_and_who_stops_halfway_too() {
    let mut bystander = Bystander::start().await;
    let mut peers = Vec::new();
    for beginning in [&b""[..], &PREFACE[..10], PREFACE] {
        let mut peer = Peer::connect(&bystander.service).await;
        peer.send(beginning).await;
        peers.push(peer);
    }
    // It began well, and its headers never end: keepalive finds it.
    let mut halfway = Peer::greeted(&bystander.service).await;
    halfway.send(&frame(kind::HEADERS, 0, 1, &fields())).await;
    peers.push(halfway);
    for mut peer in peers {
        assert!(peer.ended(seconds(60)).await.is_some());
    }
    let silent = r#"penstock_connections_turned_away_total{listener="grpc",why="silent"}"#;
    assert_eq!(bystander.service.metric(silent).await, 3.0);
    bystander.expect_well("silence").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_port_answers_probes_whoever_holds_it_open_and_gives_nothing_secret() {
    let mut bystander = Bystander::start().await;
    let admin = bystander.service.admin().to_owned();
    let mut held = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(&admin).await.unwrap();
        let part: &[u8] = if number % 2 == 0 { b"GET /livez HT" } else { b"\x16\x03\x01 garbage" };
        drop(stream.write_all(part).await);
        held.push(stream);
        assert_eq!(bystander.service.get("/livez").await.0, 200);
    }
    assert!(bystander.service.descriptors() < bystander.descriptors + 64 + 8);
    for path in ["/", "/config", "/debug/pprof", "/../etc/passwd", "/metrics/x"] {
        assert_eq!(bystander.service.get(path).await.0, 404, "{path}");
    }
    let mut long = TcpStream::connect(&admin).await.unwrap();
    for _ in 0..1_000 {
        // Headers without an end; it is refused at some point.
        if long.write_all(&[b'x'; 4096]).await.is_err() {
            break;
        }
    }
    drop((held, long));
    let few = bystander.descriptors + 8;
    eventually_is(PATIENCE, true, async || bystander.service.descriptors() < few).await;
    bystander.expect_well("the admin port").await;
}
