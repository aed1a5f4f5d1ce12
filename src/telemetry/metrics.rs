//! Every metric of the service. Labels come from enums and from the configured connections, never
//! from a trigger, so their number is bounded.
//!
//! Declared in one place, with its labels' files beside it. Each counter is found once, so that
//! counting costs a call nothing but an addition.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::{
    credentials::{CredentialMetrics, Credentials},
    edge::Edge,
    labels::{Code, Method, PushKind, labels, registered},
    link::{LinkLabels, LinkMetrics, PerLink},
    sentinels::{SentinelMetrics, Sentinels},
};
use crate::time;

/// Seconds from an announced change to the message about it.
const PUSH_SECONDS: [f64; 10] =
    [0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.02, 0.1, 0.5, 2.0];
labels!(Rpc { method: Method, code: Code });
labels!(OfMethod { method: Method });
labels!(OfPush { kind: PushKind });
labels!(Build { version: &'static str });

/// All metrics of one process.
pub struct Metrics {
    registry: Registry,
    rpcs: [[Counter; Code::ALL.len()]; Method::ALL.len()],
    streams: Family<OfMethod, Gauge>,
    pushes: Family<OfPush, Counter>,
    pushes_deferred: Counter,
    push_seconds: Histogram,
    tasks: Gauge,
    per_link: PerLink,
    edge: Arc<Edge>,
    credentials: Credentials,
    sentinels: Sentinels,
}

impl Metrics {
    /// All metrics, at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("penstock");
        let r = &mut registry;
        let help = "Calls answered, by method and status code";
        let rpcs: Family<Rpc, Counter> = registered(r, "rpcs", help);
        let push_seconds = Histogram::new(PUSH_SECONDS);
        r.register(
            "push_latency_seconds",
            "From an announced change to the activation that it made being handed to the transport",
            push_seconds.clone(),
        );
        register_constants(r);
        Arc::new(Self {
            rpcs: Method::ALL.map(|method| {
                Code::ALL.map(|code| rpcs.get_or_create_owned(&Rpc { method, code }))
            }),
            streams: registered(r, "streams_open", "Streams that are open now"),
            pushes: registered(r, "pushes", "Messages pushed on StreamIsActive"),
            pushes_deferred: registered(
                r,
                "pushes_deferred",
                "Repeats of an activation that waited for the push budget",
            ),
            push_seconds,
            tasks: registered(r, "tasks", "Tasks of the process that have not ended"),
            per_link: PerLink::register(r),
            edge: Arc::new(Edge::register(r)),
            credentials: Credentials::register(r),
            sentinels: Sentinels::register(r),
            registry,
        })
    }

    /// The metrics of the sockets that peers connect to.
    #[must_use]
    pub fn edge(&self) -> Arc<Edge> {
        Arc::clone(&self.edge)
    }

    /// Counts a call and how it was answered.
    pub fn rpc(&self, method: Method, code: Code) {
        self.rpcs[method as usize][code as usize].inc();
    }

    /// Counts a stream that opened (+1) or ended (−1).
    pub fn streams(&self, method: Method, change: i64) {
        self.streams.get_or_create(&OfMethod { method }).inc_by(change);
    }

    /// Counts a pushed message.
    pub fn push(&self, kind: PushKind) {
        self.pushes.get_or_create(&OfPush { kind }).inc();
    }

    /// Notes how long an activation took from the announcement of the change behind it.
    pub fn push_latency(&self, latency: Duration) {
        self.push_seconds.observe(latency.as_secs_f64());
    }

    /// Counts a repeat that had to wait.
    pub fn push_deferred(&self) {
        self.pushes_deferred.inc();
    }

    /// The metrics of one link.
    #[must_use]
    pub fn link(&self, link: LinkLabels) -> LinkMetrics {
        self.per_link.of(link)
    }

    /// The metrics of a connection's credentials.
    #[must_use]
    pub fn credentials(&self, connection: &str) -> CredentialMetrics {
        self.credentials.of(connection)
    }

    /// The metrics of the sentinels that name a link's server.
    #[must_use]
    pub fn sentinels(&self, link: &LinkLabels) -> SentinelMetrics {
        self.sentinels.of(&link.connection, link.database)
    }

    /// All metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// Only if a label cannot be written, which no label of ours can cause.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let tasks = runtime.metrics().num_alive_tasks();
            self.tasks.set(i64::try_from(tasks).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn register_constants(registry: &mut Registry) {
    let build = Family::<Build, Gauge>::default();
    build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION") }).set(1);
    registry.register("build_info", "The version of penstock", build);
    let started: Gauge = Gauge::default();
    started.set(i64::try_from(time::wall_now().as_secs()).unwrap_or(i64::MAX));
    registry.register("start_time_seconds", "When the process started, Unix time", started);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::ConnectOutcome;

    #[test]
    fn every_metric_has_the_prefix_and_a_bounded_label() {
        let metrics = Metrics::new();
        metrics.rpc(Method::GetMetrics, Code::Ok);
        let link = metrics.link(LinkLabels { connection: "default".to_owned(), database: 0 });
        link.connect(ConnectOutcome::Ok, true);
        let text = metrics.encode().unwrap();
        let expected = r#"penstock_rpcs_total{method="GetMetrics",code="OK"} 1"#;
        assert!(text.contains(expected), "{text}");
        assert!(text.contains(r#"penstock_redis_up{connection="default",database="0"} 1"#));
        let ours = |line: &str| line.starts_with('#') || line.starts_with("penstock_");
        assert!(text.lines().all(ours), "{text}");
    }
}
