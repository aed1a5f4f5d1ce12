//! One change after another of a stream and its groups, of every command that makes one.

use deadpool_redis::redis::{self, Cmd, Connection};
use fastrand::Rng;

/// The groups of each stream.
pub const GROUPS: [&str; 2] = ["g", "h"];

/// The id of an entry at any place.
const ENTRY: &str = r"
local entries = redis.call('XRANGE', KEYS[1], '-', '+')
return #entries > 0 and entries[1 + ARGV[1] % #entries][1]";

/// How many entries the stream has, and how many were ever added to it.
const COUNTERS: &str = r"
local row, fields = redis.call('XINFO', 'STREAM', KEYS[1]), {}
for i = 1, #row, 2 do fields[row[i]] = row[i + 1] end
return {fields.length, fields['entries-added']}";

/// One stream and who changes it.
pub struct Stream<'r> {
    pub key: String,
    pub redis: &'r mut Connection,
    pub random: &'r mut Rng,
    /// Whether its counters are set to something by hand as well.
    pub lies: bool,
    /// Whether they were.
    pub lied: bool,
}

impl Stream<'_> {
    /// Sends a command. Redis refuses some ids and counters, which is as good as not having asked.
    fn send(&mut self, words: &str) -> bool {
        let mut command = Cmd::new();
        for word in words.split(' ') {
            command.arg(word);
        }
        command.query::<redis::Value>(self.redis).is_ok()
    }

    /// Makes it and its groups.
    pub fn make(&mut self) {
        let key = self.key.clone();
        self.add(1);
        for group in GROUPS {
            let from = ["0", "$"][self.random.usize(..2)];
            assert!(self.send(&format!("XGROUP CREATE {key} {group} {from}")));
        }
    }

    fn add(&mut self, entries: u64) {
        let mut pipeline = redis::pipe();
        let body = "x".repeat(self.random.usize(..40));
        for _ in 0..entries {
            pipeline.cmd("XADD").arg(&self.key).arg("*").arg("job").arg(&body).ignore();
        }
        pipeline.exec(self.redis).unwrap();
    }

    /// The id of some entry of the stream, or one before, between, or behind all of them.
    fn id(&mut self) -> String {
        let (kind, place) = (self.random.u8(..10), self.random.u32(..));
        let id: Option<String> = redis::cmd("EVAL")
            .arg(ENTRY)
            .arg(1)
            .arg(&self.key)
            .arg(place)
            .query(self.redis)
            .unwrap();
        match (kind, id) {
            (0, _) | (_, None) => "0-0".to_owned(),
            (1, _) => "$".to_owned(),
            (2, Some(id)) => {
                let (ms, _) = id.split_once('-').unwrap();
                format!("{}-{}", ms.parse::<u64>().unwrap() + self.random.u64(..3), 7)
            }
            (_, Some(id)) => id,
        }
    }

    /// A number about as large as the stream's own counters, or the one that makes a lag of none.
    fn number(&mut self) -> u64 {
        let (length, added): (u64, u64) =
            redis::cmd("EVAL").arg(COUNTERS).arg(1).arg(&self.key).query(self.redis).unwrap();
        if self.random.bool() { added } else { self.random.u64(..=2 * length + 10) }
    }

    /// Any one change of it.
    pub fn step(&mut self) {
        let key = self.key.clone();
        let group = GROUPS[self.random.usize(..2)];
        let few = self.random.u64(1..=8);
        match self.random.u8(..100) {
            0..=24 => self.add(few),
            25..=27 => {
                let many = self.random.u64(200..=1_400);
                self.add(many);
            }
            28..=34 => {
                let most = self.random.u64(..=12);
                assert!(self.send(&format!("XADD {key} MAXLEN {most} * a 1")));
            }
            35..=37 => assert!(self.send(&format!("XADD {key} MAXLEN ~ {} * a 1", few * 100))),
            38..=57 => {
                let count = if few == 8 { 700 } else { few };
                let noack = ["", "NOACK "][usize::from(few.is_multiple_of(4))];
                let read =
                    format!("XREADGROUP GROUP {group} c COUNT {count} {noack}STREAMS {key} >");
                assert!(self.send(&read));
            }
            58..=64 => {
                let rows: Vec<(String, String, u64, u64)> = redis::cmd("XPENDING")
                    .arg(&[&*key, group, "-", "+"])
                    .arg(few * few)
                    .query(self.redis)
                    .unwrap();
                let ids: String = rows.iter().map(|(id, ..)| format!(" {id}")).collect();
                assert!(ids.is_empty() || self.send(&format!("XACK {key} {group}{ids}")));
            }
            65..=70 => {
                let most = [0, few, 10 * few, 990, 1_010][self.random.usize(..5)];
                assert!(self.send(&format!("XTRIM {key} MAXLEN {most}")));
            }
            71..=73 => {
                let id = self.id().replace('$', "0");
                assert!(self.send(&format!("XTRIM {key} MINID {id}")));
            }
            74..=83 => {
                let ids: Vec<String> =
                    (0..few.min(3)).map(|_| self.id().replace('$', "0")).collect();
                assert!(self.send(&format!("XDEL {key} {}", ids.join(" "))));
            }
            84..=97 => self.set(&key, group),
            98 => {
                assert!(self.send(&format!("DEL {key}")));
                self.make();
            }
            _ => {
                let last = "18446744073709551615-18446744073709551614";
                assert!(self.send(&format!("XGROUP SETID {key} {group} {last}")));
            }
        }
    }

    /// Sets the ids and counters of the stream and its groups.
    fn set(&mut self, key: &str, group: &str) {
        match self.random.u8(..14) {
            0..=6 => {
                let id = self.id();
                let mut words = format!("XGROUP SETID {key} {group} {id}");
                if self.lies {
                    words += &format!(" ENTRIESREAD {}", self.number());
                }
                self.lied |= self.send(&words) && self.lies;
            }
            7..=11 => {
                let mut words = format!("XSETID {key} {}", self.id().replace('$', "1"));
                if self.lies {
                    let deleted = self.id().replace('$', "0");
                    words += &format!(" ENTRIESADDED {} MAXDELETEDID {deleted}", self.number());
                }
                self.lied |= self.send(&words) && self.lies;
            }
            _ => {
                let id = self.id();
                assert!(self.send(&format!("XGROUP DESTROY {key} {group}")));
                assert!(self.send(&format!("XGROUP CREATE {key} {group} {id}")));
            }
        }
    }
}
