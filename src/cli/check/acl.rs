//! The ACL lines of `penstock check --acl`, with what they are for.

use std::fmt::Write;

use crate::{
    config::{Config, Connection},
    redis::{acl_line, acl_line_of, acl_line_on_sentinels, acl_line_with},
};

use super::report::{ConnectionNeeds, Report};

/// The lines of every connection: for all that its rules allow, or with a report for what the triggers
/// ask that were checked.
#[must_use]
pub fn acl(config: &Config, report: Option<&Report>) -> String {
    let mut text = String::new();
    for connection in config.connections.values() {
        let (what, line) = match report {
            None => (String::new(), Some(acl_line(connection))),
            Some(report) => of_triggers(connection, report.asked(&connection.name)),
        };
        text += &format!("# connection {}{what}\n", connection.name);
        let Some(line) = line else { continue };
        text += &format!("{line}\n");
        if let Some(line) = acl_line_on_sentinels(connection) {
            text += &format!("# connection {}, on its sentinels\n{line}\n", connection.name);
        }
    }
    text
}

/// What a line is for, and the line.
fn of_triggers(
    connection: &Connection,
    asked: Option<&ConnectionNeeds>,
) -> (String, Option<String>) {
    let Some(ConnectionNeeds { triggers, unknown, reach }) = asked else {
        return (", which none of these triggers uses".to_owned(), None);
    };
    let mut what =
        format!(", for {triggers} {}", if *triggers == 1 { "trigger" } else { "triggers" });
    if *unknown == 0 {
        return (what, Some(acl_line_of(connection, reach)));
    }
    let said = write!(
        what,
        ", of which only the cluster knows all that {unknown} ask: every key and command that the rules \
         allow, and the channels that are known"
    );
    said.unwrap_or_default();
    (what, Some(acl_line_with(connection, reach)))
}
