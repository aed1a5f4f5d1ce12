//! The sampler against a model of Redis, in paused time: what calls and streams are told, whatever
//! Redis does meanwhile.

mod absence;
mod bounds;
mod calls;
mod exactness;
mod falls;
mod lasting;
mod model;
mod order;
mod outages;
mod patterns;
mod quarantine;
mod shares;
mod streams;
mod truth;

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{KeyShares, Observation, Sampler, Subject, Watch, Why};
use crate::{
    layouts::{Allowed, Registry},
    limits, telemetry,
    trigger::Trigger,
};

pub use model::Redis;

/// A sampler that runs against a model of Redis.
struct World {
    redis: Redis,
    sampler: Sampler,
    stop: CancellationToken,
    metrics: Arc<telemetry::Metrics>,
    tasks: JoinSet<()>,
}

impl World {
    /// A sampler that has not begun to connect.
    fn new(redis: Redis) -> Self {
        Self::allowing(redis, Allowed::all())
    }

    /// A sampler that is connected, and may read these keys alone.
    async fn reading(allowed: Allowed) -> Self {
        let world = Self::allowing(Redis::new(true), allowed);
        ms(20).await;
        world
    }

    /// A sampler that is connected, and shares these keys out.
    async fn sharing(keys: KeyShares) -> Self {
        let world = Self::of(Redis::new(true), |sampler| sampler.sharing(keys));
        ms(20).await;
        world
    }

    fn allowing(redis: Redis, allowed: Allowed) -> Self {
        Self::of(redis, |sampler| sampler.reading(allowed))
    }

    fn of(redis: Redis, with: impl FnOnce(Sampler) -> Sampler) -> Self {
        let metrics = telemetry::Metrics::new();
        let link = telemetry::LinkLabels { connection: "default".to_owned(), database: 0 };
        let sampler = Sampler::new("default".to_owned(), limits::HOLD_STALE, metrics.link(link));
        let sampler = with(sampler);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(sampler.run(redis.clone(), stop.clone()));
        Self { redis, sampler, stop, metrics, tasks }
    }

    /// A sampler that is connected to a Redis that announces changes.
    async fn tracked() -> Self {
        Self::connected(Redis::new(true)).await
    }

    /// A sampler that is connected to a Redis that announces nothing.
    async fn untracked() -> Self {
        Self::connected(Redis::new(false)).await
    }

    async fn connected(redis: Redis) -> Self {
        let world = Self::new(redis);
        ms(20).await;
        assert_eq!(world.redis.connects(), 1);
        world
    }

    /// What a call is told, and it is told within its deadline.
    async fn ask(&self, subject: &Arc<Subject>) -> Observation {
        let answer = timeout(limits::CALL_DEADLINE, self.sampler.current(subject)).await;
        answer.expect("an answer within the call's deadline").unwrap()
    }

    fn watch(&self, subject: &Arc<Subject>) -> Watch {
        self.sampler.watch(subject).unwrap()
    }

    /// The sum of a counter or gauge over its labels.
    fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.encode().unwrap();
        let of_name = text.lines().filter(|line| line.starts_with(name));
        of_name.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// A trigger of an object of its own name.
fn subject(pairs: &[(&str, &str)]) -> Arc<Subject> {
    named(&format!("{pairs:?}"), pairs)
}

fn named(name: &str, pairs: &[(&str, &str)]) -> Arc<Subject> {
    of("ns", name, pairs)
}

fn of(namespace: &str, name: &str, pairs: &[(&str, &str)]) -> Arc<Subject> {
    let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let trigger = Trigger::parse(pairs.collect::<Vec<_>>(), Registry::builtin()).unwrap();
    Subject::new(namespace.to_owned(), name.to_owned(), Arc::new(trigger))
}

/// Lets the model's time pass; nothing is waited for in real time.
async fn ms(ms: u64) {
    sleep(Duration::from_millis(ms)).await;
}

async fn seconds(seconds: u64) {
    ms(1000 * seconds).await;
}

/// The next news of a stream, which comes within this time.
async fn news(watch: &mut Watch, within_ms: u64) -> Observation {
    let changed = timeout(Duration::from_millis(within_ms), watch.changed()).await;
    changed.expect("news in time");
    watch.observation()
}

/// Waits for the news of a stream that say this.
async fn told(watch: &mut Watch, within_ms: u64, says: impl Fn(&Observation) -> bool) {
    let wait = async {
        while !says(&watch.observation()) {
            watch.changed().await;
        }
    };
    timeout(Duration::from_millis(within_ms), wait).await.expect("told in time");
}

async fn is_silent(watch: &mut Watch, ms: u64) -> bool {
    timeout(Duration::from_millis(ms), watch.changed()).await.is_err()
}

/// The value that was read for this answer, or is known to be unchanged.
fn fresh(observation: &Observation) -> Option<f64> {
    match observation {
        Observation::Fresh(verdict) => Some(verdict.value.get()),
        Observation::Stale { .. }
        | Observation::ActivityOnly { .. }
        | Observation::Unavailable(_)
        | Observation::LayoutMismatch(_) => None,
    }
}

/// The value that is held, and for how long it has been.
fn stale(observation: &Observation) -> Option<(f64, Duration)> {
    match observation {
        Observation::Stale { verdict, age, .. } => Some((verdict.value.get(), *age)),
        Observation::Fresh(_)
        | Observation::ActivityOnly { .. }
        | Observation::Unavailable(_)
        | Observation::LayoutMismatch(_) => None,
    }
}

fn is_unavailable(observation: &Observation) -> bool {
    matches!(observation, Observation::Unavailable(_))
}

fn is_mismatch(observation: &Observation) -> bool {
    matches!(observation, Observation::LayoutMismatch(_))
}
