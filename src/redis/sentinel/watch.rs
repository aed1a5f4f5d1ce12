//! The sentinels as one: asks all of them at once, remembers their connections, and hears what they announce.
//!
//! It outlives the links to a master. An announcement is only a reason to ask: what counts is what the
//! sentinels answer together.

use std::{
    mem::{Discriminant, discriminant},
    pin::pin,
    sync::Arc,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::Notify,
    time::{sleep_until, timeout},
};
use tracing::{info, warn};

use crate::{
    config::{Node, Sentinels},
    limits,
    sampling::Fault,
    telemetry::{SentinelMetrics, SentinelWord},
    time::Instant,
};

use super::{
    super::node::Dialer,
    line::Line,
    votes::{Votes, Word},
};

/// The sentinels of one source.
pub(super) struct MasterWatch {
    master: String,
    dialer: Dialer,
    sentinels: Vec<Sentinel>,
    hint: Arc<Notify>,
    memory: Mutex<Memory>,
    metrics: SentinelMetrics,
}

struct Sentinel {
    node: Node,
    state: Mutex<SentinelState>,
}

#[derive(Default)]
struct SentinelState {
    line: Option<Line>,
    /// What it said last; `None` before that.
    said: Option<Word>,
    /// The kind of trouble with it that was last told in the log.
    told: Option<Discriminant<Fault>>,
}

struct Memory {
    /// The master that the sentinels named last.
    master: Option<Node>,
    asked_at: Instant,
}

impl MasterWatch {
    /// `dialer` has the credentials for the sentinels.
    pub(super) fn new(sentinels: &Sentinels, dialer: Dialer, metrics: SentinelMetrics) -> Self {
        let sentinel = |node: &Node| Sentinel { node: node.clone(), state: Mutex::default() };
        Self {
            master: sentinels.master.clone(),
            dialer,
            sentinels: sentinels.nodes.iter().map(sentinel).collect(),
            hint: Arc::default(),
            memory: Mutex::new(Memory { master: None, asked_at: Instant::now() }),
            metrics,
        }
    }

    /// The master to connect to. While too few can be asked, the last one that they named is as good as
    /// it was, since without them there is no failover; unless one of them names another.
    pub(super) async fn master(&self) -> Result<Node, Fault> {
        let votes = self.ask(|votes| votes.settled().is_some()).await;
        let known = lock(&self.memory).master.clone();
        let master = match votes.master() {
            Some(node) => {
                self.note(node, known.as_ref());
                Ok(node.clone())
            }
            None => match known {
                Some(node) if !votes.name_other_than(&node) => Ok(node),
                Some(_) | None => Err(votes.fault(&self.master)),
            },
        };
        self.tell(master.as_ref().ok());
        master
    }

    /// Counts the sentinels by what they said last, where this master is followed.
    fn tell(&self, master: Option<&Node>) {
        let said = self.sentinels.iter().filter_map(|sentinel| {
            lock(&sentinel.state).said.as_ref().map(|word| match word {
                Word::Names(node, _) if Some(node) == master => SentinelWord::Master,
                Word::Names(..) => SentinelWord::Another,
                Word::NoSuchMaster => SentinelWord::Unknown,
                Word::Silent(_) => SentinelWord::Nothing,
            })
        });
        self.metrics.say(said);
    }

    /// Comes with another master once the sentinels name one.
    pub(super) async fn other_than(&self, master: &Node) -> Node {
        let names_other = |votes: &Votes| votes.settled().is_some_and(|node| node != master);
        loop {
            let votes = self.ask(names_other).await;
            let other = votes.master().filter(|node| *node != master);
            self.tell(Some(other.unwrap_or(master)));
            if let Some(node) = other {
                self.note(node, Some(master));
                return node.clone();
            }
            let again_at = Instant::now() + limits::SENTINEL_INTERVAL;
            tokio::select! {
                () = self.hinted() => {}
                () = sleep_until(again_at) => {}
            }
        }
    }

    /// Comes when a sentinel has announced a new master, but not sooner after the last question than
    /// [`limits::SENTINEL_FLOOR`].
    pub(super) async fn hinted(&self) {
        self.hint.notified().await;
        let asked_at = lock(&self.memory).asked_at;
        sleep_until(asked_at + limits::SENTINEL_FLOOR).await;
    }

    fn note(&self, master: &Node, before: Option<&Node>) {
        if before != Some(master) {
            info!(name = self.master, %master, "the sentinels name a master");
        }
        lock(&self.memory).master = Some(master.clone());
    }

    /// Asks all sentinels at once, until `enough` or until each has answered or had its time.
    async fn ask(&self, enough: impl Fn(&Votes) -> bool) -> Votes {
        lock(&self.memory).asked_at = Instant::now();
        let mut votes = Votes::of(self.sentinels.len());
        let asked = self.sentinels.iter().map(|sentinel| self.ask_one(sentinel));
        let mut words = pin!(asked.collect::<FuturesUnordered<_>>());
        while let Some(word) = words.next().await {
            votes.add(word);
            if enough(&votes) {
                break;
            }
        }
        votes
    }

    async fn ask_one(&self, sentinel: &Sentinel) -> Word {
        let line = lock(&sentinel.state).line.take();
        let asked = async {
            let mut line = match line {
                Some(line) => line,
                None => Line::open(&self.dialer, &sentinel.node, &self.hint).await?,
            };
            let word = line.ask(&self.master).await?;
            Ok((line, word))
        };
        let answer = timeout(limits::SENTINEL_DEADLINE, asked).await.unwrap_or(Err(Fault::Timeout));
        let mut state = lock(&sentinel.state);
        let (word, trouble) = match answer {
            Ok((line, Word::NoSuchMaster)) => {
                state.line = Some(line);
                let what = format!("it knows no master `{}`", self.master);
                (Word::NoSuchMaster, Some(Fault::Unexpected(what)))
            }
            Ok((line, word)) => {
                state.line = Some(line);
                (word, None)
            }
            Err(fault) => (Word::Silent(fault.clone()), Some(fault)),
        };
        let told = trouble.as_ref().map(discriminant);
        match &trouble {
            Some(reason) if state.told != told => {
                warn!(sentinel = %sentinel.node, %reason, "a sentinel is of no use");
            }
            None if state.told.is_some() => {
                info!(sentinel = %sentinel.node, "the sentinel is of use again");
            }
            Some(_) | None => {}
        }
        state.told = told;
        state.said = Some(word.clone());
        word
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
