//! Finding a cluster: the nodes that the configuration names are asked at once, and the first that knows
//! the others counts. None of these nodes has to be part of what is read afterwards.

use futures_util::{StreamExt, stream::FuturesUnordered};

use crate::{
    config::Node,
    sampling::{Changes, Fault},
};

use super::{
    super::{error::fault, node::Dialer},
    guard,
    member::of_node,
    members,
    said::View,
};

/// What the first of these nodes says of all that knows of any master. One that was reset, or never
/// joined, does not, and may be the quickest to say so.
pub(super) async fn first_view(dialer: &Dialer, seeds: &[Node]) -> Result<View, Fault> {
    let mut views: FuturesUnordered<_> = seeds.iter().map(|seed| view_at(dialer, seed)).collect();
    let mut last = Fault::Unreachable("no node of the cluster is named".to_owned());
    while let Some(view) = views.next().await {
        match view {
            Ok(view) if view.masters().any(|(_, node)| node.is_some()) => return Ok(view),
            Ok(_) => last = members::unserved(),
            Err(fault) => last = fault,
        }
    }
    Err(last)
}

async fn view_at(dialer: &Dialer, seed: &Node) -> Result<View, Fault> {
    let link = dialer.dial(seed, &Changes::new(drop)).await;
    let mut link = link.map_err(|fault| of_node(seed, &fault))?;
    let replies = link.session.round(&[guard::command("SLOTS")]).await;
    match replies.map_err(|fault| of_node(seed, &fault))?.as_slice() {
        [Ok(value)] => View::parse(value, seed),
        [Err(error)] => Err(of_node(seed, &fault(error))),
        _ => Err(Fault::Unexpected("no slots".to_owned())),
    }
}
