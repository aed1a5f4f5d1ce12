//! How the pool of a link opens its connection: finds the address, speaks TLS where it is asked, and hands
//! the client library a stream that is [metered](Metered).
//!
//! deadpool-redis' own manager connects by itself, and puts nothing between the socket and the parser.

use std::{
    io,
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use deadpool_redis::redis::{
    AsyncConnectionConfig, RedisConnectionInfo, RedisError, RedisResult, aio::MultiplexedConnection,
};
use futures_util::future::select_ok;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_util::{either::Either, task::AbortOnDropHandle};

use crate::{config::Node, limits, supervise};

use super::metered::{Excess, Metered};

/// A pool of such connections.
pub(super) type Pool = managed::Pool<Opener, Connection>;

/// Makes connections to one node.
#[derive(Debug)]
pub(super) struct Opener {
    pub(super) node: Node,
    pub(super) settings: RedisConnectionInfo,
    pub(super) config: AsyncConnectionConfig,
    pub(super) tls: Option<Tls>,
    /// Bytes that may come before something is asked again.
    pub(super) most: usize,
    /// Notes that the node took a connection, whatever became of it then.
    pub(super) reached: Arc<AtomicBool>,
}

/// The terms of TLS, and the name that must be in the server's certificate.
pub(super) type Tls = (Arc<ClientConfig>, ServerName<'static>);

/// A connection, and the task that carries what goes over it.
pub(super) struct Opened {
    pub(super) connection: MultiplexedConnection,
    excess: Excess,
    /// Without it nothing is carried any more, also for the clones of the connection.
    _carrier: AbortOnDropHandle<()>,
}

/// A connection that ends when it is dropped: its pool is gone by then, and takes none back.
pub(in crate::redis) struct Connection(managed::Object<Opener>);

impl Opener {
    async fn open(&self) -> RedisResult<Opened> {
        let Node { host, port } = &self.node;
        let addresses = lookup_host((host.as_str(), *port)).await?;
        let attempts = addresses.take(limits::ADDRESSES).map(|address| {
            Box::pin(async move {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                match &self.tls {
                    None => Ok(Either::Left(stream)),
                    Some((terms, name)) => {
                        let connector = TlsConnector::from(Arc::clone(terms));
                        connector.connect(name.clone(), stream).await.map(Either::Right)
                    }
                }
            })
        });
        let attempts: Vec<_> = attempts.collect();
        if attempts.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "its name has no address").into());
        }
        let (stream, _) = select_ok(attempts).await.map_err(|error: io::Error| error)?;
        self.reached.store(true, Ordering::SeqCst);
        let stream = Metered::new(stream, self.most);
        let excess = stream.excess();
        let config = self.config.clone();
        let (connection, carrier) =
            MultiplexedConnection::new_with_config(&self.settings, stream, config).await?;
        Ok(Opened { connection, excess, _carrier: supervise::attend(carrier) })
    }
}

impl managed::Manager for Opener {
    type Type = Opened;
    type Error = RedisError;

    async fn create(&self) -> RedisResult<Opened> {
        let late = |_| Err(io::Error::from(io::ErrorKind::TimedOut).into());
        timeout(limits::CONNECT_DEADLINE, self.open()).await.unwrap_or_else(late)
    }

    async fn recycle(&self, _: &mut Opened, _: &Metrics) -> RecycleResult<RedisError> {
        Err(RecycleError::message("a connection has one holder, and ends with it"))
    }
}

impl Connection {
    /// Whether it ended because too much came, which the client library reports otherwise.
    pub(in crate::redis) fn excess(&self) -> &Excess {
        &self.0.excess
    }
}

impl From<managed::Object<Opener>> for Connection {
    fn from(object: managed::Object<Opener>) -> Self {
        Self(object)
    }
}

impl Deref for Connection {
    type Target = MultiplexedConnection;

    fn deref(&self) -> &MultiplexedConnection {
        &self.0.connection
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut MultiplexedConnection {
        &mut self.0.connection
    }
}
