//! The command line: flags, environment, exit codes. The only room that prints, and that names
//! clap and anyhow.
//!
//! Each subcommand has a file or folder of its own; what they share is only how settings are found.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the command line talks to people")]

mod serve;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    config::{Config, Settings},
    telemetry::{LogFormat, init_logging},
};

/// A KEDA external scaler for Redis: how much work waits, is due and is in flight.
#[derive(Debug, Parser)]
#[command(name = "penstock", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer KEDA over gRPC until SIGTERM or SIGINT.
    Serve {
        #[command(flatten)]
        connect: Connect,
        #[command(flatten)]
        listen: Listen,
        #[command(flatten)]
        log: Log,
    },
}

/// Where the connections come from.
#[derive(Debug, Args)]
struct Connect {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "PENSTOCK_CONFIG")]
    config: Option<PathBuf>,
    /// A Redis: [NAME=]redis://[user[:password]@]host[:port][/database]; NAME is `default`. May be
    /// given several times.
    #[arg(long, value_name = "[NAME=]URL", env = "PENSTOCK_REDIS", hide_env_values = true)]
    redis: Vec<String>,
}

#[derive(Debug, Args)]
struct Listen {
    /// The address for gRPC [default: 0.0.0.0:9090].
    #[arg(long, value_name = "ADDRESS", env = "PENSTOCK_LISTEN")]
    listen: Option<SocketAddr>,
    /// The address for /metrics, /livez and /readyz [default: 0.0.0.0:9091].
    #[arg(long, value_name = "ADDRESS", env = "PENSTOCK_ADMIN_LISTEN")]
    admin_listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
struct Log {
    /// How log lines are written.
    #[arg(long, value_enum, default_value = "text", env = "PENSTOCK_LOG_FORMAT")]
    log_format: Format,
    /// What is logged: trace, debug, info, warn, error, or a filter.
    #[arg(long, default_value = "info", env = "PENSTOCK_LOG_LEVEL")]
    log_level: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// How a subcommand ended.
enum Outcome {
    Ok,
    Failed,
    Usage,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Ok => Self::SUCCESS,
            Outcome::Failed => Self::from(1),
            Outcome::Usage => Self::from(2),
        }
    }
}

/// Runs the command line of this process. Exit codes: 0 ok, 1 failed, 2 usage.
#[must_use]
pub fn run() -> ExitCode {
    let Cli { command } = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(command)),
        Err(error) => failed(&anyhow::Error::new(error).context("cannot start the runtime")),
    };
    outcome.into()
}

async fn dispatch(command: Command) -> Outcome {
    match command {
        Command::Serve { connect, listen, log } => {
            let format = match log.log_format {
                Format::Text => LogFormat::Text,
                Format::Json => LogFormat::Json,
            };
            if let Err(error) = init_logging(format, &log.log_level) {
                return usage(&error);
            }
            match load(connect, Some(listen)) {
                Ok(config) => {
                    serve::serve(config).await.map_or_else(|e| failed(&e), |()| Outcome::Ok)
                }
                Err(outcome) => outcome,
            }
        }
    }
}

/// The configuration by flag, then environment, then file, then default.
fn load(connect: Connect, listen: Option<Listen>) -> Result<Config, Outcome> {
    let (listen, admin_listen) = listen.map_or((None, None), |l| (l.listen, l.admin_listen));
    let Connect { config: file, redis } = connect;
    let settings = Settings { file, redis, listen, admin_listen, environment: environment() };
    Config::load(&settings).map_err(|problems| usage(&problems))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the command line hands the environment to the config"
)]
fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

fn failed(error: &anyhow::Error) -> Outcome {
    eprintln!("penstock: {error:#}");
    Outcome::Failed
}

fn usage(error: &dyn std::fmt::Display) -> Outcome {
    eprintln!("penstock: {error}");
    Outcome::Usage
}
