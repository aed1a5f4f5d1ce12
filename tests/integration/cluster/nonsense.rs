//! What a broken or hostile node may say: a map that makes no sense, and redirects that lead nowhere. Each
//! has a bounded result, which is never a number, and is over as soon as the node makes sense again.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tokio::time::{Instant, sleep};
use tonic::Code;

use super::{CALM, settles};
use crate::{
    harness::{PATIENCE, Scripted, Service, Setup, eventually, eventually_is, seconds},
    wire::queue,
};

const KEY: &str = "q";

/// A cluster of one node that says what it is told to.
struct Node {
    peer: Scripted,
    told: Arc<Mutex<Told>>,
    reads: Arc<AtomicUsize>,
}

/// A reply to a read, by the node's port and the number of the read.
type Says = fn(u16, usize) -> String;

/// What is said in place of what makes sense.
#[derive(Clone, Default)]
struct Told {
    slots: Option<String>,
    nodes: Option<String>,
    reads: Option<Says>,
    /// It takes its time to tell who serves what.
    is_slow: bool,
}

impl Node {
    async fn start() -> Self {
        let told = Arc::<Mutex<Told>>::default();
        let reads = Arc::<AtomicUsize>::default();
        let (say, count) = (Arc::clone(&told), Arc::clone(&reads));
        let peer = Scripted::speaking(move |port, words| {
            let told = say.lock().unwrap().clone();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if told.is_slow && words == ["CLUSTER", "SLOTS"] {
                std::thread::sleep(crate::harness::millis(100));
            }
            let reply = match words.as_slice() {
                ["PING"] => "+PONG\r\n".to_owned(),
                ["CLUSTER", "SLOTS"] => told.slots.unwrap_or_else(|| slots(&[(0, 16_383, port)])),
                ["CLUSTER", "NODES"] => told.nodes.unwrap_or_else(|| bulk(&line(port, "0-16383"))),
                ["LLEN", KEY] => {
                    let number = count.fetch_add(1, Ordering::SeqCst);
                    told.reads.map_or_else(|| ":3\r\n".to_owned(), |reply| reply(port, number))
                }
                _ => "+OK\r\n".to_owned(),
            };
            reply.into_bytes()
        });
        Self { peer: peer.await, told, reads }
    }

    fn says(&self, told: Told) {
        *self.told.lock().unwrap() = told;
    }

    async fn service(&self) -> Service {
        let address = self.peer.address();
        let config = format!("[redis.default]\ncluster = [\"{address}\"]\nhold_stale = \"1s\"\n");
        Setup::default().config(config).start().await
    }
}

pub(super) fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn line(port: u16, slots: &str) -> String {
    format!("{port:040} 127.0.0.1:{port}@1{port} myself,master - 0 0 1 connected {slots}\n")
}

/// `CLUSTER SLOTS` of these ranges; the id of a node is its port.
pub(super) fn slots(ranges: &[(u32, u32, u16)]) -> String {
    let range = |(first, last, port): &(u32, u32, u16)| {
        let host = bulk("127.0.0.1");
        let id = bulk(&format!("{port:040}"));
        format!("*3\r\n:{first}\r\n:{last}\r\n*3\r\n{host}:{port}\r\n{id}")
    };
    format!("*{}\r\n{}", ranges.len(), ranges.iter().map(range).collect::<String>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_that_makes_no_sense_is_told_and_over_when_it_does() {
    let node = Node::start().await;
    let twice = slots(&[(0, 16_383, 7000), (0, 16_383, 7001)]);
    let nowhere = format!("*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n{}:7000\r\n{}", bulk("?"), bulk("id"));
    for (said, told) in [
        ("+OK\r\n".to_owned(), "slots that are no list"),
        (":1\r\n".to_owned(), "slots that are no list"),
        ("*1\r\n:1\r\n".to_owned(), "a range of slots of another form"),
        (slots(&[(5, 4, 7000)]), "a range of slots of another form"),
        (slots(&[(0, 99_999, 7000)]), "a range of slots of another form"),
        (twice, "more slots than there are"),
        ("*0\r\n".to_owned(), "no node of the cluster serves any slot"),
        (nowhere, "no node of the cluster serves any slot"),
        ("-ERR no\r\n".to_owned(), "no"),
    ] {
        node.says(Told { slots: Some(said.clone()), ..Told::default() });
        let service = node.service().await;
        let keda = service.keda().await;
        eventually(PATIENCE, async || {
            let status = keda.value(&queue(KEY)).await.unwrap_err();
            assert_eq!(status.code(), Code::Unavailable, "{said:?}: {status}");
            if status.message().contains(told) {
                Ok(())
            } else {
                Err(format!("{said:?}: {status}"))
            }
        })
        .await;
        node.says(Told::default());
        eventually_is(PATIENCE, Ok(3.0), async || {
            keda.value(&queue(KEY)).await.map_err(|status| status.code())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_making_sense_is_polled_and_not_believed_for_ever() {
    let node = Node::start().await;
    let service = node.service().await;
    let keda = service.keda().await;
    settles(&keda, &queue(KEY), 3.0).await;
    let said =
        Told { nodes: Some(bulk("garbage")), slots: Some("+OK\r\n".to_owned()), ..Told::default() };
    node.says(said.clone());
    // Nobody announces anything here; what was taken for unchanged is asked for again all the same.
    let polled =
        "a node of the cluster does not say which slots it gives away; its keys are polled instead";
    service.logged(polled, 1).await;
    node.says(Told { reads: Some(|_, _| ":4\r\n".to_owned()), ..said });
    settles(&keda, &queue(KEY), 4.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_that_lead_nowhere_are_followed_a_few_times_and_are_no_answer() {
    let node = Node::start().await;
    let service = node.service().await;
    let keda = service.keda().await;
    let slot_moves = "its slot keeps moving from node to node|keeps moving a key from node to node";
    let cases: [(&str, Says, &str); 9] = [
        ("MOVED to itself", |port, _| format!("-MOVED 11958 127.0.0.1:{port}\r\n"), slot_moves),
        ("ASK to itself", |port, _| format!("-ASK 11958 127.0.0.1:{port}\r\n"), slot_moves),
        ("MOVED to an empty host", |port, _| format!("-MOVED 11958 :{port}\r\n"), slot_moves),
        ("MOVED to nobody", |_, _| "-MOVED 11958 127.0.0.1:1\r\n".to_owned(), "node 127.0.0.1:1:"),
        ("ASK to nobody", |_, _| "-ASK 11958 127.0.0.1:1\r\n".to_owned(), "node 127.0.0.1:1:"),
        (
            "MOVED to one after another",
            |_, n| format!("-MOVED 11958 127.1.{}.{}:1\r\n", n / 250 % 250, n % 250),
            ":1: |keeps moving",
        ),
        ("MOVED to no address", |_, _| "-MOVED 11958 nowhere\r\n".to_owned(), "on to no node"),
        ("MOVED of no slot", |_, _| "-MOVED 99999 127.0.0.1:1\r\n".to_owned(), "on to no node"),
        ("TRYAGAIN", |_, _| "-TRYAGAIN later\r\n".to_owned(), "TRYAGAIN|later"),
    ];
    for (name, reads, told) in cases {
        settles(&keda, &queue(KEY), 3.0).await;
        node.says(Told { reads: Some(reads), ..Told::default() });
        // It is not read again before it may have changed.
        node.peer.hang_up();
        eventually(PATIENCE, async || match keda.value(&queue(KEY)).await {
            Ok(value) => {
                assert_eq!(value, 3.0, "{name}: held");
                Err("held".to_owned())
            }
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{name}: {status}");
                let is_told = told.split('|').any(|told| status.message().contains(told));
                if is_told { Ok(()) } else { Err(format!("{name}: {status}")) }
            }
        })
        .await;
        let (before, start) = (node.reads.load(Ordering::SeqCst), Instant::now());
        while start.elapsed() < seconds(1) {
            drop(keda.value(&queue(KEY)).await);
            sleep(crate::harness::millis(10)).await;
        }
        let reads = node.reads.load(Ordering::SeqCst) - before;
        println!("{name}: {reads} reads");
        assert!(reads <= 1_500, "{name}: {reads} reads in a second");
        node.says(Told::default());
        eventually_is(CALM, Ok(3.0), async || {
            keda.value(&queue(KEY)).await.map_err(|status| status.code())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_that_serves_nothing_does_not_hide_the_cluster_that_another_knows() {
    let (reset, well) = (Node::start().await, Node::start().await);
    reset.says(Told { slots: Some("*0\r\n".to_owned()), ..Told::default() });
    well.says(Told { is_slow: true, ..Told::default() });
    let seeds = [&reset, &well].map(|node| format!("\"{}\"", node.peer.address())).join(", ");
    let config = format!("[redis.default]\ncluster = [{seeds}]\n");
    let service = Setup::default().config(config).start().await;
    settles(&service.keda().await, &queue(KEY), 3.0).await;
    assert_eq!(reset.reads.load(Ordering::SeqCst), 0);
}
