//! A client that speaks to an external scaler as KEDA 2.20 does: which calls, in which order, over
//! one connection.
//!
//! It knows nothing of how the scaler finds its answers.

use std::collections::HashMap;

use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};

use crate::proto::{
    GetMetricsRequest, IsActiveResponse, ScaledObjectRef,
    external_scaler_client::ExternalScalerClient,
};

/// KEDA's side of one trigger of one ScaledObject.
#[derive(Debug, Clone)]
pub struct KedaClient {
    client: ExternalScalerClient<Channel>,
    reference: ScaledObjectRef,
}

/// What one poll of a trigger gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Polled {
    /// The metric's name.
    pub metric_name: String,
    /// The target per replica.
    pub target: f64,
    /// The metric's value.
    pub value: f64,
    /// Whether the workload should run.
    pub active: bool,
}

/// Why a poll gave nothing. KEDA treats a failing `GetMetricSpec` differently from the other two.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The scaler cannot be reached at all.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// `GetMetricSpec` failed or gave no spec.
    #[error("GetMetricSpec: {0}")]
    Spec(String),
    /// `GetMetrics`, `IsActive` or `StreamIsActive` failed.
    #[error("{0}")]
    Call(String),
}

/// An open `StreamIsActive`.
#[derive(Debug)]
pub struct Pushes(Streaming<IsActiveResponse>);

impl KedaClient {
    /// Connects to a scaler at `host:port`, for an object with one trigger of this metadata.
    ///
    /// # Errors
    /// [`CallError::Connect`] when it cannot be reached.
    pub async fn connect(
        address: &str,
        (namespace, name): (&str, &str),
        metadata: HashMap<String, String>,
    ) -> Result<Self, CallError> {
        let connect = |error: tonic::transport::Error| CallError::Connect(error.to_string());
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(connect)?;
        let channel = endpoint.connect().await.map_err(connect)?;
        let reference = ScaledObjectRef {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            scaler_metadata: metadata,
        };
        Ok(Self { client: ExternalScalerClient::new(channel), reference })
    }

    /// One poll: `GetMetricSpec`, then `GetMetrics`, then `IsActive` (KEDA 2.20,
    /// `pkg/scaling/scale_handler.go` and `pkg/scalers/external_scaler.go`).
    ///
    /// # Errors
    /// [`CallError`] for the first call that fails.
    pub async fn poll(&mut self) -> Result<Polled, CallError> {
        let specs = self.client.get_metric_spec(self.reference.clone()).await;
        let specs = specs.map_err(|status| CallError::Spec(text(&status)))?.into_inner();
        let spec = specs.metric_specs.into_iter().next();
        let spec = spec.ok_or_else(|| CallError::Spec("an empty metric spec".to_owned()))?;
        let request = GetMetricsRequest {
            scaled_object_ref: Some(self.reference.clone()),
            metric_name: spec.metric_name.clone(),
        };
        let metrics = self.client.get_metrics(request).await.map_err(call)?.into_inner();
        let value = metrics.metric_values.first().map(|value| value.metric_value_float);
        let value = value.ok_or_else(|| CallError::Call("no metric value".to_owned()))?;
        let activity = self.client.is_active(self.reference.clone()).await.map_err(call)?;
        Ok(Polled {
            metric_name: spec.metric_name,
            target: spec.target_size_float,
            value,
            active: activity.into_inner().result,
        })
    }

    /// Opens `StreamIsActive`.
    ///
    /// # Errors
    /// [`CallError::Call`] when the scaler refuses.
    pub async fn pushes(&mut self) -> Result<Pushes, CallError> {
        let stream = self.client.stream_is_active(self.reference.clone()).await;
        stream.map(|response| Pushes(response.into_inner())).map_err(call)
    }
}

impl Pushes {
    /// The next activity that is pushed; `None` when the scaler ends the stream with OK.
    ///
    /// # Errors
    /// [`CallError::Call`] when the stream breaks.
    pub async fn next(&mut self) -> Result<Option<bool>, CallError> {
        let message = self.0.message().await;
        message.map(|message| message.map(|message| message.result)).map_err(call)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn call(status: Status) -> CallError {
    CallError::Call(text(&status))
}

fn text(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}
