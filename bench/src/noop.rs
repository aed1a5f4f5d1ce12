//! A server of the same protocol that knows nothing: the cost of gRPC itself.
//!
//! It shares nothing with the service but the transport, whose settings are the service's own; so whatever
//! penstock costs beyond it is penstock's. It ends with the bench.

use std::pin::Pin;

use anyhow::Context;
use penstock::limits;
use serde_json::json;
use tokio::{io::AsyncReadExt, net::TcpListener};
use tokio_stream::{Stream, StreamExt};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

use crate::proto::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec,
    MetricValue, ScaledObjectRef,
    external_scaler_server::{ExternalScaler, ExternalScalerServer},
};

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// One message, and a stream that stays open.
fn one<T: Send + 'static>(message: T) -> Messages<T> {
    Box::pin(tokio_stream::once(Ok(message)).chain(tokio_stream::pending()))
}

fn spec() -> GetMetricSpecResponse {
    let metric_name = "penstock-bench-nothing".to_owned();
    let spec = MetricSpec { metric_name, target_size: 5, target_size_float: 5.0 };
    GetMetricSpecResponse { metric_specs: vec![spec] }
}

struct Noop;

#[tonic::async_trait]
impl ExternalScaler for Noop {
    type StreamIsActiveStream = Messages<IsActiveResponse>;
    type StreamMetricSpecStream = Messages<GetMetricSpecResponse>;

    async fn is_active(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<IsActiveResponse>, Status> {
        Ok(Response::new(IsActiveResponse { result: false }))
    }

    async fn stream_is_active(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        Ok(Response::new(one(IsActiveResponse { result: false })))
    }

    async fn get_metric_spec(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        Ok(Response::new(spec()))
    }

    async fn get_metrics(
        &self,
        request: Request<GetMetricsRequest>,
    ) -> Result<Response<GetMetricsResponse>, Status> {
        let metric_name = request.into_inner().metric_name;
        let value = MetricValue { metric_name, metric_value: 3, metric_value_float: 3.0 };
        Ok(Response::new(GetMetricsResponse { metric_values: vec![value] }))
    }

    async fn stream_metric_spec(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamMetricSpecStream>, Status> {
        Ok(Response::new(one(spec())))
    }
}

/// Serves until standard input ends, which it does with the bench. `tell` is given the line that
/// says where, in the form of the service's own log.
pub async fn serve(tell: impl Fn(String)) -> anyhow::Result<()> {
    let socket = TcpListener::bind("127.0.0.1:0").await.context("cannot listen")?;
    let address = socket.local_addr()?.to_string();
    tell(json!({ "message": "serving gRPC", "address": address }).to_string());
    let (interval, patience) = limits::KEEPALIVE;
    let router = Server::builder()
        .max_concurrent_streams(None)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .http2_max_pending_accept_reset_streams(Some(limits::CANCELLED_UNSEEN))
        .max_connection_age(limits::CONNECTION_MAX_AGE)
        .http2_keepalive_interval(Some(interval))
        .http2_keepalive_timeout(Some(patience))
        .add_service(
            ExternalScalerServer::new(Noop).max_decoding_message_size(limits::REQUEST_BYTES),
        );
    let incoming = TcpIncoming::from(socket).with_nodelay(Some(true));
    let mut rest = Vec::new();
    let mut input = tokio::io::stdin();
    tokio::select! {
        served = router.serve_with_incoming(incoming) => Ok(served?),
        _ = input.read_to_end(&mut rest) => Ok(()),
    }
}
