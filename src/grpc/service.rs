//! The five methods of KEDA's protocol: each is a translation of a request to the scaler, and of its answer
//! or refusal back.

use std::pin::Pin;

use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use crate::{
    scaler::{Refused, Scaler},
    telemetry::Method,
};

use super::{
    decode, encode,
    proto::{
        GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse,
        ScaledObjectRef, external_scaler_server::ExternalScaler,
    },
    status,
};

/// A stream of messages to one peer.
type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service as tonic serves it.
#[derive(Clone)]
pub(super) struct Service(pub(super) Scaler);

impl Service {
    /// Notes an answer, and makes a response or a status of it.
    fn respond<T>(
        &self,
        method: Method,
        answer: Result<T, Refused>,
    ) -> Result<Response<T>, Status> {
        self.0.note(method, answer.as_ref().err());
        answer.map(Response::new).map_err(|refused| status::of(&refused.why))
    }

    async fn metrics(&self, request: GetMetricsRequest) -> Result<GetMetricsResponse, Refused> {
        let (request, metric_name) = decode::metric(request)?;
        let verdict = self.0.answer(request).await?;
        Ok(encode::value(&verdict, metric_name))
    }

    /// The spec is never refused: KEDA tells nobody why one is missing, and leaves the trigger out of the HPA,
    /// or out of a ScaledJob's sum. What the other methods are refused with is told in an event of the object,
    /// and freezes the workload.
    fn spec(&self, reference: ScaledObjectRef) -> GetMetricSpecResponse {
        match self.0.spec(decode::request(reference)) {
            Ok(spec) => encode::spec(&spec),
            Err(_refused) => encode::refused_spec(),
        }
    }
}

#[tonic::async_trait]
impl ExternalScaler for Service {
    type StreamIsActiveStream = Responses<IsActiveResponse>;
    type StreamMetricSpecStream = Responses<GetMetricSpecResponse>;

    async fn is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<IsActiveResponse>, Status> {
        let _call = self.0.call();
        let request = decode::request(request.into_inner());
        let active = self.0.is_active(request).await;
        self.respond(Method::IsActive, active.map(encode::activity))
    }

    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let pushes = self.0.watch(decode::request(request.into_inner()));
        let answer = pushes.map(|pushes| {
            let messages = pushes.map(|active| Ok(encode::activity(active)));
            Box::pin(messages) as Self::StreamIsActiveStream
        });
        self.respond(Method::StreamIsActive, answer)
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        let _call = self.0.call();
        let answer = self.spec(request.into_inner());
        self.respond(Method::GetMetricSpec, Ok(answer))
    }

    async fn get_metrics(
        &self,
        request: Request<GetMetricsRequest>,
    ) -> Result<Response<GetMetricsResponse>, Status> {
        let _call = self.0.call();
        let answer = self.metrics(request.into_inner()).await;
        self.respond(Method::GetMetrics, answer)
    }

    async fn stream_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamMetricSpecStream>, Status> {
        let specs = self.0.watch_spec(decode::request(request.into_inner()));
        let answer = specs.map(|specs| {
            let messages = specs.map(|spec| Ok(encode::spec(&spec)));
            Box::pin(messages) as Self::StreamMetricSpecStream
        });
        self.respond(Method::StreamMetricSpec, answer)
    }
}
