//! How KEDA will dial penstock, and whether the server's TLS takes that.
//!
//! These keys are KEDA's own and mean nothing to the trigger (KEDA 2.20, `pkg/scalers/external_scaler.go`:
//! TLS if `enableTLS` is true, or if the TriggerAuthentication has `caCert`, or `tlsClientCert` and
//! `tlsClientKey`).

use serde_json::Value;

use crate::config::Config;

use super::{metadata::Metadata, report::Reporter};

/// Keys that KEDA takes from a TriggerAuthentication alone.
const OF_AUTHENTICATION: [&str; 3] = ["caCert", "tlsClientCert", "tlsClientKey"];

/// Checks the keys of one trigger that are about its connection to penstock. `path` is the
/// trigger's.
pub(super) fn check(
    trigger: &Value,
    metadata: &Metadata<'_>,
    path: &str,
    config: Option<&Config>,
    reporter: &mut Reporter<'_>,
) {
    let at = |key: &str| format!("{path}.metadata.{key}");
    for key in OF_AUTHENTICATION {
        if metadata.get(key).is_some() || metadata.unknown(key).is_some() {
            let what = "does nothing here and is sent in clear; KEDA takes it from \
                        authenticationRef alone";
            reporter.note(&at(key), what);
        }
    }
    let is_true = |key| metadata.get(key).is_some_and(|word| word.eq_ignore_ascii_case("true"));
    if is_true("unsafeSsl") {
        let what = "KEDA then believes whoever answers; give the authority as caCert in a \
                    TriggerAuthentication instead";
        reporter.note(&at("unsafeSsl"), what);
    }
    let (asks, may_ask) = (is_true("enableTLS"), trigger.get("authenticationRef").is_some());
    let Some(config) = config else {
        // An authority for KEDA says that penstock is meant, but not where all of it came along.
        let came_along = ["listName", "stream"].iter().any(|key| metadata.get(key).is_some());
        if asks && (came_along || !may_ask) {
            let what = "lets KEDA dial penstock over TLS, and says nothing of Redis: remove it, unless \
                        penstock serves TLS ([server.tls]); TLS to Redis is the connection's (rediss://)";
            reporter.note(&at("enableTLS"), what);
        }
        return;
    };
    match &config.server.tls {
        None if asks => {
            let what = "the configuration has no [server.tls], so unless flags give one, something \
                        in front of penstock must serve TLS; for Redis the key says nothing here";
            reporter.note(&at("enableTLS"), what);
        }
        Some(_) if !asks && !may_ask => {
            let what = "must be \"true\" (or authenticationRef must bring caCert): penstock serves \
                        TLS alone, by [server.tls]";
            reporter.problem(&at("enableTLS"), what);
        }
        Some(tls) if tls.client_ca.is_some() && !may_ask => {
            let what = "is required, with tlsClientCert and tlsClientKey: penstock asks for a \
                        client's certificate, by client_ca in [server.tls]";
            reporter.problem(&format!("{path}.authenticationRef"), what);
        }
        None | Some(_) => {}
    }
}
