//! Connections between the sampler and the model: what travels on them, and in which order it may
//! arrive.
//!
//! What the server sends on one connection arrives in its order. In the client, replies wait for the worker
//! while announcements are reported at once (as redis-rs does from the task that drives a connection), or
//! wait for another task in some seeds; each of the two kinds keeps its own order.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use penstock::{
    layouts::Answer,
    sampling::{Change, Changes, Fault, Validity},
};
use tokio::sync::oneshot;

use crate::{catalog::KEYS, transcript::Moment};

/// A connection, by its number.
pub type ConnId = usize;

/// Something that happens at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// Other clients, callers or fate do something.
    Act,
    /// Somebody new asks while a batch is under way.
    Intrude,
    /// The server does the next command of a connection.
    Execute(ConnId),
    /// The client reads what arrived on a connection.
    Arrive(ConnId),
    /// A reply reaches the worker.
    Reply(ConnId),
    /// An announcement is reported.
    Report(ConnId),
    /// The server takes a connection, or refuses it.
    Accept(usize),
    /// The worker, which had no turn, gets one.
    Resume,
}

/// What is to happen, by its time. Things of the same millisecond come in a random order.
#[derive(Debug, Default)]
pub struct Agenda {
    heap: BinaryHeap<Reverse<(u64, u32, u64, Event)>>,
    count: u64,
}

impl Agenda {
    /// Plans an event.
    pub fn plan(&mut self, ms: u64, shuffle: u32, event: Event) {
        self.count += 1;
        self.heap.push(Reverse((ms, shuffle, self.count, event)));
    }

    /// When the next one happens.
    pub fn next_ms(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((ms, ..))| *ms)
    }

    /// Takes the next one.
    pub fn pop(&mut self) -> Option<Event> {
        self.heap.pop().map(|Reverse((.., event))| event)
    }
}

/// A command of a batch; those that depend on time carry the time that Redis told before.
#[derive(Debug, Clone, Copy)]
pub enum Command {
    /// TIME
    Time,
    /// PING
    Ping,
    /// The size or group of a read of the catalog.
    Count(usize, i64),
    /// The next score after its bound.
    NextScore(usize, i64),
}

/// A reply to one command.
#[derive(Debug)]
pub enum Outcome {
    /// The clock, read at a moment; or the refusal to tell it.
    Time(Result<(i64, Moment), Fault>),
    /// PONG
    Pong,
    /// An answer that was true at a moment.
    Counted(Result<(Answer, Moment), Fault>),
    /// How long it lasts.
    Lasting(Validity),
}

/// All replies of one round trip, or why there are none.
pub type Replies = Result<Vec<Outcome>, Fault>;

/// Commands that were sent in one go.
#[derive(Debug)]
pub struct Request {
    /// The commands.
    pub commands: Vec<Command>,
    /// When they reach the server.
    pub arrives: u64,
    /// The replies so far.
    pub outcomes: Vec<Outcome>,
    /// Where the replies are waited for.
    pub asker: oneshot::Sender<Replies>,
}

/// Something that the server sent.
#[derive(Debug)]
pub enum Frame {
    /// Replies.
    Replies(oneshot::Sender<Replies>, Replies),
    /// An announcement of a change that happened at a moment.
    Push(Change, Moment),
}

/// A queue of things that arrive in their order.
#[derive(Debug)]
pub struct Lane<T> {
    queue: VecDeque<(u64, T)>,
    last: u64,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), last: 0 }
    }
}

impl<T> Lane<T> {
    /// Sends something that arrives at this time, or when what is before it does; tells when.
    pub fn send(&mut self, ms: u64, thing: T) -> u64 {
        self.last = self.last.max(ms);
        self.queue.push_back((self.last, thing));
        self.last
    }

    /// Takes what has arrived by now.
    pub fn take(&mut self, now: u64) -> Option<T> {
        let has_arrived = self.queue.front().is_some_and(|(ms, _)| *ms <= now);
        if has_arrived { self.queue.pop_front().map(|(_, thing)| thing) } else { None }
    }

    /// Lets everything arrive now; tells how much that is.
    pub fn hurry(&mut self, now: u64) -> usize {
        self.queue.iter_mut().for_each(|(ms, _)| *ms = now.min(*ms));
        self.last = self.last.min(now);
        self.queue.len()
    }

    /// Everything that is on its way.
    pub fn things(&self) -> impl Iterator<Item = &T> {
        self.queue.iter().map(|(_, thing)| thing)
    }

    /// Loses everything that is on its way.
    pub fn lose(&mut self) -> Vec<T> {
        self.queue.drain(..).map(|(_, thing)| thing).collect()
    }
}

/// What became of a connection, as the client would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Well,
    /// It is broken, and every command fails at once.
    Broken,
    /// It hangs: commands vanish without an error.
    Hanging,
}

/// One connection.
pub struct Conn {
    /// Where its changes are reported.
    pub changes: Changes,
    /// Whether the server announces changes on it.
    pub tracked: bool,
    /// The number of the attempt that made it.
    pub epoch: usize,
    /// Whether the server still knows it.
    pub is_known: bool,
    /// What the client notices when it sends.
    pub health: Health,
    /// Whether what the server sends vanishes.
    pub is_mute: bool,
    /// Whether the client gave it up.
    pub is_dropped: bool,
    /// The keys whose next change is to be announced.
    pub armed: [bool; KEYS.len()],
    /// Commands on their way to the server, or waiting there.
    pub inbox: VecDeque<Request>,
    /// What the server sent.
    pub outbox: Lane<Frame>,
    /// Replies that have arrived and wait for the worker.
    pub replies: Lane<(oneshot::Sender<Replies>, Replies)>,
    /// Announcements that have arrived and wait for the task that reports them.
    pub pushes: Lane<(Change, Moment)>,
    /// Until when the task that drives it has no turn.
    pub stalled_until: u64,
    /// The last change of each key that was reported.
    pub reported: [Option<Moment>; KEYS.len()],
    /// Callers whose replies will never come.
    pub limbo: Vec<oneshot::Sender<Replies>>,
    /// The slowest reading of the clock on it.
    pub slowest_clock_ms: u64,
}

impl Conn {
    /// A new connection.
    pub fn new(changes: Changes, tracked: bool, epoch: usize) -> Self {
        Self {
            changes,
            tracked,
            epoch,
            is_known: true,
            health: Health::Well,
            is_mute: false,
            is_dropped: false,
            armed: [false; KEYS.len()],
            inbox: VecDeque::new(),
            outbox: Lane::default(),
            replies: Lane::default(),
            pushes: Lane::default(),
            stalled_until: 0,
            reported: [None; KEYS.len()],
            limbo: vec![],
            slowest_clock_ms: 0,
        }
    }

    /// Whether an announcement has arrived in the client and was not reported yet.
    pub fn is_silent_about(&self, keys: &[usize]) -> bool {
        self.pushes.things().any(|(change, _)| match change {
            Change::Key(name) => keys.iter().any(|key| name.as_bytes() == KEYS[*key].0.as_bytes()),
            Change::Everything | Change::Keys(_) => true,
            Change::LinkLost => false,
        })
    }
}
