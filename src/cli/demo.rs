//! `penstock demo`: a Redis, the service, a pretended KEDA and workers, drawn live.
//!
//! It starts and wires what `demo/` plays with, and is the part of it that prints.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use console::Term;
use tokio::{signal, time::sleep};

use crate::{
    config::{Config, Settings},
    demo::{self, Board, Load, RedisServer, Shared},
    time::{self, Instant},
    trigger::Target,
};

use super::serve::Serving;

/// How often a terminal is drawn.
const FRAME: Duration = Duration::from_millis(100);
/// Output that is no terminal gets a line this often, if anything changed.
const LINE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// By how much KEDA's and the HPA's clocks run faster than a real cluster's.
    #[arg(long, default_value_t = 20.0, value_parser = speed)]
    speed: f64,
    /// Jobs that are enqueued.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    jobs: u32,
    /// How long one job runs.
    #[arg(long, default_value = "1s", value_parser = time::parse_duration)]
    job_time: Duration,
    /// Jobs per replica.
    #[arg(long, default_value_t = 2.0, value_parser = target)]
    target: f64,
    /// The most workers.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    max_replicas: u32,
    /// The redis-server or valkey-server to start.
    #[arg(long, value_name = "PROGRAM", default_value = "redis-server")]
    redis_server: PathBuf,
    /// Give up after this long.
    #[arg(long, default_value = "5m", value_parser = time::parse_duration)]
    give_up: Duration,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = time::parse_decimal(text).filter(|speed| (0.1..=100.0).contains(speed));
    speed.ok_or_else(|| "must be a number from 0.1 to 100".to_owned())
}

fn target(text: &str) -> Result<f64, String> {
    Target::parse(text).map(Target::get).map_err(|error| error.to_string())
}

/// Plays the demo and prints its summary; an error if it did not show what it should.
pub(super) async fn demo(args: DemoArgs) -> anyhow::Result<()> {
    let load = Load {
        speed: args.speed,
        jobs: usize::try_from(args.jobs).context("too many jobs")?,
        job_time: args.job_time,
        target: args.target,
        max_replicas: args.max_replicas,
    };
    let redis = RedisServer::start(Path::new(&args.redis_server)).await?;
    let serving = Serving::start(config(&redis)?).await?;
    let scaler = serving.listener.address().to_string();
    println!("Redis at {}, penstock at {scaler}", redis.url());
    let shared = Shared::new(load);
    let url = redis.url();
    let played = tokio::select! {
        played = demo::play(&shared, load, (&scaler, &url)) => played.map_err(anyhow::Error::from),
        ended = serving.run(std::future::pending()) => ended,
        drawn = draw(&shared) => drawn,
        () = sleep(args.give_up) => Err(anyhow::anyhow!("gave up after {:?}", args.give_up)),
        _ = signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    let mut board = shared.board();
    for event in board.take_events() {
        println!("{event}");
    }
    println!();
    for line in board.summary() {
        println!("{line}");
    }
    played?;
    if !board.is_success() {
        bail!("not every job was done, or one was cut");
    }
    Ok(())
}

fn config(redis: &RedisServer) -> anyhow::Result<Config> {
    let loopback = Some(([127, 0, 0, 1], 0).into());
    let settings = Settings {
        redis: vec![redis.url()],
        listen: loopback,
        admin_listen: loopback,
        ..Settings::default()
    };
    Ok(Config::load(&settings)?)
}

/// Draws for as long as it is polled.
async fn draw(shared: &Shared) -> anyhow::Result<()> {
    let term = Term::buffered_stdout();
    if !term.is_term() {
        return lines(shared).await;
    }
    let mut height = 0;
    loop {
        let picture = {
            let mut board = shared.board();
            board.take_events();
            board.picture(Instant::now())
        };
        let width = usize::from(term.size().1).max(20);
        term.clear_last_lines(height)?;
        for line in &picture {
            let fitting: String = line.chars().take(width - 1).collect();
            term.write_line(&fitting)?;
        }
        term.flush()?;
        height = picture.len();
        sleep(FRAME).await;
    }
}

async fn lines(shared: &Shared) -> anyhow::Result<()> {
    let mut last = String::new();
    let mut told = Instant::now();
    loop {
        let (events, line) = {
            let mut board: std::sync::MutexGuard<'_, Board> = shared.board();
            (board.take_events(), board.line())
        };
        for event in events {
            println!("{event}");
        }
        if line != last && told.elapsed() >= LINE {
            println!("          {line}");
            last = line;
            told = Instant::now();
        }
        sleep(FRAME).await;
    }
}
