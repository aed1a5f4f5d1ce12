//! What goes on beside the reads of a cluster: nodes are opened, and asked who serves what.
//!
//! It never ends while the link is held, and must not hold up a read. Whoever holds the link polls it beside
//! the reads; it has no task of its own.

use std::{collections::BTreeMap, future::pending, sync::Arc};

use deadpool_redis::redis::{self, Cmd};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    pin, select,
    time::{sleep, sleep_until, timeout_at},
};

use crate::{config::Node, limits, sampling::Fault, time::Instant};

use super::{
    super::{error::fault, node::NodeLink, wire::Response},
    members::Cluster,
    said::{Own, View},
    turns::Survey,
    wire::ClusterWire,
};

/// Keeps a cluster's nodes open and its map up to date; comes when nothing of it can be read.
pub(super) async fn guard(cluster: Arc<Cluster>) -> Fault {
    let (surveys, care) = (surveys(Arc::clone(&cluster)), care(Arc::clone(&cluster)));
    pin!(surveys, care);
    let mut openings: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
    loop {
        let (due, next) = cluster.to_open();
        for (node, opening) in due {
            openings.push(Box::pin(Arc::clone(&cluster).open(node, opening)));
        }
        if let Some(fault) = cluster.lost() {
            return fault;
        }
        let retry = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        select! {
            Some(()) = openings.next(), if !openings.is_empty() => {}
            () = cluster.bell.notified() => {}
            () = retry => {}
            () = &mut surveys => {}
            () = &mut care => {}
        }
    }
}

/// Keeps the connections of all nodes as they should be, also while they have no time for a proof.
async fn care(cluster: Arc<Cluster>) {
    loop {
        cluster.look_after_connections().await;
        sleep(limits::PROOF_INTERVAL).await;
    }
}

/// One survey after another.
async fn surveys(cluster: Arc<Cluster>) {
    loop {
        let asked_at = Instant::now();
        survey(&cluster, asked_at).await;
        let soon = asked_at + limits::SURVEY_PAUSE;
        let latest = asked_at + limits::SURVEY_INTERVAL;
        sleep_until(soon).await;
        while !cluster.is_outdated() && Instant::now() < latest {
            let outdated = cluster.outdated.notified();
            if cluster.is_outdated() {
                break;
            }
            // Either of the two is a reason to look again.
            drop(timeout_at(latest, outdated).await);
        }
    }
}

/// Asks the nodes what they serve, and one of them how it sees the others.
pub(super) async fn survey(cluster: &Arc<Cluster>, asked_at: Instant) {
    let Some((asked, since)) = cluster.asked_next(asked_at) else { return };
    let Survey { viewer, nodes, .. } = asked;
    let mut wire = ClusterWire::new(Arc::clone(cluster));
    let mut view_wire = ClusterWire::new(Arc::clone(cluster));
    let (lines, ranges) = (command("NODES"), command("SLOTS"));
    let (of_all, by_one) = tokio::join!(
        wire.ask_nodes(&nodes, std::slice::from_ref(&lines)),
        view_wire.ask_nodes(std::slice::from_ref(&viewer), std::slice::from_ref(&ranges)),
    );
    let view = by_one.into_iter().next().and_then(|replies| view_of(&replies, &viewer));
    let mut owns = BTreeMap::new();
    for (node, replies) in nodes.iter().zip(of_all) {
        match own_of(&replies) {
            Ok(own) => drop(owns.insert(node.clone(), own)),
            Err(fault) if is_silence(&fault) => cluster.suppressed(node, &fault),
            // It is set aside for that.
            Err(_) => {}
        }
    }
    if view.is_some() || !owns.is_empty() {
        cluster.adopt(view, owns, asked_at, since);
    }
}

/// Asks a node that is being opened what it serves, before anything is read there, so that its first
/// answers are known to last. `None` if it does not say.
pub(super) async fn own(
    cluster: &Cluster,
    node: &Node,
    link: &mut NodeLink,
) -> Result<Option<Own>, Fault> {
    match own_of(&link.session.round(&[command("NODES")]).await?) {
        Ok(own) => Ok(Some(own)),
        Err(fault) if is_silence(&fault) => {
            cluster.suppressed(node, &fault);
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

fn own_of(replies: &[Response]) -> Result<Own, Fault> {
    match replies {
        [Ok(value)] => Own::parse(value),
        [Err(error)] => Err(fault(error)),
        _ => Err(Fault::Unexpected("another number of replies than commands".to_owned())),
    }
}

/// Whether a node answers and does not say what it serves.
fn is_silence(fault: &Fault) -> bool {
    match fault {
        Fault::Refused(_) | Fault::Unexpected(_) => true,
        Fault::Unreachable(_)
        | Fault::Timeout
        | Fault::NotReady(_)
        | Fault::Credentials(_)
        | Fault::Listening(_)
        | Fault::Looking { .. } => false,
    }
}

/// CLUSTER NODES or CLUSTER SLOTS
pub(super) fn command(word: &str) -> Cmd {
    let mut command = redis::cmd("CLUSTER");
    command.arg(word);
    command
}

fn view_of(replies: &[Response], asked: &Node) -> Option<View> {
    match replies {
        [Ok(value)] => View::parse(value, asked).ok(),
        _ => None,
    }
}
