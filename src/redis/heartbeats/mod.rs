//! The heartbeats that workers publish on channels.
//!
//! Redis pushes them on the connection that also brings its invalidations. What is known of workers outlives
//! a link, since their tasks do.

mod message;
pub(super) mod offline;
mod workers;

use std::sync::Arc;

use deadpool_redis::redis::{PushInfo, PushKind, Value};
use parking_lot::{Mutex, MutexGuard};
use tracing::warn;

use crate::{
    layouts::{Answer, HeartbeatFormat, Heartbeats, HeartbeatsAnswer, Name},
    limits,
    sampling::{Change, Fault, Reply, Validity},
    time::Instant,
};

use message::{Heartbeat, farewell};
use workers::{HeartbeatTally, Workers};

/// The heartbeats on one database of one Redis. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct HeartbeatTracker {
    database: u32,
    entries: Arc<Mutex<Vec<TrackedFormat>>>,
}

/// One heartbeat format, and the workers that use it.
#[derive(Debug)]
struct TrackedFormat {
    format: Arc<HeartbeatFormat>,
    alive: Vec<Name>,
    gone: Vec<Name>,
    workers: Workers,
    read_at: Instant,
    /// Whether it was told that workers name no queues.
    told: bool,
}

impl HeartbeatTracker {
    /// Nothing was heard yet on this database.
    pub(super) fn new(database: u32) -> Self {
        Self { database, entries: Arc::default() }
    }

    /// The name of a format for people: that of its first channel, on this database.
    pub(super) fn channel(&self, format: &HeartbeatFormat) -> Name {
        format.alive[0].on(self.database)
    }

    /// The names of all channels of a format.
    pub(super) fn channels(&self, format: &HeartbeatFormat) -> Vec<Name> {
        format.channels(self.database).collect()
    }

    /// The formats that a trigger still asks about.
    pub(super) fn formats(&self) -> Vec<Arc<HeartbeatFormat>> {
        self.entries().iter().map(|entry| Arc::clone(&entry.format)).collect()
    }

    fn entries(&self) -> MutexGuard<'_, Vec<TrackedFormat>> {
        self.entries.lock()
    }

    /// Takes in what Redis pushed, if it is a message, and tells what is news. Short, and never waits.
    pub(super) fn take(&self, push: &PushInfo, now: Instant) -> Vec<Change> {
        let (PushKind::Message, [Value::BulkString(channel), Value::BulkString(message)]) =
            (&push.kind, push.data.as_slice())
        else {
            return vec![];
        };
        let mut entries = self.entries();
        let news = entries.iter_mut().filter_map(|entry| {
            entry.take(channel, message, now).then(|| Change::Key(entry.format.key.clone()))
        });
        news.collect()
    }

    /// Remembers that the channels of a format are subscribed to from now on. What came before a gap is
    /// kept.
    pub(super) fn listen(&self, format: &Arc<HeartbeatFormat>, now: Instant) {
        let mut entries = self.entries();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.format == *format) {
            entry.workers.listen_anew(now);
            entry.read_at = now;
            return;
        }
        let names = |channels: &[crate::layouts::Channel]| {
            channels.iter().map(|channel| channel.on(self.database)).collect()
        };
        entries.push(TrackedFormat {
            format: Arc::clone(format),
            alive: names(&format.alive),
            gone: names(&format.gone),
            workers: Workers::new(format, now),
            read_at: now,
            told: false,
        });
    }

    /// Takes in who is listed where those are that have not ended in their own way.
    pub(super) fn enroll(&self, format: &HeartbeatFormat, names: Vec<String>, now: Instant) {
        let mut entries = self.entries();
        if let Some(entry) = entries.iter_mut().find(|entry| *entry.format == *format) {
            entry.workers.enroll(names, now);
        }
    }

    /// Whether another format can be listened to.
    pub(super) fn has_room_for(&self, format: &HeartbeatFormat) -> bool {
        let entries = self.entries();
        entries.len() < limits::HEARTBEAT_FORMATS
            || entries.iter().any(|entry| *entry.format == *format)
    }

    /// What those workers say whose jobs count.
    pub(super) fn answer(&self, heartbeats: &Heartbeats, now: Instant) -> Result<Reply, Fault> {
        let mut entries = self.entries();
        let Some(entry) = entries.iter_mut().find(|entry| entry.format == heartbeats.format) else {
            return Err(Fault::Listening(limits::LISTENING));
        };
        entry.read_at = now;
        let tally = entry.workers.tally(&heartbeats.workers, now);
        if let Ok(HeartbeatTally { nameless: 1.., .. }) = tally
            && !std::mem::replace(&mut entry.told, true)
        {
            warn!(channel = %entry.format.key, "workers do not name their queues, so what they run is counted for none");
        }
        tally.map(|HeartbeatTally { jobs, busy, finished, holds_for, nameless, silent }| Reply {
            answer: Answer::Heartbeats(HeartbeatsAnswer { jobs, busy, finished, nameless, silent }),
            lasts: holds_for.map_or(Validity::UntilAnnounced, Validity::For),
            moment: None,
            clock: None,
        })
    }

    /// The workers of a format, for people.
    pub(super) fn describe(&self, format: &HeartbeatFormat) -> String {
        let entries = self.entries();
        let entry = entries.iter().find(|entry| *entry.format == *format);
        entry.map_or_else(|| "nothing yet".to_owned(), |entry| entry.workers.to_string())
    }

    /// Forgets the formats that were not asked about for as long as a trigger is remembered, and returns
    /// the channels that are not needed any more.
    pub(super) fn rest(&self, now: Instant) -> Vec<Name> {
        let mut entries = self.entries();
        let is_idle = |entry: &mut TrackedFormat| now >= entry.read_at + limits::TRIGGER_MEMORY;
        let idle: Vec<TrackedFormat> = entries.extract_if(.., is_idle).collect();
        let needed = |name: &Name| entries.iter().any(|entry| entry.has(name));
        let channels = idle.into_iter().flat_map(|entry| [entry.alive, entry.gone].concat());
        channels.filter(|name| !needed(name)).collect()
    }
}

impl TrackedFormat {
    fn has(&self, channel: &Name) -> bool {
        self.alive.contains(channel) || self.gone.contains(channel)
    }

    /// Takes in a message if it is for it. Tells whether it is news.
    fn take(&mut self, channel: &[u8], message: &[u8], now: Instant) -> bool {
        let is_one_of = |names: &[Name]| names.iter().any(|name| name.as_bytes() == channel);
        let understood = if is_one_of(&self.alive) {
            Heartbeat::parse(&self.format, message)
                .map(|heartbeat| self.workers.take(heartbeat, now))
        } else if is_one_of(&self.gone) {
            farewell(&self.format, message).map(|worker| self.workers.end(&worker))
        } else {
            return false;
        };
        understood.unwrap_or_else(|unread| {
            let channel = Name::new(channel);
            self.workers.doubt(format!("a message on `{channel}` cannot be read: {unread}"), now)
        })
    }
}

pub(super) fn no_pushes() -> Fault {
    let what = "messages of workers come over RESP3, which this Redis or its user does not have";
    Fault::Unexpected(what.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::*;
    use crate::layouts::{Channel, Glob, WorkerFilter};

    pub(super) fn format() -> HeartbeatFormat {
        let channel = |event: &str| {
            Channel(["/".into(), format!(".celeryev/worker.{event}").as_str().into()].into())
        };
        HeartbeatFormat {
            key: "/{database}.celeryev/worker.heartbeat".into(),
            alive: [channel("heartbeat"), channel("online")].into(),
            gone: [channel("offline")].into(),
            body: Some("/body".to_owned()),
            worker: "/hostname".to_owned(),
            jobs: "/active".to_owned(),
            begun: Some("/processed".to_owned()),
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
    fn a_message_is_news_of_the_formats_on_its_channel_and_of_no_other_database() {
        let (tracker, format, now) = (HeartbeatTracker::new(3), Arc::new(format()), Instant::now());
        tracker.listen(&format, now);
        let news = |channel: &str, message: &str| tracker.take(&push(channel, message), now);
        let key = || vec![Change::Key(format.key.clone())];
        assert_eq!(news("/3.celeryev/worker.online", &heartbeat("a", 2)), key());
        assert_eq!(news("/3.celeryev/worker.heartbeat", &heartbeat("a", 2)), []);
        assert_eq!(news("/0.celeryev/worker.heartbeat", &heartbeat("a", 5)), []);
        assert_eq!(news("/3.celeryev/worker.heartbeat", "garbage"), key());
        assert_eq!(news("/3.celeryev/worker.heartbeat", "garbage"), []);
        assert_eq!(news("/3.celeryev/worker.offline", &heartbeat("a", 0)), key());
    }

    #[test]
    fn what_nobody_asks_about_is_forgotten_and_its_channels_are_left() {
        let (tracker, now) = (HeartbeatTracker::new(0), Instant::now());
        let one = Arc::new(format());
        let other = Arc::new(HeartbeatFormat { jobs: "/begun".to_owned(), ..format() });
        let workers = WorkerFilter::Pool(Glob::parse("*").unwrap());
        tracker.listen(&one, now);
        tracker.listen(&other, now);
        let later = now + limits::TRIGGER_MEMORY;
        tracker.answer(&Heartbeats { format: Arc::clone(&one), workers }, later).unwrap();
        assert_eq!(tracker.rest(later), [] as [Name; 0], "the other one has the same channels");
        assert_eq!(tracker.entries().len(), 1);
        let channels = tracker.rest(later + limits::TRIGGER_MEMORY);
        assert_eq!(channels.len(), 3);
        assert!(tracker.entries().is_empty());
    }

    #[test]
    fn no_more_formats_are_listened_to_than_the_limit() {
        let (tracker, now) = (HeartbeatTracker::new(0), Instant::now());
        for number in 0..limits::HEARTBEAT_FORMATS {
            let one = HeartbeatFormat { jobs: format!("/{number}"), ..format() };
            assert!(tracker.has_room_for(&one));
            tracker.listen(&Arc::new(one), now);
        }
        assert!(!tracker.has_room_for(&format()));
        assert!(tracker.has_room_for(&HeartbeatFormat { jobs: "/0".to_owned(), ..format() }));
    }
}
