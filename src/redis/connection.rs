//! How a node of a configured connection becomes a link: a pool of its own, RESP3, and tracking turned on.
//!
//! It is apart from the link because it is about a node and its credentials, and the link about
//! commands. Each link has its own pool, so that what an older connection still pushes can never
//! be taken for news of the newer one, and rotated credentials are read at every connect. It does not
//! know which node is the right one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use deadpool_redis::{
    Connection as PooledConnection, Hook, HookError, Manager, Pool, Runtime,
    redis::{
        self, AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
        ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError, aio::SendError,
    },
};

use crate::{
    config::{Connection, Node, PasswordError},
    limits,
    sampling::{Changes, Fault, Link},
};

use super::{
    error,
    fields::KnownFields,
    invalidation,
    link::{KnownTypes, RedisLink, Wire},
};

/// Opens links to the nodes of a connection, for one database. Cheap to clone; what was learned of
/// keys is shared between the clones.
#[derive(Debug, Clone)]
pub(super) struct Dialer {
    connection: Connection,
    database: u32,
    types: KnownTypes,
    fields: KnownFields,
}

impl Dialer {
    pub(super) fn new(connection: Connection, database: u32) -> Self {
        Self { connection, database, types: KnownTypes::default(), fields: KnownFields::default() }
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
        match link {
            // Redis < 6 and some proxies know no HELLO, and some users may not say it: without RESP3
            // nothing is announced, and reads are polled.
            Err(Fault::Unexpected(_) | Fault::Refused(_)) => {
                self.open(node, changes, ProtocolVersion::RESP2).await
            }
            other => other,
        }
    }

    /// The name of the connection.
    pub(super) fn name(&self) -> &str {
        &self.connection.name
    }

    /// A link that shares what is known of keys with all others.
    pub(super) fn link(&self, wire: Wire, tracked: bool) -> RedisLink {
        RedisLink::new(wire, tracked, self.types.clone(), self.fields.clone())
    }

    /// Opens a connection that is not tracked; what is announced on it goes to `push`. Tells also
    /// whether anything can be announced.
    pub(super) async fn dial_untracked(
        &self,
        node: &Node,
        push: impl Fn(&PushInfo) + Clone + Send + Sync + 'static,
    ) -> Result<(PooledConnection, bool), Fault> {
        let get = async |protocol: ProtocolVersion| {
            let pool = self.pool(node, push.clone(), protocol, None)?;
            pool.get().await.map_err(|error| error::pool_fault(&error))
        };
        match get(ProtocolVersion::RESP3).await {
            Err(Fault::Unexpected(_) | Fault::Refused(_)) => {
                Ok((get(ProtocolVersion::RESP2).await?, false))
            }
            connection => Ok((connection?, true)),
        }
    }

    async fn open(
        &self,
        node: &Node,
        changes: &Changes,
        protocol: ProtocolVersion,
    ) -> Result<RedisLink, Fault> {
        let tracked = Arc::new(AtomicBool::new(false));
        let reported = changes.clone();
        let push = move |push: &PushInfo| {
            for change in invalidation::changes(push) {
                reported.report(change);
            }
        };
        let pool = self.pool(node, push, protocol, Some(Arc::clone(&tracked)))?;
        let connection: PooledConnection =
            pool.get().await.map_err(|error| error::pool_fault(&error))?;
        let tracked = tracked.load(Ordering::SeqCst);
        let mut link = self.link(Wire::Node(connection), tracked);
        // A server may take connections long before it is ready to answer.
        link.prove(false).await?;
        Ok(link)
    }

    fn pool(
        &self,
        node: &Node,
        push: impl Fn(&PushInfo) + Send + Sync + 'static,
        protocol: ProtocolVersion,
        tracked: Option<Arc<AtomicBool>>,
    ) -> Result<Pool, Fault> {
        let unreachable = |error: &dyn std::fmt::Display| Fault::Unreachable(error.to_string());
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limits::CONNECT_DEADLINE))
            .set_response_timeout(Some(limits::CONNECT_DEADLINE))
            .set_pipeline_buffer_size(limits::PIPELINE_BUFFER);
        if protocol == ProtocolVersion::RESP3 {
            config = config.set_push_sender(move |info: PushInfo| -> Result<(), SendError> {
                push(&info);
                Ok(())
            });
        }
        let info = self.info(node, protocol)?;
        let manager =
            Manager::new_with_config(info, config).map_err(|error| error::fault(&error))?;
        Pool::builder(manager)
            .max_size(limits::POOL_CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(move |connection, _| {
                let tracked = tracked.clone().filter(|_| protocol == ProtocolVersion::RESP3);
                Box::pin(async move {
                    if let Some(tracked) = tracked {
                        tracked.store(track(connection).await?, Ordering::SeqCst);
                    }
                    Ok(())
                })
            }))
            .build()
            .map_err(|error| unreachable(&error))
    }

    fn info(&self, node: &Node, protocol: ProtocolVersion) -> Result<ConnectionInfo, Fault> {
        let Connection { username, password, .. } = &self.connection;
        let password = password
            .read()
            .map_err(|error: PasswordError| Fault::Credentials(error.to_string()))?;
        let mut settings = RedisConnectionInfo::default()
            .set_db(i64::from(self.database))
            .set_protocol(protocol)
            .set_lib_name("penstock", env!("CARGO_PKG_VERSION"));
        if let Some(username) = username {
            settings = settings.set_username(username);
        }
        if let Some(password) = password {
            settings = settings.set_password(password.expose());
        }
        let info = ConnectionAddr::Tcp(node.host.clone(), node.port).into_connection_info();
        Ok(info.map_err(|error| error::fault(&error))?.set_redis_settings(settings))
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
