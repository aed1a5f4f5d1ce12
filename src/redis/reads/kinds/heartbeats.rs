//! What workers say. No command asks for it: a link answers from what it heard, and never asks.

use std::time::Duration;

use deadpool_redis::redis::{self, Cmd};

use crate::{layouts::Heartbeats, sampling::Fault};

use super::super::{
    asked::{Asked, Cost, First, Together},
    encode::KeyType,
    progress::Progress,
};

impl Asked for Heartbeats {
    /// Never sent.
    fn question(&self, _: KeyType, _: Duration) -> Cmd {
        redis::cmd("PING")
    }

    fn first(&self, _: First<'_>) -> Result<Progress, Fault> {
        Err(Fault::Unexpected("what is heard was asked for".to_owned()))
    }

    fn together(&self) -> Together {
        Together::Apart
    }

    fn rights(&self) -> Vec<&'static str> {
        match self.format.roll() {
            Some(_) => vec!["scard", "smembers"],
            None => vec![],
        }
    }

    /// To listen costs a command once.
    fn cost(&self) -> Option<Cost> {
        None
    }
}
