//! The sentinels of a connection: which they are, which master they watch, and who we are to them. They have
//! users and passwords of their own.

use crate::limits::{self, DATABASE_NUMBER};

use super::{
    node::Node,
    password::{Password, RawCommand},
    problem::{ConfigProblems, Spot},
    redis_tls::{RawRedisTls, RedisTls},
    scope::Scope,
    spanned::Spanned,
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
    /// How they are spoken to in private, if they are. Nothing of it comes from the master's.
    pub tls: Option<RedisTls>,
}

/// The table `sentinel` as the file has it, and the master's database beside it.
pub(super) struct RawSentinel {
    pub(super) spot: Spot,
    pub(super) master: Option<Spanned<String>>,
    pub(super) nodes: Option<Spanned<Vec<String>>>,
    pub(super) username: Option<Spanned<String>>,
    pub(super) password_file: Option<Spanned<String>>,
    pub(super) password_env: Option<Spanned<String>>,
    pub(super) password_command: RawCommand,
    pub(super) tls: Option<RawRedisTls>,
    pub(super) database: Option<Spanned<i64>>,
}

impl RawSentinel {
    /// The sentinels and the database, if nothing is wrong with them.
    pub(super) fn settle(
        self,
        scope: Scope<'_>,
        problems: &mut ConfigProblems,
    ) -> Option<(Sentinels, u32)> {
        let Self { spot, master, nodes, username, database, .. } = self;
        let database = database.map_or(Some(0), |given| read_database(given, problems));
        let master = master.and_then(|given| read_name(given, problems));
        let nodes = nodes.and_then(|given| read_nodes(given, problems));
        if let Some(username) = username.as_ref().filter(|username| username.value.is_empty()) {
            problems.add(&username.spot, "is empty; remove it or name a user");
        }
        let command = self.password_command.settle(problems);
        let password =
            read_password(self.password_file, self.password_env, command, scope, problems);
        let tls = RawRedisTls::settle(self.tls, None, scope.reads_files(), problems);
        let has_none = password.is_none() && matches!(scope, Scope::Everything(_));
        if let Some(username) = username.as_ref().filter(|_| has_none && !problems.concern(&spot)) {
            problems.add(&username.spot, "names a user of the sentinels without any password");
        }
        for (key, is_missing) in [("master", master.is_none()), ("nodes", nodes.is_none())] {
            if is_missing && !problems.concern(&spot.key(key)) {
                let what = "is missing; write sentinel = { master = \"mymaster\", \
                            nodes = [\"host:26379\"] }";
                problems.add(&spot.key(key), what);
            }
        }
        let username = username.map(|username| username.value);
        let password = password.unwrap_or(Password::None);
        let sentinels = Sentinels { master: master?, nodes: nodes?, username, password, tls };
        Some((sentinels, database?))
    }
}

fn read_database(given: Spanned<i64>, problems: &mut ConfigProblems) -> Option<u32> {
    let Spanned { spot, value } = given;
    let number = u32::try_from(value).ok().filter(|number| *number <= DATABASE_NUMBER);
    if number.is_none() {
        problems.add(&spot, format!("must be a database from 0 to {DATABASE_NUMBER}"));
    }
    number
}

fn read_name(given: Spanned<String>, problems: &mut ConfigProblems) -> Option<String> {
    let Spanned { spot, value } = given;
    let legal = |c: char| !c.is_control() && !c.is_whitespace();
    let is_name = (1..=limits::NAME_BYTES).contains(&value.len()) && value.chars().all(legal);
    if !is_name {
        let most = limits::NAME_BYTES;
        let what = format!(
            "must be a name of 1 to {most} bytes without spaces, as in `sentinel monitor NAME …`"
        );
        problems.add(&spot, what);
    }
    is_name.then_some(value)
}

fn read_nodes(given: Spanned<Vec<String>>, problems: &mut ConfigProblems) -> Option<Vec<Node>> {
    let Spanned { spot, value: texts } = given;
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

fn read_password(
    file: Option<Spanned<String>>,
    variable: Option<Spanned<String>>,
    command: Option<Spanned<Password>>,
    scope: Scope<'_>,
    problems: &mut ConfigProblems,
) -> Option<Password> {
    let spots = [spot_of(&file), spot_of(&variable), spot_of(&command)];
    for second in spots.into_iter().flatten().skip(1) {
        problems.add(second, "is a second password beside another one; keep one");
    }
    let file = file.map(|Spanned { spot, value }| {
        if value.is_empty() {
            problems.add(&spot, "is empty; remove it or name a file");
        }
        Spanned { spot, value: Password::File(value.into()) }
    });
    let variable = variable.and_then(|Spanned { spot, value }| {
        let password = scope.password_env(&value, &spot, problems)?;
        Some(Spanned { spot, value: password })
    });
    let password = file.or(variable).or(command)?;
    scope.try_password(&password, problems);
    Some(password.value)
}

fn spot_of<T>(given: &Option<Spanned<T>>) -> Option<&Spot> {
    given.as_ref().map(|given| &given.spot)
}
