//! A cluster so large that its nodes are asked in turns what they serve: what a survey would notice within
//! a second has to be noticed otherwise.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tonic::Code;

use super::{
    nonsense::{bulk, slots},
    settles,
};
use crate::{
    harness::{PATIENCE, Scripted, Setup, eventually, eventually_is, seconds},
    wire::queue,
};

/// Its slot is 11958, which the ninth of twelve nodes serves.
const KEY: &str = "q";
const OWNER: usize = 8;
const NODES: u32 = 12;
/// As many as are asked for in a second, so that one node is asked a second.
const LINES: usize = 20_000;

/// A node that tells of many others, until it hangs.
#[derive(Default)]
struct Node {
    surveys: AtomicUsize,
    hangs: AtomicBool,
}

fn share(number: u32) -> (u32, u32) {
    let of = |number: u32| (number * 16_384).div_ceil(NODES);
    (of(number), of(number + 1) - 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_is_set_aside_before_its_turn_comes_to_be_asked_what_it_serves() {
    let (nodes, ports) = (Arc::<[Node; NODES as usize]>::default(), Arc::<PortList>::default());
    let mut peers = Vec::new();
    for number in 0..NODES {
        let (nodes, ports) = (Arc::clone(&nodes), Arc::clone(&ports));
        let peer = Scripted::speaking(move |port, words| {
            let node = &nodes[number as usize];
            if node.hangs.load(Ordering::SeqCst) {
                return vec![];
            }
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let reply = match words.as_slice() {
                ["PING"] => "+PONG\r\n".to_owned(),
                ["CLUSTER", "SLOTS"] => ports.slots(),
                ["CLUSTER", "NODES"] => {
                    node.surveys.fetch_add(1, Ordering::SeqCst);
                    let (first, last) = share(number);
                    let own = format!(
                        "{port:040} 127.0.0.1:{port}@1 myself,master - 0 0 {number} connected {first}-{last}\n"
                    );
                    bulk(&(own + &"other\n".repeat(LINES - 1)))
                }
                ["LLEN", KEY] => ":3\r\n".to_owned(),
                _ => "+OK\r\n".to_owned(),
            };
            reply.into_bytes()
        });
        peers.push(peer.await);
    }
    ports.0.set(peers.iter().map(port_of).collect()).unwrap();
    let seed = peers[0].address();
    let config = format!("[redis.default]\ncluster = [\"{seed}\"]\nhold_stale = \"1s\"\n");
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    settles(&keda, &queue(KEY), 3.0).await;
    // It was asked just now, and will not be again before all others were.
    let surveys = || nodes[OWNER].surveys.load(Ordering::SeqCst);
    let before = surveys();
    eventually_is(3 * PATIENCE, true, async || surveys() > before.max(1)).await;
    nodes[OWNER].hangs.store(true, Ordering::SeqCst);
    let told = "a node of the cluster cannot be read; known values of its keys are held for the stale budget";
    eventually(seconds(4), async || match service.log_with(told).first() {
        Some(line) if line["node"] == peers[OWNER].address() => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    eventually_is(PATIENCE, Err(Code::Unavailable), async || {
        keda.value(&queue(KEY)).await.map_err(|status| status.code())
    })
    .await;
    nodes[OWNER].hangs.store(false, Ordering::SeqCst);
    eventually_is(PATIENCE, Ok(3.0), async || {
        keda.value(&queue(KEY)).await.map_err(|status| status.code())
    })
    .await;
}

/// Where the nodes are, once all of them are there.
#[derive(Default)]
struct PortList(std::sync::OnceLock<Vec<u16>>);

impl PortList {
    fn slots(&self) -> String {
        let ports = self.0.get().expect("nobody asks before");
        let ranges = (0..NODES).map(|number| {
            let ((first, last), port) = (share(number), ports[number as usize]);
            (first, last, port)
        });
        slots(&ranges.collect::<Vec<_>>())
    }
}

fn port_of(peer: &Scripted) -> u16 {
    peer.address().rsplit_once(':').unwrap().1.parse().unwrap()
}
