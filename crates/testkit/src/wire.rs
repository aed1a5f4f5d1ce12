//! KEDA's side of the protocol, written down again by hand: names and numbers of the messages as
//! KEDA has them (`pkg/scalers/externalscaler/externalscaler.proto`, v2.20 and main).
//!
//! It shares no code with the server, so that a slip in the server's own `.proto` is seen.

use std::collections::HashMap;

use tonic::{
    Code, Request, Status, Streaming,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

/// `ScaledObjectRef`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Trigger {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub namespace: String,
    #[prost(map = "string, string", tag = "3")]
    pub metadata: HashMap<String, String>,
}

/// `IsActiveResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Activity {
    #[prost(bool, tag = "1")]
    pub result: bool,
}

/// `GetMetricSpecResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Specs {
    #[prost(message, repeated, tag = "1")]
    pub specs: Vec<Spec>,
}

/// `MetricSpec`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Spec {
    #[prost(string, tag = "1")]
    pub metric_name: String,
    #[prost(int64, tag = "2")]
    pub target_size: i64,
    #[prost(double, tag = "3")]
    pub target_size_float: f64,
}

/// `GetMetricsRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub struct MetricsRequest {
    #[prost(message, optional, tag = "1")]
    pub trigger: Option<Trigger>,
    #[prost(string, tag = "2")]
    pub metric_name: String,
}

/// `GetMetricsResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Metrics {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Value>,
}

/// `MetricValue`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Value {
    #[prost(string, tag = "1")]
    pub metric_name: String,
    #[prost(int64, tag = "2")]
    pub value: i64,
    #[prost(double, tag = "3")]
    pub value_float: f64,
}

/// A trigger of the ScaledObject `worker` in the namespace `jobs`.
pub fn trigger<K: Into<String>, V: Into<String>>(
    metadata: impl IntoIterator<Item = (K, V)>,
) -> Trigger {
    Trigger {
        name: "worker".to_owned(),
        namespace: "jobs".to_owned(),
        metadata: metadata.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
    }
}

/// A trigger of the layout `keys` on one queue.
pub fn queue(name: &str) -> Trigger {
    trigger([("queue", name)])
}

/// KEDA's operator, as far as the wire sees it. Clones share one HTTP/2 connection.
#[derive(Debug, Clone)]
pub struct Keda(Channel);

impl Keda {
    pub async fn connect(address: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self(endpoint.connect().await.unwrap())
    }

    /// A peer that lets each stream send it one byte until it reads.
    pub async fn connect_narrow(address: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self(endpoint.initial_stream_window_size(1).connect().await.unwrap())
    }

    /// Over a connection that somebody else made.
    pub fn over(channel: Channel) -> Self {
        Self(channel)
    }

    /// The connection, for other services on it.
    pub fn channel(&self) -> Channel {
        self.0.clone()
    }

    async fn ready(&self) -> Grpc<Channel> {
        let mut grpc = Grpc::new(self.0.clone());
        grpc.ready().await.unwrap();
        grpc
    }

    async fn unary<Q, A>(&self, method: &'static str, request: Request<Q>) -> Result<A, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let codec = ProstCodec::<Q, A>::default();
        let answer = self.ready().await.unary(request, path(method), codec).await;
        answer.map(tonic::Response::into_inner)
    }

    async fn stream<A>(
        &self,
        method: &'static str,
        trigger: &Trigger,
    ) -> Result<Streaming<A>, Status>
    where
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let codec = ProstCodec::<Trigger, A>::default();
        let request = Request::new(trigger.clone());
        let answer = self.ready().await.server_streaming(request, path(method), codec).await;
        answer.map(tonic::Response::into_inner)
    }

    pub async fn get_metric_spec(&self, trigger: &Trigger) -> Result<Specs, Status> {
        self.unary("GetMetricSpec", Request::new(trigger.clone())).await
    }

    pub async fn get_metrics(&self, request: MetricsRequest) -> Result<Metrics, Status> {
        self.unary("GetMetrics", Request::new(request)).await
    }

    pub async fn is_active(&self, trigger: &Trigger) -> Result<bool, Status> {
        self.is_active_with(Request::new(trigger.clone())).await
    }

    /// With what else a request may carry: headers, or another message.
    pub async fn is_active_with<Q>(&self, request: Request<Q>) -> Result<bool, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
    {
        let answer: Activity = self.unary("IsActive", request).await?;
        Ok(answer.result)
    }

    pub async fn stream_is_active(&self, trigger: &Trigger) -> Result<Streaming<Activity>, Status> {
        self.stream("StreamIsActive", trigger).await
    }

    pub async fn stream_metric_spec(&self, trigger: &Trigger) -> Result<Streaming<Specs>, Status> {
        self.stream("StreamMetricSpec", trigger).await
    }

    /// What a trigger that is refused is told by every method that carries refusals, after a look at what
    /// the others say: a spec, always the same, and that no spec is ever streamed.
    pub async fn refusals(&self, trigger: &Trigger) -> [Status; 3] {
        let specs = self.get_metric_spec(trigger).await.unwrap();
        let [Spec { metric_name, target_size, target_size_float }] = specs.specs.as_slice() else {
            panic!("not one spec: {specs:?}")
        };
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        assert!(!metric_name.is_empty() && metric_name.chars().all(legal), "{metric_name}");
        assert!(*target_size >= 1 && *target_size_float >= 0.001, "{specs:?}");
        assert_eq!(self.get_metric_spec(trigger).await.unwrap(), specs, "it is always the same");
        let streamed = self.stream_metric_spec(trigger).await.unwrap_err();
        assert_eq!(streamed.code(), Code::Unimplemented, "{streamed}");
        let metric_name = "whatever is asked".to_owned();
        let request = MetricsRequest { trigger: Some(trigger.clone()), metric_name };
        [
            self.get_metrics(request).await.unwrap_err(),
            self.is_active(trigger).await.unwrap_err(),
            self.stream_is_active(trigger).await.unwrap_err(),
        ]
    }

    /// The one value of a trigger, after a look at what must hold for every answer.
    pub async fn value(&self, trigger: &Trigger) -> Result<f64, Status> {
        let metric_name = "the-name-that-is-asked".to_owned();
        let request = MetricsRequest { trigger: Some(trigger.clone()), metric_name };
        let answer = self.get_metrics(request).await?;
        let [value] = answer.values.as_slice() else { panic!("not one value: {answer:?}") };
        assert_eq!(value.metric_name, "the-name-that-is-asked");
        assert!((0.0..=1e12).contains(&value.value_float), "{value:?}");
        let rounded_up = format!("{:.0}", value.value_float.ceil());
        assert_eq!(value.value.to_string(), rounded_up, "{value:?}");
        Ok(value.value_float)
    }
}

fn path(method: &str) -> PathAndQuery {
    format!("/externalscaler.ExternalScaler/{method}").parse().unwrap()
}
