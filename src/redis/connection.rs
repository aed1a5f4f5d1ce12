//! How a configured connection becomes a link: a pool of its own, RESP3, and tracking turned on.
//!
//! It is apart from the link because it is about a node and its credentials, and the link about
//! commands. Each link has its own pool, so that what an older connection still pushes can never
//! be taken for news of the newer one, and rotated credentials are read at every connect.

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
    config::Connection,
    limits,
    sampling::{Changes, Fault, Link, Source},
    telemetry::CredentialMetrics,
};

use super::{
    error,
    fields::KnownFields,
    identity::{Credentials, Identity},
    invalidation,
    link::{KnownTypes, RedisLink},
    login::Login,
};

/// One database of one configured Redis.
#[derive(Debug, Clone)]
pub struct RedisSource {
    connection: Connection,
    database: u32,
    identity: Identity,
    types: KnownTypes,
    fields: KnownFields,
}

impl RedisSource {
    /// The source for a database of a connection, whose credentials nobody else looks after.
    #[must_use]
    pub fn new(connection: Connection, database: u32) -> Self {
        let identity = Identity::new(&connection, CredentialMetrics::unseen());
        Self::with_identity(connection, database, identity)
    }

    /// The source for a database of a connection, whose credentials are these.
    #[must_use]
    pub fn with_identity(connection: Connection, database: u32, identity: Identity) -> Self {
        let (types, fields) = (KnownTypes::default(), KnownFields::default());
        Self { connection, database, identity, types, fields }
    }

    async fn open(&self, changes: &Changes, protocol: ProtocolVersion) -> Result<RedisLink, Fault> {
        let tracked = Arc::new(AtomicBool::new(false));
        let credentials = self.identity.current()?;
        let login = Login::new(self.identity.clone(), credentials.version);
        let info = self.info(credentials, protocol)?;
        let pool = pool(info, changes.clone(), protocol, Arc::clone(&tracked))?;
        let connection: PooledConnection =
            pool.get().await.map_err(|error| error::pool_fault(&error))?;
        let tracked = tracked.load(Ordering::SeqCst);
        let (types, fields) = (self.types.clone(), self.fields.clone());
        let mut link = RedisLink::new(connection, (tracked, login), types, fields);
        // A server may take connections long before it is ready to answer.
        link.prove(false).await?;
        Ok(link)
    }

    fn info(
        &self,
        credentials: Credentials,
        protocol: ProtocolVersion,
    ) -> Result<ConnectionInfo, Fault> {
        let Connection { host, port, .. } = &self.connection;
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
        let info = ConnectionAddr::Tcp(host.clone(), *port).into_connection_info();
        Ok(info.map_err(|error| error::fault(&error))?.set_redis_settings(settings))
    }
}

/// A pool of its own for one link.
fn pool(
    info: ConnectionInfo,
    changes: Changes,
    protocol: ProtocolVersion,
    tracked: Arc<AtomicBool>,
) -> Result<Pool, Fault> {
    let unreachable = |error: &dyn std::fmt::Display| Fault::Unreachable(error.to_string());
    let mut config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(limits::CONNECT_DEADLINE))
        .set_response_timeout(Some(limits::CONNECT_DEADLINE))
        .set_pipeline_buffer_size(limits::PIPELINE_BUFFER);
    if protocol == ProtocolVersion::RESP3 {
        config = config.set_push_sender(move |push: PushInfo| -> Result<(), SendError> {
            for change in invalidation::changes(&push) {
                changes.report(change);
            }
            Ok(())
        });
    }
    let manager = Manager::new_with_config(info, config).map_err(|error| error::fault(&error))?;
    Pool::builder(manager)
        .max_size(limits::POOL_CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .post_create(Hook::async_fn(move |connection, _| {
            let tracked = Arc::clone(&tracked);
            Box::pin(async move {
                if protocol == ProtocolVersion::RESP3 {
                    tracked.store(track(connection).await?, Ordering::SeqCst);
                }
                Ok(())
            })
        }))
        .build()
        .map_err(|error| unreachable(&error))
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

impl Source for RedisSource {
    type Link = RedisLink;

    async fn connect(&self, changes: Changes) -> Result<RedisLink, Fault> {
        let heard = Arc::new(AtomicBool::new(true));
        let report = (changes.clone(), Arc::clone(&heard));
        let tracked = Changes::new(move |change| {
            let (changes, heard) = &report;
            if heard.load(Ordering::SeqCst) {
                changes.report(change);
            }
        });
        let link = self.open(&tracked, ProtocolVersion::RESP3).await;
        // What a failed attempt still reports is not about the link that follows it.
        heard.store(link.is_ok(), Ordering::SeqCst);
        let link = match link {
            // Redis < 6 and some proxies know no HELLO, and some users may not say it: without RESP3
            // nothing is announced, and reads are polled.
            Err(Fault::Unexpected(_) | Fault::Refused(_)) => {
                self.open(&changes, ProtocolVersion::RESP2).await
            }
            other => other,
        };
        if matches!(link, Err(Fault::Refused(_))) {
            self.identity.doubt();
        }
        link
    }
}
