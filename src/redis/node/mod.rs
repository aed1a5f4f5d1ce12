//! One server: how its connection is opened, renewed and kept, and the link over it.

mod approach;
mod dialer;
mod heartbeats;
mod link;
mod login;
mod metered;
mod opener;
mod proxy;
mod role;
mod wire;

pub(super) use dialer::Dialer;
pub(super) use link::NodeLink;
pub(super) use opener::Connection;
pub(super) use role::{Asker, Role};
