//! What a peer does at the edges of a connection: how many it opens, how it ends them, and answers
//! that it never takes.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use crate::{
    harness::{PATIENCE, eventually, eventually_is, millis, seconds},
    wire::queue,
};

use super::{
    Bystander, GROWTH,
    peer::{Peer, fields, frame, kind},
};

/// Connections that one address may have.
const OF_ONE: usize = 1_024;

/// A call whose message is this, from head to end.
fn call(stream: u32, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let data = [&[0][..], &length, message].concat();
    [frame(kind::HEADERS, 4, stream, &fields()), frame(kind::DATA, 1, stream, &data)].concat()
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
    let elsewhere = TcpSocket::new_v4().unwrap();
    elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let elsewhere = elsewhere.connect(bystander.service.grpc().parse().unwrap()).await.unwrap();
    assert!(Peer(elsewhere).greet().await.answers().await, "another address is let in");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_takes_cost_a_bounded_amount() {
    let mut bystander = Bystander::start().await;
    let message = prost::Message::encode_to_vec(&queue("other"));
    // No stream may send us anything: SETTINGS_INITIAL_WINDOW_SIZE is 0.
    let closed = frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let mut peer = Peer::connect(&bystander.service).await;
    peer.send(super::PREFACE).await;
    peer.send(&closed).await;
    let (mut read, mut write) = peer.0.split();
    // The connection has a window too, beyond which the service would end it.
    let window = AtomicI64::new(65_535);
    let bytes = i64::try_from(5 + message.len()).unwrap();
    let calls = async {
        for number in 0..20_000 {
            let has_room = async || match window.load(Ordering::Relaxed) >= bytes {
                true => Ok(()),
                false => Err("the window is full"),
            };
            let sent = timeout(seconds(1), async {
                eventually(PATIENCE, has_room).await;
                write.write_all(&call(2 * number + 1, &message)).await
            });
            if !sent.await.is_ok_and(|sent| sent.is_ok()) {
                return number;
            }
            window.fetch_sub(bytes, Ordering::Relaxed);
        }
        20_000
    };
    // Heads of answers are not under that window, so that somebody has to take them.
    let sent = {
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
    };
    sleep(millis(500)).await;
    assert!(sent > 1_000, "{sent} calls were taken");
    let memory = bystander.service.memory();
    assert!(memory < bystander.memory + GROWTH, "{} kB became {memory}", bystander.memory);
    drop(peer);
    bystander.expect_well("answers that nobody takes").await;
}
