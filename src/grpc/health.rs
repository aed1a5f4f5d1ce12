//! gRPC health for the server as a whole (`""`) and for KEDA's service. Both names always say the same:
//! SERVING from the first call to the drain. Redis has no say in it (design rule 9).

use tonic_health::{ServingStatus, server::HealthReporter};

/// The name under which KEDA's service reports.
const SERVICE: &str = "externalscaler.ExternalScaler";

/// Says that calls are served.
pub(super) async fn serving(reporter: &HealthReporter) {
    set(reporter, ServingStatus::Serving).await;
}

/// Says that no more calls should come.
pub(super) async fn draining(reporter: &HealthReporter) {
    set(reporter, ServingStatus::NotServing).await;
}

async fn set(reporter: &HealthReporter, status: ServingStatus) {
    for name in ["", SERVICE] {
        reporter.set_service_status(name, status).await;
    }
}
