//! `penstock serve`: configuration in, a running service out.
//!
//! This is where everything is wired: which source serves which sampler, which sampler answers for
//! which connection, and in what order it all ends.

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use crate::{
    config::{Config, Connection},
    grpc::{Listener, Tls},
    http::AdminListener,
    limits,
    readiness::Readiness,
    redis::{Credentials, RedisSource},
    sampling::{KeyShares, Sampler},
    scaler::{Route, Routes, Scaler, ServiceOptions},
    supervise::{Stage, Supervisor},
    telemetry::{LinkLabels, Metrics},
};

/// A service that is bound and not yet running.
pub struct Serving {
    listener: Listener,
    admin: AdminListener,
    supervisor: Supervisor,
    metrics: Arc<Metrics>,
    scaler: Scaler,
    show_triggers: bool,
}

impl Serving {
    /// Binds the sockets and starts a sampler for every database of every connection. Redis need
    /// not be there.
    ///
    /// # Errors
    /// When an address cannot be taken, or the files of TLS cannot be used.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let listener = Listener::bind(config.server.listen).await;
        let mut listener = listener.with_context(|| elsewhere("gRPC", "listen"))?;
        let admin = AdminListener::bind(config.server.admin_listen).await;
        let admin = admin.with_context(|| elsewhere("the admin side", "admin_listen"))?;
        let metrics = Metrics::new();
        let mut supervisor = Supervisor::default();
        if let Some(settings) = config.server.tls {
            let tls = Tls::load(settings, metrics.edge()).context("TLS of the server")?;
            listener = listener.with_tls(&tls);
            let stop = supervisor.stop();
            supervisor.spawn(Stage::Back, "TLS files", async move {
                tls.follow(stop).await;
                Ok(())
            });
        }
        let keys = KeyShares::new(config.quota.keys);
        let mut routes = BTreeMap::new();
        for (name, connection) in config.connections {
            routes.insert(name, route(connection, &keys, &metrics, &mut supervisor));
        }
        let routes = Routes::new(routes, keys);
        let options = ServiceOptions {
            stream_max_age: limits::STREAM_MAX_AGE,
            push_inactive: config.server.push_inactive,
            max_streams: limits::STREAMS,
            quota: config.quota,
        };
        let (layouts, drain) = (config.layouts, supervisor.drain());
        let scaler = Scaler::new(routes, layouts, Arc::clone(&metrics), options, drain);
        let show_triggers = config.server.show_triggers;
        Ok(Self { listener, admin, supervisor, metrics, scaler, show_triggers })
    }

    /// Where KEDA finds it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves until `until` comes, then drains.
    ///
    /// # Errors
    /// When a task of it ends before that.
    pub async fn run(self, until: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { listener, admin, mut supervisor, metrics, scaler, show_triggers } = self;
        let readiness = Readiness::default();
        let (drain, stop) = (supervisor.drain(), supervisor.stop());
        let shown = show_triggers.then(|| scaler.clone());
        let (counted, ready) = (Arc::clone(&metrics), readiness.clone());
        supervisor.spawn(Stage::Front, "gRPC", async move {
            Ok(listener.serve(scaler, &counted, ready, drain).await?)
        });
        supervisor.spawn(Stage::Back, "admin HTTP", async move {
            Ok(admin.serve(metrics, readiness, shown, stop).await?)
        });
        Ok(supervisor.run(until).await?)
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Serving")
    }
}

/// What to do about an address that cannot be taken, by the setting that gives another one.
fn elsewhere(what: &str, setting: &str) -> String {
    let (flag, variable) = (setting.replace('_', "-"), setting.to_uppercase());
    format!(
        "the address for {what} cannot be taken; end what has it, or give another one with --{flag} \
         (PENSTOCK_{variable}, or {setting} in [server])"
    )
}

fn route(
    connection: Connection,
    keys: &KeyShares,
    metrics: &Arc<Metrics>,
    supervisor: &mut Supervisor,
) -> Route {
    let databases = connection.access.databases().to_vec();
    let access = connection.access.clone();
    let credentials = Credentials::new(&connection, metrics.credentials(&connection.name));
    let keeper = credentials.clone().run(supervisor.stop());
    let task = format!("credentials of {}", connection.name);
    supervisor.spawn(Stage::Back, task, async move {
        keeper.await;
        Ok(())
    });
    let samplers = databases.iter().map(|database| {
        let link = LinkLabels { connection: connection.name.clone(), database: *database };
        let name = if databases.len() == 1 {
            connection.name.clone()
        } else {
            format!("{}/{database}", connection.name)
        };
        let sentinels = metrics.sentinels(&link);
        let sampler = Sampler::new(name.clone(), connection.hold_stale, metrics.link(link));
        let sampler = sampler.reading(access.keys().clone()).sharing(keys.clone());
        let source =
            RedisSource::with_credentials(&connection, *database, credentials.clone(), sentinels);
        let work = sampler.run(source, supervisor.stop());
        supervisor.spawn(Stage::Back, format!("sampler of {name}"), async move {
            work.await;
            Ok(())
        });
        (*database, sampler)
    });
    Route { samplers: samplers.collect(), access }
}

/// Serves until SIGTERM or SIGINT.
pub(super) async fn serve(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let serving = Serving::start(config).await?;
    let asked = async {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM"),
            _ = interrupt.recv() => info!("SIGINT"),
        }
    };
    let ended = serving.run(asked).await;
    match &ended {
        Ok(()) => info!("drained"),
        Err(reason) => error!(%reason, "stopped"),
    }
    ended
}
