//! The model of Redis: connections, commands one by one, and announcements as tracking makes them.
//!
//! Tracking as Redis does it: a read arms its key on its connection, also when the key is missing; the first
//! write after that disarms it and is announced once; a new connection has nothing armed.

use std::fmt::Arguments;

use fastrand::Rng;
use penstock::{
    layouts::Name,
    limits,
    sampling::{Change, Changes, Fault},
};
use tokio::sync::oneshot;

use crate::{
    catalog::{CATALOG, KEYS, key_of},
    chaos,
    data::{Data, answer, lasts},
    ledger::Ledger,
    transcript::{Moment, Transcript},
    weather::Weather,
    wire::{Agenda, Command, Conn, ConnId, Event, Frame, Health, Outcome, Replies, Request},
};

/// Somebody who waits to be connected.
pub struct Knock {
    changes: Changes,
    epoch: usize,
    asker: Option<oneshot::Sender<Result<ConnId, Fault>>>,
}

/// Everything that is not the sampler.
pub struct Model {
    /// The moment.
    pub now: Moment,
    /// Every decision comes from here.
    pub random: Rng,
    /// What happens.
    pub log: Transcript,
    /// What Redis holds.
    pub data: Data,
    /// What is to happen.
    pub agenda: Agenda,
    /// All connections that ever were.
    pub conns: Vec<Conn>,
    /// All attempts to connect; the number of one is its epoch.
    pub knocks: Vec<Knock>,
    /// What goes wrong at present.
    pub weather: Weather,
    /// What the sampler was told.
    pub ledger: Ledger,
    /// How late the latest announcement was reported.
    pub latest_report_ms: u64,
}

impl Model {
    /// A model whose every decision comes from a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let weather = Weather::new(&mut random);
        let drift = random.i64(-300..=300);
        Self {
            now: Moment::default(),
            random,
            log: Transcript::default(),
            data: Data::new(drift),
            agenda: Agenda::default(),
            conns: vec![],
            knocks: vec![],
            weather,
            ledger: Ledger::new(CATALOG.reads.len()),
            latest_report_ms: 0,
        }
    }

    /// A new moment, now.
    pub fn tick(&mut self) -> Moment {
        self.now.number += 1;
        self.now
    }

    /// Notes what happens.
    pub fn note(&mut self, what: Arguments<'_>) {
        self.log.note(self.now, what);
    }

    /// Plans an event.
    pub fn plan(&mut self, ms: u64, event: Event) {
        let shuffle = self.random.u32(..);
        self.agenda.plan(ms, shuffle, event);
    }

    /// Notes that the worker sends a batch, and checks its bounds.
    pub fn begin_batch(&mut self, places: &[usize]) -> (u64, Moment) {
        let now = self.tick();
        self.note(format_args!("worker reads {places:?}"));
        let tick = |ms: u64| u128::from(ms) / limits::REFRESH_FLOOR.as_millis();
        let is_due =
            |place: &usize| self.ledger.sent_ms[*place].is_none_or(|ms| tick(ms) < tick(now.ms));
        if !places.iter().any(is_due) {
            let sent: Vec<_> = places.iter().map(|place| self.ledger.sent_ms[*place]).collect();
            let excess = format!("every read of {places:?} was sent in this tick before: {sent:?}");
            self.ledger.excess = Some(excess);
        }
        if places.len() > limits::BATCH_READS + limits::KEYS_PER_TRIGGER {
            self.ledger.excess = Some(format!("{} reads in one batch", places.len()));
        }
        places.iter().for_each(|place| self.ledger.sent_ms[*place] = Some(now.ms));
        self.ledger.batches += 1;
        if self.random.u8(..100) < self.weather.intruders {
            let delay = self.random.u64(..=2 * self.weather.lag);
            self.plan(now.ms + delay, Event::Intrude);
        }
        (self.ledger.batches, now)
    }

    /// Whether the next reply is to have another number of answers than reads.
    pub fn miscounts(&mut self) -> bool {
        std::mem::take(&mut self.weather.miscounts)
    }

    /// Somebody wants to be connected.
    pub fn knock(&mut self, changes: Changes) -> oneshot::Receiver<Result<ConnId, Fault>> {
        let (asker, answer) = oneshot::channel();
        let epoch = self.knocks.len();
        self.knocks.push(Knock { changes, epoch, asker: Some(asker) });
        self.tick();
        self.note(format_args!("worker connects ({epoch})"));
        let delay = self.weather.connect_delay(&mut self.random);
        if let Some(delay) = delay {
            self.plan(self.now.ms + delay, Event::Accept(epoch));
        }
        answer
    }

    /// Takes a connection, or refuses it.
    pub fn accept(&mut self, place: usize) {
        let now = self.now.ms;
        if now < self.weather.stopped_until {
            return self.plan(self.weather.stopped_until, Event::Accept(place));
        }
        let Some(asker) = self.knocks[place].asker.take() else { return };
        if now < self.weather.refusing_until {
            self.note(format_args!("connection {place} is refused"));
            let fault = if self.weather.is_loading {
                Fault::NotReady("LOADING".to_owned())
            } else {
                Fault::Unreachable("connection refused".to_owned())
            };
            asker.send(Err(fault)).unwrap_or(());
            return;
        }
        let tracked = self.weather.tracks(&mut self.random);
        let Knock { changes, epoch, .. } = &self.knocks[place];
        let (changes, epoch) = (changes.clone(), *epoch);
        let id = self.conns.len();
        self.conns.push(Conn::new(changes, tracked, epoch));
        self.note(format_args!("connection {place} is up as c{id}, tracked: {tracked}"));
        if asker.send(Ok(id)).is_err() {
            (self.conns[id].is_dropped, self.conns[id].is_known) = (true, false);
        }
    }

    /// The worker sends commands on a connection.
    pub fn send(&mut self, id: ConnId, commands: Vec<Command>) -> oneshot::Receiver<Replies> {
        let (asker, replies) = oneshot::channel();
        // No round trip takes no time: the sampler tells batches apart by when they were sent.
        let delay = 1 + self.weather.delay(&mut self.random);
        let arrives = self.now.ms + delay;
        let conn = &mut self.conns[id];
        match conn.health {
            Health::Broken => {
                let broken = Fault::Unreachable("broken pipe".to_owned());
                let ms = conn.replies.send(self.now.ms, (asker, Err(broken)));
                self.plan(ms, Event::Reply(id));
            }
            Health::Hanging => conn.limbo.push(asker),
            Health::Well => {
                conn.inbox.push_back(Request { commands, arrives, outcomes: vec![], asker });
                self.plan(arrives, Event::Execute(id));
            }
        }
        replies
    }

    /// Does the next command of a connection.
    pub fn execute(&mut self, id: ConnId) {
        let now = self.now.ms;
        if now < self.weather.stopped_until {
            return self.plan(self.weather.stopped_until, Event::Execute(id));
        }
        if self.conns[id].inbox.front().is_none_or(|request| request.arrives > now) {
            return;
        }
        if !self.weather.is_calm && self.random.u8(..100) < self.weather.meddling {
            chaos::write(self);
        }
        let Some(request) = self.conns[id].inbox.front() else { return };
        // What is counted in one batch is counted together, as in a transaction.
        let rest = &request.commands[request.outcomes.len()..];
        let counts =
            rest.iter().take_while(|command| matches!(command, Command::Count(..))).count();
        let now_done = rest[..counts.max(1)].to_vec();
        let outcomes: Vec<_> =
            now_done.into_iter().map(|command| self.outcome(id, command)).collect();
        let Some(request) = self.conns[id].inbox.front_mut() else { return };
        request.outcomes.extend(outcomes);
        if request.outcomes.len() < request.commands.len() {
            let pause = u64::from(self.random.u8(..10) == 0);
            return self.plan(now + pause, Event::Execute(id));
        }
        let Some(Request { outcomes, asker, .. }) = self.conns[id].inbox.pop_front() else {
            return;
        };
        let delay = self.weather.reply_delay(&mut self.random);
        self.dispatch(id, delay, Frame::Replies(asker, Ok(outcomes)));
        self.plan(now, Event::Execute(id));
    }

    fn outcome(&mut self, id: ConnId, command: Command) -> Outcome {
        let at = self.tick();
        let refused = || Fault::Refused("NOPERM".to_owned());
        match command {
            Command::Ping => Outcome::Pong,
            Command::Time if self.weather.hides_time => Outcome::Time(Err(refused())),
            Command::Time => Outcome::Time(Ok((self.data.clock.at(at), at))),
            Command::NextScore(place, clock) => {
                let read = &CATALOG.reads[place];
                let key = key_of(read);
                self.conns[id].armed[key] = true;
                Outcome::Lasting(lasts(self.data.content(key), read, clock))
            }
            Command::Count(place, clock) => {
                let read = &CATALOG.reads[place];
                let key = key_of(read);
                if self.weather.failing[key] {
                    self.note(format_args!("c{id} read {place} of {} is refused", KEYS[key].0));
                    return Outcome::Counted(Err(refused()));
                }
                self.conns[id].armed[key] = true;
                let answer = answer(self.data.content(key), read, clock);
                self.note(format_args!("c{id} read {place} of {}: {answer:?}", KEYS[key].0));
                Outcome::Counted(Ok((answer, at)))
            }
        }
    }

    /// A key was written to: announces it where it is armed.
    pub fn written(&mut self, key: usize) {
        let at = self.now;
        self.data.keys[key].writes.push(at);
        let name = Name::from(KEYS[key].0);
        for id in 0..self.conns.len() {
            let conn = &mut self.conns[id];
            if conn.is_known && conn.tracked && std::mem::take(&mut conn.armed[key]) {
                let delay = self.weather.delay(&mut self.random);
                self.dispatch(id, delay, Frame::Push(Change::Key(name.clone()), at));
            }
        }
    }

    /// Everything was written to: announces that, whatever is armed.
    pub fn flushed(&mut self) {
        let at = self.now;
        self.data.keys.iter_mut().for_each(|key| key.writes.push(at));
        for id in 0..self.conns.len() {
            let conn = &mut self.conns[id];
            conn.armed = [false; KEYS.len()];
            if conn.is_known && conn.tracked {
                let delay = self.weather.delay(&mut self.random);
                self.dispatch(id, delay, Frame::Push(Change::Everything, at));
            }
        }
    }

    /// Sends something to the client.
    pub fn dispatch(&mut self, id: ConnId, delay: u64, frame: Frame) {
        let conn = &mut self.conns[id];
        if conn.is_mute {
            if let Frame::Replies(asker, _) = frame {
                conn.limbo.push(asker);
            }
            return;
        }
        let ms = conn.outbox.send(self.now.ms + delay, frame);
        self.plan(ms, Event::Arrive(id));
    }

    /// The client reads what arrived; what it reports at once is returned.
    pub fn arrive(&mut self, id: ConnId) -> Option<(Changes, Change)> {
        let now = self.now.ms;
        let extra = self.weather.client_delay(&mut self.random);
        let is_inline = self.weather.is_inline;
        let conn = &mut self.conns[id];
        if now < conn.stalled_until {
            let until = conn.stalled_until;
            self.plan(until, Event::Arrive(id));
            return None;
        }
        match conn.outbox.take(now)? {
            Frame::Push(change, at) if is_inline => Some(self.report(id, change, at)),
            Frame::Push(change, at) => {
                let ms = conn.pushes.send(now + extra, (change, at));
                self.plan(ms, Event::Report(id));
                None
            }
            Frame::Replies(asker, replies) => {
                let ms = conn.replies.send(now + extra, (asker, replies));
                self.plan(ms, Event::Reply(id));
                None
            }
        }
    }

    /// Hands replies to the worker, if it still waits for them.
    pub fn reply(&mut self, id: ConnId) {
        let now = self.now.ms;
        let Some((asker, replies)) = self.conns[id].replies.take(now) else { return };
        let is_awaited = asker.send(replies).is_ok();
        self.note(format_args!("c{id} replies arrive, awaited: {is_awaited}"));
    }

    /// Takes the next announcement that waits to be reported.
    pub fn next_report(&mut self, id: ConnId) -> Option<(Changes, Change)> {
        let (change, at) = self.conns[id].pushes.take(self.now.ms)?;
        Some(self.report(id, change, at))
    }

    fn report(&mut self, id: ConnId, change: Change, at: Moment) -> (Changes, Change) {
        self.tick();
        self.note(format_args!("c{id} reports {change:?} of moment {}", at.number));
        self.latest_report_ms = self.latest_report_ms.max(self.now.ms - at.ms);
        let conn = &mut self.conns[id];
        match &change {
            Change::Key(name) => {
                let is_it = |(key, _): &(&str, _)| key.as_bytes() == name.as_bytes();
                let key = KEYS.iter().position(is_it).unwrap();
                conn.reported[key] = Some(at);
            }
            // What a lost link would have announced is as good as changed.
            Change::Everything | Change::Keys(_) | Change::LinkLost => {
                conn.reported = [Some(at); KEYS.len()]
            }
        }
        (conn.changes.clone(), change)
    }
}
