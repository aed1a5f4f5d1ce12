//! A fleet that lives through one fault after another for as long as one likes, with somebody who
//! writes and somebody who asks: is it right again after each, and does anything grow?
//!
//! Without flags it is a short look that the tool itself works. `make soak SOAK_FLAGS="--minutes 60
//! --triggers 2000"` is the real thing. The same seed brings the same fleet, faults and jobs.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "all of this is test code: it fails where it stands, says what it saw, and is told by \
              the environment how long to run"
)]

mod fault;
mod fleet;
mod listen;
mod report;
mod round;
mod tally;
mod trend;

use std::{env, time::Duration};

use clap::Parser;
use penstock_testkit::{self as harness, wire};
use tokio::time::Instant;

/// How long, how many, and what is too much.
#[derive(Debug, Parser)]
pub struct Flags {
    /// How long it lasts.
    #[arg(long, default_value_t = 0.5)]
    minutes: f64,
    /// Triggers; half of them with an open stream, half of them only polled.
    #[arg(long, default_value_t = 60)]
    triggers: usize,
    /// The same seed brings the same fleet, faults and jobs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Milliseconds after a fault within which every answer must be right.
    #[arg(long, default_value_t = 2_500)]
    calm: u64,
}

fn flags() -> Flags {
    let given = env::var("SOAK_FLAGS").unwrap_or_default();
    let words = ["SOAK_FLAGS"].into_iter().chain(given.split_whitespace());
    Flags::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_lives_through_faults_and_nothing_grows() {
    let flags = flags();
    let until = Instant::now() + Duration::from_secs_f64(flags.minutes * 60.0);
    let mut world = round::World::start(&flags).await;
    let mut report = report::Report::default();
    // Each kind of fault at least once.
    while Instant::now() < until || report.rounds() < fault::KINDS {
        let round = world.round(Duration::from_millis(flags.calm)).await;
        println!("{round}");
        report.add(round);
    }
    println!("{report}");
    let broken = report.broken(Duration::from_millis(flags.calm));
    assert!(broken.is_empty(), "seed {}: {broken:#?}", flags.seed);
}
