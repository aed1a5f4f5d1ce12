//! What it costs to tell for how long jobs wait: of a fleet that rests, whose ages grow all the while, and of one queue
//! that never does.

use anyhow::bail;
use penstock::{limits, time::wall_now};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    Scale,
    client::{Scaler, trigger},
    command_counts::CommandCounts,
    commands::{Cadence, Polling},
    fleet,
    processes::TestBed,
    resp::{Command, words},
    samples::number,
    table::{Bound, Row},
};

const KEY: &str = "bench:aged";
/// Writes that go in one pipeline: a job more, and the oldest is taken.
const BURST: usize = 50;

/// Measures both.
pub async fn measure(bed: &TestBed, scale: Scale) -> anyhow::Result<Vec<Row>> {
    let size = scale.pick(10_000, 200);
    let mut nodes = bed.nodes().await?;
    let fleet = fleet::create_aged(&mut nodes, size).await?;
    let mut polling = Polling::begin(bed, &fleet).await?;
    sleep(scale.pick(Duration::from_secs(2), Duration::from_millis(200))).await;
    let seconds = |full, quick| Duration::from_secs(scale.pick(full, quick));
    let cadence = Cadence { poll: seconds(30, 2), sync: seconds(15, 1), window: seconds(60, 2) };
    let cost = polling.cost(&mut nodes, (&fleet, 0), cadence).await?;
    let idle = cost.row(&format!("{size} triggers of ages, idle")).bound(Bound::AtMost(0.02));
    Ok(vec![idle, hot(bed, scale).await?])
}

/// How often a queue is read whose oldest job is taken all the time.
async fn hot(bed: &TestBed, scale: Scale) -> anyhow::Result<Row> {
    let length = scale.pick(Duration::from_secs(10), Duration::from_secs(2));
    let mut redis = bed.redis().await?;
    let asked = [("queue", KEY), ("signal", "latency"), ("readyAt", "/at"), ("target", "30")];
    let trigger = trigger("aged", &asked);
    let mut scaler = Scaler::connect(&bed.penstock).await?;
    let first: Vec<Command> = (0..BURST).map(|_| job()).collect();
    redis.pipeline(&first).await?;
    let mut stream = scaler.stream(&trigger).await?;
    sleep(Duration::from_millis(100)).await;
    let (start, before) = (Instant::now(), CommandCounts::read(&mut redis).await?);
    let mut writes = 0;
    let write = async {
        let mut writer = bed.redis().await?;
        while start.elapsed() < length {
            let burst: Vec<Command> =
                (0..BURST).flat_map(|_| [job(), words(["RPOP", KEY])]).collect();
            writes += writer.pipeline(&burst).await?.len();
        }
        anyhow::Ok(())
    };
    let watch = async {
        // What is pushed is read, as KEDA would; it does not end before the measurement.
        while stream.message().await?.is_some() {}
        bail!("the stream ended")
    };
    tokio::select! {
        written = write => written?,
        ended = watch => ended?,
    }
    let elapsed = start.elapsed().as_secs_f64();
    let after = CommandCounts::read(&mut redis).await?;
    // Each refresh begins at the end where jobs are taken, and goes on to the neighbours.
    let reads = number(after.of("lrange", &before)) / 2.0 / elapsed;
    let most = 1.0 / limits::REFRESH_FLOOR.as_secs_f64();
    let row = Row::new("refreshes of the age of a hot queue", "/s", reads);
    Ok(row.beside("writes", number(u64::try_from(writes)?) / elapsed).bound(Bound::AtMost(most)))
}

fn job() -> Command {
    words(["LPUSH", KEY, &fleet::aged(wall_now())])
}
