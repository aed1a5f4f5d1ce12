//! How a node of a configured connection becomes a link: a pool of its own, RESP3, and tracking turned on.
//!
//! Each link has its own pool. So what an older connection still pushes can never be taken for news of the
//! newer one, and rotated credentials are read at every connect.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use deadpool::managed::Hook;
use deadpool_redis::{
    HookError, Runtime,
    redis::{
        self, AsyncConnectionConfig, PushInfo, RedisConnectionInfo, RedisError, aio::SendError,
    },
};
use futures_util::future::try_join_all;
use rustls::pki_types::ServerName;
use tracing::warn;

use crate::{
    config::Node,
    limits,
    sampling::{Changes, Fault, Link},
    time::Instant,
};

use super::{
    super::{
        credentials::{Authentication, Credentials},
        error,
        heartbeats::HeartbeatTracker,
        invalidation,
        reads::{fields::KnownFields, known_types::KnownTypes},
        session::Session,
        wire::{Wire, send},
    },
    approach::{Approach, Manner},
    link::NodeLink,
    login::Login,
    opener::{Connection, Opened, Opener, Pool, Tls},
    proxy::Lacks,
    wire::NodeWire,
};

/// Opens links to the nodes of a connection, for one database. Cheap to clone; what was learned of
/// keys is shared between the clones.
#[derive(Debug, Clone)]
pub(in crate::redis) struct Dialer {
    credentials: Credentials,
    database: u32,
    types: KnownTypes,
    fields: KnownFields,
    tracker: HeartbeatTracker,
    /// Bytes that a node may send before it is asked again.
    most: usize,
    /// Whether the log says already that there is a proxy which knows no HELLO.
    told: Arc<AtomicBool>,
}

impl Dialer {
    /// Opens links to the sentinels of a connection, who have little to say.
    pub(in crate::redis) fn to_sentinels(credentials: Credentials) -> Self {
        Self { most: limits::SENTINEL_REPLY_BYTES, ..Self::new(credentials, 0) }
    }

    pub(in crate::redis) fn new(credentials: Credentials, database: u32) -> Self {
        let (types, fields) = (KnownTypes::default(), KnownFields::default());
        let (tracker, most) = (HeartbeatTracker::new(database), limits::REPLY_BYTES);
        Self { credentials, database, types, fields, tracker, most, told: Arc::default() }
    }

    /// Opens a link to a node that reports its changes to `changes`: tracked where the node can,
    /// else not.
    pub(in crate::redis) async fn dial(
        &self,
        node: &Node,
        changes: &Changes,
    ) -> Result<NodeLink, Fault> {
        let hello = Approach::new(Manner::Hello);
        let link = match self.open_attempt(node, changes, &hello).await {
            // Redis < 6 and some proxies know no HELLO, and some users may not say it: without RESP3
            // nothing is announced, and reads are polled.
            Err(Fault::Unexpected(_) | Fault::Refused(_)) => {
                self.open(node, changes, &Approach::new(Manner::Old)).await
            }
            Err(fault) if hello.ended_at_words(&fault) => {
                self.dial_without_hello(node, changes).await
            }
            other => other,
        };
        if matches!(&link, Ok(link) if link.tracker.is_some()) {
            self.told.store(false, Ordering::SeqCst);
        }
        if matches!(link, Err(Fault::Refused(_))) {
            self.credentials.report_refused();
        }
        link
    }

    /// Opens a link to a node that ended a connection at HELLO: a proxy that does not know it, or a server
    /// that went down at that moment. The server takes HELLO when it is back, so that a node is a proxy only
    /// if it answers without HELLO and then ends a connection at it once more. It is asked anew at each
    /// connect.
    async fn dial_without_hello(&self, node: &Node, changes: &Changes) -> Result<NodeLink, Fault> {
        let plain = Approach::new(Manner::Plain);
        let mut link = match self.open(node, changes, &plain).await {
            Err(Fault::Unreachable(why)) if plain.reached.load(Ordering::SeqCst) => {
                let select = match self.database {
                    0 => String::new(),
                    number => format!(" (a proxy may know no SELECT {number} either)"),
                };
                let what =
                    format!("it ends the connection at HELLO, and without it{select}: {why}");
                return Err(Fault::Unreachable(what));
            }
            other => other?,
        };
        let hello = Approach::new(Manner::Hello);
        match self.open_attempt(node, changes, &hello).await {
            Err(fault) if hello.ended_at_words(&fault) => {}
            // It says in words that it knows no HELLO, so it ends no connection at a command.
            Err(Fault::Unexpected(_) | Fault::Refused(_)) => return Ok(link),
            other => return other,
        }
        link.prove(false).await?;
        let lacks = self.lacking(node).await?;
        if !self.told.swap(true, Ordering::SeqCst) {
            warn!(
                connection = self.name(), %node, without = %lacks,
                "a proxy ends connections at HELLO; it is asked without HELLO, reads are polled, and what needs the commands that it lacks is unknown"
            );
        }
        link.session.wire.lacks = lacks;
        Ok(link)
    }

    /// The commands at which a proxy ends a connection, of those that it may not know.
    async fn lacking(&self, node: &Node) -> Result<Lacks, Fault> {
        let tries = Lacks::tried().map(async |(command, words)| {
            let plain = Approach::new(Manner::Plain);
            let (pool, _) = self.pool(node, |_: &PushInfo| {}, &plain, None).await?;
            let mut connection: Connection =
                pool.get().await.map_err(|error| error::pool_fault(&error))?;
            let reply = send(&mut connection, &[command], limits::COMMAND_DEADLINE).await;
            match reply {
                Ok(_) => Ok(None),
                Err(Fault::Unreachable(_)) => Ok(Some(words)),
                Err(fault) => Err(fault),
            }
        });
        let mut lacks = Lacks::default();
        for words in try_join_all(tries).await?.into_iter().flatten() {
            lacks.add(words);
        }
        Ok(lacks)
    }

    /// What is heard of workers.
    pub(in crate::redis) fn tracker(&self) -> &HeartbeatTracker {
        &self.tracker
    }

    /// The name of the connection.
    pub(in crate::redis) fn name(&self) -> &str {
        self.credentials.connection()
    }

    /// A session that shares what is known of keys with all others.
    pub(in crate::redis) fn session<W: Wire>(&self, wire: W, tracked: bool) -> Session<W> {
        Session::new(wire, tracked, self.types.clone(), self.fields.clone())
    }

    /// Opens a connection that is not tracked; what is announced on it goes to `push`. Tells also
    /// whether anything can be announced.
    pub(in crate::redis) async fn dial_untracked(
        &self,
        node: &Node,
        push: impl Fn(&PushInfo) + Clone + Send + Sync + 'static,
    ) -> Result<(Connection, bool), Fault> {
        let get = async |manner: Manner| {
            let approach = Approach::new(manner);
            let (pool, _) = self.pool(node, push.clone(), &approach, None).await?;
            pool.get().await.map_err(|error| error::pool_fault(&error))
        };
        let connection = match get(Manner::Hello).await {
            Err(Fault::Unexpected(_) | Fault::Refused(_)) => {
                get(Manner::Old).await.map(|connection| (connection, false))
            }
            other => other.map(|connection| (connection, true)),
        };
        if matches!(connection, Err(Fault::Refused(_))) {
            self.credentials.report_refused();
        }
        connection
    }

    /// Opens a link, and ignores what a failed attempt still reports.
    async fn open_attempt(
        &self,
        node: &Node,
        changes: &Changes,
        approach: &Approach,
    ) -> Result<NodeLink, Fault> {
        let (attempt, heard) = Attempt::reporting_to(changes);
        let link = self.open(node, &heard, approach).await;
        if link.is_ok() {
            attempt.succeeded();
        } else {
            drop(attempt);
        }
        link
    }

    async fn open(
        &self,
        node: &Node,
        changes: &Changes,
        approach: &Approach,
    ) -> Result<NodeLink, Fault> {
        let tracked = Arc::new(AtomicBool::new(false));
        let tracker = (approach.manner == Manner::Hello).then(|| self.tracker.clone());
        let (reported, listening) = (changes.clone(), self.tracker.clone());
        let push = move |push: &PushInfo| {
            let heard = listening.take(push, Instant::now());
            for change in invalidation::changes(push).into_iter().chain(heard) {
                reported.report(change);
            }
        };
        let (pool, login) = self.pool(node, push, approach, Some(Arc::clone(&tracked))).await?;
        let connection: Connection = pool.get().await.map_err(|error| error::pool_fault(&error))?;
        let tracked = tracked.load(Ordering::SeqCst);
        let wire = NodeWire { connection, login, lacks: Lacks::default() };
        let mut link = NodeLink::new(self.session(wire, tracked), tracker);
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
        approach: &Approach,
        tracked: Option<Arc<AtomicBool>>,
    ) -> Result<(Pool, Login), Fault> {
        let unreachable = |error: &dyn std::fmt::Display| Fault::Unreachable(error.to_string());
        let authentication = self.credentials.current().await?;
        let login = Login::new(self.credentials.clone(), authentication.version);
        let is_pushing = approach.manner == Manner::Hello;
        let mut config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(limits::CONNECT_DEADLINE))
            .set_pipeline_buffer_size(limits::PIPELINE_BUFFER);
        if is_pushing {
            config = config.set_push_sender(move |info: PushInfo| -> Result<(), SendError> {
                push(&info);
                Ok(())
            });
        }
        let opener = Opener {
            node: node.clone(),
            settings: self.settings(authentication, approach.manner),
            config,
            tls: self.tls(node)?,
            most: self.most,
            reached: Arc::clone(&approach.reached),
        };
        let pool = Pool::builder(opener)
            .max_size(limits::POOL_CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(move |connection: &mut Opened, _| {
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

    /// Who we are to a node, and how it is spoken to.
    fn settings(&self, authentication: Authentication, manner: Manner) -> RedisConnectionInfo {
        let mut settings = RedisConnectionInfo::default()
            .set_db(i64::from(self.database))
            .set_protocol(manner.protocol());
        settings = match manner {
            Manner::Hello | Manner::Old => {
                settings.set_lib_name("penstock", env!("CARGO_PKG_VERSION"))
            }
            // (It would say CLIENT SETINFO.)
            Manner::Plain => settings.set_skip_set_lib_name(),
        };
        if let Some(username) = authentication.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = authentication.password {
            settings = settings.set_password(password.expose());
        }
        settings
    }

    /// The terms of TLS, where it is spoken. The host is the name that must be in the node's
    /// certificate, which is also said to it (SNI), unless the setting has another.
    fn tls(&self, node: &Node) -> Result<Option<Tls>, Fault> {
        let Some(certificates) = self.credentials.certificates() else { return Ok(None) };
        let terms = certificates.terms().map_err(Fault::Credentials)?;
        let name = certificates.server_name().unwrap_or(&node.host).to_owned();
        let wrong = |_| Fault::Credentials(format!("`{name}` can be no name in a certificate"));
        let name = ServerName::try_from(name.clone()).map_err(wrong)?;
        Ok(Some((terms, name)))
    }
}

/// An attempt to connect. What one that failed or was given up still reports is not about the link
/// that follows it.
struct Attempt(Option<Arc<AtomicBool>>);

impl Attempt {
    fn reporting_to(changes: &Changes) -> (Self, Changes) {
        let heard = Arc::new(AtomicBool::new(true));
        let report = (changes.clone(), Arc::clone(&heard));
        let gated = Changes::new(move |change| {
            let (changes, heard) = &report;
            if heard.load(Ordering::SeqCst) {
                changes.report(change);
            }
        });
        (Self(Some(heard)), gated)
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
async fn track(connection: &mut Opened) -> Result<bool, HookError> {
    let reply: Result<(), RedisError> = redis::cmd("CLIENT")
        .arg("TRACKING")
        .arg("ON")
        .query_async(&mut connection.connection)
        .await;
    match reply {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.code(), Some("ERR" | "NOPERM")) => Ok(false),
        Err(error) => Err(HookError::Backend(error)),
    }
}
