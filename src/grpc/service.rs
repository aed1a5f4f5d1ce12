//! The five methods of KEDA's protocol.
//!
//! Each is a translation: the request to a subject, the sampler's observation to an answer or a
//! refusal. Every call holds a token, so that a drain knows when the last one has ended.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use tonic::{Request, Response, Status};
use tracing::warn;

use crate::{
    config::Quota,
    layouts::Registry,
    limits,
    sampling::{Observation, Sampler, Subject, TooMany},
    signals::TargetChange,
    telemetry::{Code, Method, Metrics},
    time::Instant,
    trigger::{Problems, Verdict, cut},
};

use super::{
    decode::{self, NoSubject},
    encode,
    proto::{
        GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse,
        ScaledObjectRef, external_scaler_server::ExternalScaler,
    },
    pulse::Budget,
    routes::Routes,
    status::Refusal,
    stream::{self, Lease, Responses},
    subjects::{Asked, Subjects},
    tenants::Tenants,
    told::{self, Object, Told},
};

/// How streams behave.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// The age at which a stream ends with OK, before its jitter of a tenth.
    pub stream_max_age: Duration,
    /// Whether `false` is pushed when a workload becomes inactive (KEDA ≤ 2.17 acts on it).
    pub push_inactive: bool,
    /// Streams that may be open at once.
    pub max_streams: usize,
    /// What one namespace may have.
    pub quota: Quota,
}

/// The service.
#[derive(Clone)]
pub struct Service(Arc<Shared>);

struct Shared {
    routes: Routes,
    subjects: Subjects,
    metrics: Arc<Metrics>,
    timing: Timing,
    tenants: Arc<Tenants>,
    told: Told,
    budget: Arc<Mutex<Budget>>,
    /// As many clones of it as streams are open, and one.
    open: Arc<()>,
    calls: TaskTracker,
    drain: CancellationToken,
}

impl Service {
    /// A service of these routes, for triggers of these layouts. Its streams end with OK when `drain` is cancelled.
    #[must_use]
    pub fn new(
        (routes, layouts): (Routes, Registry),
        metrics: Arc<Metrics>,
        timing: Timing,
        drain: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        let tenants = Tenants::new(timing.quota, routes.keys().clone(), now);
        Self(Arc::new(Shared {
            routes,
            subjects: Subjects::new(layouts),
            metrics,
            timing,
            tenants,
            told: Told::new(now),
            budget: Arc::new(Mutex::new(Budget::new(now))),
            open: Arc::default(),
            calls: TaskTracker::new(),
            drain,
        }))
    }

    /// Comes when the last call has ended.
    pub(super) async fn ended(&self) {
        self.0.calls.close();
        self.0.calls.wait().await;
    }

    /// The sampler that answers for a subject.
    fn sampler(&self, subject: &Subject) -> Result<&Sampler, Refusal> {
        Ok(self.0.routes.find(&subject.namespace, &subject.trigger)?)
    }

    /// The sampler that answers for a subject whose namespace may ask it and has room for it. Only such a
    /// subject is kept for the next call.
    fn admit(&self, asked: &Asked) -> Result<&Sampler, Refusal> {
        let sampler = self.sampler(&asked.subject)?;
        self.0.tenants.admit(&asked.subject, sampler.name(), Instant::now())?;
        self.0.subjects.keep(asked);
        Ok(sampler)
    }

    /// What KEDA may be told about a trigger now.
    async fn verdict(&self, reference: ScaledObjectRef) -> Result<Verdict, Refused> {
        let asked = self.0.subjects.of(reference)?;
        let verdict = self.verdict_on(&asked).await;
        verdict.map_err(|why| Refused::to(&asked.subject, why))
    }

    async fn verdict_on(&self, asked: &Asked) -> Result<Verdict, Refusal> {
        let sampler = self.admit(asked)?;
        let subject = &asked.subject;
        match self.remembered(subject, sampler.current(subject).await)? {
            Observation::Fresh(verdict) | Observation::Stale { verdict, .. } => Ok(verdict),
            Observation::Unavailable(why) => Err(Refusal::Unavailable(why)),
            Observation::Misfit(misfit) => Err(Refusal::Misfit(misfit)),
        }
    }

    /// A trigger that the sampler has no room for counts for nobody.
    fn remembered<T>(
        &self,
        subject: &Arc<Subject>,
        answer: Result<T, TooMany>,
    ) -> Result<T, Refusal> {
        answer.map_err(|limit| {
            self.0.tenants.dismiss(subject);
            Refusal::from(limit)
        })
    }

    fn call(&self) -> TaskTrackerToken {
        self.0.calls.token()
    }

    fn lease(&self, subject: &Arc<Subject>) -> Result<Lease, Refusal> {
        let open = Arc::clone(&self.0.open);
        let most = self.0.timing.max_streams;
        if Arc::strong_count(&open) > most + 1 {
            return Err(Refusal::Streams(most));
        }
        let place = self.0.tenants.open(subject)?;
        self.0.metrics.streams(Method::StreamIsActive, 1);
        let age = self.0.timing.stream_max_age.mul_f64(0.9 + 0.2 * fastrand::f64());
        Ok(Lease {
            metrics: Arc::clone(&self.0.metrics),
            _call: self.call(),
            _open: open,
            _place: place,
            drain: self.0.drain.clone(),
            ends_at: Instant::now() + age,
        })
    }

    /// Counts an answer and makes a response or a status of it.
    fn respond<T>(
        &self,
        method: Method,
        answer: Result<T, Refused>,
    ) -> Result<Response<T>, Status> {
        let code = answer.as_ref().err().map_or(Code::Ok, |refused| refused.why.code());
        self.0.metrics.rpc(method, code);
        answer.map(Response::new).map_err(|Refused { object, why }| {
            let status = Status::from(why);
            if let Some(object) = object.filter(|_| told::is_told(code)) {
                self.tell(&object, code, &status);
            }
            status
        })
    }

    fn tell(&self, object: &Object, code: Code, status: &Status) {
        if let Some(unsaid) = self.0.told.tell(object, status.message(), Instant::now()) {
            warn!(
                namespace = cut(&object.namespace, limits::OBJECT_NAME_BYTES),
                name = cut(&object.name, limits::OBJECT_NAME_BYTES),
                code = code.text(),
                reason = cut(status.message(), limits::REFUSAL_CHARS_SHOWN),
                unsaid = (unsaid > 0).then_some(unsaid),
                "a trigger is refused"
            );
        }
    }

    async fn is_active(&self, reference: ScaledObjectRef) -> Result<IsActiveResponse, Refused> {
        let verdict = self.verdict(reference).await?;
        Ok(encode::activity(verdict.active))
    }

    async fn metrics(&self, request: GetMetricsRequest) -> Result<GetMetricsResponse, Refused> {
        let of_nobody = |problems: Problems| Refused { object: None, why: problems.into() };
        let (reference, metric_name) = decode::metric(request).map_err(of_nobody)?;
        let verdict = self.verdict(reference).await?;
        Ok(encode::value(&verdict, metric_name))
    }

    /// The spec, made of the metadata alone, so that who may not ask or has too much gets the same one as
    /// when all is well again. It is never refused: KEDA tells nobody why a spec is missing, and leaves the
    /// trigger out of the HPA, or out of a ScaledJob's sum. What the other methods are refused with is told
    /// in an event of the object, and freezes the workload.
    fn spec(&self, reference: ScaledObjectRef) -> GetMetricSpecResponse {
        match self.0.subjects.of(reference) {
            Ok(asked) => encode::spec(&asked.subject.trigger),
            Err(_refused) => encode::refused_spec(),
        }
    }

    fn activity(&self, reference: ScaledObjectRef) -> Result<Responses<IsActiveResponse>, Refused> {
        let asked = self.0.subjects.of(reference)?;
        self.activity_of(&asked).map_err(|why| Refused::to(&asked.subject, why))
    }

    fn activity_of(&self, asked: &Asked) -> Result<Responses<IsActiveResponse>, Refusal> {
        let (sampler, subject) = (self.admit(asked)?, &asked.subject);
        // First, since a lease keeps what it counts, and a trigger that is not remembered counts no more.
        let watch = self.remembered(subject, sampler.watch(subject))?;
        let lease = self.lease(subject)?;
        Ok(stream::activity(lease, watch, self.0.timing, Arc::clone(&self.0.budget)))
    }

    /// Why no spec is streamed. KEDA opens such a stream once for each edit of an object that gets this
    /// answer, and shows it nobody; with any other it comes back at least once a minute. So who is refused
    /// gets it too: the one spec of what is no trigger does not change either.
    fn specs(&self, reference: ScaledObjectRef) -> Refused {
        let asked = self.0.subjects.of(reference);
        match asked.map(|asked| asked.subject.trigger.signal.kind().target_change()) {
            Ok(TargetChange::WithMetadata) | Err(_) => {
                Refused { object: None, why: Refusal::FixedSpec }
            }
        }
    }
}

/// A call that is not answered with a value: why, and of whose object, for the log.
struct Refused {
    object: Option<Object>,
    why: Refusal,
}

impl Refused {
    fn to(subject: &Subject, why: Refusal) -> Self {
        let (namespace, name) = (subject.namespace.clone(), subject.name.clone());
        Self { object: Some(Object { namespace, name }), why }
    }
}

impl From<NoSubject> for Refused {
    fn from(NoSubject { namespace, name, problems }: NoSubject) -> Self {
        Self { object: Some(Object { namespace, name }), why: problems.into() }
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
        let _call = self.call();
        let answer = self.is_active(request.into_inner()).await;
        self.respond(Method::IsActive, answer)
    }

    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        self.respond(Method::StreamIsActive, self.activity(request.into_inner()))
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        let _call = self.call();
        let answer = self.spec(request.into_inner());
        self.respond(Method::GetMetricSpec, Ok(answer))
    }

    async fn get_metrics(
        &self,
        request: Request<GetMetricsRequest>,
    ) -> Result<Response<GetMetricsResponse>, Status> {
        let _call = self.call();
        let answer = self.metrics(request.into_inner()).await;
        self.respond(Method::GetMetrics, answer)
    }

    async fn stream_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamMetricSpecStream>, Status> {
        let refused = self.specs(request.into_inner());
        self.respond(Method::StreamMetricSpec, Err(refused))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{super::Route, *};
    use crate::{config::Config, limits, sampling::KeyShares, telemetry::Link};

    /// A service that lets so many streams be open, and whose Redis is never there.
    fn service(max_streams: usize) -> Service {
        let toml = "[redis.default]\nurl = \"redis://127.0.0.1:6379/0\"";
        let mut config = Config::parse(toml, "test").unwrap();
        let access = config.connections.remove("default").unwrap().access;
        let metrics = Metrics::new();
        let link = metrics.link(Link { connection: "default".to_owned(), database: 0 });
        let sampler = Sampler::new("default".to_owned(), limits::HOLD_STALE, link);
        let route = Route { access, samplers: BTreeMap::from([(0, sampler)]) };
        let quota = Quota::default();
        let all = BTreeMap::from([("default".to_owned(), route)]);
        let routes = Routes::new(all, KeyShares::new(quota.keys));
        let stream_max_age = limits::STREAM_MAX_AGE;
        let timing = Timing { stream_max_age, push_inactive: false, max_streams, quota };
        let layouts = Registry::builtin().clone();
        Service::new((routes, layouts), metrics, timing, CancellationToken::new())
    }

    fn reference(name: &str) -> Request<ScaledObjectRef> {
        Request::new(ScaledObjectRef {
            name: name.to_owned(),
            namespace: "ns".to_owned(),
            scaler_metadata: [("queue".to_owned(), "q".to_owned())].into(),
        })
    }

    #[tokio::test]
    async fn a_stream_too_many_is_refused_until_another_ends_and_calls_are_answered() {
        let service = service(2);
        let one = service.stream_is_active(reference("a")).await.unwrap();
        let _two = service.stream_is_active(reference("b")).await.unwrap();
        let status = service.stream_is_active(reference("c")).await.map(drop).unwrap_err();
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        assert_eq!(status.message(), "2 streams are open, the limit of this server");
        assert!(service.get_metric_spec(reference("c")).await.is_ok());
        drop(one);
        assert!(service.stream_is_active(reference("c")).await.is_ok());
    }
}
