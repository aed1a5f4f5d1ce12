//! What the command line hands over.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use super::tls::TlsSettings;

/// What the command line hands over. No `Debug`: environment and URLs hold passwords.
#[derive(Clone, Default)]
pub struct Settings {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// Each `[NAME=]URL` of `--redis` or `PENSTOCK_REDIS`.
    pub redis: Vec<String>,
    /// Where KEDA calls, if a flag or variable says so.
    pub listen: Option<SocketAddr>,
    /// Where probes and metrics are served, if a flag or variable says so.
    pub admin_listen: Option<SocketAddr>,
    /// The server's TLS, as far as flags or variables say.
    pub tls: TlsSettings,
    /// Every environment variable, since the file may name any of them for a password.
    pub environment: BTreeMap<String, String>,
}
