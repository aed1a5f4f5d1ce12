//! Which replicas a connection reads in place of its master, and how far behind they may be.
//!
//! It is apart from the endpoint because that says where the master is, which is asked for its offset
//! all the same. It does not connect.

use std::time::Duration;

use crate::{limits, time};

use super::{
    address::DEFAULT_PORT,
    endpoint::{Endpoint, Node},
    problem::{ConfigProblems, Spot},
    raw::Given,
};

/// Replicas that are read in place of the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicas {
    /// How old what a replica holds may be, [`limits::REPLICA_LAGS`]. One that cannot be proved to be
    /// within it is not read.
    pub max_lag: Duration,
    /// Where they are; `None` for those that the master itself names.
    pub nodes: Option<Vec<Node>>,
}

/// The table `replicas` of a connection as the file has it.
pub(super) struct RawReplicas {
    pub(super) spot: Spot,
    pub(super) max_lag: Option<Given<String>>,
    pub(super) nodes: Option<Given<Vec<String>>>,
}

impl RawReplicas {
    /// The replicas, if nothing is wrong with them and their master is at such an endpoint.
    pub(super) fn settle(
        self,
        master: Option<&Endpoint>,
        problems: &mut ConfigProblems,
    ) -> Option<Replicas> {
        let Self { spot, max_lag, nodes } = self;
        if matches!(master, Some(Endpoint::Cluster(_))) {
            problems.add(&spot, "is for `url` and `sentinel`; of a cluster only masters are read");
        }
        if max_lag.is_none() && !problems.concern(&spot.key("max_lag")) {
            let what = "is missing; write replicas = { max_lag = \"1s\" }";
            problems.add(&spot.key("max_lag"), what);
        }
        let max_lag = max_lag.and_then(|given| read_max_lag(given, problems));
        let nodes = match nodes {
            Some(given) => Some(read_nodes(given, problems)?),
            None => None,
        };
        Some(Replicas { max_lag: max_lag?, nodes })
    }
}

fn read_max_lag(given: Given<String>, problems: &mut ConfigProblems) -> Option<Duration> {
    let Given { spot, value } = given;
    let (least, most) = limits::REPLICA_LAGS;
    match time::parse_duration(&value) {
        Ok(max_lag) if (least..=most).contains(&max_lag) => return Some(max_lag),
        Ok(_) => problems.add(&spot, format!("must be from {least:?} to {}m", most.as_secs() / 60)),
        Err(error) => problems.add(&spot, error.to_string()),
    }
    None
}

/// What is wrong with one is told by its place: somebody may have written a URL with a password there.
fn read_nodes(given: Given<Vec<String>>, problems: &mut ConfigProblems) -> Option<Vec<Node>> {
    let Given { spot, value: texts } = given;
    let (most, listed) = (limits::REPLICAS, texts.len());
    if listed == 0 || listed > most {
        let what = "leave it out for those that the master names";
        problems
            .add(&spot, format!("lists {listed} replicas; 1 to {most} are possible, or {what}"));
        return None;
    }
    let mut nodes = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        match Node::parse(text, DEFAULT_PORT) {
            Ok(node) => nodes.push(node),
            Err(error) => problems.add(&spot.item(place), error.to_string()),
        }
    }
    (nodes.len() == listed).then_some(nodes)
}
