//! Where the server listens and how it pushes.

use std::net::{Ipv4Addr, SocketAddr};

use super::{
    problem::ConfigProblems,
    raw::RawServer,
    scope::Scope,
    settings::Settings,
    spanned::Spanned,
    tls::{self, ServerTls},
};

/// The server's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where KEDA calls (gRPC); port 9090 on every interface by default.
    pub listen: SocketAddr,
    /// Where probes and metrics are served (HTTP); port 9091 on every interface by default.
    pub admin_listen: SocketAddr,
    /// Whether streams also tell that a workload became inactive; KEDA up to 2.17 acts on it.
    pub push_inactive: bool,
    /// Whether the admin side shows what is known of each trigger.
    pub show_triggers: bool,
    /// TLS where KEDA calls; without it all of that is plaintext.
    pub tls: Option<ServerTls>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: every_interface(9090),
            admin_listen: every_interface(9091),
            push_inactive: false,
            show_triggers: false,
            tls: None,
        }
    }
}

impl Server {
    /// The settings of flags, then file, then defaults.
    pub(super) fn settle(
        raw: RawServer,
        flags: &Settings,
        scope: Scope<'_>,
        problems: &mut ConfigProblems,
    ) -> Self {
        let default = Self::default();
        let admin_spot = raw.admin_listen.as_ref().map(|given| given.spot.clone());
        let listen = address(raw.listen, problems);
        let admin_listen = address(raw.admin_listen, problems);
        let server = Self {
            listen: flags.listen.or(listen).unwrap_or(default.listen),
            admin_listen: flags.admin_listen.or(admin_listen).unwrap_or(default.admin_listen),
            push_inactive: raw.push_inactive.is_some_and(|given| given.value),
            show_triggers: raw.show_triggers.is_some_and(|given| given.value),
            tls: tls::settle(raw.tls, &flags.tls, scope, problems),
        };
        if server.listen == server.admin_listen && server.listen.port() != 0 {
            let spot = admin_spot.unwrap_or_else(|| super::Spot::new("--admin-listen"));
            problems.add(&spot, "is the same address as `listen`; give each its own port");
        }
        server
    }
}

fn every_interface(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
}

fn address(given: Option<Spanned<String>>, problems: &mut ConfigProblems) -> Option<SocketAddr> {
    let Spanned { spot, value } = given?;
    let address = value.trim().parse().ok();
    if address.is_none() {
        problems.add(&spot, "must be an IP address and a port, such as 0.0.0.0:9090 or [::]:9090");
    }
    address
}
