//! Peers that read slowly, or not at all, or go as soon as they have come: what they cost is theirs,
//! and nobody else waits for them.
//!
//! A narrow peer lets each of its streams get one byte ahead of what it has read.

use std::time::Duration;

use deadpool_redis::redis::Connection;
use futures_util::future::join_all;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tonic::Streaming;

use crate::{
    harness::{
        Kind, Mode, PATIENCE, Proxy, RECOVERY, Server, Service, Setup, eventually_is, millis,
        seconds,
    },
    streams::Pushes,
    wire::{Activity, Keda, queue},
};

/// How long an edge may take; it is milliseconds where nothing is slow.
const EDGE: Duration = Duration::from_millis(1500);
/// From SIGTERM to the end whatever holds it, with room for a slow machine.
const DRAIN: Duration = Duration::from_secs(11);
/// Kilobytes by which the memory of the service may differ for no reason.
const NOISE_KB: u64 = 6 * 1024;

/// A Redis and a service that pushes both edges, so that there is much to send.
async fn talkative() -> (Server, Service) {
    let server = Server::start(Kind::Redis);
    let config =
        format!("[server]\npush_inactive = true\n[redis.default]\nurl = \"{}\"\n", server.url());
    let service = Setup::default().config(config).start().await;
    (server, service)
}

/// Opens streams on a queue.
async fn open(keda: &Keda, name: &str, number: usize) -> Vec<Streaming<Activity>> {
    let trigger = queue(name);
    let streams = join_all((0..number).map(|_| keda.stream_is_active(&trigger))).await;
    streams.into_iter().map(Result::unwrap).collect()
}

/// Makes the queue `flapping` full and empty so many times, each way for a moment.
async fn flap(link: &mut Connection, times: usize) {
    for _ in 0..times {
        run(link, "RPUSH flapping a");
        sleep(millis(1)).await;
        run(link, "DEL flapping");
        sleep(millis(1)).await;
    }
}

fn run(link: &mut Connection, words: &str) {
    let mut command = deadpool_redis::redis::Cmd::new();
    command.arg(words.split(' ').collect::<Vec<_>>()).query::<u64>(link).unwrap();
}

/// Both edges of the queue `calm` come in time.
async fn expect_edges(link: &mut Connection, pushes: &mut Pushes) {
    run(link, "RPUSH calm a");
    assert!(pushes.next(EDGE).await);
    run(link, "DEL calm");
    assert!(!pushes.next(EDGE).await);
}

async fn streams_open(service: &Service) -> f64 {
    service.metric("penstock_streams_open").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_that_nobody_reads_delay_and_cost_nothing_and_the_drain_is_bounded() {
    let (server, mut service) = talkative().await;
    let keda = service.keda().await;
    let mut link = server.connect();
    let mut calm = Pushes::of(&keda, &queue("calm")).await;
    assert!(!calm.next(RECOVERY).await);
    let narrow = Keda::connect_narrow(service.grpc()).await;
    let mut unread = open(&narrow, "flapping", 1000).await;
    flap(&mut link, 100).await;
    let before = service.memory();
    for _ in 0..20 {
        flap(&mut link, 100).await;
        expect_edges(&mut link, &mut calm).await;
    }
    let after = service.memory();
    assert!(after < before + NOISE_KB, "{before} kB became {after} kB");
    assert_eq!(streams_open(&service).await, 1001.0);
    assert_eq!(narrow.value(&queue("calm")).await.unwrap(), 0.0, "calls of that peer go on too");
    // Whoever reads after all has only the last few messages before them, not thousands.
    let mut late = 0;
    while timeout(millis(300), unread[0].message()).await.is_ok() {
        late += 1;
    }
    assert!((1..=4).contains(&late), "{late} messages waited");

    service.signal("TERM");
    calm.end(PATIENCE).await;
    let (status, took) = service.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(took < DRAIN, "it took {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_one_message_a_second_is_told_the_present_and_not_all_of_the_past() {
    let (server, service) = talkative().await;
    let keda = service.keda().await;
    let mut link = server.connect();
    let mut calm = Pushes::of(&keda, &queue("calm")).await;
    assert!(!calm.next(RECOVERY).await);
    let narrow = Keda::connect_narrow(service.grpc()).await;
    let mut slow = Pushes::of(&narrow, &queue("flapping")).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        let second = Instant::now();
        flap(&mut link, 200).await;
        expect_edges(&mut link, &mut calm).await;
        told.push(slow.next(EDGE).await);
        sleep(seconds(1).saturating_sub(second.elapsed())).await;
    }
    let alternate = told.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(alternate >= 2, "it hears of both states: {told:?}");
    run(&mut link, "RPUSH flapping a");
    // At most what was under way when the flapping ended, and then what is.
    let mut late = Vec::new();
    while let Some(active) = slow.if_any(millis(500)).await {
        late.push(active);
    }
    assert!(late.len() <= 4, "a backlog of {late:?}");
    assert_eq!(told.iter().chain(&late).next_back(), Some(&true), "{told:?}, {late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_streams_that_are_opened_and_cancelled_leave_nothing_behind() {
    let (server, service) = talkative().await;
    let keda = service.keda().await;
    let mut link = server.connect();
    let mut calm = Pushes::of(&keda, &queue("calm")).await;
    assert!(!calm.next(RECOVERY).await);
    let cancel = async |number: usize| {
        let mut peers = JoinSet::new();
        for peer in 0..4 {
            let keda = if peer == 0 { keda.clone() } else { service.keda().await };
            peers.spawn(async move {
                for round in 0..number / 40 {
                    let name = format!("q{}", round % 100);
                    let streams = open(&keda, &name, 9);
                    // The last one is given up before it is answered.
                    let trigger = queue(&name);
                    let given_up = timeout(Duration::ZERO, keda.stream_is_active(&trigger));
                    let (streams, given_up) = tokio::join!(streams, given_up);
                    drop((streams, given_up));
                }
            });
        }
        while let Some(done) = peers.join_next().await {
            done.unwrap();
        }
        eventually_is(PATIENCE, 1.0, async || streams_open(&service).await).await;
    };
    cancel(1_000).await;
    let before = service.memory();
    cancel(10_000).await;
    let after = service.memory();
    assert!(after < before + NOISE_KB, "{before} kB became {after} kB");
    expect_edges(&mut link, &mut calm).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_vanished_is_given_up_with_all_of_its_streams() {
    let (server, service) = talkative().await;
    let keda = service.keda().await;
    let mut link = server.connect();
    let mut calm = Pushes::of(&keda, &queue("calm")).await;
    assert!(!calm.next(RECOVERY).await);
    let (_, port) = service.grpc().rsplit_once(':').unwrap();
    let proxy = Proxy::to(port.parse().unwrap()).await;
    let vanishing = Keda::connect(&proxy.address()).await;
    let _streams = open(&vanishing, "flapping", 200).await;
    assert_eq!(streams_open(&service).await, 201.0);
    proxy.set(Mode::Stall);
    // A PING after 20 s of silence, and 10 s for its answer.
    eventually_is(seconds(35), 1.0, async || {
        expect_edges(&mut link, &mut calm).await;
        flap(&mut link, 50).await;
        streams_open(&service).await
    })
    .await;
}
