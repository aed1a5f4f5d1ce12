//! Unary calls per second in KEDA's mix, beside a server that answers without knowing anything.
//!
//! Rounds of both are taken in turn and compared pair by pair, so that a machine that is busy for a
//! moment slows both. The queues do not change meanwhile: nothing has to be asked of Redis.

use tokio::time::{Duration, Instant};

use crate::{
    Scale,
    client::{self, CALLS_PER_POLL, Scaler, trigger},
    command_counts::CommandCounts,
    processes::TestBed,
    proto::ScaledObjectRef,
    resp::words,
    samples::{Samples, number},
    table::{Bound, Row},
};

const TRIGGERS: usize = 100;

/// Measures with each number of calls in flight.
pub async fn measure(bed: &TestBed, scale: Scale) -> anyhow::Result<Vec<Row>> {
    let rounds = scale.pick(6, 2);
    let length = scale.pick(Duration::from_millis(1500), Duration::from_millis(100));
    let mut redis = bed.redis().await?;
    let mut triggers = Vec::new();
    for index in 0..TRIGGERS {
        let (key, taken) = (format!("bench:tp:{index}"), format!("bench:tp:{index}:processing"));
        redis.pipeline(&[words(["RPUSH", &key, "a", "b", "c"])]).await?;
        let metadata = [("layout", "keys"), ("queue", &*key), ("inFlight", &*taken)];
        triggers.push(trigger(&key, &metadata));
    }
    let penstock = Scaler::connect(&bed.penstock).await?;
    let noop = Scaler::connect(&bed.noop).await?;
    for scaler in [&penstock, &noop] {
        client::poll_once(scaler, &triggers).await?;
    }
    let mut rows = Vec::new();
    let (mut commands, mut calls) = (0, 0);
    for in_flight in [1, 8, 64] {
        let (mut ours, mut theirs, mut ratios) =
            (Samples::default(), Samples::default(), Samples::default());
        for pair in 0..rounds {
            let mut rates = [0.0, 0.0];
            // Each goes first in every other pair, so that neither has the better half.
            for server in [pair % 2, 1 - pair % 2] {
                let scaler = [&penstock, &noop][server];
                let before = CommandCounts::read(&mut redis).await?;
                let (rate, made) = round(scaler, &triggers, (in_flight, length)).await?;
                rates[server] = rate;
                if server == 0 {
                    commands += CommandCounts::read(&mut redis).await?.since(&before);
                    calls += made;
                }
            }
            ours.add(rates[0]);
            theirs.add(rates[1]);
            ratios.add(rates[0] / rates[1]);
        }
        let what = format!("unary calls, {in_flight} in flight");
        let row = Row::new(what, "/s", ours.percentile(50));
        let row = row.beside("no-op server", theirs.percentile(50)).ratio(ratios.percentile(50));
        rows.push(row.bound(Bound::RatioAtLeast(0.8)));
    }
    let what = format!("Redis commands for {calls} calls about unchanged queues");
    rows.push(Row::new(what, "", number(commands)).bound(Bound::AtMost(0.0)));
    Ok(rows)
}

/// One round: calls per second, and calls.
async fn round(
    scaler: &Scaler,
    triggers: &[ScaledObjectRef],
    (in_flight, length): (usize, Duration),
) -> anyhow::Result<(f64, u64)> {
    let start = Instant::now();
    let polls = client::poll_until(scaler, triggers, (in_flight, start + length)).await?;
    let calls = polls * CALLS_PER_POLL;
    Ok((number(calls) / start.elapsed().as_secs_f64(), calls))
}
