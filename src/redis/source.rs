//! The sampler's source for a configured connection: finds the node to read, by kind of endpoint.

use std::{
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;

use crate::{
    config::{Connection, Endpoint, Node},
    layouts::{KeyPattern, Read},
    sampling::{Changes, Fault, Flow, KeyPage, Link, Position, Reply, Source},
    telemetry::{CredentialMetrics, SentinelMetrics},
    time::Instant,
};

use super::{
    cluster::ClusterLink,
    credentials::Credentials,
    node::{Dialer, NodeLink},
    sentinel::SentinelSource,
    transcript::Exchange,
};

/// One database of one configured Redis.
#[derive(Debug, Clone)]
pub struct RedisSource(SourceKind);

#[derive(Debug, Clone)]
enum SourceKind {
    Standalone(Dialer, Node),
    Cluster(Dialer, Arc<[Node]>),
    Sentinel(SentinelSource),
}

/// A link to what a [`RedisSource`] found.
pub struct SourceLink(LinkKind);

enum LinkKind {
    Node(NodeLink),
    Cluster(ClusterLink),
}

impl RedisSource {
    /// The source for a database of a connection, with credentials of its own.
    #[must_use]
    pub fn new(connection: &Connection, database: u32) -> Self {
        let credentials = Credentials::new(connection, CredentialMetrics::detached());
        Self::with_credentials(connection, database, credentials, SentinelMetrics::detached())
    }

    /// The source for a database of a connection, whose credentials are these. What its sentinels
    /// say, if it has any, is noted at `metrics`.
    #[must_use]
    pub fn with_credentials(
        connection: &Connection,
        database: u32,
        credentials: Credentials,
        metrics: SentinelMetrics,
    ) -> Self {
        Self(match &connection.endpoint {
            Endpoint::Standalone(node) => {
                SourceKind::Standalone(Dialer::new(credentials, database), node.clone())
            }
            Endpoint::Sentinel(sentinels) => {
                SourceKind::Sentinel(SentinelSource::new(sentinels, metrics, credentials, database))
            }
            Endpoint::Cluster(seeds) => {
                SourceKind::Cluster(Dialer::new(credentials, database), seeds.as_slice().into())
            }
        })
    }
}

impl Source for RedisSource {
    type Link = SourceLink;

    async fn connect(&self, changes: Changes) -> Result<SourceLink, Fault> {
        Ok(SourceLink(match &self.0 {
            SourceKind::Standalone(dialer, node) => {
                LinkKind::Node(dialer.dial(node, &changes).await?)
            }
            SourceKind::Sentinel(source) => LinkKind::Node(source.connect(&changes).await?),
            SourceKind::Cluster(dialer, seeds) => {
                LinkKind::Cluster(ClusterLink::connect(dialer, seeds, changes).await?)
            }
        }))
    }

    async fn moved(&self) {
        match &self.0 {
            SourceKind::Standalone(..) | SourceKind::Cluster(..) => pending().await,
            SourceKind::Sentinel(source) => source.moved().await,
        }
    }
}

impl SourceLink {
    /// The link to one server, where that is all there is to ask.
    pub(super) fn single(&mut self) -> Option<&mut NodeLink> {
        match &mut self.0 {
            LinkKind::Node(link) => Some(link),
            LinkKind::Cluster(_) => None,
        }
    }

    /// Notes every command and reply from now on.
    pub fn record(&mut self) {
        match &mut self.0 {
            LinkKind::Node(link) => link.session.record(),
            LinkKind::Cluster(link) => link.record(),
        }
    }

    /// What was noted.
    pub fn take_transcript(&mut self) -> Vec<Exchange> {
        match &mut self.0 {
            LinkKind::Node(link) => link.session.take_transcript(),
            LinkKind::Cluster(link) => link.take_transcript(),
        }
    }
}

impl Link for SourceLink {
    fn tracked(&self) -> bool {
        match &self.0 {
            LinkKind::Node(link) => link.tracked(),
            LinkKind::Cluster(link) => link.tracked(),
        }
    }

    async fn read(
        &mut self,
        reads: &[Read],
        flows: &[Flow],
    ) -> Result<Vec<Result<Reply, Fault>>, Fault> {
        match &mut self.0 {
            LinkKind::Node(link) => link.read(reads, flows).await,
            LinkKind::Cluster(link) => link.read(reads, flows).await,
        }
    }

    fn confirmed_until(&self, sent_at: Instant) -> Instant {
        match &self.0 {
            LinkKind::Node(link) => link.confirmed_until(sent_at),
            LinkKind::Cluster(link) => link.confirmed_until(sent_at),
        }
    }

    async fn prove(&mut self, clock: bool) -> Result<Option<Duration>, Fault> {
        match &mut self.0 {
            LinkKind::Node(link) => link.prove(clock).await,
            LinkKind::Cluster(link) => link.prove(clock).await,
        }
    }

    async fn scan(
        &mut self,
        wild: &KeyPattern,
        from: Option<&Position>,
    ) -> Result<Result<KeyPage, Fault>, Fault> {
        match &mut self.0 {
            LinkKind::Node(link) => link.scan(wild, from).await,
            LinkKind::Cluster(link) => link.scan(wild, from).await,
        }
    }

    fn guard(&mut self) -> impl Future<Output = Fault> + Send + 'static {
        match &mut self.0 {
            LinkKind::Node(link) => link.guard().boxed(),
            LinkKind::Cluster(link) => link.guard().boxed(),
        }
    }
}
