//! Which sampler answers for a trigger, and whether the namespace may ask it.
//!
//! It is apart from the service because access is decided before anything else, for every method
//! in the same way.

use std::collections::BTreeMap;

use crate::{
    config::{Access, Denied},
    sampling::{KeyShares, Sampler},
    trigger::{Trigger, shown},
};

/// One configured connection as the service sees it.
#[derive(Debug)]
pub struct Route {
    /// Who may use it, and for what.
    pub access: Access,
    /// One sampler for each database that it allows.
    pub samplers: BTreeMap<u32, Sampler>,
}

/// Every configured connection, by name, and the keys that their samplers share out.
#[derive(Debug)]
pub struct Routes {
    all: BTreeMap<String, Route>,
    keys: KeyShares,
}

/// Why a trigger has no sampler.
#[derive(Debug)]
pub(super) enum NoRoute {
    /// The connection is not configured; the text says which are.
    UnknownConnection(String),
    /// A rule of the connection forbids it.
    Denied(String, Denied),
}

impl Routes {
    /// The routes of these connections, whose samplers share these keys out.
    #[must_use]
    pub fn new(all: BTreeMap<String, Route>, keys: KeyShares) -> Self {
        Self { all, keys }
    }

    pub(super) fn keys(&self) -> &KeyShares {
        &self.keys
    }

    pub(super) fn find(&self, namespace: &str, trigger: &Trigger) -> Result<&Sampler, NoRoute> {
        let name = &trigger.connection;
        let route = self.all.get(name).ok_or_else(|| {
            let known = self.all.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            NoRoute::UnknownConnection(format!(
                "`{}` is no configured connection; there is {known}",
                shown(name)
            ))
        })?;
        let database = (route.access.authorize(namespace, trigger))
            .map_err(|denied| NoRoute::Denied(name.clone(), denied))?;
        route.samplers.get(&database).ok_or_else(|| {
            NoRoute::UnknownConnection(format!("`{}` has no database {database}", shown(name)))
        })
    }
}
