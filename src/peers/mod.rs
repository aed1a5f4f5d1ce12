//! The connections that peers open to us: how many, how many of one peer, and for how long.
//!
//! Both listeners need the same, before a word of any protocol is understood. It knows bytes and addresses,
//! and nothing of what is said.

mod guarded;
mod tally;

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::telemetry::{Door, Edge, Turned};

pub use guarded::Guarded;
pub use tally::{Counted, Tally};

/// What happens to a connection beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// It is refused: those that are open do work that lasts. So that no peer can shut out all
    /// others, one IP address may have no more than this many.
    Refuse {
        /// Connections of one IP address.
        most_of_one: usize,
    },
    /// It takes the place of the oldest: those that are open have had their time.
    EndOldest,
}

/// What one listener bears.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub most: usize,
    /// What happens beyond `most`.
    pub beyond: Beyond,
    /// How many bytes a peer has to send, and within what time.
    pub first_words: (usize, Duration),
    /// The age at which a connection is ended.
    pub end: Duration,
    /// Bytes that a peer may send while it takes nothing of what we say; it is not read beyond them.
    pub unheeding: usize,
}

/// The connections of one listener.
#[derive(Debug, Clone)]
pub struct Peers(Arc<PeersState>);

#[derive(Debug)]
struct PeersState {
    door: Door,
    bounds: Bounds,
    edge: Arc<Edge>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// Every connection in the order in which they came.
    places: BTreeMap<u64, (IpAddr, CancellationToken)>,
    of_peer: HashMap<IpAddr, OfPeer>,
}

/// What one address has open.
#[derive(Debug, Default)]
struct OfPeer {
    connections: usize,
    calls: Tally,
}

/// The right to one connection; given back when it is dropped.
#[derive(Debug)]
pub struct PeerSlot {
    peers: Peers,
    number: u64,
    ended: CancellationToken,
    calls: Tally,
}

impl Peers {
    #[must_use]
    pub fn new(door: Door, bounds: Bounds, edge: Arc<Edge>) -> Self {
        Self(Arc::new(PeersState { door, bounds, edge, open: Mutex::default() }))
    }

    /// A place for a connection from this address; `None` if it is to be closed.
    #[must_use]
    pub fn admit(&self, from: IpAddr) -> Option<PeerSlot> {
        let PeersState { door, bounds, edge, .. } = &*self.0;
        // A peer over IPv6 that is an IPv4 one is counted as that.
        let from = from.to_canonical();
        let mut open = self.lock();
        let is_full = open.places.len() >= bounds.most;
        match bounds.beyond {
            Beyond::Refuse { most_of_one } => {
                let of_peer = open.of_peer.get(&from).map_or(0, |peer| peer.connections);
                let why = (of_peer >= most_of_one).then_some(Turned::PeerFull);
                if let Some(why) = why.or_else(|| is_full.then_some(Turned::Full)) {
                    edge.turned(*door, why);
                    return None;
                }
            }
            Beyond::EndOldest => {
                if let Some(oldest) = is_full.then(|| open.oldest()).flatten() {
                    edge.turned(*door, Turned::CrowdedOut);
                    oldest.cancel();
                }
            }
        }
        let ended = CancellationToken::new();
        let number = open.next;
        open.next += 1;
        open.places.insert(number, (from, ended.clone()));
        let of_peer = open.of_peer.entry(from).or_default();
        of_peer.connections += 1;
        let calls = of_peer.calls.clone();
        drop(open);
        edge.open(*door, 1);
        Some(PeerSlot { peers: self.clone(), number, ended, calls })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock()
    }
}

impl Open {
    /// Takes the oldest out: it counts no more, also while its task does not know yet.
    fn oldest(&mut self) -> Option<CancellationToken> {
        let (_, (from, ended)) = self.places.pop_first()?;
        self.forget(from);
        Some(ended)
    }

    fn remove(&mut self, number: u64) {
        if let Some((from, _)) = self.places.remove(&number) {
            self.forget(from);
        }
    }

    fn forget(&mut self, from: IpAddr) {
        if let Some(peer) = self.of_peer.get_mut(&from) {
            peer.connections -= 1;
            if peer.connections == 0 {
                self.of_peer.remove(&from);
            }
        }
    }
}

impl Drop for PeerSlot {
    fn drop(&mut self) {
        self.peers.lock().remove(self.number);
        self.peers.0.edge.open(self.peers.0.door, -1);
    }
}

#[cfg(test)]
mod tests {
    use std::{io, pin::pin};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::{Instant, timeout},
    };

    use super::*;
    use crate::telemetry::Metrics;

    const FIRST: Duration = Duration::from_secs(10);
    const END: Duration = Duration::from_secs(100);

    fn peers(most: usize, beyond: Beyond) -> (Peers, Arc<Metrics>) {
        let metrics = Metrics::new();
        let bounds = Bounds { most, beyond, first_words: (3, FIRST), end: END, unheeding: 8 };
        (Peers::new(Door::Grpc, bounds, metrics.edge()), metrics)
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn metric(metrics: &Metrics, line: &str) -> bool {
        metrics.encode().unwrap().lines().any(|found| found == line)
    }

    #[test]
    fn one_peer_takes_its_share_and_leaves_the_others_theirs() {
        let (peers, metrics) = peers(4, Beyond::Refuse { most_of_one: 2 });
        let mut places: Vec<_> = [1, 1, 2].into_iter().map(|n| peers.admit(ip(n))).collect();
        assert!(places.iter().all(Option::is_some));
        let mapped = "::ffff:10.0.0.1".parse().unwrap();
        assert!(peers.admit(ip(1)).is_none() && peers.admit(mapped).is_none());
        places.push(peers.admit(ip(3)));
        assert!(peers.admit(ip(4)).is_none(), "all four are taken");
        let line = r#"penstock_connections_turned_away_total{listener="grpc",why="peer_full"} 2"#;
        assert!(metric(&metrics, line));
        drop(places);
        assert!(peers.admit(ip(1)).is_some());
        assert!(metric(&metrics, r#"penstock_connections_open{listener="grpc"} 0"#));
        assert!(peers.lock().of_peer.is_empty() && peers.lock().places.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_makes_place_for_the_newest() {
        let (peers, metrics) = peers(1, Beyond::EndOldest);
        let (ours, _theirs) = duplex(64);
        let mut old = Guarded::new(ours, peers.admit(ip(1)).unwrap());
        let reading = async { old.read_u8().await.unwrap_err().kind() };
        let (ended, new) = tokio::join!(reading, async { peers.admit(ip(1)) });
        assert_eq!(ended, io::ErrorKind::ConnectionAborted);
        drop(old);
        assert!(metric(&metrics, r#"penstock_connections_open{listener="grpc"} 1"#));
        assert!(new.is_some() && peers.lock().places.len() == 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_begin_in_time_is_ended_and_who_does_may_be_silent() {
        let (peers, metrics) = peers(9, Beyond::EndOldest);
        for (said, within) in [(&b""[..], FIRST), (b"ab", FIRST), (b"abc", END), (b"abcdef", END)] {
            let (ours, mut theirs) = duplex(64);
            let mut guarded = Guarded::new(ours, peers.admit(ip(1)).unwrap());
            theirs.write_all(said).await.unwrap();
            let (started, mut heard) = (Instant::now(), Vec::new());
            let error = guarded.read_to_end(&mut heard).await.unwrap_err();
            assert_eq!((error.kind(), started.elapsed()), (io::ErrorKind::TimedOut, within));
            assert_eq!(heard, said);
            assert!(guarded.read_u8().await.is_err() && guarded.write_u8(0).await.is_err());
        }
        for (why, count) in [("silent", 2), ("old", 2)] {
            let line = format!(
                r#"penstock_connections_turned_away_total{{listener="grpc",why="{why}"}} {count}"#
            );
            assert!(metric(&metrics, &line), "{line}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_heard_no_further_until_it_does() {
        let (peers, _metrics) = peers(1, Beyond::EndOldest);
        let (ours, mut theirs) = duplex(64);
        let guarded = Guarded::new(ours, peers.admit(ip(1)).unwrap());
        let (mut hears, mut says) = tokio::io::split(guarded);
        theirs.write_all(&[1; 40]).await.unwrap();
        let (mut first, mut last) = ([0; 12], [0; 4]);
        hears.read_exact(&mut first[..4]).await.unwrap();
        let mut saying = pin!(says.write_all(&[2; 100]));
        timeout(Duration::ZERO, &mut saying).await.expect_err("the pipe holds 64 bytes");
        hears.read_exact(&mut first[4..]).await.unwrap();
        let mut more = pin!(hears.read_exact(&mut last));
        timeout(FIRST, &mut more).await.expect_err("eight bytes while nothing was taken");
        let mut taken = [0; 100];
        let (taken, said) = tokio::join!(theirs.read_exact(&mut taken), saying);
        assert!(taken.is_ok() && said.is_ok());
        more.await.unwrap();
    }
}
