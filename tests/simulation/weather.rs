//! How slow and how broken the world is at present.

use fastrand::Rng;
use penstock::limits;

use crate::catalog::KEYS;

/// Whether connections announce changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tracking {
    Always,
    Never,
    Sometimes,
}

/// What goes wrong, and how long things take.
#[derive(Debug)]
pub struct Weather {
    /// Whether nothing goes wrong.
    pub is_calm: bool,
    /// Whether announcements are reported by the task that reads them, before any later reply.
    pub is_inline: bool,
    /// Whether a link bounds its round trips itself.
    pub own_deadlines: bool,
    /// Until when the server stands still.
    pub stopped_until: u64,
    /// Until when it refuses connections.
    pub refusing_until: u64,
    /// Whether it says then that it loads its data.
    pub is_loading: bool,
    /// The keys that may not be read.
    pub failing: [bool; KEYS.len()],
    /// Whether the clock may not be read.
    pub hides_time: bool,
    /// Since when the clock could be read for sure.
    pub clock_told_since: u64,
    /// Whether the next batch gets another number of answers.
    pub miscounts: bool,
    /// How long the next replies take beyond the usual.
    pub slow_reply: Option<u64>,
    /// How long the next connecting takes; `u64::MAX` for ever.
    pub slow_connect: Option<u64>,
    /// How often in a hundred another client comes between two commands.
    pub meddling: u8,
    /// How often in a hundred somebody new asks while a batch is under way.
    pub intruders: u8,
    /// The longest usual way in milliseconds.
    pub lag: u64,
    tracking: Tracking,
}

impl Weather {
    /// What holds for a whole run, and a calm.
    pub fn new(random: &mut Rng) -> Self {
        let tracking = match random.u8(..20) {
            0 | 1 => Tracking::Never,
            2..=4 => Tracking::Sometimes,
            _ => Tracking::Always,
        };
        Self {
            is_calm: true,
            is_inline: random.u8(..3) > 0,
            own_deadlines: random.bool(),
            stopped_until: 0,
            refusing_until: 0,
            is_loading: false,
            failing: [false; KEYS.len()],
            hides_time: false,
            clock_told_since: 0,
            miscounts: false,
            slow_reply: None,
            slow_connect: None,
            meddling: 0,
            intruders: 0,
            lag: 2,
            tracking,
        }
    }

    /// Everything heals.
    pub fn clear(&mut self, now: u64) {
        *self = Self {
            is_calm: true,
            is_inline: self.is_inline,
            own_deadlines: self.own_deadlines,
            stopped_until: now,
            refusing_until: now,
            is_loading: false,
            failing: [false; KEYS.len()],
            hides_time: false,
            clock_told_since: if self.hides_time { now } else { self.clock_told_since },
            miscounts: false,
            slow_reply: None,
            slow_connect: None,
            meddling: 0,
            intruders: 0,
            lag: 2,
            tracking: self.tracking,
        };
    }

    /// Whether the connection that is made now announces changes.
    pub fn tracks(&self, random: &mut Rng) -> bool {
        match self.tracking {
            Tracking::Always => true,
            Tracking::Never => false,
            Tracking::Sometimes => random.bool(),
        }
    }

    /// One way between the sampler and the server.
    pub fn delay(&self, random: &mut Rng) -> u64 {
        random.u64(..=self.lag)
    }

    /// The way of replies, some of which are slow.
    pub fn reply_delay(&mut self, random: &mut Rng) -> u64 {
        self.slow_reply.take().unwrap_or_else(|| self.delay(random))
    }

    /// How long something waits in the client until its task has a turn.
    pub fn client_delay(&self, random: &mut Rng) -> u64 {
        if self.is_calm || random.bool() { 0 } else { random.u64(..=CLIENT_DELAY_MS) }
    }

    /// How long connecting takes; `None` for ever.
    pub fn connect_delay(&mut self, random: &mut Rng) -> Option<u64> {
        let slow = self.slow_connect.take();
        slow.map_or(Some(1 + self.delay(random)), |ms| (ms < u64::MAX).then_some(ms))
    }

    /// A delay just below or above a deadline of the sampler's or its link's.
    pub fn near_a_deadline(random: &mut Rng) -> u64 {
        let deadlines = [limits::COMMAND_DEADLINE, limits::READ_DEADLINE];
        let deadline = deadlines[random.usize(..deadlines.len())].as_millis();
        u64::try_from(deadline).unwrap() - 15 + random.u64(..30)
    }
}

/// The longest that a reply or an announcement waits in the client.
pub const CLIENT_DELAY_MS: u64 = 20;
