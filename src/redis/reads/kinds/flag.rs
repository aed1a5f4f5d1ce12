//! Whether something is so: EXISTS, HEXISTS, SISMEMBER, or as much of a string as tells whether it is the
//! wanted one.

use std::time::Duration;

use deadpool_redis::redis::{Cmd, Value};

use crate::{
    layouts::{Answer, Flag, Name, Test},
    sampling::Fault,
};

use super::super::{
    asked::{Asked, Cost, First, Together},
    decode::{string, truth},
    encode::{KeyType, exists, of_key},
    progress::{self, Progress},
};

impl Asked for Flag {
    fn question(&self, _: KeyType, _: Duration) -> Cmd {
        let named = |command, name: &Name| {
            let mut command = of_key(command, &[], &self.key);
            command.arg(name.as_bytes());
            command
        };
        match &self.test {
            Test::Exists => exists(&self.key),
            Test::Field(field) => named("HEXISTS", field),
            Test::Member(member) => named("SISMEMBER", member),
            Test::Value(value) => {
                let mut command = of_key("GETRANGE", &[], &self.key);
                command.arg(0).arg(value.as_bytes().len());
                command
            }
        }
    }

    fn first(&self, First { reply, .. }: First<'_>) -> Result<Progress, Fault> {
        let types: &[&str] = match self.test {
            Test::Exists => &["hash", "set", "string"],
            Test::Field(_) => &["hash"],
            Test::Member(_) => &["set"],
            Test::Value(_) => &["string"],
        };
        Ok(match progress::of_type(&self.key, types, reply)? {
            Ok(value) => Progress::done(Answer::Flag(stands(value, &self.test)?)),
            Err(progress) => progress,
        })
    }

    /// No job moves through a flag, and many triggers share one.
    fn together(&self) -> Together {
        Together::Apart
    }

    fn rights(&self) -> Vec<&'static str> {
        match self.test {
            Test::Exists => vec!["exists"],
            Test::Field(_) => vec!["hexists", "type"],
            Test::Member(_) => vec!["sismember", "type"],
            Test::Value(_) => vec!["getrange", "type"],
        }
    }

    fn cost(&self) -> Option<Cost> {
        Some(Cost { commands: 1, more: None })
    }
}

/// Whether a flag stands, by the reply to its question.
fn stands(value: &Value, test: &Test) -> Result<bool, Fault> {
    match test {
        Test::Exists | Test::Field(_) | Test::Member(_) => truth(value),
        Test::Value(wanted) => Ok(string(value)? == wanted.as_bytes()),
    }
}
