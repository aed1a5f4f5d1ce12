//! The sentinels of a connection: which they are, whom they watch, and who we are to them.
//!
//! They are apart from the connection because they are servers of their own, with users and
//! passwords of their own. It does not ask them anything.

use crate::limits;

use super::{
    Scope,
    endpoint::Node,
    password::Password,
    problem::ConfigProblems,
    raw::{Given, RawSentinel},
};

/// The port on which sentinels listen by default.
const PORT: u16 = 26379;

/// The sentinels that know where the master is.
#[derive(Debug, Clone)]
pub struct Sentinels {
    /// By what name they know it.
    pub master: String,
    /// Where they are; at least one, none twice.
    pub nodes: Vec<Node>,
    /// The ACL user on the sentinels; without one they take the password for their user `default`.
    pub username: Option<String>,
    /// How the password for the sentinels is come by. The master's is none of theirs.
    pub password: Password,
}

impl RawSentinel {
    /// The sentinels, if nothing is wrong with them.
    pub(super) fn settle(
        given: Given<Self>,
        scope: Scope<'_>,
        problems: &mut ConfigProblems,
    ) -> Option<Sentinels> {
        let Given { spot, value: Self { master, nodes, username, passwords } } = given;
        let master = master.and_then(|Given { spot, value }| {
            let legal = |c: char| !c.is_control() && !c.is_whitespace();
            let is_name = (1..=limits::NAME_BYTES).contains(&value.len()) && value.chars().all(legal);
            if !is_name {
                let most = limits::NAME_BYTES;
                let what = format!("must be a name of 1 to {most} bytes without spaces, as in `sentinel monitor NAME …`");
                problems.add(&spot, what);
            }
            is_name.then_some(value)
        });
        let nodes = nodes.and_then(|nodes| read_nodes(nodes, problems));
        if let Some(username) = username.as_ref().filter(|username| username.value.is_empty()) {
            problems.add(&username.spot, "is empty; remove it or name a user");
        }
        let password = passwords.settle(scope, problems);
        if let (Some(username), None, false) = (&username, &password, problems.concern(&spot)) {
            if matches!(scope, Scope::Everything(_)) {
                problems.add(&username.spot, "names a user of the sentinels without any password");
            }
        }
        for (key, is_missing) in [("master", master.is_none()), ("nodes", nodes.is_none())] {
            if is_missing && !problems.concern(&spot.key(key)) {
                problems.add(&spot.key(key), "is missing; write sentinel = { master = \"mymaster\", nodes = [\"host:26379\"] }");
            }
        }
        Some(Sentinels {
            master: master?,
            nodes: nodes?,
            username: username.map(|username| username.value),
            password: password.map_or(Password::None, |password| password.value),
        })
    }
}

fn read_nodes(given: Given<Vec<String>>, problems: &mut ConfigProblems) -> Option<Vec<Node>> {
    let Given { spot, value: texts } = given;
    let (most, listed) = (limits::SENTINELS, texts.len());
    if listed == 0 || listed > most {
        problems.add(&spot, format!("lists {listed} sentinels; 1 to {most} are possible"));
        return None;
    }
    let mut nodes = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match Node::parse(text, PORT) {
            // It would have two votes.
            Ok(node) if nodes.contains(&node) => {
                problems.add(&spot.item(index), "is listed twice");
            }
            Ok(node) => nodes.push(node),
            Err(error) => problems.add(&spot.item(index), error.to_string()),
        }
    }
    (nodes.len() == listed).then_some(nodes)
}
