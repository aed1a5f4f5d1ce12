//! From the write of a job to `true` on the stream of its trigger, with few and with many streams
//! open, beside the floor: one Redis client that wakes another by PUBLISH.
//!
//! Each stream is used once, so that no repeat of an earlier activation can be taken for one, and
//! samples of both are taken in turn, each after the same pause.

use anyhow::{Context, ensure};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Duration, Instant, sleep},
};

use crate::{
    Scale,
    client::{Scaler, trigger},
    processes::TestBed,
    resp::{Connection, Reply, words},
    samples::Samples,
    streams::Streams,
    table::{Bound, Row},
};

/// Before each sample, longer than the service waits between two reads of one key: what the last
/// sample set in motion has ended.
const PAUSE: Duration = Duration::from_millis(30);
const CHANNEL: &str = "bench:floor";

/// Measures with each number of streams.
pub async fn measure(bed: &TestBed, scale: Scale) -> anyhow::Result<Vec<Row>> {
    let sizes = scale.pick([10, 1_000, 10_000], [5, 10, 50]);
    let samples = scale.pick(300, 20);
    let mut rows = Vec::new();
    for size in sizes {
        let times = sample(bed, samples, size).await?;
        let is_largest = size == sizes[2];
        rows.extend(times.rows(size, is_largest));
    }
    Ok(rows)
}

#[derive(Default)]
struct Times {
    activation: Samples,
    floor: Samples,
    noop: Samples,
}

impl Times {
    fn rows(&self, size: usize, is_largest: bool) -> Vec<Row> {
        let of = |samples: &Samples| {
            [
                ("p50", samples.percentile(50)),
                ("p99", samples.percentile(99)),
                ("max", samples.max()),
            ]
        };
        let bounds = [Some(Bound::RatioAtMost(3.0)), Some(Bound::RatioAtMost(6.0)), None];
        let activation = of(&self.activation).into_iter().zip(of(&self.floor)).zip(bounds);
        let mut rows: Vec<Row> = activation
            .map(|(((name, time), (_, floor)), bound)| {
                let what = format!("LPUSH to `true`, {size} streams open, {name}");
                let row = Row::new(what, "ms", time).beside("PUBLISH", floor);
                row.bound(bound.filter(|_| is_largest))
            })
            .collect();
        if is_largest {
            rows.extend(of(&self.noop).into_iter().zip(of(&self.floor)).take(2).map(
                |((name, time), (_, floor))| {
                    let what = format!("IsActive of the no-op server, {name}");
                    Row::new(what, "ms", time).beside("PUBLISH", floor)
                },
            ));
        }
        rows
    }
}

async fn sample(bed: &TestBed, samples: usize, size: usize) -> anyhow::Result<Times> {
    let scaler = Scaler::connect(&bed.penstock).await?;
    let mut noop = Scaler::connect(&bed.noop).await?;
    let mut redis = bed.redis().await?;
    let mut floor = Floor::open(bed).await?;
    let mut times = Times::default();
    for round in 0..samples.div_ceil(size) {
        let keys: Vec<String> =
            (0..size).map(|index| format!("bench:act:{size}:{round}:{index}")).collect();
        let triggers: Vec<_> =
            keys.iter().map(|key| trigger(key, &[("layout", "keys"), ("queue", key)])).collect();
        let mut streams = Streams::open(&scaler, &triggers).await?;
        sleep(10 * PAUSE).await;
        for (index, key) in keys.iter().enumerate().take(samples - round * size) {
            sleep(PAUSE).await;
            let start = Instant::now();
            redis.send(&[words(["LPUSH", key, "job"])]).await?;
            streams.activated(index).await?;
            times.activation.add_ms(start.elapsed());
            redis.reply().await?;
            redis.command(["DEL", key]).await?;
            sleep(PAUSE).await;
            times.floor.add_ms(floor.sample().await?);
            sleep(PAUSE).await;
            let start = Instant::now();
            noop.is_active(&triggers[index]).await?;
            times.noop.add_ms(start.elapsed());
        }
        streams.close().await;
    }
    Ok(times)
}

/// A subscriber in a task of its own, and the connection that publishes to it.
struct Floor {
    publisher: Connection,
    messages: mpsc::Receiver<()>,
    _subscriber: JoinSet<anyhow::Result<()>>,
}

impl Floor {
    async fn open(bed: &TestBed) -> anyhow::Result<Self> {
        let publisher = bed.redis().await?;
        let mut redis = bed.redis().await?;
        redis.command(["SUBSCRIBE", CHANNEL]).await?;
        let (tell, messages) = mpsc::channel(1024);
        let mut subscriber = JoinSet::new();
        subscriber.spawn(async move {
            loop {
                let message = redis.reply().await?;
                ensure!(matches!(message, Reply::Array(_)), "no message: {message:?}");
                tell.send(()).await?;
            }
        });
        Ok(Self { publisher, messages, _subscriber: subscriber })
    }

    async fn sample(&mut self) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.publisher.send(&[words(["PUBLISH", CHANNEL, "job"])]).await?;
        self.messages.recv().await.context("the subscriber ended")?;
        let time = start.elapsed();
        self.publisher.reply().await?;
        Ok(time)
    }
}
