//! Streams on half of the triggers, opened again as KEDA does whenever they end.

use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tonic::{Code, Status};

use crate::{
    fleet::{Fleet, Temper},
    harness::{RECOVERY, STEP},
    tally::{Nothing, Tally},
    wire::{Keda, Trigger},
};

/// What a trigger's stream said last.
type Last = Arc<Mutex<Option<bool>>>;

/// All streams. They end when this is dropped.
pub struct Listeners {
    last: Vec<Option<Last>>,
    opened: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Listeners {
    pub fn of(keda: &Keda, fleet: &Fleet, tally: &Arc<Tally>) -> Self {
        let (opened, mut tasks) = (Arc::<AtomicU64>::default(), JoinSet::new());
        let mut last = Vec::new();
        for (member, of) in fleet.members.iter().enumerate() {
            let own: Option<Last> = of.is_pushed.then(Last::default);
            if let Some(own) = &own {
                let is_steady = of.temper == Temper::Steady;
                let hears = (Arc::clone(own), Arc::clone(&opened), Arc::clone(tally));
                tasks.spawn(listen(keda.clone(), of.trigger.clone(), (member, is_steady), hears));
            }
            last.push(own);
        }
        Self { last, opened, _tasks: tasks }
    }

    /// What the stream of a trigger said last; the outer `None` is a trigger without one.
    pub fn last(&self, member: usize) -> Option<Option<bool>> {
        let own = self.last[member].as_ref()?;
        Some(*own.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many streams were opened since the start.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::SeqCst)
    }
}

/// Whether a call did not reach the service, as one does that begins when its connection has come to
/// its age: what the service itself says has no source.
pub fn is_of_the_transport(status: &Status) -> bool {
    status.source().is_some()
}

async fn listen(
    keda: Keda,
    trigger: Trigger,
    (member, is_steady): (usize, bool),
    (last, opened, tally): (Last, Arc<AtomicU64>, Arc<Tally>),
) {
    loop {
        opened.fetch_add(1, Ordering::SeqCst);
        let mut stream = match keda.stream_is_active(&trigger).await {
            Ok(stream) => stream,
            Err(status) => {
                if !is_of_the_transport(&status) {
                    tally.wrong(format!("no stream on q{member}: {status}"));
                }
                sleep(RECOVERY).await;
                continue;
            }
        };
        loop {
            match stream.message().await {
                Ok(Some(activity)) => {
                    *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(activity.result);
                    if is_steady && !activity.result {
                        let answered_at = Instant::now();
                        // It may be as old as what it is about took to be known.
                        let asked_at = answered_at.checked_sub(RECOVERY).unwrap_or(answered_at);
                        let what = "a pushed false";
                        tally.nothing(Nothing { member, what, asked_at, answered_at });
                    }
                }
                Ok(None) => break,
                Err(status) => {
                    // A connection that has come to its age may end under a stream.
                    if status.code() != Code::Unavailable {
                        tally.wrong(format!("the stream on q{member} ended: {status}"));
                    }
                    break;
                }
            }
        }
        sleep(STEP).await;
    }
}
