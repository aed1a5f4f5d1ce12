//! Which sampler answers for a trigger, and whether the namespace may ask it. Access is decided before anything
//! else, for every method in the same way.

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
    /// The connection is not configured; the text says which the namespace may use.
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

    /// The connections that a namespace may use, which are all that it learns of.
    fn usable(&self, namespace: &str) -> Vec<&str> {
        let all = self.all.iter();
        let usable = all.filter(|(_, route)| route.access.admits(namespace).is_ok());
        usable.map(|(name, _)| name.as_str()).collect()
    }

    pub(super) fn find(&self, namespace: &str, trigger: &Trigger) -> Result<&Sampler, NoRoute> {
        let name = &trigger.connection;
        let route = self.all.get(name).ok_or_else(|| {
            let usable = self.usable(namespace);
            let usable = if usable.is_empty() { "none".to_owned() } else { usable.join(", ") };
            let (name, namespace) = (shown(name), shown(namespace));
            NoRoute::UnknownConnection(format!(
                "`{name}` is no configured connection; namespace `{namespace}` may use {usable}"
            ))
        })?;
        let database = (route.access.authorize(namespace, trigger))
            .map_err(|denied| NoRoute::Denied(name.clone(), denied))?;
        route.samplers.get(&database).ok_or_else(|| {
            NoRoute::UnknownConnection(format!("`{}` has no database {database}", shown(name)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, layouts::Registry};

    #[test]
    fn who_names_no_connection_learns_of_those_alone_that_it_may_use() {
        let toml = "[redis.default]\n[redis.a]\nnamespaces = [\"team-a\"]\n\
                    [redis.b]\nnamespaces = [\"team-b\"]\n";
        let told = |toml: &str, namespace: &str| {
            let config = Config::parse(toml, "test").unwrap();
            let route = |access| Route { access, samplers: BTreeMap::new() };
            let all = config.connections.into_iter();
            let all = all.map(|(name, connection)| (name, route(connection.access))).collect();
            let pairs = [("redis", "c"), ("queue", "q")];
            let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let trigger = Trigger::parse(pairs, Registry::builtin()).unwrap();
            match Routes::new(all, KeyShares::new(1)).find(namespace, &trigger) {
                Err(NoRoute::UnknownConnection(what)) => what,
                other => panic!("{other:?}"),
            }
        };
        let is_none = "`c` is no configured connection; namespace ";
        assert_eq!(told(toml, "team-a"), format!("{is_none}`team-a` may use a, default"));
        assert_eq!(told(toml, "team-b"), format!("{is_none}`team-b` may use b, default"));
        let toml = toml.replace("[redis.default]\n", "");
        assert_eq!(told(&toml, "stranger"), format!("{is_none}`stranger` may use none"));
    }
}
