//! What penstock costs, beside what the same work costs without it: one table from one run.
//!
//! It is a crate of its own so that nothing of it comes into the service. Everything is taken as a
//! ratio within the run, since numbers of two machines cannot be compared. A bound that is exceeded
//! is said, and is no failure: a machine may be busy.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the command line talks to people")]

mod activation;
mod ages;
mod client;
mod cluster;
mod command_counts;
mod commands;
mod fleet;
mod hot_queue;
mod memory;
mod noop;
mod processes;
mod resp;
mod samples;
mod streams;
mod table;
mod throughput;

/// The protocol, in tonic's default code.
mod proto {
    #![expect(
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        clippy::too_many_lines,
        reason = "tonic's generated code is not written by hand"
    )]

    tonic::include_proto!("externalscaler");
}

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand, ValueEnum};
use processes::{Programs, TestBed};
use serde_json::json;
use table::Row;
use tokio::signal::unix::{SignalKind, signal};

/// Measure penstock beside a server that does nothing and a Redis client that does no more than it
/// must, on this machine.
#[derive(Debug, Parser)]
#[command(name = "penstock-bench", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// The redis-server or valkey-server to start.
    #[arg(long, value_name = "PATH", default_value = "redis-server")]
    redis_server: PathBuf,
    /// The service to measure [default: penstock beside this program].
    #[arg(long, value_name = "PATH")]
    penstock: Option<PathBuf>,
    /// Write the table as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Tiny numbers, to see that it works.
    #[arg(long)]
    quick: bool,
    /// Measure only these.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Measurement>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the protocol without knowing anything.
    #[command(hide = true)]
    Noop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// From the write of a job to `true` on a stream.
    Activation,
    /// Unary calls per second.
    Throughput,
    /// Redis commands per poll.
    Commands,
    /// The same on a cluster of three masters.
    ClusterCommands,
    /// A queue that never rests.
    HotQueue,
    /// What it costs to tell for how long jobs wait.
    Ages,
    /// Resident memory.
    Memory,
}

impl Measurement {
    async fn take(self, bed: &TestBed, scale: Scale) -> anyhow::Result<Vec<Row>> {
        match self {
            Self::Activation => activation::measure(bed, scale).await,
            Self::Throughput => throughput::measure(bed, scale).await,
            Self::Commands | Self::ClusterCommands => commands::measure(bed, scale).await,
            Self::HotQueue => hot_queue::measure(bed, scale).await,
            Self::Ages => ages::measure(bed, scale).await,
            Self::Memory => memory::measure(bed, scale).await,
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
enum Scale {
    Full,
    Quick,
}

impl Scale {
    fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if let Some(Command::Noop) = cli.command {
        return noop::serve(|line| eprintln!("{line}")).await;
    }
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        measured = measure(cli) => measured,
        // What was started is ended when it is dropped, so the way out is through here.
        _ = interrupt.recv() => bail!("SIGINT"),
        _ = terminate.recv() => bail!("SIGTERM"),
    }
}

async fn measure(cli: Cli) -> anyhow::Result<()> {
    let beside = std::env::current_exe()?.with_file_name("penstock");
    let programs =
        Programs { redis_server: cli.redis_server, penstock: cli.penstock.unwrap_or(beside) };
    let scale = if cli.quick { Scale::Quick } else { Scale::Full };
    let chosen = |measurement: &&Measurement| cli.only.is_empty() || cli.only.contains(measurement);
    let (mut rows, mut tables) = (Vec::new(), serde_json::Map::new());
    for measurement in Measurement::value_variants().iter().filter(chosen) {
        let name = measurement.name();
        eprintln!("measuring {name}");
        let on_cluster = *measurement == Measurement::ClusterCommands;
        let bed = TestBed::start(&programs, on_cluster).await?;
        let taken = measurement.take(&bed, scale).await.with_context(|| name.clone())?;
        bed.end().await?;
        tables.insert(name, taken.iter().map(Row::json).collect());
        rows.extend(taken);
    }
    let cores = std::thread::available_parallelism()?.get();
    println!("penstock {}, on {cores} cores with the client", env!("CARGO_PKG_VERSION"));
    print!("{}", table::text(&rows));
    if let Some(path) = cli.json {
        let whole = json!({ "quick": cli.quick, "cores": cores, "measurements": tables });
        let text = format!("{whole:#}\n");
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
