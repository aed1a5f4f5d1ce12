//! The async shell of one link: connects, reads what the state says is due, and reconnects. Everything that
//! decides is in the state, which is pure.

use std::{fmt, time::Duration};

use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    layouts::Read,
    limits,
    telemetry::{ConnectOutcome, ReadResult},
    time::Instant,
};

use super::{
    sampler::Sampler,
    searches::Scan,
    source::{Change, Changes, Fault, Link, Source},
    step::{Due, Step},
};

impl Sampler {
    /// Serves this sampler from a source until `stop` is cancelled.
    pub fn run<S: Source>(
        &self,
        source: S,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<S> {
        run(self.clone(), source, stop)
    }
}

async fn run<S: Source>(sampler: Sampler, source: S, stop: CancellationToken) {
    let work = async {
        let mut outage = Outage::default();
        loop {
            match connect(&sampler, &source).await {
                Ok(mut link) => {
                    outage.end(&sampler, link.tracked());
                    let guard = link.guard();
                    let fault = tokio::select! {
                        fault = serve(&sampler, &mut link) => fault,
                        fault = guard => fault,
                    };
                    sampler.metrics().lost();
                    lose(&sampler, &fault, &mut outage);
                }
                Err(fault) => {
                    sampler.metrics().connect(ConnectOutcome::Failed, false);
                    lose(&sampler, &fault, &mut outage);
                }
            }
            tokio::select! {
                () = sleep(limits::RECONNECT_PAUSES.spread_after(outage.attempts)) => {}
                () = source.moved() => {}
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
    // Nothing that was sent is answered any more, and no call has to wait for it.
    let fault = Fault::Unreachable("penstock is stopping".to_owned());
    sampler.with_state(|state, now| state.link_down(fault, now));
}

async fn connect<S: Source>(sampler: &Sampler, source: &S) -> Result<S::Link, Fault> {
    let epoch = sampler.begin_epoch();
    let reporter = sampler.clone();
    let changes = Changes::new(move |change: Change| reporter.changed(epoch, &change));
    let link = timeout(limits::CONNECT_DEADLINE, source.connect(changes)).await;
    let link = link.unwrap_or(Err(Fault::Timeout))?;
    sampler.metrics().connect(ConnectOutcome::Ok, link.tracked());
    sampler.with_state(|state, now| state.link_up(link.tracked(), now));
    Ok(link)
}

/// Does what is due until the link breaks.
async fn serve<L: Link>(sampler: &Sampler, link: &mut L) -> Fault {
    let mut trouble = Trouble::default();
    loop {
        let (step, remembered) =
            sampler.with_state(|state, now| (state.next(now), state.remembered()));
        sampler.metrics().remembered(remembered);
        let result = match step {
            Step::Read(batch) => read(sampler, link, batch, &mut trouble).await,
            Step::Prove { clock } => {
                let proof = timeout(limits::COMMAND_DEADLINE, link.prove(clock)).await;
                proof.unwrap_or(Err(Fault::Timeout)).map(|clock| {
                    note_when(sampler, link);
                    sampler.with_state(|state, now| state.proved(clock, now));
                })
            }
            Step::Scan(scan) => self::scan(sampler, link, scan).await,
            Step::Reconnect(fault) => Err(fault),
            Step::Wait(until) => {
                tokio::select! {
                    biased;
                    () = sampler.woken() => {}
                    () = sleep_until(until) => {}
                }
                Ok(())
            }
        };
        if let Err(fault) = result {
            return fault;
        }
    }
}

/// Notes until when the link announced all changes, now that it answered.
fn note_when<L: Link>(sampler: &Sampler, link: &L) {
    sampler.with_state(|state, _| state.confirmed_until(link.confirmed_until(state.sent_at)));
}

async fn read<L: Link>(
    sampler: &Sampler,
    link: &mut L,
    batch: Vec<Due>,
    trouble: &mut Trouble,
) -> Result<(), Fault> {
    let reads: Vec<Read> = batch.iter().map(|due| due.read.clone()).collect();
    sampler.metrics().batch();
    let flows = sampler.with_state(|state, _| state.flows(&batch));
    let replies = timeout(limits::READ_DEADLINE, link.read(&reads, &flows)).await;
    let replies = match replies.unwrap_or(Err(Fault::Timeout)) {
        Ok(replies) if replies.len() == reads.len() => replies,
        Ok(_) => return Err(Fault::Unexpected("another number of answers than reads".to_owned())),
        Err(fault) => {
            batch.iter().for_each(|due| sampler.metrics().read(due.cause, ReadResult::Failed));
            return Err(fault);
        }
    };
    trouble.note(sampler, replies.iter().find_map(|reply| reply.as_ref().err()));
    for (due, reply) in batch.iter().zip(&replies) {
        let result = if reply.is_ok() { ReadResult::Ok } else { ReadResult::Failed };
        sampler.metrics().read(due.cause, result);
    }
    note_when(sampler, link);
    sampler.with_state_pushing(|state, now| state.finish(batch, replies, now)).await;
    Ok(())
}

async fn scan<L: Link>(sampler: &Sampler, link: &mut L, scan: Scan) -> Result<(), Fault> {
    let step = timeout(limits::COMMAND_DEADLINE, link.scan(&scan.wild, scan.from.as_ref())).await;
    let page = step.unwrap_or(Err(Fault::Timeout))?;
    sampler.metrics().scan();
    note_when(sampler, link);
    sampler.with_state_pushing(|state, now| state.scanned(&scan, page, now)).await;
    Ok(())
}

fn lose(sampler: &Sampler, fault: &Fault, outage: &mut Outage) {
    sampler.with_state(|state, now| state.link_down(fault.clone(), now));
    outage.note(sampler, fault);
}

/// How long Redis has been away, so that it is logged once and tried with growing pauses. A link
/// that breaks again before the longest pause is over has ended nothing.
#[derive(Default)]
struct Outage {
    since: Option<Instant>,
    attempts: u32,
    told: Option<String>,
    connected_at: Option<Instant>,
    connected_before: bool,
}

impl Outage {
    fn note(&mut self, sampler: &Sampler, fault: &Fault) {
        let longest = limits::RECONNECT_PAUSES.longest;
        if self.connected_at.take().is_some_and(|connected_at| connected_at.elapsed() > longest) {
            (self.attempts, self.told) = (0, None);
        }
        self.since.get_or_insert_with(Instant::now);
        self.attempts += 1;
        let reason = fault.to_string();
        if self.told.as_ref() != Some(&reason) {
            warn!(connection = %sampler, %reason, "Redis cannot be read; known values are held for the stale budget");
            self.told = Some(reason);
        }
    }

    fn end(&mut self, sampler: &Sampler, tracked: bool) {
        let away = self.since.take().filter(|_| self.connected_before).map(|since| since.elapsed());
        info!(connection = %sampler, tracked, away = ?Away(away), "connected to Redis");
        if !tracked {
            warn!(connection = %sampler, "this Redis announces no changes; reads are polled instead");
        }
        self.connected_at = Some(Instant::now());
        self.connected_before = true;
    }
}

/// Reads that fail on a link that is up, so that each reason is logged once.
#[derive(Default)]
struct Trouble {
    told: Option<String>,
    last: Option<Instant>,
}

impl Trouble {
    /// Notes the first fault of a batch. Batches without one end the trouble only after a while,
    /// since they may be about other keys.
    fn note(&mut self, sampler: &Sampler, fault: Option<&Fault>) {
        if let Some(fault) = fault {
            let reason = fault.to_string();
            self.last = Some(Instant::now());
            if self.told.as_ref() != Some(&reason) {
                warn!(connection = %sampler, %reason, "a read failed; its last value is held for the stale budget");
                self.told = Some(reason);
            }
        } else if self.last.is_some_and(|last| last.elapsed() > 3 * limits::SAMPLE_MAX_AGE) {
            info!(connection = %sampler, "no read has failed for a while");
            *self = Self::default();
        }
    }
}

struct Away(Option<Duration>);

impl fmt::Debug for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(duration) => write!(f, "{duration:.1?}"),
            None => f.write_str("none"),
        }
    }
}
