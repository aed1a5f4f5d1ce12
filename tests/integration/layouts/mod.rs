//! The built-in layouts against real servers that hold what each framework leaves there, and layouts
//! of a configuration.
//!
//! The moments are those of live runs.

mod ages;
mod attribution;
mod frameworks;
pub mod heartbeats;
mod hostile;
mod idle;
mod own;

use std::collections::BTreeMap;

use penstock::{
    config::{Config, Settings},
    layouts::{Answer, Counts, Measure, Registry},
    redis::RedisSource,
    sampling::{Changes, FlowRead, Link, Source},
    trigger::Trigger,
};

use crate::harness::Server;

/// Waiting, due, in flight and orphaned.
type Four = [f64; 4];

/// A link to a server, for any trigger.
struct Eye(<RedisSource as Source>::Link);

impl Eye {
    async fn on(server: &Server) -> Self {
        let settings = Settings { redis: vec![server.url()], ..Settings::default() };
        let connection = Config::load(&settings).unwrap().connections["default"].clone();
        let source = RedisSource::new(&connection, 0);
        Self(source.connect(Changes::new(drop)).await.unwrap())
    }

    /// What a trigger counts, or why it cannot.
    async fn counts(&mut self, trigger: &Trigger) -> Result<Counts, String> {
        let reads = trigger.plan.reads();
        let flow = (0..reads.len()).map(FlowRead::Sent).collect();
        let replies = self.0.read(reads, &[flow]).await.map_err(|fault| fault.to_string())?;
        let answers: Result<Vec<Answer>, _> =
            replies.into_iter().map(|reply| reply.map(|reply| reply.answer)).collect();
        let answers = answers.map_err(|fault| fault.to_string())?;
        let answers: Vec<&Answer> = answers.iter().collect();
        trigger.plan.counts(&answers).map_err(|mismatch| mismatch.to_string())
    }

    async fn four(&mut self, metadata: &str) -> Result<Four, String> {
        let counts = self.counts(&parse(metadata)).await?;
        let four = [Measure::Waiting, Measure::Due, Measure::InFlight, Measure::Orphaned];
        Ok(four.map(|measure| counts[measure].get()))
    }
}

/// The trigger of `key=value` pairs with a space between them.
fn parse(metadata: &str) -> Trigger {
    let pairs: BTreeMap<String, String> = (metadata.split(' '))
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    Trigger::parse(pairs, Registry::builtin()).unwrap_or_else(|problems| panic!("{problems}"))
}
