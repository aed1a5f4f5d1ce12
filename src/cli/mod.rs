//! The command line: flags, environment, exit codes. The only room that prints, and that names
//! clap and anyhow.
//!
//! Each subcommand has a file or folder of its own; what they share is only how settings are found.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the command line talks to people")]

pub mod check;
mod layouts;
mod nearby;
mod probe;
pub mod serve;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    config::{self, Config, Settings, TlsSettings},
    layouts::{Layout, Registry},
    telemetry::{LogFormat, init_logging},
    trigger::Trigger,
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
    /// Check ScaledObjects, ScaledJobs (YAML) and the server's configuration (TOML), offline unless
    /// --redis is given.
    Check {
        /// The files; - is standard input.
        #[arg(required_unless_present = "acl", value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Print the ACL line of each connection in the configuration: what its user needs to be
        /// allowed, and no more. With manifests: for their triggers alone.
        #[arg(long, requires = "config")]
        acl: bool,
        /// Check the triggers against the connections of this configuration too.
        #[arg(long, value_name = "FILE", env = "PENSTOCK_CONFIG")]
        config: Option<PathBuf>,
        /// Ask this Redis too, [NAME=]URL, whether the keys of the triggers exist and have the types that
        /// are expected. Connections of --config are asked as well. May be given several times.
        #[arg(long, value_name = "[NAME=]URL")]
        redis: Vec<String>,
    },
    /// List the layouts, or show what one of them counts and understands.
    Layouts {
        /// The layout to show.
        name: Option<String>,
        /// The configuration file (TOML), for the layouts in it.
        #[arg(long, value_name = "FILE", env = "PENSTOCK_CONFIG")]
        config: Option<PathBuf>,
        /// Every layout as Markdown, as docs/layouts.md has it.
        #[arg(long, conflicts_with = "name")]
        markdown: bool,
    },
    /// Read one trigger now: commands, replies, arithmetic, value, activity, replicas.
    Probe {
        /// The trigger's metadata, as in the ScaledObject: queue=emails target=5 …
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = pair)]
        metadata: Vec<(String, String)>,
        #[command(flatten)]
        connect: Connect,
        /// The namespace that asks.
        #[arg(long, default_value = "default")]
        namespace: String,
        #[command(flatten)]
        scaling: Scaling,
        /// How the result is written.
        #[arg(long, value_enum, default_value = "text")]
        output: Format,
    },
}

/// What the ScaledObject says beside its trigger.
#[derive(Debug, Args)]
struct Scaling {
    /// The replicas that there are now.
    #[arg(long, default_value_t = 0)]
    replicas: u32,
    /// minReplicaCount.
    #[arg(long, default_value_t = 0)]
    min: u32,
    /// maxReplicaCount.
    #[arg(long, default_value_t = 100)]
    max: u32,
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
    /// Serve gRPC over TLS with this certificate (PEM, then those between it and the authority).
    #[arg(long, value_name = "FILE", env = "PENSTOCK_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM, not encrypted).
    // A key that is given in place of its file begins with hyphens, and clap would repeat it.
    #[arg(
        long,
        value_name = "FILE",
        env = "PENSTOCK_TLS_KEY",
        hide_env_values = true,
        allow_hyphen_values = true
    )]
    tls_key: Option<PathBuf>,
    /// The authorities of clients (PEM): only a client with a certificate of them is served.
    #[arg(long, value_name = "FILE", env = "PENSTOCK_TLS_CLIENT_CA")]
    tls_client_ca: Option<PathBuf>,
    /// A DNS name (also *.parent) or URI in the certificates of clients that are served; all are by
    /// default. May be given several times.
    #[arg(long, value_name = "NAME", env = "PENSTOCK_TLS_CLIENT_NAMES", value_delimiter = ',')]
    tls_client_name: Vec<String>,
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
        Command::Check { files, acl, config, redis } => check(&files, acl, config, redis).await,
        Command::Layouts { name, config, markdown } => match read_config(config.as_deref()) {
            Ok(config) => {
                let known = config.map_or_else(|| Registry::builtin().clone(), |c| c.layouts);
                layouts(&known, name.as_deref(), markdown)
            }
            Err(outcome) => outcome,
        },
        Command::Probe { metadata, connect, namespace, scaling, output } => {
            let config = match load(connect, None) {
                Ok(config) => config,
                Err(outcome) => return outcome,
            };
            let trigger = match Trigger::parse(metadata, &config.layouts) {
                Ok(trigger) => trigger,
                Err(problems) => return usage(&problems),
            };
            let Scaling { replicas: current, min, max } = scaling;
            if max < min.max(1) {
                return usage(&format!("--max {max} must be at least 1 and at least --min {min}"));
            }
            let replicas = probe::Replicas { current, min, max };
            match probe::probe(trigger, &config, &namespace, replicas).await {
                Ok(probe) => show(&probe, output).map_or_else(|e| failed(&e), |()| Outcome::Ok),
                Err(error) => failed(&error),
            }
        }
    }
}

fn layouts(registry: &Registry, name: Option<&str>, markdown: bool) -> Outcome {
    let Some(name) = name else {
        let all = if markdown { layouts::markdown(registry) } else { layouts::list(registry) };
        print!("{all}");
        return Outcome::Ok;
    };
    if let Some(layout) = registry.get(name) {
        print!("{}", layouts::page(layout));
        Outcome::Ok
    } else {
        let known: Vec<&str> = registry.layouts().map(Layout::name).collect();
        usage(&format!("`{name}` is no layout; there is {}", known.join(", ")))
    }
}

/// The configuration in this file alone.
fn read_config(file: Option<&Path>) -> Result<Option<Config>, Outcome> {
    let read = |path: &Path| {
        let unread = |error| usage(&format!("{}: {error}", path.display()));
        let text = config::read_file(path).map_err(unread)?;
        Config::parse(&text, &path.display().to_string()).map_err(|problems| usage(&problems))
    };
    file.map(read).transpose()
}

async fn check(
    files: &[PathBuf],
    acl: bool,
    config: Option<PathBuf>,
    redis: Vec<String>,
) -> Outcome {
    let asks = !redis.is_empty();
    let config = if asks {
        load(Connect { config, redis }, None).map(Some)
    } else {
        read_config(config.as_deref())
    };
    let config = match config {
        Ok(config) => config,
        Err(outcome) => return outcome,
    };
    let mut report = check::check(files, config.as_ref());
    if let Some(config) = config.as_ref().filter(|_| asks) {
        check::ask(&mut report, config).await;
    }
    if let Some(config) = config.as_ref().filter(|_| acl) {
        print!("{}", check::acl(config, check::has_manifest(files).then_some(&report)));
    }
    if files.is_empty() {
        return Outcome::Ok;
    }
    print!("{report}");
    if report.problems() == 0 { Outcome::Ok } else { Outcome::Failed }
}

fn show(probe: &probe::Probe, output: Format) -> anyhow::Result<()> {
    match output {
        Format::Text => print!("{}", probe.text()?),
        Format::Json => println!("{:#}", probe.json()),
    }
    Ok(())
}

/// Splits `KEY=VALUE`.
fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The configuration by flag, then environment, then file, then default.
fn load(connect: Connect, listen: Option<Listen>) -> Result<Config, Outcome> {
    let mut settings = Settings { environment: environment(), ..Settings::default() };
    let Connect { config: file, redis } = connect;
    (settings.file, settings.redis) = (file, redis);
    if let Some(flags) = listen {
        (settings.listen, settings.admin_listen) = (flags.listen, flags.admin_listen);
        settings.tls = TlsSettings {
            cert: flags.tls_cert,
            key: flags.tls_key,
            client_ca: flags.tls_client_ca,
            client_names: flags.tls_client_name,
        };
    }
    Config::load(&settings).map_err(|problems| usage(&problems))
}

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
