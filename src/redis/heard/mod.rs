//! Listening to workers: the channels of a link, and what was heard on them.
//!
//! It is apart from the commands because nothing is asked: Redis pushes what workers publish on the
//! connection that also brings its invalidations. What was heard outlives a link, as tasks do.

mod message;
pub(super) mod offline;
mod tuning;
mod workers;

use std::sync::Arc;

use deadpool_redis::redis::{PushInfo, PushKind, Value};
use parking_lot::{Mutex, MutexGuard};
use tracing::warn;

use crate::{
    layouts::{Answer, Heard, Name, Station},
    limits,
    sampling::{Change, Fault, Reply, Validity},
    time::Instant,
};

use message::{Said, farewell};
use workers::{Tally, Workers};

/// What is heard on one database of one Redis. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Ears {
    database: u32,
    rooms: Arc<Mutex<Vec<Room>>>,
}

/// One station, and who was heard there.
#[derive(Debug)]
struct Room {
    station: Arc<Station>,
    alive: Vec<Name>,
    gone: Vec<Name>,
    workers: Workers,
    read_at: Instant,
    /// Whether it was told that workers name no queues.
    told: bool,
}

impl Ears {
    /// Nothing was heard yet on this database.
    pub(super) fn new(database: u32) -> Self {
        Self { database, rooms: Arc::default() }
    }

    /// The name of a station for people, as its first channel is called here.
    pub(super) fn channel(&self, station: &Station) -> Name {
        station.alive[0].on(self.database)
    }

    /// The names of all channels of a station.
    pub(super) fn channels(&self, station: &Station) -> Vec<Name> {
        station.channels(self.database).collect()
    }

    /// The stations that somebody still asks about.
    pub(super) fn stations(&self) -> Vec<Arc<Station>> {
        self.rooms().iter().map(|room| Arc::clone(&room.station)).collect()
    }

    fn rooms(&self) -> MutexGuard<'_, Vec<Room>> {
        self.rooms.lock()
    }

    /// Takes in what Redis pushed, if it is a message, and tells what is news. Short, and never waits.
    pub(super) fn take(&self, push: &PushInfo, now: Instant) -> Vec<Change> {
        let (PushKind::Message, [Value::BulkString(channel), Value::BulkString(message)]) =
            (&push.kind, push.data.as_slice())
        else {
            return vec![];
        };
        let mut rooms = self.rooms();
        let news = rooms.iter_mut().filter_map(|room| {
            room.take(channel, message, now).then(|| Change::Key(room.station.key.clone()))
        });
        news.collect()
    }

    /// Remembers that a station is listened to from now on. What was heard there before a gap is
    /// kept.
    pub(super) fn listen(&self, station: &Arc<Station>, now: Instant) {
        let mut rooms = self.rooms();
        if let Some(room) = rooms.iter_mut().find(|room| room.station == *station) {
            room.workers.listen_anew(now);
            room.read_at = now;
            return;
        }
        let names = |channels: &[crate::layouts::Channel]| {
            channels.iter().map(|channel| channel.on(self.database)).collect()
        };
        rooms.push(Room {
            station: Arc::clone(station),
            alive: names(&station.alive),
            gone: names(&station.gone),
            workers: Workers::new(station, now),
            read_at: now,
            told: false,
        });
    }

    /// Takes in who is listed where those are that have not ended in their own way.
    fn enroll(&self, station: &Station, names: Vec<String>, now: Instant) {
        let mut rooms = self.rooms();
        if let Some(room) = rooms.iter_mut().find(|room| *room.station == *station) {
            room.workers.enroll(names, now);
        }
    }

    /// Whether another station can be listened to.
    pub(super) fn has_room(&self, station: &Station) -> bool {
        let rooms = self.rooms();
        rooms.len() < limits::STATIONS || rooms.iter().any(|room| *room.station == *station)
    }

    /// What those workers say whose jobs count.
    pub(super) fn answer(&self, heard: &Heard, now: Instant) -> Result<Reply, Fault> {
        let mut rooms = self.rooms();
        let Some(room) = rooms.iter_mut().find(|room| room.station == heard.station) else {
            return Err(Fault::Listening(limits::LISTENING));
        };
        room.read_at = now;
        let tally = room.workers.tally(&heard.whose, now);
        if let Ok(Tally { nameless: 1.., .. }) = tally
            && !std::mem::replace(&mut room.told, true)
        {
            warn!(channel = %room.station.key, "workers do not name their queues, so what they run is counted for none");
        }
        tally.map(|Tally { jobs, holds_for, nameless, silent }| Reply {
            answer: Answer::Heard { jobs, nameless, silent },
            lasts: holds_for.map_or(Validity::UntilAnnounced, Validity::For),
            moment: None,
        })
    }

    /// Who was heard on a station, for people.
    pub(super) fn describe(&self, station: &Station) -> String {
        let rooms = self.rooms();
        let room = rooms.iter().find(|room| *room.station == *station);
        room.map_or_else(|| "nothing yet".to_owned(), |room| room.workers.to_string())
    }

    /// Forgets the stations that nobody has asked about for as long as a trigger is remembered, and
    /// tells which channels nobody needs any more.
    pub(super) fn rest(&self, now: Instant) -> Vec<Name> {
        let mut rooms = self.rooms();
        let is_idle = |room: &mut Room| now >= room.read_at + limits::TRIGGER_MEMORY;
        let idle: Vec<Room> = rooms.extract_if(.., is_idle).collect();
        let needed = |name: &Name| rooms.iter().any(|room| room.has(name));
        let channels = idle.into_iter().flat_map(|room| [room.alive, room.gone].concat());
        channels.filter(|name| !needed(name)).collect()
    }
}

impl Room {
    fn has(&self, channel: &Name) -> bool {
        self.alive.contains(channel) || self.gone.contains(channel)
    }

    /// Takes in a message if it is for it. Tells whether it is news.
    fn take(&mut self, channel: &[u8], message: &[u8], now: Instant) -> bool {
        let is_one_of = |names: &[Name]| names.iter().any(|name| name.as_bytes() == channel);
        let understood = if is_one_of(&self.alive) {
            Said::parse(&self.station, message).map(|said| self.workers.hear(said, now))
        } else if is_one_of(&self.gone) {
            farewell(&self.station, message).map(|worker| self.workers.end(&worker))
        } else {
            return false;
        };
        understood.unwrap_or_else(|unread| {
            let channel = Name::new(channel);
            self.workers.doubt(format!("a message on `{channel}` cannot be read: {unread}"), now)
        })
    }
}

pub(super) fn deaf() -> Fault {
    let what = "messages of workers come over RESP3, which this Redis or its user does not have";
    Fault::Unexpected(what.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::*;
    use crate::layouts::{Channel, Glob, Whose};

    /// Celery's own.
    pub(super) fn station() -> Station {
        let channel = |event: &str| {
            Channel(["/".into(), format!(".celeryev/worker.{event}").as_str().into()].into())
        };
        Station {
            key: "/{database}.celeryev/worker.heartbeat".into(),
            alive: [channel("heartbeat"), channel("online")].into(),
            gone: [channel("offline")].into(),
            body: Some("/body".to_owned()),
            worker: "/hostname".to_owned(),
            jobs: "/active".to_owned(),
            every: "/freq".to_owned(),
            queues: ["/queues".to_owned(), "/x_worker_info/queues".to_owned()].into(),
            interval: Duration::from_secs(2),
            silence: None,
        }
    }

    fn heartbeat(worker: &str, active: u64) -> String {
        let body = format!(r#"{{"hostname": "{worker}", "active": {active}, "freq": 2}}"#);
        format!(r#"{{"body": "{}"}}"#, STANDARD.encode(body))
    }

    fn push(channel: &str, message: &str) -> PushInfo {
        let data = [channel, message].map(|text| Value::BulkString(text.as_bytes().to_vec()));
        PushInfo { kind: PushKind::Message, data: data.into() }
    }

    #[test]
    fn a_message_is_news_of_the_stations_on_its_channel_and_of_no_other_database() {
        let (ears, station, now) = (Ears::new(3), Arc::new(station()), Instant::now());
        ears.listen(&station, now);
        let news = |channel: &str, message: &str| ears.take(&push(channel, message), now);
        let key = || vec![Change::Key(station.key.clone())];
        assert_eq!(news("/3.celeryev/worker.online", &heartbeat("a", 2)), key());
        assert_eq!(news("/3.celeryev/worker.heartbeat", &heartbeat("a", 2)), []);
        assert_eq!(news("/0.celeryev/worker.heartbeat", &heartbeat("a", 5)), []);
        assert_eq!(news("/3.celeryev/worker.heartbeat", "garbage"), key());
        assert_eq!(news("/3.celeryev/worker.heartbeat", "garbage"), []);
        assert_eq!(news("/3.celeryev/worker.offline", &heartbeat("a", 0)), key());
    }

    #[test]
    fn what_nobody_asks_about_is_forgotten_and_its_channels_are_left() {
        let (ears, now) = (Ears::new(0), Instant::now());
        let one = Arc::new(station());
        let other = Arc::new(Station { jobs: "/processed".to_owned(), ..station() });
        let whose = Whose::Pool(Glob::parse("*").unwrap());
        ears.listen(&one, now);
        ears.listen(&other, now);
        let later = now + limits::TRIGGER_MEMORY;
        ears.answer(&Heard { station: Arc::clone(&one), whose }, later).unwrap();
        assert_eq!(ears.rest(later), [] as [Name; 0], "the other one has the same channels");
        assert_eq!(ears.rooms().len(), 1);
        let channels = ears.rest(later + limits::TRIGGER_MEMORY);
        assert_eq!(channels.len(), 3);
        assert!(ears.rooms().is_empty());
    }

    #[test]
    fn no_more_stations_are_listened_to_than_the_limit() {
        let (ears, now) = (Ears::new(0), Instant::now());
        for number in 0..limits::STATIONS {
            let one = Station { jobs: format!("/{number}"), ..station() };
            assert!(ears.has_room(&one));
            ears.listen(&Arc::new(one), now);
        }
        assert!(!ears.has_room(&station()));
        assert!(ears.has_room(&Station { jobs: "/0".to_owned(), ..station() }));
    }
}
