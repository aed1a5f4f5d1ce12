//! Resident memory: idle, and with many triggers that each have an open stream, beside a server
//! that knows nothing and has the same streams; and whether it grows when all are opened again.

use tokio::time::{Duration, sleep, timeout};

use crate::{
    Scale,
    client::{Scaler, trigger},
    processes::{Server, TestBed},
    proto::ScaledObjectRef,
    streams::Streams,
    table::{Bound, Row},
};

/// Times that all streams are opened and closed.
const ROUNDS: usize = 3;

/// Measures with few, with many and with no streams.
pub async fn measure(bed: &TestBed, scale: Scale) -> anyhow::Result<Vec<Row>> {
    let sizes = scale.pick([1_000, 10_000], [20, 100]);
    let settling = scale.pick(Duration::from_secs(2), Duration::from_millis(200));
    sleep(settling).await;
    let idle = Row::new("memory, idle", "MB", bed.penstock.resident_mb()?);
    let idle = idle.beside("no-op server", bed.noop.resident_mb()?);
    let mut rows = vec![idle.bound(Bound::AtMost(15.0))];

    for size in sizes {
        let triggers = triggers(size);
        let ours = held(&bed.penstock, &triggers, settling).await?;
        let theirs = held(&bed.noop, &triggers, settling).await?;
        let what = format!("memory, {size} triggers with a stream each");
        let bound = (size == sizes[1]).then_some(Bound::RatioAtMost(1.5));
        rows.push(Row::new(what, "MB", ours).beside("no-op server", theirs).bound(bound));
        closed(&bed.penstock).await?;
    }

    let triggers = triggers(sizes[1]);
    let (mut ours, mut theirs) = ([0.0; ROUNDS], [0.0; ROUNDS]);
    for round in 0..ROUNDS {
        ours[round] = held(&bed.penstock, &triggers, settling).await?;
        closed(&bed.penstock).await?;
        theirs[round] = held(&bed.noop, &triggers, settling).await?;
    }
    let growth = |what: &str, of: [f64; ROUNDS]| {
        Row::new(what, "MB", of[ROUNDS - 1]).beside("1st time", of[0])
    };
    let what = "memory, all opened again, last time";
    rows.push(growth(what, ours).bound(Bound::RatioAtMost(1.05)));
    rows.push(growth(&format!("{what}, no-op server"), theirs));
    Ok(rows)
}

fn triggers(size: usize) -> Vec<ScaledObjectRef> {
    let keys = (0..size).map(|index| format!("bench:memory:{index}"));
    keys.map(|key| trigger(&key, &[("layout", "keys"), ("queue", &key)])).collect()
}

/// Memory of a server while all these streams are open on a connection of their own.
async fn held(
    server: &Server,
    triggers: &[ScaledObjectRef],
    settling: Duration,
) -> anyhow::Result<f64> {
    let scaler = Scaler::connect(server).await?;
    let streams = Streams::open(&scaler, triggers).await?;
    sleep(settling).await;
    let held = server.resident_mb();
    streams.close().await;
    held
}

/// Waits until the service has noticed that the streams are closed.
async fn closed(service: &Server) -> anyhow::Result<()> {
    let gone = async {
        let streams = || service.metric("penstock_streams_open", "StreamIsActive");
        while streams().await?.is_some_and(|open| open > 0.0) {
            sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    timeout(Duration::from_secs(30), gone).await?
}
