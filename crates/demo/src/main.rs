//! `make demo`: a Redis, the service, a pretended KEDA and workers, drawn live.
//!
//! It starts and wires what the library plays with, and is the part of the demo that prints.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the command line talks to people")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Parser;
use console::Term;
use tokio::{signal, time::sleep};

use penstock::{
    cli::serve::Serving,
    config::{Config, Settings},
    time::{self, Instant},
    trigger::Target,
};
use penstock_demo::{Board, Load, RedisServer, SharedBoard};

/// How often a terminal is drawn.
const FRAME: Duration = Duration::from_millis(100);
/// Output that is no terminal gets a line this often, if anything changed.
const LINE: Duration = Duration::from_secs(1);

/// See it work without Kubernetes: 0 → N → 0 replicas on a Redis of its own.
#[derive(Debug, Parser)]
#[command(name = "penstock-demo", version, about)]
struct DemoArgs {
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

fn main() -> ExitCode {
    let args = DemoArgs::parse();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime");
    match runtime.and_then(|runtime| runtime.block_on(demo(args))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("penstock-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Plays the demo and prints its summary; an error if it did not show what it should.
async fn demo(args: DemoArgs) -> anyhow::Result<()> {
    let load = Load {
        speed: args.speed,
        jobs: usize::try_from(args.jobs).context("too many jobs")?,
        job_time: args.job_time,
        target: args.target,
        max_replicas: args.max_replicas,
    };
    let redis = RedisServer::start(Path::new(&args.redis_server)).await?;
    let serving = Serving::start(config(&redis)?).await?;
    let scaler = serving.address().to_string();
    println!("Redis at {}, penstock at {scaler}", redis.url());
    let shared = SharedBoard::new(load);
    let mut screen = Screen::new();
    let url = redis.url();
    let played = tokio::select! {
        played = penstock_demo::play(&shared, load, (&scaler, &url)) => played.map_err(anyhow::Error::from),
        ended = serving.run(std::future::pending()) => ended,
        drawn = screen.run(&shared) => drawn,
        () = sleep(args.give_up) => Err(anyhow::anyhow!("gave up after {:?}", args.give_up)),
        _ = signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    let mut board = shared.board();
    screen.draw(&mut board)?;
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

/// Where the demo is drawn: in place on a terminal, line by line elsewhere.
struct Screen {
    term: Term,
    /// Lines of the last picture, which the next one replaces.
    height: usize,
    last_line: String,
    told: Instant,
}

impl Screen {
    fn new() -> Self {
        let (term, last_line) = (Term::buffered_stdout(), String::new());
        Self { term, height: 0, last_line, told: Instant::now() }
    }

    /// Draws for as long as it is polled.
    async fn run(&mut self, shared: &SharedBoard) -> anyhow::Result<()> {
        loop {
            self.draw(&mut shared.board())?;
            sleep(FRAME).await;
        }
    }

    fn draw(&mut self, board: &mut Board) -> anyhow::Result<()> {
        let events = board.take_events();
        if self.term.is_term() {
            return self.picture(&board.picture(Instant::now()));
        }
        for event in events {
            println!("{event}");
        }
        let line = board.line();
        if line != self.last_line && self.told.elapsed() >= LINE {
            println!("          {line}");
            (self.last_line, self.told) = (line, Instant::now());
        }
        Ok(())
    }

    fn picture(&mut self, picture: &[String]) -> anyhow::Result<()> {
        let (rows, columns) = self.term.size();
        let (rows, columns) = (usize::from(rows).max(2), usize::from(columns).max(2));
        self.term.clear_last_lines(self.height.min(rows - 1))?;
        let visible = &picture[..picture.len().min(rows - 1)];
        for line in visible {
            let fitting: String = line.chars().take(columns - 1).collect();
            self.term.write_line(&fitting)?;
        }
        self.term.flush()?;
        self.height = visible.len();
        Ok(())
    }
}
