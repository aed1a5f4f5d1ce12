//! The table of wrong triggers in docs/triggers.md, row by row.

use std::{fs, path::Path};

/// One row: what a trigger says, and what it is told.
pub struct WrongTrigger {
    pub metadata: Vec<(String, String)>,
    pub answer: String,
}

/// Every row.
pub fn wrong_triggers() -> Vec<WrongTrigger> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/triggers.md");
    let text = fs::read_to_string(page).unwrap();
    let table = text.split("| metadata | answer |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let rows: Vec<WrongTrigger> = rows
        .map(|row| {
            let (metadata, answer) = row.trim_matches(&['|', ' '][..]).split_once(" | ").unwrap();
            let pairs = metadata.trim_matches('`').split(' ');
            let pairs = pairs.map(|pair| pair.split_once('=').unwrap());
            let metadata = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            let answer = answer.trim_matches('`').trim_matches(' ').trim_start_matches("`` ");
            WrongTrigger { metadata, answer: answer.to_owned() }
        })
        .collect();
    assert!(rows.len() > 20, "the table was read");
    rows
}
