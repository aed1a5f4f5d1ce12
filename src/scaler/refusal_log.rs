//! Which refusals the log has a line for: each of an object once, until it is another one.
//!
//! KEDA shows a refusal to the author of the trigger, and asks again with every poll, by several methods and
//! over all replicas. What was said is remembered within bounds.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    mem,
};

use parking_lot::Mutex;

use crate::{limits, telemetry::Code, time::Instant};

use super::refusal::Object;

/// What was said of refusals lately.
#[derive(Debug)]
pub(super) struct RefusalLog {
    /// Nobody outside can make two refusals that look the same.
    key: RandomState,
    lines: Mutex<Lines>,
}

/// The refusals that have a line, in two generations: what is not refused any more is forgotten after twice
/// the time for which a trigger is remembered at most.
#[derive(Debug)]
struct Lines {
    younger: HashSet<u64>,
    elder: HashSet<u64>,
    turned_at: Instant,
    /// Until when the lines that were written last by the allowed pace.
    paid_until: Instant,
    suppressed: u64,
}

impl RefusalLog {
    pub(super) fn new(now: Instant) -> Self {
        let (younger, elder) = (HashSet::new(), HashSet::new());
        let lines = Lines { younger, elder, turned_at: now, paid_until: now, suppressed: 0 };
        Self { key: RandomState::new(), lines: Mutex::new(lines) }
    }

    /// Whether the log is to have a line for this refusal, and how many calls were refused without one
    /// because there were too many lines. What goes without for that is told when it comes again.
    pub(super) fn tell(&self, object: &Object, message: &str, now: Instant) -> Option<u64> {
        let refusal = self.key.hash_one((object, message));
        let mut lines = self.lines.lock();
        lines.turn(now);
        if lines.knows(refusal) {
            return None;
        }
        if !lines.pay(now) {
            lines.suppressed = lines.suppressed.saturating_add(1);
            return None;
        }
        lines.younger.insert(refusal);
        Some(mem::take(&mut lines.suppressed))
    }
}

impl Lines {
    fn turn(&mut self, now: Instant) {
        let memory = limits::TRIGGER_MEMORY;
        if now >= self.turned_at + 2 * memory {
            self.younger.clear();
        }
        if now >= self.turned_at + memory || self.younger.len() >= limits::REFUSALS_TOLD / 2 {
            self.elder = mem::take(&mut self.younger);
            self.turned_at = now;
        }
    }

    fn knows(&mut self, refusal: u64) -> bool {
        let is_elder = self.elder.remove(&refusal);
        if is_elder {
            self.younger.insert(refusal);
        }
        is_elder || self.younger.contains(&refusal)
    }

    fn pay(&mut self, now: Instant) -> bool {
        let (burst, pause) = limits::REFUSAL_LINES;
        let from = self.paid_until.max(now);
        let may = from < now + burst * pause;
        if may {
            self.paid_until = from + pause;
        }
        may
    }
}

/// Whether it is told at all: what somebody wrote, or has too much of. An outage is told by the link, and what
/// Redis holds changes with every job.
pub(super) fn is_told(code: Code) -> bool {
    match code {
        Code::InvalidArgument | Code::PermissionDenied | Code::ResourceExhausted => true,
        Code::Ok
        | Code::FailedPrecondition
        | Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Unimplemented => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn object(name: &str) -> Object {
        Object { namespace: "ns".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn a_refusal_is_told_once_for_each_object_until_it_is_another() {
        let now = Instant::now();
        let told = RefusalLog::new(now);
        let tell = |name: &str, message: &str| told.tell(&object(name), message, now);
        assert_eq!(tell("a", "qeue: is unknown"), Some(0));
        assert_eq!(tell("a", "qeue: is unknown"), None);
        assert_eq!(tell("b", "qeue: is unknown"), Some(0), "another object");
        assert_eq!(tell("a", "group: is required"), Some(0), "another refusal");
        // Two triggers of one object that are both wrong do not take turns in the log.
        assert_eq!(tell("a", "qeue: is unknown"), None);
    }

    #[test]
    fn what_is_asked_with_every_poll_is_told_once_and_what_comes_back_after_a_while_again() {
        let start = Instant::now();
        let told = RefusalLog::new(start);
        let tell =
            |minutes: u64| told.tell(&object("a"), "no", start + Duration::from_secs(60 * minutes));
        assert_eq!(tell(0), Some(0));
        for minutes in 1..60 {
            assert_eq!(tell(minutes), None, "{minutes}");
        }
        assert_eq!((tell(60 + 21), tell(60 + 22)), (Some(0), None));
        assert_eq!(tell(60 + 22 + 120), Some(0));
    }

    #[test]
    fn more_lines_than_the_pace_wait_until_they_come_again_and_are_counted() {
        let start = Instant::now();
        let told = RefusalLog::new(start);
        let (burst, pause) = limits::REFUSAL_LINES;
        let tell = |number: u32, at: Instant| told.tell(&object(&number.to_string()), "no", at);
        for number in 0..burst {
            assert_eq!(tell(number, start), Some(0), "{number}");
        }
        assert_eq!((tell(burst, start), tell(burst + 1, start)), (None, None));
        assert_eq!(tell(burst, start + pause), Some(2));
        assert_eq!(tell(burst + 1, start + pause), None);
        assert_eq!(tell(burst + 1, start + 2 * pause), Some(1));
    }

    #[test]
    fn no_more_are_remembered_than_the_limit_whoever_asks() {
        let start = Instant::now();
        let told = RefusalLog::new(start);
        let (_, pause) = limits::REFUSAL_LINES;
        for number in 0..u32::try_from(2 * limits::REFUSALS_TOLD).unwrap() {
            // (Within the memory of a trigger all the time, as far as the pace is concerned.)
            told.lines.lock().turned_at = start + number * pause;
            assert!(
                told.tell(&object(&number.to_string()), "no", start + number * pause).is_some()
            );
            let lines = told.lines.lock();
            assert!(lines.younger.len() + lines.elder.len() <= limits::REFUSALS_TOLD);
        }
    }
}
