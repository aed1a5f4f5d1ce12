//! From the socket to connections that HTTP/2 may begin on: a place for each, and TLS if it is asked.
//!
//! It has to bear whoever connects. Handshakes are under way beside one another and beside the accepting, all
//! in the listener's one task: however many there are, they never take more than that, and open connections
//! have tasks of their own.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use futures_util::stream::{FuturesUnordered, StreamExt, unfold};
use rustls::{CertificateError, Error as TlsError};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::Stream;
use tokio_util::{either::Either, sync::CancellationToken};
use tonic::transport::server::Connected;
use tracing::{debug, info, warn};

use crate::{
    limits,
    peers::{Beyond, Bounds, Guarded, PeerSlot, Peers, Tally},
    telemetry::{Door, Edge, Handshake, LogThrottle},
    time::Instant,
};

use super::tls::Terms;

/// A connection as HTTP/2 gets it.
pub(super) type Wire = Guarded<Either<TcpStream, TlsStream<TcpStream>>>;

impl Connected for Wire {
    type ConnectInfo = Tally;

    fn connect_info(&self) -> Tally {
        self.calls()
    }
}

/// What one listener bears.
const BOUNDS: Bounds = Bounds {
    most: limits::PEERS,
    beyond: Beyond::Refuse { most_of_one: limits::PEERS_OF_ONE },
    first_words: limits::FIRST_WORDS,
    end: limits::CONNECTION_END,
    unheeding: limits::UNHEEDING_BYTES,
};

/// The connections of a socket, with TLS by these terms.
pub(super) fn connections(
    socket: TcpListener,
    terms: Option<Terms>,
    edge: Arc<Edge>,
) -> impl Stream<Item = io::Result<Wire>> {
    let peers = Peers::new(Door::Grpc, BOUNDS, Arc::clone(&edge));
    let incoming = Incoming {
        socket,
        peers,
        terms,
        handshakes: Handshakes::new(edge),
        log: LogThrottle::default(),
    };
    unfold(incoming, |mut incoming| async move {
        let wire = incoming.next().await;
        Some((Ok(wire), incoming))
    })
}

struct Incoming {
    socket: TcpListener,
    peers: Peers,
    terms: Option<Terms>,
    handshakes: Handshakes,
    log: LogThrottle,
}

impl Incoming {
    async fn next(&mut self) -> Wire {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                Some(wire) = self.handshakes.next() => return wire,
            };
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => {
                    if let Some(suppressed) = self.log.tell(Instant::now(), limits::PEER_LOG_PAUSE)
                    {
                        warn!(%error, suppressed, "cannot accept connections");
                    }
                    sleep(limits::ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(place) = self.peers.admit(from.ip()) else { continue };
            if let Err(error) = stream.set_nodelay(true) {
                debug!(%error, %from, "a connection ended at once");
                continue;
            }
            match &self.terms {
                None => return Guarded::new(Either::Left(stream), place),
                Some(terms) => self.handshakes.begin(stream, from, place, terms),
            }
        }
    }
}

/// Whether an error of `accept` is about a connection that was gone already (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// A handshake that has ended: its number, and the connection if there is one.
type Ended = (u64, IpAddr, Result<Wire, (Handshake, String)>);

/// TLS handshakes under way.
struct Handshakes {
    edge: Arc<Edge>,
    running: FuturesUnordered<Pin<Box<dyn Future<Output = Ended> + Send>>>,
    /// Ends each of them, the oldest first.
    ends: BTreeMap<u64, CancellationToken>,
    number: u64,
    log: LogThrottle,
}

impl Handshakes {
    fn new(edge: Arc<Edge>) -> Self {
        let (running, ends) = (FuturesUnordered::new(), BTreeMap::new());
        Self { edge, running, ends, number: 0, log: LogThrottle::default() }
    }

    fn begin(&mut self, stream: TcpStream, from: SocketAddr, place: PeerSlot, terms: &Terms) {
        if self.ends.len() >= limits::HANDSHAKES
            && let Some((_, oldest)) = self.ends.pop_first()
        {
            oldest.cancel();
        }
        let (number, end) = (self.number, CancellationToken::new());
        self.number += 1;
        self.ends.insert(number, end.clone());
        let accepting = TlsAcceptor::from(terms.now()).accept(stream);
        self.running.push(Box::pin(async move {
            let ended = tokio::select! {
                biased;
                () = end.cancelled() => {
                    Err((Handshake::CrowdedOut, "newer ones needed its place".to_owned()))
                }
                accepted = timeout(limits::HANDSHAKE_DEADLINE, accepting) => match accepted {
                    Ok(Ok(stream)) => Ok(Guarded::new(Either::Right(stream), place)),
                    Ok(Err(error)) => Err((kind(&error), error.to_string())),
                    Err(late) => Err((Handshake::TimedOut, late.to_string())),
                },
            };
            (number, from.ip(), ended)
        }));
    }

    /// The next connection that is up; `None` while no handshake is under way.
    async fn next(&mut self) -> Option<Wire> {
        while let Some((number, from, ended)) = self.running.next().await {
            self.ends.remove(&number);
            match ended {
                Ok(wire) => {
                    self.edge.handshake(Handshake::Ok);
                    return Some(wire);
                }
                Err((result, reason)) => {
                    self.edge.handshake(result);
                    if let Some(suppressed) = self.log.tell(Instant::now(), limits::PEER_LOG_PAUSE)
                    {
                        let result = result.text();
                        info!(%from, result, reason, suppressed, "a TLS handshake failed");
                    }
                }
            }
        }
        None
    }
}

fn kind(error: &io::Error) -> Handshake {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    match inner {
        Some(TlsError::NoCertificatesPresented) => Handshake::NoCertificate,
        Some(TlsError::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
            Handshake::NameNotAllowed
        }
        Some(TlsError::InvalidCertificate(_)) => Handshake::BadCertificate,
        Some(_) | None => Handshake::Failed,
    }
}
