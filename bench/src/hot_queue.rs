//! One queue that is written as fast as Redis can, watched and asked about meanwhile: how often it
//! is read, and how old an answer is.
//!
//! The key is a counter, so that a value tells when it was true: the age of an answer is the time
//! since the write that made it untrue.

use std::iter::once;

use anyhow::bail;
use penstock::limits;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use crate::{
    Scale,
    client::{Scaler, trigger},
    command_counts::CommandCounts,
    processes::TestBed,
    resp::{Command, Connection, Reply, words},
    samples::{Samples, number},
    table::{Bound, Row},
};

const KEY: &str = "bench:hot";
/// Writes that go in one pipeline.
const BURST: usize = 100;
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// Measures for ten seconds.
pub async fn measure(bed: &TestBed, scale: Scale) -> anyhow::Result<Vec<Row>> {
    let length = scale.pick(Duration::from_secs(10), Duration::from_secs(2));
    let mut redis = bed.redis().await?;
    let trigger = trigger("hot", &[("layout", "keys"), ("queue", KEY)]);
    let mut scaler = Scaler::connect(&bed.penstock).await?;
    let name = scaler.metric_spec(&trigger).await?;
    redis.command(["INCR", KEY]).await?;
    let mut stream = scaler.stream(&trigger).await?;
    let mut noop = Scaler::connect(&bed.noop).await?;
    // The service learns the key's type, which is none of what is measured.
    scaler.metrics(&trigger, &name).await?;
    sleep(Duration::from_millis(100)).await;

    let counted_from = Instant::now();
    let before = CommandCounts::read(&mut redis).await?;
    let start = Instant::now();
    let until = start + length;
    let ask = async {
        let mut asked = Asked::default();
        for turn in 1.. {
            let due = start + PAUSE * turn;
            if due >= until {
                break;
            }
            sleep_until(due).await;
            let sent = Instant::now();
            let value = scaler.metrics(&trigger, &name).await?;
            let answered = Instant::now();
            asked.answers.push((u64::try_from(value)?, answered));
            asked.call.add_ms(answered - sent);
            let sent = Instant::now();
            noop.metrics(&trigger, &name).await?;
            asked.noop.add_ms(sent.elapsed());
            let sent = Instant::now();
            redis.command(["PING"]).await?;
            asked.ping.add_ms(sent.elapsed());
        }
        anyhow::Ok(asked)
    };
    let watch = async {
        // What is pushed is read, as KEDA would; it does not end before the measurement.
        while stream.message().await?.is_some() {}
        bail!("the stream ended")
    };
    let (asked, writes) = tokio::select! {
        both = async { tokio::try_join!(ask, write(bed, until)) } => both?,
        ended = watch => ended?,
    };
    let reads = CommandCounts::read(&mut redis).await?.since(&before);
    // Reads lie on a grid, one in each of its steps: a part of a step at either end may have one too.
    let elapsed = counted_from.elapsed().as_secs_f64();
    let most = (elapsed / limits::REFRESH_FLOOR.as_secs_f64()).floor() + 2.0;
    let per_second = Row::new("reads of a hot queue", "/s", number(reads) / elapsed)
        .beside("writes", writes.per_second())
        .bound(Bound::AtMost(most / elapsed));
    Ok(once(per_second).chain(rows(&asked, &writes)).collect())
}

/// How old what was answered is, and how long the answer took.
fn rows(asked: &Asked, writes: &Writes) -> Vec<Row> {
    let mut ages = Samples::default();
    for (value, answered) in &asked.answers {
        ages.add_ms(writes.age(*value, *answered));
    }
    let ping = asked.ping.percentile(99);
    let floor = limits::REFRESH_FLOOR.as_secs_f64() * 1000.0;
    let age = |name, age| Row::new(format!("age of its value, {name}"), "ms", age);
    let call = |name, percent| {
        let what = format!("GetMetrics of it, {name}");
        let row = Row::new(what, "ms", asked.call.percentile(percent));
        row.beside("no-op server", asked.noop.percentile(percent))
    };
    vec![
        age("p50", ages.percentile(50)),
        age("p99", ages.percentile(99)).beside("PING", ping).bound(Bound::AtMost(floor + ping)),
        age("max", ages.max()),
        call("p50", 50),
        call("p99", 99),
    ]
}

#[derive(Default)]
struct Asked {
    /// Values, and when each was received.
    answers: Vec<(u64, Instant)>,
    call: Samples,
    noop: Samples,
    ping: Samples,
}

/// The last value of each burst, and when its reply was there.
struct Writes(Vec<(u64, Instant)>);

impl Writes {
    /// For how long a value has been known to be outdated at this moment.
    fn age(&self, value: u64, at: Instant) -> Duration {
        let next = self.0.partition_point(|(last, _)| *last <= value);
        self.0
            .get(next)
            .map_or(Duration::ZERO, |(_, written)| at.saturating_duration_since(*written))
    }

    fn per_second(&self) -> f64 {
        match (self.0.first(), self.0.last()) {
            (Some((first, start)), Some((last, end))) if end > start => {
                number(last - first) / (*end - *start).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

async fn write(bed: &TestBed, until: Instant) -> anyhow::Result<Writes> {
    let mut redis: Connection = bed.redis().await?;
    let burst: Vec<Command> = vec![words(["INCR", KEY]); BURST];
    let mut writes = Vec::new();
    while Instant::now() < until {
        let replies = redis.pipeline(&burst).await?;
        let Some(Reply::Integer(last)) = replies.last() else { bail!("INCR gives no number") };
        writes.push((u64::try_from(*last)?, Instant::now()));
    }
    Ok(Writes(writes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_counts_from_the_write_that_made_the_value_untrue() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let writes = Writes(vec![(100, at(1)), (200, at(2)), (300, at(3))]);
        let age = |value, ms| writes.age(value, at(ms)).as_millis();
        assert_eq!(age(99, 9), 8, "100 was there at 1 ms");
        assert_eq!(age(100, 9), 7, "101 was there at 2 ms");
        assert_eq!(age(300, 9), 0, "nothing newer is known");
        assert_eq!(age(250, 2), 0, "it was answered before 251 was told");
    }
}
