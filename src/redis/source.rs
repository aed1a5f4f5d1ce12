//! The sampler's source for a configured connection: finds the node to read, by kind of endpoint.
//!
//! It is apart from the opening of links because it is about which node, and that about how.

use std::{future::Future, time::Duration};

use crate::{
    config::{Connection, Endpoint, Node},
    layouts::Read,
    sampling::{Changes, Fault, Link, Reply, Source},
};

use super::{connection::Dialer, link::RedisLink, transcript::Exchange};

/// One database of one configured Redis.
#[derive(Debug, Clone)]
pub struct RedisSource(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Standalone(Dialer, Node),
}

/// A link to what a [`RedisSource`] found.
pub struct SourceLink(LinkKind);

enum LinkKind {
    Node(RedisLink),
}

impl RedisSource {
    /// The source for a database of a connection.
    #[must_use]
    pub fn new(connection: Connection, database: u32) -> Self {
        let endpoint = connection.endpoint.clone();
        let dialer = Dialer::new(connection, database);
        Self(match endpoint {
            Endpoint::Standalone(node) => Kind::Standalone(dialer, node),
        })
    }
}

impl Source for RedisSource {
    type Link = SourceLink;

    async fn connect(&self, changes: Changes) -> Result<SourceLink, Fault> {
        Ok(SourceLink(match &self.0 {
            Kind::Standalone(dialer, node) => LinkKind::Node(dialer.dial(node, &changes).await?),
        }))
    }
}

impl SourceLink {
    /// Notes every command and reply from now on.
    pub fn record(&mut self) {
        match &mut self.0 {
            LinkKind::Node(link) => link.record(),
        }
    }

    /// What was noted.
    pub fn take_transcript(&mut self) -> Vec<Exchange> {
        match &mut self.0 {
            LinkKind::Node(link) => link.take_transcript(),
        }
    }
}

impl Link for SourceLink {
    fn tracked(&self) -> bool {
        match &self.0 {
            LinkKind::Node(link) => link.tracked(),
        }
    }

    async fn read(&mut self, reads: &[Read]) -> Result<Vec<Result<Reply, Fault>>, Fault> {
        match &mut self.0 {
            LinkKind::Node(link) => link.read(reads).await,
        }
    }

    async fn prove(&mut self, clock: bool) -> Result<Option<Duration>, Fault> {
        match &mut self.0 {
            LinkKind::Node(link) => link.prove(clock).await,
        }
    }

    fn guard(&mut self) -> impl Future<Output = Fault> + Send + 'static {
        match &mut self.0 {
            LinkKind::Node(link) => link.guard(),
        }
    }
}
