//! How a node of a configured connection becomes a link: a pool of its own, RESP3, and tracking turned on.
//!
//! It is apart from the link because it is about a node and its credentials, and the link about
//! commands. Each link has its own pool, so that what an older connection still pushes can never
//! be taken for news of the newer one, and rotated credentials are read at every connect. It does not
//! know which node is the right one.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use deadpool_redis::{
    Connection as PooledConnection, Hook, HookError, Manager, Pool, Runtime,
    redis::{
        self, AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
        ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError, RedisFuture, aio::SendError,
        io::AsyncDNSResolver,
    },
};

use crate::{
    config::Node,
    limits,
    sampling::{Changes, Fault, Link},
    time::Instant,
};

use super::{
    error,
    fields::KnownFields,
    heard::Ears,
    identity::{Credentials, Identity},
    invalidation,
    link::{KnownTypes, RedisLink},
    login::Login,
    wire::{NodeWire, Wire},
};

/// Opens links to the nodes of a connection, for one database. Cheap to clone; what was learned of
/// keys is shared between the clones.
#[derive(Debug, Clone)]
pub(super) struct Dialer {
    identity: Identity,
    database: u32,
    types: KnownTypes,
    fields: KnownFields,
    ears: Ears,
}

impl Dialer {
    pub(super) fn new(identity: Identity, database: u32) -> Self {
        let (types, fields) = (KnownTypes::default(), KnownFields::default());
        Self { identity, database, types, fields, ears: Ears::new(database) }
    }

    /// Opens a link to a node that reports its changes to `changes`: tracked where the node can,
    /// else not.
    pub(super) async fn dial(&self, node: &Node, changes: &Changes) -> Result<RedisLink, Fault> {
        let (attempt, heard) = Attempt::reporting_to(changes);
        let link = self.open(node, &heard, ProtocolVersion::RESP3).await;
        if link.is_ok() {
            attempt.succeeded();
        } else {
            drop(attempt);
        }
        let link = match link {
            // Redis < 6 and some proxies know no HELLO, and some users may not say it: without RESP3
            // nothing is announced, and reads are polled.
            Err(Fault::Unexpected(_) | Fault::Refused(_)) => {
                self.open(node, changes, ProtocolVersion::RESP2).await
            }
            other => other,
        };
        if matches!(link, Err(Fault::Refused(_))) {
            self.identity.doubt();
        }
        link
    }

    /// What is heard of workers.
    pub(super) fn ears(&self) -> &Ears {
        &self.ears
    }

    /// The name of the connection.
    pub(super) fn name(&self) -> &str {
        self.identity.connection()
    }

    /// A link that shares what is known of keys with all others.
    pub(super) fn link(&self, wire: Wire, tracked: bool, ears: Option<Ears>) -> RedisLink {
        RedisLink::new(wire, tracked, self.types.clone(), self.fields.clone(), ears)
    }

    /// Opens a connection that is not tracked; what is announced on it goes to `push`. Tells also
    /// whether anything can be announced.
    pub(super) async fn dial_untracked(
        &self,
        node: &Node,
        push: impl Fn(&PushInfo) + Clone + Send + Sync + 'static,
    ) -> Result<(PooledConnection, bool), Fault> {
        let get = async |protocol: ProtocolVersion| {
            let (pool, _) = self.pool(node, push.clone(), protocol, None).await?;
            pool.get().await.map_err(|error| error::pool_fault(&error))
        };
        let connection = match get(ProtocolVersion::RESP3).await {
            Err(Fault::Unexpected(_) | Fault::Refused(_)) => {
                get(ProtocolVersion::RESP2).await.map(|connection| (connection, false))
            }
            other => other.map(|connection| (connection, true)),
        };
        if matches!(connection, Err(Fault::Refused(_))) {
            self.identity.doubt();
        }
        connection
    }

    async fn open(
        &self,
        node: &Node,
        changes: &Changes,
        protocol: ProtocolVersion,
    ) -> Result<RedisLink, Fault> {
        let tracked = Arc::new(AtomicBool::new(false));
        let ears = (protocol == ProtocolVersion::RESP3).then(|| self.ears.clone());
        let (reported, listening) = (changes.clone(), self.ears.clone());
        let push = move |push: &PushInfo| {
            let heard = listening.take(push, Instant::now());
            for change in invalidation::changes(push).into_iter().chain(heard) {
                reported.report(change);
            }
        };
        let (pool, login) = self.pool(node, push, protocol, Some(Arc::clone(&tracked))).await?;
        let connection: PooledConnection =
            pool.get().await.map_err(|error| error::pool_fault(&error))?;
        let tracked = tracked.load(Ordering::SeqCst);
        let wire = Wire::Node(NodeWire { connection, login });
        let mut link = self.link(wire, tracked, ears);
        // A server may take connections long before it is ready to answer.
        link.prove(false).await?;
        Ok(link)
    }

    /// A pool of its own for one connection. What is pushed on it goes to `push`; whether it is tracked
    /// is noted in `tracked`, without which it is not. Tells also what it was authenticated with.
    async fn pool(
        &self,
        node: &Node,
        push: impl Fn(&PushInfo) + Send + Sync + 'static,
        protocol: ProtocolVersion,
        tracked: Option<Arc<AtomicBool>>,
    ) -> Result<(Pool, Login), Fault> {
        let unreachable = |error: &dyn std::fmt::Display| Fault::Unreachable(error.to_string());
        let credentials = self.identity.current().await?;
        let login = Login::new(self.identity.clone(), credentials.version);
        let info = self.info(node, credentials, protocol)?;
        let is_pushing = protocol == ProtocolVersion::RESP3;
        let mut config = AsyncConnectionConfig::new()
            .set_dns_resolver(Resolver(node.host.clone()))
            .set_connection_timeout(Some(limits::CONNECT_DEADLINE))
            .set_response_timeout(Some(limits::CONNECT_DEADLINE))
            .set_pipeline_buffer_size(limits::PIPELINE_BUFFER);
        if is_pushing {
            config = config.set_push_sender(move |info: PushInfo| -> Result<(), SendError> {
                push(&info);
                Ok(())
            });
        }
        let manager =
            Manager::new_with_config(info, config).map_err(|error| error::fault(&error))?;
        let pool = Pool::builder(manager)
            .max_size(limits::POOL_CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(move |connection, _| {
                let tracked = tracked.clone().filter(|_| is_pushing);
                Box::pin(async move {
                    if let Some(tracked) = tracked {
                        tracked.store(track(connection).await?, Ordering::SeqCst);
                    }
                    Ok(())
                })
            }))
            .build()
            .map_err(|error| unreachable(&error))?;
        Ok((pool, login))
    }

    /// Where the node is and how it is spoken to. With TLS, the host is the name that must be in its
    /// certificate, which the client library also says to it (SNI).
    fn info(
        &self,
        node: &Node,
        credentials: Credentials,
        protocol: ProtocolVersion,
    ) -> Result<ConnectionInfo, Fault> {
        let mut settings = RedisConnectionInfo::default()
            .set_db(i64::from(self.database))
            .set_protocol(protocol)
            .set_lib_name("penstock", env!("CARGO_PKG_VERSION"));
        if let Some(username) = credentials.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = credentials.password {
            settings = settings.set_password(password.expose());
        }
        let Node { host, port } = node.clone();
        let info = match self.identity.certificates() {
            None => ConnectionAddr::Tcp(host, port).into_connection_info(),
            Some(certificates) => {
                let usable = certificates.usable().map_err(Fault::Credentials)?;
                let host = certificates.server_name().map_or(host, str::to_owned);
                let address =
                    ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
                Client::build_with_tls(address, usable)
                    .map(|client| client.get_connection_info().clone())
            }
        };
        Ok(info.map_err(|error| error::fault(&error))?.set_redis_settings(settings))
    }
}

/// Finds a node by its host, whatever name the client library has for it.
struct Resolver(String);

impl AsyncDNSResolver for Resolver {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        _name: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((self.0.as_str(), port)).await?;
            Ok(Box::new(addresses) as Box<dyn Iterator<Item = SocketAddr> + Send + 'a>)
        })
    }
}

/// An attempt to connect. What one that failed or was given up still reports is not about the link
/// that follows it.
struct Attempt(Option<Arc<AtomicBool>>);

impl Attempt {
    fn reporting_to(changes: &Changes) -> (Self, Changes) {
        let heard = Arc::new(AtomicBool::new(true));
        let report = (changes.clone(), Arc::clone(&heard));
        let tracked = Changes::new(move |change| {
            let (changes, heard) = &report;
            if heard.load(Ordering::SeqCst) {
                changes.report(change);
            }
        });
        (Self(Some(heard)), tracked)
    }

    /// It is heard from now on.
    fn succeeded(mut self) {
        self.0 = None;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(heard) = &self.0 {
            heard.store(false, Ordering::SeqCst);
        }
    }
}

/// Turns tracking on; `false` where the server has none or does not allow it. A server that is only
/// busy or loading has it, so that the connection has to be tried again.
async fn track(connection: &mut redis::aio::MultiplexedConnection) -> Result<bool, HookError> {
    let reply: Result<(), RedisError> =
        redis::cmd("CLIENT").arg("TRACKING").arg("ON").query_async(connection).await;
    match reply {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.code(), Some("ERR" | "NOPERM")) => Ok(false),
        Err(error) => Err(HookError::Backend(error)),
    }
}
