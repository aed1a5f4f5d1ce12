//! A target that follows what is measured: what KEDA was told last, and when it is told another.
//!
//! Pure: time is an argument. Each change that is streamed costs KEDA seven requests of its twenty a second (2.21,
//! `controllers/keda/scaledobject_controller.go`), so that small ones are kept, and all triggers share a pace.

use crate::{limits, time::Instant, trigger::Target};

/// The target of one trigger. The streams of it and `GetMetricSpec` tell the same.
#[derive(Debug)]
pub(super) struct MovingTarget {
    told: Target,
    /// When it became another, or a stream was told it first.
    told_at: Option<Instant>,
    /// Streams that are open on it.
    streams: usize,
}

impl MovingTarget {
    /// What is told before anything is measured.
    pub(super) fn new(told: Target) -> Self {
        Self { told, told_at: None, streams: 0 }
    }

    /// What was told last.
    pub(super) fn told(&self) -> Target {
        self.told
    }

    /// A stream was opened, which is told what was told last. One beside others does not put off the next change.
    pub(super) fn opened(&mut self, now: Instant) {
        self.streams += 1;
        if self.streams == 1 {
            self.told_at = Some(now);
        }
    }

    /// A stream was closed.
    pub(super) fn closed(&mut self) {
        self.streams -= 1;
    }

    /// What `GetMetricSpec` is told, where this was measured. While a stream is open it is what the stream was told last,
    /// since KEDA goes by either.
    pub(super) fn asked(&mut self, measured: Target, now: Instant) -> Target {
        if self.streams == 0 && self.may_move(measured, now) {
            (self.told, self.told_at) = (measured, Some(now));
        }
        self.told
    }

    /// What streams are to be told, where this was measured.
    pub(super) fn followed(&mut self, measured: Target, now: Instant, pace: &mut Pace) -> Target {
        if self.may_move(measured, now) && pace.take(now) {
            (self.told, self.told_at) = (measured, Some(now));
        }
        self.told
    }

    /// Whether it is another by so much, and was told long enough ago.
    fn may_move(&self, measured: Target, now: Instant) -> bool {
        let ratio = measured.get() / self.told.get();
        let is_other = ratio.max(1.0 / ratio) >= limits::TARGET_STEP;
        is_other && self.told_at.is_none_or(|at| at + limits::TARGET_PAUSE <= now)
    }
}

/// How fast the targets of all triggers may change together.
#[derive(Debug)]
pub(super) struct Pace(Instant);

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self(now)
    }

    fn take(&mut self, now: Instant) -> bool {
        let is_free = self.0 <= now;
        if is_free {
            self.0 = now + limits::TARGET_INTERVAL;
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn target(number: f64) -> Target {
        Target::new(number).unwrap()
    }

    #[test]
    fn it_moves_by_a_fifth_or_more_and_at_most_once_a_minute() {
        let start = Instant::now();
        let (mut moving, mut pace) = (MovingTarget::new(target(10.0)), Pace::new(start));
        moving.opened(start);
        let mut follow = |seconds: u32, measured: f64| {
            moving.followed(target(measured), start + seconds * SECOND, &mut pace).get()
        };
        assert_eq!(follow(59, 20.0), 10.0, "a stream was told it less than a minute ago");
        assert_eq!(follow(60, 11.9), 10.0);
        assert_eq!(follow(61, 8.4), 10.0);
        assert_eq!(follow(62, 12.0), 12.0);
        assert_eq!(follow(121, 30.0), 12.0);
        assert_eq!(follow(122, 30.0), 30.0);
        assert_eq!(follow(182, 25.0), 25.0, "a fifth more the other way round");
    }

    #[test]
    fn while_a_stream_is_open_whoever_asks_is_told_what_it_was_told() {
        let start = Instant::now();
        let (mut moving, mut pace) = (MovingTarget::new(target(10.0)), Pace::new(start));
        assert_eq!(moving.asked(target(20.0), start).get(), 20.0, "nobody was told another one");
        assert_eq!(moving.asked(target(40.0), start + SECOND).get(), 20.0);
        moving.opened(start + SECOND);
        assert_eq!(moving.told().get(), 20.0);
        let later = start + 100 * SECOND;
        assert_eq!(moving.asked(target(40.0), later).get(), 20.0);
        assert_eq!(moving.followed(target(40.0), later, &mut pace).get(), 40.0);
        assert_eq!(moving.asked(target(80.0), later + 100 * SECOND).get(), 40.0);
        moving.closed();
        assert_eq!(moving.asked(target(80.0), later + 100 * SECOND).get(), 80.0);
    }

    #[test]
    fn all_triggers_share_a_pace() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut fleet: Vec<_> = (0..100).map(|_| MovingTarget::new(target(10.0))).collect();
        let mut moved = vec![];
        for tick in 0..200 {
            let now = start + tick * SECOND;
            let follow = |one: &mut MovingTarget| one.followed(target(20.0), now, &mut pace).get();
            moved.push(fleet.iter_mut().map(follow).filter(|told| *told == 20.0).count());
        }
        assert_eq!((moved[0], moved[50], moved[99], moved[199]), (1, 51, 100, 100));
    }
}
