//! A model of Redis: sizes by key, changes announced once per read as Redis does, and faults on
//! demand. It answers the reads of a batch one after the other, so that other clients' commands
//! come between them.

mod answers;
mod keys;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep},
};

use crate::{
    layouts::{Answer, KeyPattern, Name, Read, SizeAnswer},
    sampling::{Change, Changes, Fault, Flow, KeyPage, Link, Position, Reply, Source, Validity},
};

pub use keys::Keys;

type Meanwhile = Box<dyn FnMut(&mut Keys, usize) + Send>;

/// The model; clones are the same Redis.
#[derive(Clone)]
pub struct Redis {
    server: Arc<Mutex<Server>>,
    hung: Arc<watch::Sender<bool>>,
    replaced: Arc<Notify>,
    moved: Arc<Notify>,
}

struct Server {
    keys: Keys,
    tracked: bool,
    refusing: Option<Fault>,
    failing: HashMap<Name, Fault>,
    poisonous: HashSet<Name>,
    poisonings: Vec<(Instant, usize)>,
    breaking: bool,
    latency: Duration,
    link: usize,
    links: Vec<Changes>,
    meanwhile: Option<Meanwhile>,
    reads: Vec<(Instant, Read)>,
    batches: Vec<usize>,
    proofs: usize,
    clocks: usize,
    lasting: HashMap<Name, Validity>,
    scans: Vec<Instant>,
    scan_fault: Option<Fault>,
    page: usize,
    clock_began: Instant,
    clock_set: Duration,
    transacts: bool,
    moments: u64,
}

impl Redis {
    /// An empty Redis that announces changes, or does not.
    pub fn new(tracked: bool) -> Self {
        let server = Server {
            keys: Keys::default(),
            tracked,
            refusing: None,
            failing: HashMap::new(),
            poisonous: HashSet::new(),
            poisonings: vec![],
            breaking: false,
            latency: Duration::from_millis(1),
            link: 0,
            links: vec![],
            meanwhile: None,
            reads: vec![],
            batches: vec![],
            proofs: 0,
            clocks: 0,
            lasting: HashMap::new(),
            scans: vec![],
            scan_fault: None,
            page: 1_000,
            clock_began: Instant::now(),
            clock_set: Duration::from_hours(1),
            transacts: false,
            moments: 0,
        };
        let server = Arc::new(Mutex::new(server));
        let hung = Arc::new(watch::Sender::new(false));
        Self { server, hung, replaced: Arc::default(), moved: Arc::default() }
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    /// Does something to the keys and announces it, unless Redis hangs.
    pub fn write(&self, write: impl FnOnce(&mut Keys)) {
        write(&mut self.server().keys);
        self.announce(usize::MAX);
    }

    /// Does something to the keys; the announcements stay on their way until [`Redis::announce`],
    /// or until a later reply of the same connection overtakes them, which it cannot.
    pub fn write_unheard(&self, write: impl FnOnce(&mut Keys)) {
        write(&mut self.server().keys);
    }

    /// Another client's write that Redis does not announce, such as XACK; or time passing.
    pub fn write_silently(&self, key: &str, answer: Answer) {
        self.server().keys.answers.insert(key.into(), answer);
    }

    pub fn size(&self, key: &str, size: u64) {
        self.write(|keys| keys.set(key, Answer::Size(SizeAnswer::Members(size))));
    }

    /// Delivers the oldest announcements.
    pub fn announce(&self, number: usize) {
        if *self.hung.borrow() {
            return;
        }
        let (names, changes) = {
            let mut server = self.server();
            let number = number.min(server.keys.announcements.len());
            let names: Vec<_> = server.keys.announcements.drain(..number).collect();
            (names, server.links.last().cloned().filter(|_| server.tracked))
        };
        for name in names {
            changes.iter().for_each(|changes| changes.report(Change::Key(name.clone())));
        }
    }

    /// Reports on the link of this number, the first being 0.
    pub fn report(&self, link: usize, change: Change) {
        let changes = self.server().links[link].clone();
        changes.report(change);
    }

    /// Stops answering anything, as SIGSTOP does, or goes on.
    pub fn hang(&self, hangs: bool) {
        self.hung.send_replace(hangs);
        self.announce(usize::MAX);
    }

    /// Refuses connections and breaks the one there is, or is up again.
    pub fn down(&self, is_down: bool) {
        let fault = is_down.then(|| Fault::Unreachable("connection refused".to_owned()));
        self.server().refusing = fault;
        if is_down {
            self.cut();
        }
    }

    /// Makes the link's own guard say that another server is the right one. It answers on.
    pub fn replace(&self) {
        self.replaced.notify_waiters();
    }

    /// Tells the source that there is another server to connect to.
    pub fn tell_of_another(&self) {
        self.moved.notify_waiters();
    }

    pub fn cut(&self) {
        let last = {
            let mut server = self.server();
            server.link += 1;
            server.keys.armed.clear();
            server.keys.announcements.clear();
            server.links.last().cloned()
        };
        last.iter().for_each(|changes| changes.report(Change::LinkLost));
    }

    /// Accepts connections and breaks each with its first command.
    pub fn break_at_first_command(&self) {
        self.server().breaking = true;
        self.cut();
    }

    /// Lets the reads of one key fail alone, or succeed again.
    pub fn fail(&self, key: &str, fails: bool) {
        let failing = &mut self.server().failing;
        failing.remove(&key.into());
        if fails {
            failing.insert(key.into(), Fault::Refused("NOPERM".to_owned()));
        }
    }

    /// Lets every batch with this key end its connection, or no more.
    pub fn poison(&self, key: &str, poisons: bool) {
        let poisonous = &mut self.server().poisonous;
        poisonous.retain(|known| *known != key.into());
        poisonous.extend(poisons.then(|| key.into()));
    }

    /// When such a key ended a connection, and how many different questions the batch had.
    pub fn poisonings(&self) -> Vec<(Instant, usize)> {
        self.server().poisonings.clone()
    }

    /// Lets every step of a search fail alone, or succeed again.
    pub fn refuse_scans(&self, refuses: bool) {
        self.server().scan_fault = refuses.then(|| Fault::Refused("NOPERM".to_owned()));
    }

    /// How many keys one step of a search looks at.
    pub fn page(&self, keys: usize) {
        self.server().page = keys;
    }

    /// When each step of a search was answered.
    pub fn scans(&self) -> Vec<Instant> {
        self.server().scans.clone()
    }

    /// How long the answers about one key last by themselves.
    pub fn lasting(&self, key: &str, lasts: Validity) {
        self.server().lasting.insert(key.into(), lasts);
    }

    /// Sets the clock forward.
    pub fn set_clock(&self, forward: Duration) {
        self.server().clock_set += forward;
    }

    /// How long a batch is on its way to Redis, and again how long the answers are back.
    pub fn latency(&self, ms: u64) {
        self.server().latency = Duration::from_millis(ms);
    }

    /// What other clients do before each read of a batch.
    pub fn meanwhile(&self, act: impl FnMut(&mut Keys, usize) + Send + 'static) {
        self.server().meanwhile = Some(Box::new(act));
    }

    /// Answers a whole batch as of one moment, as a transaction does.
    pub fn transact(&self) {
        self.server().transacts = true;
    }

    /// When a key was read.
    pub fn reads(&self, key: &str) -> Vec<Instant> {
        let is_of_key = |read: &Read| *read.key() == Name::from(key);
        let server = self.server();
        server.reads.iter().filter(|(_, read)| is_of_key(read)).map(|(at, _)| *at).collect()
    }

    /// How many reads each batch had.
    pub fn batches(&self) -> Vec<usize> {
        self.server().batches.clone()
    }

    /// How many proofs were answered.
    pub fn proofs(&self) -> usize {
        self.server().proofs
    }

    /// How many of them were asked for the clock.
    pub fn clocks(&self) -> usize {
        self.server().clocks
    }

    /// How many connections were made.
    pub fn connects(&self) -> usize {
        self.server().links.len()
    }

    async fn responds(&self) {
        // The model keeps the sender, so that the wait ends with a value only.
        drop(self.hung.subscribe().wait_for(|hung| !hung).await);
    }
}

impl Source for Redis {
    type Link = Connection;

    async fn connect(&self, changes: Changes) -> Result<Connection, Fault> {
        sleep(Duration::from_millis(1)).await;
        self.responds().await;
        let mut server = self.server();
        if let Some(fault) = &server.refusing {
            return Err(fault.clone());
        }
        server.links.push(changes);
        Ok(Connection { redis: self.clone(), tracked: server.tracked, number: server.link })
    }

    async fn moved(&self) {
        self.moved.notified().await;
    }
}

/// One connection to the model.
pub struct Connection {
    redis: Redis,
    tracked: bool,
    number: usize,
}

impl Connection {
    fn check(&self) -> Result<(), Fault> {
        let server = self.redis.server();
        if server.breaking || server.link != self.number {
            return Err(Fault::Unreachable("broken pipe".to_owned()));
        }
        Ok(())
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
        let latency = self.redis.server().latency;
        sleep(latency).await;
        self.redis.responds().await;
        self.check()?;
        if self.redis.server().is_poisoned_by(reads) {
            self.redis.cut();
            return Err(Fault::Unreachable("it sent too much".to_owned()));
        }
        let (replies, earlier) = {
            let mut server = self.redis.server();
            (server.answer(reads), server.keys.announcements.len())
        };
        // One connection keeps its order: what was announced before a reply comes before it.
        self.redis.announce(earlier);
        sleep(latency).await;
        self.redis.responds().await;
        self.check()?;
        Ok(replies)
    }

    async fn scan(
        &mut self,
        wild: &KeyPattern,
        from: Option<&Position>,
    ) -> Result<Result<KeyPage, Fault>, Fault> {
        let latency = self.redis.server().latency;
        sleep(latency * 2).await;
        self.redis.responds().await;
        self.check()?;
        let mut server = self.redis.server();
        server.scans.push(Instant::now());
        if let Some(fault) = &server.scan_fault {
            return Ok(Err(fault.clone()));
        }
        Ok(Ok(server.keys.page(wild, from.map(Position::as_bytes), server.page)))
    }

    fn confirmed_until(&self, sent_at: Instant) -> Instant {
        sent_at
    }

    async fn prove(&mut self, clock: bool) -> Result<Option<Duration>, Fault> {
        let latency = self.redis.server().latency;
        sleep(latency * 2).await;
        self.redis.responds().await;
        self.check()?;
        let mut server = self.redis.server();
        server.proofs += 1;
        server.clocks += usize::from(clock);
        Ok(clock.then(|| server.clock_set + server.clock_began.elapsed()))
    }

    fn guard(&mut self) -> impl Future<Output = Fault> + Send + 'static {
        let replaced = Arc::clone(&self.redis.replaced);
        async move {
            replaced.notified().await;
            Fault::NotReady("another server is master".to_owned())
        }
    }
}
