//! The admin side: `/metrics`, `/livez` and `/readyz` over plain HTTP/1.1, and `/triggers` where the
//! configuration says so. It can be bound to another address than gRPC, and gives nothing secret.

mod triggers;

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
    serve::Listener,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    limits,
    peers::{Beyond, Bounds, Guarded, Peers},
    readiness::Readiness,
    scaler::Scaler,
    telemetry::{Door, Metrics},
};

/// The media type of the OpenMetrics text format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A bound socket for the admin side.
#[derive(Debug)]
pub struct AdminListener(TcpListener);

/// Why the admin side could not be served.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    /// The socket failed.
    #[error("admin HTTP: {0}")]
    Serve(io::Error),
}

/// What the admin socket bears.
const BOUNDS: Bounds = Bounds {
    most: limits::ADMIN_PEERS,
    beyond: Beyond::EndOldest,
    first_words: limits::ADMIN_FIRST_WORDS,
    end: limits::ADMIN_CONNECTION_END,
    unheeding: limits::UNHEEDING_BYTES,
};

/// The socket, with a place for each connection.
struct Bounded {
    socket: TcpListener,
    peers: Peers,
}

impl Listener for Bounded {
    type Io = Guarded<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = Listener::accept(&mut self.socket).await;
            if let Some(place) = self.peers.admit(from.ip()) {
                return (Guarded::new(stream, place), from);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.socket.local_addr()
    }
}

#[derive(Clone)]
struct AdminState {
    metrics: Arc<Metrics>,
    readiness: Readiness,
}

impl AdminListener {
    /// Binds an address; port 0 takes a free one.
    ///
    /// # Errors
    /// [`AdminError::Listen`] when it cannot be bound.
    pub async fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let socket = TcpListener::bind(address).await;
        socket.map(Self).map_err(|error| AdminError::Listen { address, error })
    }

    /// Serves until `stop` is cancelled: the triggers of `shown` too, if there is one.
    ///
    /// # Errors
    /// [`AdminError`] when the socket fails.
    pub async fn serve(
        self,
        metrics: Arc<Metrics>,
        readiness: Readiness,
        shown: Option<Scaler>,
        stop: CancellationToken,
    ) -> Result<(), AdminError> {
        let address = self.0.local_addr().map_err(AdminError::Serve)?;
        info!(%address, "serving admin HTTP");
        let metrics_edge = metrics.edge();
        let app = Router::new()
            .route("/metrics", get(encode))
            .route("/livez", get(|| async { "alive\n" }))
            .route("/readyz", get(ready))
            .with_state(AdminState { metrics, readiness });
        let app = match shown {
            Some(scaler) => app.merge(triggers_of(scaler)),
            None => app,
        };
        let peers = Peers::new(Door::Admin, BOUNDS, metrics_edge);
        // An idle peer must not hold the end, so the listener is dropped and not drained.
        let serving = axum::serve(Bounded { socket: self.0, peers }, app);
        tokio::select! {
            served = serving => served.map_err(AdminError::Serve),
            () = stop.cancelled() => Ok(()),
        }
    }
}

fn triggers_of(scaler: Scaler) -> Router {
    Router::new()
        .route("/triggers", get(triggers::all))
        .route("/triggers/{namespace}/{name}", get(triggers::of_object))
        .with_state(scaler)
}

async fn encode(State(shared): State<AdminState>) -> Response {
    match shared.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(reason) => {
            error!(%reason, "the metrics cannot be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn ready(State(shared): State<AdminState>) -> (StatusCode, &'static str) {
    if shared.readiness.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
