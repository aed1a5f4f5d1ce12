//! What a peer does at the edges of a connection: how many it opens, how it ends them, and answers
//! that it never takes.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::{
    harness::{PATIENCE, Service, eventually, eventually_is, millis, seconds},
    wire::{MetricsRequest, queue},
};

use super::{
    Bystander, GROWTH,
    peer::{Peer, fields, fields_of, frame, kind},
};

/// Calls whose answers cannot leave.
const CALLS: u32 = 40_000;
/// Connections that one address may have.
const OF_ONE: usize = 1_024;

/// A call of `IsActive` whose message is this, from head to end.
pub fn call(stream: u32, message: &[u8]) -> Vec<u8> {
    call_of("IsActive", stream, message)
}

fn call_of(method: &str, stream: u32, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let data = [&[0][..], &length, message].concat();
    let head = frame(kind::HEADERS, 4, stream, &fields_of(method));
    [head, frame(kind::DATA, 1, stream, &data)].concat()
}

/// The answer `false`, as it comes on a stream.
fn inactive(stream: u32) -> Vec<u8> {
    frame(kind::DATA, 0, stream, &[0; 5])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_of_one_address_leave_room_for_those_of_another() {
    let mut bystander = Bystander::start().await;
    let mut held = Vec::new();
    // Each says enough not to be ended for its silence.
    for _ in 1..OF_ONE {
        held.push(Peer::greeted(&bystander.service).await);
    }
    for number in OF_ONE..10_000 {
        let mut peer = TcpStream::connect(bystander.service.grpc()).await.unwrap();
        let end = timeout(PATIENCE, peer.read(&mut [0; 64])).await;
        let is_closed = !end.expect("it is closed").is_ok_and(|bytes| bytes > 0);
        assert!(is_closed, "connection {number} is one too many");
    }
    let turned = r#"penstock_connections_turned_away_total{listener="grpc",why="peer_full"}"#;
    assert_eq!(bystander.service.metric(turned).await, 8_976.0);
    assert!(bystander.service.descriptors() < bystander.descriptors + OF_ONE + 16);
    let other = elsewhere(&bystander.service).await;
    assert!(other.greet().await.answers().await, "another address is let in");
    drop(held);
    let few = bystander.descriptors + 16;
    eventually_is(PATIENCE, true, async || bystander.service.descriptors() < few).await;
    bystander.expect_well("ten thousand connections").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_closes_its_half_is_answered_and_ended() {
    let mut bystander = Bystander::start().await;
    let mut peer = Peer::greeted(&bystander.service).await;
    peer.0.shutdown().await.unwrap();
    assert!(peer.ended(PATIENCE).await.is_some(), "it has nothing more to say");
    let mut peer = Peer::greeted(&bystander.service).await;
    let message = prost::Message::encode_to_vec(&queue("other"));
    peer.send(&call(1, &message)).await;
    peer.0.shutdown().await.unwrap();
    assert!(peer.ended(PATIENCE).await.is_some());
    // Half a frame, and no more.
    let mut peer = Peer::greeted(&bystander.service).await;
    peer.send(&frame(kind::HEADERS, 4, 1, &fields())[..20]).await;
    peer.0.shutdown().await.unwrap();
    assert!(peer.ended(PATIENCE).await.is_some());
    bystander.expect_well("half a connection").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trailers_in_a_request_are_taken_where_they_may_stand_and_change_nothing() {
    let mut bystander = Bystander::start().await;
    let message = prost::Message::encode_to_vec(&queue("other"));
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let head = frame(kind::HEADERS, 4, 1, &fields());
    let data = frame(kind::DATA, 0, 1, &[&[0][..], &length, &message].concat());
    let trailers = |bytes: usize| {
        let mut block = Vec::new();
        for _ in 0..bytes / 100 {
            block.extend([&[0x00, 1, b'x', 96][..], &[b'y'; 96]].concat());
        }
        frame(kind::HEADERS, 5, 1, &block)
    };
    for bytes in [0, 100, 8_000] {
        let mut peer = Peer::greeted(&bystander.service).await;
        peer.send(&[head.clone(), data.clone(), trailers(bytes)].concat()).await;
        assert!(peer.hears(&inactive(1)).await, "trailers of {bytes} bytes");
        assert!(peer.answers().await);
    }
    // Too long, in place of the message, before it, and twice.
    for (what, frames) in [
        ("too long", vec![head.clone(), data.clone(), trailers(16_000)]),
        ("in place of the message", vec![head.clone(), trailers(100)]),
        ("before the message", vec![head.clone(), trailers(100), data.clone()]),
        ("twice", vec![head.clone(), data.clone(), trailers(100), trailers(100)]),
    ] {
        let mut peer = Peer::greeted(&bystander.service).await;
        peer.send(&frames.concat()).await;
        // The call or its connection ends, and nobody waits for either.
        timeout(PATIENCE, peer.answers()).await.expect(what);
        bystander.expect_well(what).await;
    }
}

/// A peer of another address than the bystander's.
async fn elsewhere(service: &Service) -> Peer {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    Peer(socket.connect(service.grpc().parse().unwrap()).await.unwrap())
}

/// Makes calls whose answers have `window` bytes of their streams to leave by, and gives how many.
async fn calls_without_a_window(peer: &mut Peer, window: u8) -> u32 {
    let message = prost::Message::encode_to_vec(&queue("other"));
    // SETTINGS_INITIAL_WINDOW_SIZE.
    let settings = frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, window]);
    peer.send(super::PREFACE).await;
    peer.send(&settings).await;
    let (mut read, mut write) = peer.0.split();
    // The connection has a window too, beyond which the service would end it.
    let window = AtomicI64::new(65_535);
    let bytes = i64::try_from(5 + message.len()).unwrap();
    let calls = async {
        for number in 0..CALLS {
            let has_room = async || match window.load(Ordering::Relaxed) >= bytes {
                true => Ok(()),
                false => Err("the window is full"),
            };
            let sent = timeout(PATIENCE, async {
                eventually(PATIENCE, has_room).await;
                write.write_all(&call(2 * number + 1, &message)).await
            });
            if !sent.await.is_ok_and(|sent| sent.is_ok()) {
                return number;
            }
            window.fetch_sub(bytes, Ordering::Relaxed);
        }
        CALLS
    };
    // Heads of answers are not under that window, so that somebody has to take them.
    let taking = async {
        let mut head = [0; 9];
        while read.read_exact(&mut head).await.is_ok() {
            let [a, b, c, kind, _, stream @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            if read.read_exact(&mut payload).await.is_err() {
                return;
            }
            if (kind, stream) == (kind::WINDOW, [0; 4]) {
                let more = u32::from_be_bytes(payload.try_into().unwrap());
                window.fetch_add(i64::from(more), Ordering::Relaxed);
            }
        }
    };
    tokio::select! {
        sent = calls => sent,
        () = taking => 0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_takes_cost_a_bounded_amount() {
    for window in [0, 1] {
        let mut bystander = Bystander::start().await;
        let mut peer = elsewhere(&bystander.service).await;
        let sent = calls_without_a_window(&mut peer, window).await;
        assert_eq!(sent, CALLS);
        let refused = r#"penstock_requests_unread_total{why="calls"}"#;
        let answered = r#"penstock_rpcs_total{method="IsActive",code="OK"}"#;
        let seen = async || {
            let service = &bystander.service;
            [service.metric(answered).await, service.metric(refused).await]
        };
        eventually_is(seconds(60), [10_000.0, f64::from(CALLS) - 10_000.0], seen).await;
        let memory = bystander.service.memory();
        assert!(memory < bystander.memory + GROWTH, "{} kB became {memory}", bystander.memory);
        bystander.expect_well("answers that nobody takes").await;
        // They are given back with their connection.
        drop(peer);
        let again = async || {
            let mut peer = elsewhere(&bystander.service).await.greet().await;
            peer.send(&call(1, &prost::Message::encode_to_vec(&queue("other")))).await;
            // A call that is refused gets a head alone.
            timeout(millis(500), peer.hears(&inactive(1))).await.unwrap_or(false)
        };
        eventually_is(PATIENCE, true, again).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_no_answer_is_not_read_until_it_does() {
    let mut bystander = Bystander::start().await;
    let mut peer = elsewhere(&bystander.service).await.greet().await;
    // All windows are open, so that only the socket is in the way of answers. What is sent before the
    // service has opened its own would break the protocol.
    let opens = 32 * 1024 * 1024 - 65_535_u32;
    assert!(peer.hears(&frame(kind::WINDOW, 0, 0, &opens.to_be_bytes())).await);
    peer.send(&frame(kind::WINDOW, 0, 0, &[0x7f, 0, 0, 0])).await;
    let request = MetricsRequest { trigger: Some(queue("other")), metric_name: "m".repeat(2_000) };
    let message = prost::Message::encode_to_vec(&request);
    let mut sent = 0;
    while sent < CALLS {
        let calls = (sent..sent + 10).flat_map(|n| call_of("GetMetrics", 2 * n + 1, &message));
        let calls: Vec<u8> = calls.collect();
        if !timeout(seconds(5), peer.0.write_all(&calls)).await.is_ok_and(|sent| sent.is_ok()) {
            break;
        }
        sent += 10;
    }
    let answered = r#"penstock_rpcs_total{method="GetMetrics",code="OK"}"#;
    let first = bystander.service.metric(answered).await;
    assert!(first > 100.0 && first < f64::from(sent), "{first} of {sent} were read");
    bystander.expect_well("answers that nobody reads").await;
    let mut bytes = vec![0; 64 * 1024];
    let reading = async {
        while bystander.service.metric(answered).await < f64::from(sent) {
            while let Ok(Ok(1..)) = timeout(millis(100), peer.0.read(&mut bytes)).await {}
        }
    };
    timeout(PATIENCE, reading).await.expect("the rest is read once answers are");
}
