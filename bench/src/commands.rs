//! What a polled fleet costs Redis: commands per poll, while its queues rest, while some change and
//! while all change; and how many connections it takes.
//!
//! On a cluster it is what all nodes together are sent.
//!
//! Every trigger is polled as KEDA and the HPA do: every 30 s and every 15 s, three calls each.

use tokio::time::{Duration, Instant, sleep};

use crate::{
    Scale,
    client::{self, Scaler},
    command_counts::{self, CommandCounts},
    fleet::{self, Queue},
    processes::TestBed,
    proto::ScaledObjectRef,
    resp::Connection,
    samples::number,
    table::{Bound, Row},
};

/// How a fleet is polled, and for how long.
#[derive(Clone, Copy)]
pub struct Cadence {
    pub poll: Duration,
    pub sync: Duration,
    pub window: Duration,
}

/// Measures all three fleets.
pub async fn measure(bed: &TestBed, scale: Scale) -> anyhow::Result<Vec<Row>> {
    let (size, all_change) = scale.pick((10_000, 1_000), (200, 40));
    let window = |seconds| scale.pick(Duration::from_secs(seconds), Duration::from_secs(2));
    let (poll, sync) = scale.pick((30, 15), (2, 1));
    let (poll, sync) = (Duration::from_secs(poll), Duration::from_secs(sync));
    let cadence = |seconds| Cadence { poll, sync, window: window(seconds) };
    let mut nodes = bed.nodes().await?;
    let of = if nodes.len() > 1 { format!(", {} masters", nodes.len()) } else { String::new() };
    let fleet = fleet::create(&mut nodes, size).await?;
    let mut scaler = Polling::begin(bed, &fleet).await?;
    sleep(scale.pick(Duration::from_secs(2), Duration::from_millis(200))).await;

    let mut rows = Vec::new();
    let cost = scaler.cost(&mut nodes, (&fleet, 0), cadence(60)).await?;
    let idle = format!("{size} idle triggers{of}");
    rows.push(cost.row(&idle).bound(Bound::AtMost(0.02)));
    let what = format!("safety re-reads per poll, {idle}");
    rows.push(match cost.safety {
        Some(safety) => Row::new(what, "", safety / cost.polls),
        None => Row::unknown(what, ""),
    });
    let polls = Row::new(format!("polls, {idle}"), "/s", cost.rate);
    rows.push(polls.beside("KEDA and the HPA", cost.rate_wanted));
    if nodes.len() > 1 {
        let what = |name: &str| format!("{name} of each node, {idle}");
        rows.push(Row::new(what("PING"), "/s", cost.proofs));
        rows.push(Row::new(what("CLUSTER NODES and SLOTS"), "/s", cost.surveys));
    }

    let slowly = u32::try_from(size / 100)?;
    let cost = scaler.cost(&mut nodes, (&fleet, slowly), cadence(30)).await?;
    let what = format!("{size} triggers, 1 % change a second{of}");
    rows.push(cost.row(&what).beside("changes per poll", cost.changes / cost.polls));

    let quickly = u32::try_from(all_change)?;
    let cost = scaler.cost(&mut nodes, (&fleet[..all_change], quickly), cadence(30)).await?;
    let what = format!("{all_change} triggers, all change each second{of}");
    rows.push(cost.row(&what).beside("changes per poll", cost.changes / cost.polls));

    let masters = number(u64::try_from(nodes.len())?);
    let connections = command_counts::connections(&mut nodes).await?;
    let what = format!("connections to Redis, {size} triggers{of}");
    rows.push(Row::new(what, "", number(connections)).bound(Bound::AtMost(4.0 * masters)));
    Ok(rows)
}

/// What a fleet cost in one window.
pub struct Cost {
    commands: f64,
    /// Reads that nothing asked for but the safety net; `None` when the service does not tell.
    safety: Option<f64>,
    polls: f64,
    rate: f64,
    rate_wanted: f64,
    changes: f64,
    /// What each node was sent a second whatever was asked.
    proofs: f64,
    surveys: f64,
}

impl Cost {
    /// Commands per poll, without the safety net's.
    pub fn row(&self, fleet: &str) -> Row {
        let commands = (self.commands - self.safety.unwrap_or(0.0)).max(0.0);
        Row::new(format!("commands per poll, {fleet}"), "", commands / self.polls)
    }
}

/// Who polls a fleet.
pub struct Polling<'a> {
    bed: &'a TestBed,
    scaler: Scaler,
    /// Changes that were made so far.
    changes: u64,
}

impl<'a> Polling<'a> {
    /// Polls each trigger once.
    pub async fn begin(bed: &'a TestBed, fleet: &[Queue]) -> anyhow::Result<Self> {
        let scaler = Scaler::connect(&bed.penstock).await?;
        client::poll_once(&scaler, &fleet::triggers(fleet)).await?;
        Ok(Self { bed, scaler, changes: 0 })
    }

    /// What it costs to poll a fleet of which so many queues change a second.
    pub async fn cost(
        &mut self,
        nodes: &mut [Connection],
        (fleet, changes_per_second): (&[Queue], u32),
        cadence: Cadence,
    ) -> anyhow::Result<Cost> {
        let triggers = fleet::triggers(fleet);
        let mut writers = self.bed.nodes().await?;
        let safety_before = self.safety().await?;
        let before = CommandCounts::of_all(nodes).await?;
        let start = Instant::now();
        let until = start + cadence.window;
        let change =
            fleet::change((&mut writers, fleet), &mut self.changes, (changes_per_second, until));
        let (polls, changes) =
            tokio::try_join!(polls(&self.scaler, triggers, (cadence, until)), change)?;
        let elapsed = start.elapsed().as_secs_f64();
        let after = CommandCounts::of_all(nodes).await?;
        let each = |names: &[&str]| -> anyhow::Result<f64> {
            let calls: u64 = names.iter().map(|name| after.of(name, &before)).sum();
            Ok(number(calls) / elapsed / number(u64::try_from(nodes.len())?))
        };
        let (proofs, surveys) = (each(&["ping"])?, each(&["cluster|nodes", "cluster|slots"])?);
        let safety = self.safety().await?.map(|after| after - safety_before.unwrap_or(0.0));
        let per_second = 1.0 / cadence.poll.as_secs_f64() + 1.0 / cadence.sync.as_secs_f64();
        let size = number(u64::try_from(fleet.len())?);
        Ok(Cost {
            commands: number(after.since(&before)),
            safety,
            polls: number(polls.max(1)),
            rate: number(polls) / elapsed,
            rate_wanted: size * per_second,
            changes: number(changes),
            proofs,
            surveys,
        })
    }

    /// The safety net's reads so far; `None` when no read has a cause.
    async fn safety(&self) -> anyhow::Result<Option<f64>> {
        let service = &self.bed.penstock;
        let reads = |label| service.metric("penstock_redis_reads_total", label);
        match reads("cause=\"").await? {
            Some(_) => Ok(Some(reads("cause=\"safety\"").await?.unwrap_or(0.0))),
            None => Ok(None),
        }
    }
}

/// KEDA's polls and the HPA's, side by side.
async fn polls(
    scaler: &Scaler,
    triggers: Vec<ScaledObjectRef>,
    (cadence, until): (Cadence, Instant),
) -> anyhow::Result<u64> {
    let every = |period| client::poll_in_cadence(scaler.clone(), triggers.clone(), (period, until));
    let (polls, syncs) = tokio::try_join!(every(cadence.poll), every(cadence.sync))?;
    Ok(polls + syncs)
}
