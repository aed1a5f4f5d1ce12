//! The service itself: what may be asked about a trigger, and whether who asks is answered.
//!
//! Transports stand in front of it and only translate: KEDA's protocol in `grpc/`, pages in `http/`. What is
//! true comes from the sampler of the trigger's connection, what a trigger means from the trigger.

mod activity;
mod lease;
mod listing;
mod push;
mod refusal;
mod refusal_log;
mod registry;
mod request;
mod routes;
mod specs;
mod target;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use tracing::warn;

pub use activity::ActivityStream;
pub use listing::Listing;
pub use refusal::{Refusal, Refused};
pub use request::Request;
pub use routes::{Route, Routes};
pub use specs::{Spec, SpecStream};

use crate::{
    config::Quota,
    layouts, limits,
    sampling::{Observation, Sampler, Subject, TooMany, Why},
    telemetry::{Code, Method, Metrics},
    time::Instant,
    trigger::{Verdict, cut},
};

use lease::Lease;
use push::Budget;
use refusal_log::RefusalLog;
use registry::{Fingerprint, KnownTrigger, Registry};
use specs::{Watched, measured};
use target::Pace;

/// What the service does beside answering, and how much of it.
#[derive(Debug, Clone, Copy)]
pub struct ServiceOptions {
    /// The age at which a stream ends with OK, before its jitter of a tenth.
    pub stream_max_age: Duration,
    /// Whether `false` is pushed when a workload becomes inactive (KEDA ≤ 2.17 acts on it).
    pub push_inactive: bool,
    /// Streams that may be open at once.
    pub max_streams: usize,
    /// What one namespace may have.
    pub quota: Quota,
}

/// Answers for the triggers of all connections. Cheap to clone.
#[derive(Clone)]
pub struct Scaler(Arc<ScalerState>);

struct ScalerState {
    routes: Routes,
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    options: ServiceOptions,
    log: RefusalLog,
    budget: Arc<Mutex<Budget>>,
    pace: Arc<Mutex<Pace>>,
    /// As many clones of it as streams are open, and one.
    open: Arc<()>,
    calls: TaskTracker,
    drain: CancellationToken,
}

impl Scaler {
    /// A service of these routes, for triggers of these layouts. Its streams end when `drain` is cancelled.
    #[must_use]
    pub fn new(
        routes: Routes,
        layouts: layouts::Registry,
        metrics: Arc<Metrics>,
        options: ServiceOptions,
        drain: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        let registry = Registry::new(options.quota, layouts, routes.keys().clone(), now);
        Self(Arc::new(ScalerState {
            routes,
            registry,
            metrics,
            options,
            log: RefusalLog::new(now),
            budget: Arc::new(Mutex::new(Budget::new(now))),
            pace: Arc::new(Mutex::new(Pace::new(now))),
            open: Arc::default(),
            calls: TaskTracker::new(),
            drain,
        }))
    }

    /// Comes when the last call and stream have ended.
    pub async fn ended(&self) {
        self.0.calls.close();
        self.0.calls.wait().await;
    }

    /// A token that holds the drain until it is dropped.
    pub fn call(&self) -> TaskTrackerToken {
        self.0.calls.token()
    }

    /// What may be told about a trigger now: its value, and whether the workload should run.
    ///
    /// # Errors
    /// [`Refused`] when there is no such trigger, it may not be asked for, or no value is known of it.
    pub async fn answer(&self, request: Request) -> Result<Verdict, Refused> {
        let (subject, observation) = self.observe(request, Method::GetMetrics).await?;
        value(observation).map_err(|why| Refused::to(&subject, why))
    }

    /// Whether the workload of a trigger should run now, which may be known without a value.
    ///
    /// # Errors
    /// [`Refused`] when there is no such trigger, it may not be asked for, or nothing is known of it.
    pub async fn is_active(&self, request: Request) -> Result<bool, Refused> {
        let (subject, observation) = self.observe(request, Method::IsActive).await?;
        match observation.active() {
            Some(active) => Ok(active),
            None => value(observation)
                .map(|verdict| verdict.active)
                .map_err(|why| Refused::to(&subject, why)),
        }
    }

    async fn observe(
        &self,
        request: Request,
        method: Method,
    ) -> Result<(Arc<Subject>, Observation), Refused> {
        let (subject, sampler) = self.admit(request, method)?;
        let observation = self.or_dismissed(&subject, sampler.current(&subject).await)?;
        Ok((subject, observation))
    }

    /// The pushes of a trigger's activity.
    ///
    /// # Errors
    /// [`Refused`] when there is no such trigger, it may not be asked for, or too many streams are open.
    pub fn watch(&self, request: Request) -> Result<ActivityStream, Refused> {
        let (subject, sampler) = self.admit(request, Method::StreamIsActive)?;
        // First, since a lease keeps what it counts, and a trigger that is not remembered counts no more.
        let watch = self.or_dismissed(&subject, sampler.watch(&subject))?;
        let lease = self.lease(&subject, Method::StreamIsActive)?;
        Ok(ActivityStream::new(
            lease,
            watch,
            self.0.options.push_inactive,
            Arc::clone(&self.0.budget),
        ))
    }

    /// The metric of a request's trigger. Its name is made of the metadata alone and so is its target, but for
    /// `target: auto`, so that who may not ask or has too much gets the same one as when all is well again.
    ///
    /// # Errors
    /// [`Refused`] when there is no such trigger.
    pub fn spec(&self, request: Request) -> Result<Spec, Refused> {
        let (registry, now) = (&self.0.registry, Instant::now());
        let fingerprint = registry.fingerprint(&request);
        let known = match registry.looked_up(fingerprint, Method::GetMetricSpec, now) {
            Some(known) => known,
            None => {
                let subject = request.subject(registry.layouts())?;
                // The same trigger may be remembered in other words.
                let Some(known) = registry.of(&subject) else {
                    let trigger = Arc::clone(&subject.trigger);
                    return Ok(Spec { target: trigger.target, trigger });
                };
                known
            }
        };
        let trigger = Arc::clone(&known.subject.trigger);
        let target = match &known.target {
            None => trigger.target,
            Some(moving) => {
                let measured = measured(&known.subject, &known.sampler);
                moving.lock().asked(measured, now)
            }
        };
        Ok(Spec { trigger, target })
    }

    /// The specs of a trigger whose target follows what is measured.
    ///
    /// # Errors
    /// [`Refusal::FixedSpec`] for all others: KEDA opens such a stream once for each edit of an object that gets this
    /// answer, and shows it nobody; with any other it comes back at least once a minute. What is no trigger gets it too,
    /// whose one spec does not change either. [`Refused`] as for other streams.
    pub fn watch_spec(&self, request: Request) -> Result<SpecStream, Refused> {
        let (method, registry) = (Method::StreamMetricSpec, &self.0.registry);
        let fingerprint = registry.fingerprint(&request);
        let subject = match registry.looked_up(fingerprint, method, Instant::now()) {
            Some(known) => Ok(known.subject),
            None => request.subject(registry.layouts()),
        };
        let moving = subject.ok().filter(|subject| subject.trigger.has_moving_target());
        let subject = moving.ok_or_else(|| Refused::of_no_object(Refusal::FixedSpec))?;
        let admitted = self.let_in(subject, fingerprint, method);
        let (subject, sampler) = admitted.map_err(|refused| {
            // There may be room later.
            let is_for_now = refused.why.code() == Code::ResourceExhausted;
            if is_for_now { refused } else { Refused::of_no_object(Refusal::FixedSpec) }
        })?;
        let watch = self.or_dismissed(&subject, sampler.watch(&subject))?;
        let lease = self.lease(&subject, method)?;
        let target = registry.of(&subject).and_then(|known| known.target);
        let target = target.ok_or_else(|| Refused::of_no_object(Refusal::FixedSpec))?;
        let watched = Watched { subject, sampler, _watch: watch };
        Ok(SpecStream::new(lease, watched, target, Arc::clone(&self.0.pace)))
    }

    /// What is remembered of triggers and may be said of them now, in the order of namespace and name: of those
    /// after this object so many, and the rest of the last object's up to as many again. Nothing is read for
    /// it, and it does not count as being asked for.
    #[must_use]
    pub fn list(&self, after: Option<(&str, &str)>, most: usize) -> Vec<Listing> {
        self.listed(|object| after.is_none_or(|after| object > after), most)
    }

    /// The same for the triggers of one object.
    #[must_use]
    pub fn list_object(&self, object: (&str, &str), most: usize) -> Vec<Listing> {
        self.listed(|other| other == object, most)
    }

    fn listed(&self, which: impl Fn((&str, &str)) -> bool, most: usize) -> Vec<Listing> {
        let now = Instant::now();
        let known = self.0.registry.known(which, most, now);
        known.into_iter().map(|known| Listing::of(known, now)).collect()
    }

    /// How many triggers are remembered.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.registry.count(Instant::now())
    }

    /// The trigger of a request and who answers for it, if its namespace may ask and has room for it.
    fn admit(&self, request: Request, method: Method) -> Result<(Arc<Subject>, Sampler), Refused> {
        let (registry, now) = (&self.0.registry, Instant::now());
        let fingerprint = registry.fingerprint(&request);
        if let Some(found) = registry.asked(fingerprint, method, now) {
            return Ok(found);
        }
        self.let_in(request.subject(registry.layouts())?, fingerprint, method)
    }

    fn let_in(
        &self,
        subject: Arc<Subject>,
        fingerprint: Fingerprint,
        method: Method,
    ) -> Result<(Arc<Subject>, Sampler), Refused> {
        let admitted = (self.0.routes.find(&subject.namespace, &subject.trigger))
            .map_err(Refusal::from)
            .and_then(|sampler| {
                let known = KnownTrigger::new(Arc::clone(&subject), sampler.clone(), fingerprint);
                self.0.registry.admit(known, method, Instant::now())?;
                Ok(sampler.clone())
            });
        match admitted {
            Ok(sampler) => Ok((subject, sampler)),
            Err(why) => Err(Refused::to(&subject, why)),
        }
    }

    /// Gives the quota back when the sampler refuses the trigger.
    fn or_dismissed<T>(
        &self,
        subject: &Arc<Subject>,
        answer: Result<T, TooMany>,
    ) -> Result<T, Refused> {
        answer.map_err(|limit| {
            self.0.registry.dismiss(subject);
            Refused::to(subject, Refusal::Triggers(limit))
        })
    }

    /// What a stream holds. All of them end by themselves before their connection does.
    fn lease(&self, subject: &Arc<Subject>, method: Method) -> Result<Lease, Refused> {
        let open = Arc::clone(&self.0.open);
        let most = self.0.options.max_streams;
        if Arc::strong_count(&open) > most + 1 {
            return Err(Refused::to(subject, Refusal::Streams(most)));
        }
        let place = self.0.registry.open(subject);
        let place = place.map_err(|why| Refused::to(subject, why.into()))?;
        let age = self.0.options.stream_max_age.mul_f64(0.9 + 0.2 * fastrand::f64());
        let ends_at = Instant::now() + age;
        let (metrics, drain) = (Arc::clone(&self.0.metrics), self.0.drain.clone());
        Ok(Lease::new((metrics, method), self.call(), open, place, drain, ends_at))
    }

    /// Counts a call by how it was answered, and logs a refusal that people should know of.
    pub fn note(&self, method: Method, refused: Option<&Refused>) {
        let code = refused.map_or(Code::Ok, |refused| refused.why.code());
        self.0.metrics.rpc(method, code);
        let Some(Refused { object: Some(object), why }) = refused else { return };
        if !refusal_log::is_told(code) {
            return;
        }
        let reason = why.to_string();
        if let Some(suppressed) = self.0.log.tell(object, &reason, Instant::now()) {
            warn!(
                namespace = cut(&object.namespace, limits::OBJECT_NAME_BYTES),
                name = cut(&object.name, limits::OBJECT_NAME_BYTES),
                code = code.text(),
                reason = cut(&reason, limits::REFUSAL_CHARS_SHOWN),
                suppressed = (suppressed > 0).then_some(suppressed),
                "a trigger is refused"
            );
        }
    }
}

/// What is told of a value, or why none is.
fn value(observation: Observation) -> Result<Verdict, Refusal> {
    match observation {
        Observation::Fresh(verdict) | Observation::Stale { verdict, .. } => Ok(verdict),
        Observation::ActivityOnly { why: Why::Mismatch(mismatch), .. }
        | Observation::LayoutMismatch(mismatch) => Err(Refusal::LayoutMismatch(mismatch)),
        Observation::ActivityOnly { why, .. } | Observation::Unavailable(why) => {
            Err(Refusal::Unavailable(why))
        }
    }
}

#[cfg(test)]
mod tests;
