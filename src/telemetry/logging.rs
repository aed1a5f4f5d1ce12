//! How the log is written: text for people at a terminal, JSON for machines by flag.
//!
//! It is set once, by the command line, for the process.

use std::io::{self, IsTerminal};

use tracing_subscriber::{
    EnvFilter, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people, coloured on a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The level is none that is known.
    #[error(
        "log level `{0}` is not one of trace, debug, info, warn, error or a filter like info,penstock=debug"
    )]
    Level(String),
    /// Another log was set up before.
    #[error("the log is already set up")]
    Already,
}

/// Sends the log of this process to standard error.
///
/// # Errors
/// [`LoggingError`] when the level is unknown or a log is set up already.
pub fn init_logging(format: LogFormat, level: &str) -> Result<(), LoggingError> {
    let refused = || LoggingError::Level(level.to_owned());
    // The filter takes a bare word that is no level for the name of a target, and logs nothing.
    let is_no_level = level.is_empty() || level.parse::<LevelFilter>().is_err();
    if !level.contains(['=', ',']) && is_no_level {
        return Err(refused());
    }
    let filter = EnvFilter::builder().parse(level).map_err(|_| refused())?;
    let registry = tracing_subscriber::registry().with(filter);
    let layer = fmt::layer().with_writer(io::stderr).with_target(false);
    let result = match format {
        LogFormat::Text => registry.with(layer.with_ansi(io::stderr().is_terminal())).try_init(),
        LogFormat::Json => {
            registry.with(layer.json().flatten_event(true).with_target(true)).try_init()
        }
    };
    result.map_err(|_| LoggingError::Already)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_none_is_refused_and_never_silences_the_log() {
        for level in ["verbose", "", "penstock", "info,,x=nonsense"] {
            let refused = init_logging(LogFormat::Text, level);
            assert!(matches!(refused, Err(LoggingError::Level(_))), "{level}");
        }
    }
}
