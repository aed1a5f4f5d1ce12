//! The bound on a replica's lag, as it is held by asking both servers over and over.
//!
//! It is apart from the arithmetic because it asks, and from the link because the questions go on
//! beside its reads.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use deadpool_redis::redis::aio::MultiplexedConnection;
use tokio::time::{sleep_until, timeout};

use crate::{config::Node, limits, sampling::Fault, time::Instant};

use super::{
    super::{
        connection::Dialer,
        error,
        opener::Connection,
        role::{Asker, Standing},
    },
    lag::{Lag, OtherHistory},
};

/// A connection to the master that only asks how far it is, made anew when it breaks.
pub(super) struct MasterLine {
    dialer: Dialer,
    node: Node,
    /// Given up when it breaks.
    connection: Option<Connection>,
}

impl MasterLine {
    pub(super) fn to(dialer: Dialer, node: Node) -> Self {
        Self { dialer, node, connection: None }
    }

    /// How far the master is, and who follows it.
    pub(super) async fn ask(&mut self) -> Result<(u64, Vec<Option<Node>>), Fault> {
        let standing = self.standing().await;
        let standing = standing.map_err(|fault| self.about(fault))?;
        match standing {
            Standing::Master { offset, replicas } => Ok((offset, replicas)),
            Standing::Replica { .. } => {
                Err(self.about(Fault::NotReady("it says that it is a replica".to_owned())))
            }
        }
    }

    async fn standing(&mut self) -> Result<Standing, Fault> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let opened = self.dialer.dial_untracked(&self.node, |_| {});
                let opened = timeout(limits::COMMAND_DEADLINE, opened).await;
                let (connection, _) = opened.unwrap_or(Err(Fault::Timeout))?;
                connection
            }
        };
        let mut asker = Asker::new(MultiplexedConnection::clone(&connection));
        let standing = asker.standing().await?;
        self.connection = Some(connection);
        Ok(standing)
    }

    fn about(&self, fault: Fault) -> Fault {
        error::about(&format_args!("its master {}", self.node), fault)
    }
}

/// What is known of a replica's lag; shared between its link and what goes on beside that.
#[derive(Debug, Clone)]
pub(super) struct Bound(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max: Duration,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    lag: Lag,
    /// Whom the replica follows, as it says.
    master: Option<(String, i64)>,
    /// Why there is no newer proof.
    trouble: Option<Fault>,
}

impl Bound {
    /// One that is to be held from what the master said before.
    pub(super) fn new(max: Duration, (asked_at, offset): (Instant, u64)) -> Self {
        let mut lag = Lag::of_at_most(max);
        // Nothing was reached before, so that nothing can be ahead.
        lag.master_is_at((asked_at, 0), offset).unwrap_or_default();
        let known = Known { lag, master: None, trouble: None };
        Self(Arc::new(Shared { max, known: Mutex::new(known) }))
    }

    /// Asks the master, who has to name this one among its replicas if one is given, else any.
    ///
    /// # Errors
    /// The outer one is why nothing that the replica says can be believed any more; the inner one why
    /// the master could not be asked this time.
    pub(super) async fn ask(
        &self,
        line: &mut MasterLine,
        named: Option<&Node>,
    ) -> Result<Result<(), Fault>, Fault> {
        let asked = (Instant::now(), self.known().lag.reached());
        let (offset, replicas) = match line.ask().await {
            Ok(answer) => answer,
            Err(fault) => return Ok(Err(fault)),
        };
        let follows = |replica: &Option<Node>| named.is_none() || replica.as_ref() == named;
        if !replicas.iter().any(follows) {
            let what = "it does not name it among its replicas".to_owned();
            return Ok(Err(line.about(Fault::NotReady(what))));
        }
        let noted = self.known().lag.master_is_at(asked, offset);
        noted.map(Ok).map_err(|history| other(&history))
    }

    /// Asks the replica, and tells whether it was ever proved to be within the bound.
    pub(super) async fn hear(&self, replica: &mut Asker) -> Result<bool, Fault> {
        let reached = self.known().lag.reached();
        let standing = replica.standing().await?;
        let Standing::Replica { master, offset } = standing else {
            return Err(Fault::NotReady("it says that it is a master".to_owned()));
        };
        let mut known = self.known();
        if *known.master.get_or_insert_with(|| master.clone()) != master {
            let (host, port) = master;
            return Err(Fault::NotReady(format!("it follows {host}:{port} now")));
        }
        let offset = offset
            .map_err(|state| Fault::NotReady(format!("its link to its master is `{state}`")))?;
        known.lag.replica_is_at(reached, offset).map_err(|history| other(&history))?;
        Ok(known.lag.proved_at().is_some())
    }

    /// The replica holds everything that the master held at this moment, and has announced it.
    pub(super) fn proved_at(&self) -> Option<Instant> {
        self.known().lag.proved_at()
    }

    /// Why what was proved at that moment is not enough any more, if so.
    pub(super) fn exceeded(&self, proved_at: Option<Instant>) -> Option<Fault> {
        let is_good = proved_at.is_some_and(|proved_at| proved_at.elapsed() <= self.0.max);
        (!is_good).then(|| {
            let trouble = self.known().trouble.clone();
            let why = trouble.map_or_else(|| "it is behind".to_owned(), |fault| fault.to_string());
            Fault::NotReady(format!("it is not proved to be within {:?}: {why}", self.0.max))
        })
    }

    /// Asks both servers over and over; comes when the bound cannot be held.
    pub(super) async fn hold(
        &self,
        (mut line, mut replica): (MasterLine, Asker),
        named: Option<&Node>,
    ) -> Fault {
        let asking = async {
            let (shortest, longest) = limits::REPLICA_PROOFS;
            let interval = (self.0.max / 4).clamp(shortest, longest);
            loop {
                let next_at = Instant::now() + interval;
                match self.ask(&mut line, named).await {
                    Ok(asked) => self.known().trouble = asked.err(),
                    Err(fault) => return fault,
                }
                match self.hear(&mut replica).await {
                    Ok(_) => sleep_until(next_at).await,
                    Err(fault) => return fault,
                }
            }
        };
        tokio::select! {
            fault = asking => fault,
            fault = self.runs_out() => fault,
        }
    }

    async fn runs_out(&self) -> Fault {
        loop {
            let good_until = self.known().lag.good_until();
            sleep_until(good_until.unwrap_or_else(Instant::now)).await;
            if let Some(fault) = self.exceeded(self.proved_at()) {
                return fault;
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn other(history: &OtherHistory) -> Fault {
    Fault::NotReady(history.to_string())
}
