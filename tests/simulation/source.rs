//! The model as the sampler sees it: a [`Source`] that connects and a [`Link`] that reads.
//!
//! It does what `src/redis/` does with commands: the time first where a read depends on it, then all reads in
//! one pipeline with the next scores behind them, each round trip with its own deadline.

use std::{
    future::pending,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use penstock::{
    layouts::{KeyPattern, Read},
    limits,
    sampling::{Changes, Fault, Flow, KeyPage, Link, Position, Reply, Source, Validity},
};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use crate::{
    catalog::CATALOG,
    ledger::Taken,
    server::Model,
    transcript::Moment,
    wire::{Command, ConnId, Health, Outcome, Replies},
};

/// The model; clones are the same.
#[derive(Clone)]
pub struct Redis(Arc<Mutex<Model>>);

impl Redis {
    /// A handle to a model.
    pub fn new(model: Model) -> Self {
        Self(Arc::new(Mutex::new(model)))
    }

    /// The model itself, for something short.
    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.0.lock().unwrap()
    }
}

impl Source for Redis {
    type Link = Connection;

    async fn connect(&self, changes: Changes) -> Result<Connection, Fault> {
        let answer = self.model().knock(changes);
        let conn = answer.await.unwrap_or_else(|_| Err(hung_up()))?;
        let (tracked, in_time) = {
            let mut model = self.model();
            model.ledger.conn = Some(conn);
            (model.conns[conn].tracked, model.weather.own_deadlines)
        };
        Ok(Connection { redis: self.clone(), conn, tracked, in_time })
    }
}

/// One connection, held by the worker.
pub struct Connection {
    redis: Redis,
    conn: ConnId,
    tracked: bool,
    /// Whether it bounds its round trips itself, or leaves that to the sampler.
    in_time: bool,
}

impl Connection {
    async fn round(&self, commands: Vec<Command>) -> Replies {
        let expected = commands.len();
        let replies: oneshot::Receiver<Replies> = self.redis.model().send(self.conn, commands);
        let replies = if self.in_time {
            timeout(limits::COMMAND_DEADLINE, replies).await.map_err(|_| Fault::Timeout)?
        } else {
            replies.await
        };
        let replies = replies.unwrap_or_else(|_| Err(hung_up()))?;
        assert_eq!(replies.len(), expected, "the model answers every command");
        Ok(replies)
    }

    /// Redis's time and when it was read; the inner fault is the refusal to tell.
    async fn time(&self) -> Result<Result<(i64, Moment), Fault>, Fault> {
        match self.round(vec![Command::Time]).await?.pop() {
            Some(Outcome::Time(time)) => Ok(time),
            other => panic!("no reply to TIME: {other:?}"),
        }
    }

    /// Takes the replies of a batch as answers, and notes in the ledger that the worker did.
    fn take(
        &self,
        (batch, sent, clock_at): (u64, Moment, Option<Moment>),
        places: &[usize],
        mut outcomes: Vec<Outcome>,
    ) -> Vec<Result<Reply, Fault>> {
        let mut model = self.redis.model();
        let mut lasting = outcomes.split_off(places.len()).into_iter();
        let mut replies = vec![];
        for (place, outcome) in places.iter().zip(outcomes) {
            let Outcome::Counted(counted) = outcome else { panic!("no count: {outcome:?}") };
            let depends = CATALOG.reads[*place].depends_on_time();
            let lasts = if depends && self.tracked { lasting.next() } else { None };
            replies.push(counted.map(|(answer, at)| {
                let lasts = match lasts {
                    Some(Outcome::Lasting(lasts)) => lasts,
                    _ if answer.changes_silently() => Validity::Unknown,
                    _ => Validity::UntilAnnounced,
                };
                model.ledger.taken[*place] = Some(Taken {
                    answer: answer.clone(),
                    at,
                    clock_at: clock_at.filter(|_| depends).unwrap_or(at),
                    is_announced: self.tracked && lasts != Validity::Unknown,
                    conn: self.conn,
                    batch,
                    sent,
                });
                Reply { answer, lasts, moment: Some(batch), clock: None }
            }));
        }
        model.ledger.just_taken = Some((batch, self.conn));
        replies
    }
}

impl Link for Connection {
    fn tracked(&self) -> bool {
        self.tracked
    }

    async fn read(
        &mut self,
        reads: &[Read],
        _flows: &[Flow],
    ) -> Result<Vec<Result<Reply, Fault>>, Fault> {
        let places: Vec<usize> = reads.iter().map(|read| CATALOG.find(read).unwrap()).collect();
        let (batch, sent) = self.redis.model().begin_batch(&places);
        let depends = |place: &usize| CATALOG.reads[*place].depends_on_time();
        let mut clock = Ok((0, sent));
        if places.iter().any(depends) {
            clock = self.time().await?;
        }
        let answered: Vec<usize> =
            places.iter().filter(|place| clock.is_ok() || !depends(place)).copied().collect();
        let (reading, clock_at) = clock.clone().unwrap_or((0, sent));
        let mut commands: Vec<Command> =
            answered.iter().map(|place| Command::Count(*place, reading)).collect();
        let timed = answered.iter().filter(|place| depends(place) && self.tracked);
        commands.extend(timed.map(|place| Command::NextScore(*place, reading)));
        let outcomes = if commands.is_empty() { vec![] } else { self.round(commands).await? };
        if self.redis.model().miscounts() {
            return Ok(vec![]);
        }
        let mut taken = self.take((batch, sent, Some(clock_at)), &answered, outcomes).into_iter();
        let refused = clock.err().unwrap_or(Fault::Timeout);
        Ok(places
            .iter()
            .map(|place| match answered.contains(place) {
                true => taken.next().unwrap(),
                false => Err(refused.clone()),
            })
            .collect())
    }

    async fn scan(
        &mut self,
        wild: &KeyPattern,
        _: Option<&Position>,
    ) -> Result<Result<KeyPage, Fault>, Fault> {
        panic!("no trigger of the simulation has a pattern: {wild:?}")
    }

    fn confirmed_until(&self, sent_at: Instant) -> Instant {
        sent_at
    }

    async fn prove(&mut self, clock: bool) -> Result<Option<Duration>, Fault> {
        let sent = self.redis.model().now.ms;
        let mut commands = vec![Command::Ping];
        commands.extend(clock.then_some(Command::Time));
        let mut replies = self.round(commands).await?;
        let mut model = self.redis.model();
        let took = model.now.ms - sent;
        let slowest = &mut model.conns[self.conn].slowest_clock_ms;
        *slowest = took.max(*slowest);
        Ok(match replies.pop() {
            Some(Outcome::Time(Ok((reading, _)))) => {
                Some(Duration::from_micros(u64::try_from(reading).unwrap()))
            }
            _ => None,
        })
    }

    fn guard(&mut self) -> impl Future<Output = Fault> + Send + 'static {
        pending()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The model may be gone with its world in the middle of a panic.
        let Ok(mut model) = self.redis.0.lock() else { return };
        if model.ledger.conn == Some(self.conn) {
            model.ledger.conn = None;
        }
        let conn = &mut model.conns[self.conn];
        (conn.is_dropped, conn.is_known, conn.health) = (true, false, Health::Broken);
    }
}

fn hung_up() -> Fault {
    Fault::Unreachable("the connection was closed".to_owned())
}
