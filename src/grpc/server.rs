//! The listener: HTTP/2 as KEDA needs it, health and reflection beside the service, and the drain.
//!
//! Facts about tonic 0.14 and KEDA's client: no limit of streams that a fleet could reach (at one KEDA blocks
//! without an error), keepalive to reap dead peers, a maximum age with its GOAWAY so that new replicas are
//! found (and never tonic's `_grace`, which skips the GOAWAY).

use std::{io, net::SocketAddr};

use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tracing::info;

use crate::{limits, readiness::Readiness, scaler::Scaler, telemetry::Metrics};

use super::{
    health, incoming,
    intake::Intake,
    proto::{DESCRIPTORS, external_scaler_server::ExternalScalerServer},
    service::Service,
    tls::{Terms, Tls},
};

/// A bound socket for gRPC.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    terms: Option<Terms>,
}

/// Why the server could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    /// The descriptors that were compiled in cannot be read.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("transport: {0}")]
    Transport(#[from] tonic::transport::Error),
}

impl Listener {
    /// Binds an address; port 0 takes a free one.
    ///
    /// # Errors
    /// [`ServerError::Listen`] when it cannot be bound.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServerError> {
        let listen = |error| ServerError::Listen { address, error };
        let socket = TcpListener::bind(address).await.map_err(listen)?;
        let address = socket.local_addr().map_err(listen)?;
        Ok(Self { socket, address, terms: None })
    }

    /// Takes connections over TLS alone, with the certificates that `tls` has at that moment.
    #[must_use]
    pub fn with_tls(self, tls: &Tls) -> Self {
        Self { terms: Some(tls.terms()), ..self }
    }

    /// The address that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `drain` is cancelled, then ends: health says NOT_SERVING, streams end with OK,
    /// calls in progress finish. What else a peer holds open (a health watch, a reflection stream,
    /// an idle connection) does not hold the end.
    ///
    /// # Errors
    /// [`ServerError`] when the transport fails.
    pub async fn serve(
        self,
        scaler: Scaler,
        metrics: &Metrics,
        readiness: Readiness,
        drain: CancellationToken,
    ) -> Result<(), ServerError> {
        let (reporter, health_service) = tonic_health::server::health_reporter();
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        };
        let service = ExternalScalerServer::new(Service(scaler.clone()))
            .max_decoding_message_size(limits::REQUEST_BYTES);
        let intake = Intake::new(metrics.edge());
        let (interval, patience) = limits::KEEPALIVE;
        let router = Server::builder()
            .max_concurrent_streams(limits::CONNECTION_STREAMS)
            .http2_max_header_list_size(limits::HEADER_BYTES)
            .http2_max_local_error_reset_streams(Some(limits::FAULTY_STREAMS))
            .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
            .http2_max_pending_accept_reset_streams(Some(limits::CANCELLED_UNSEEN))
            .max_connection_age(limits::CONNECTION_MAX_AGE)
            .http2_keepalive_interval(Some(interval))
            .http2_keepalive_timeout(Some(patience))
            .add_service(intake.keda(service))
            .add_service(intake.side(health_service))
            .add_service(intake.side(reflection().build_v1()?))
            .add_service(intake.side(reflection().build_v1alpha()?));
        health::serving(&reporter).await;
        readiness.serving();
        let tls = self.terms.is_some();
        info!(address = %self.address, tls, "serving gRPC");
        let incoming = incoming::connections(self.socket, self.terms, metrics.edge());
        let stop = CancellationToken::new();
        let serving = router.serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
        let drained = async {
            drain.cancelled().await;
            readiness.draining();
            health::draining(&reporter).await;
            stop.cancel();
            scaler.ended().await;
            sleep(limits::DRAIN_FLUSH).await;
        };
        tokio::select! {
            served = serving => Ok(served?),
            () = bounded(&drain, drained) => Ok(()),
        }
    }
}

/// Ends with `drained`, or a little before the bound of the whole drain.
async fn bounded(drain: &CancellationToken, drained: impl Future<Output = ()>) {
    let bound = async {
        drain.cancelled().await;
        let most = limits::DRAIN_DEADLINE - 2 * limits::DRAIN_FLUSH;
        timeout(most, std::future::pending::<()>()).await.unwrap_or(());
    };
    tokio::select! {
        () = drained => {}
        () = bound => {}
    }
}
