//! When `true` is pushed: on every edge at once, unless it was a moment ago, then twice more, under a
//! budget for all streams.
//!
//! Pure: time is an argument. KEDA drops an event that comes before the ScaledObject's metric names
//! are known, hence the repeats; it patches the object for each event at 20 per second at most,
//! hence the budget (KEDA 2.20, `pkg/scaling/scale_handler.go`, `cmd/operator/main.go`).

use std::time::Duration;

use crate::{limits, telemetry::PushKind, time::Instant};

/// The state of one stream's pushes.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    last: Option<bool>,
    /// When `true` was sent last, unless `false` was sent since.
    told_at: Option<Instant>,
    /// When an edge is to be sent that came too soon after that.
    owed: Option<Instant>,
    /// The next repeat: its number, and when it is due.
    repeat: Option<(usize, Instant)>,
    /// Whether that moment is a place in the budget's timetable.
    booked: bool,
    push_inactive: bool,
}

impl Pulse {
    /// Nothing sent yet. `push_inactive` says whether `false` is sent on edges too.
    pub(super) fn new(push_inactive: bool) -> Self {
        Self { push_inactive, ..Self::default() }
    }

    /// What is to be sent now that the activity is this. `jitter` is from [0, 1).
    pub(super) fn observe(
        &mut self,
        active: bool,
        now: Instant,
        jitter: f64,
    ) -> Option<(bool, PushKind)> {
        let last = self.last.replace(active);
        match (last, active) {
            (None, true) => Some(self.tell(PushKind::First, now, jitter)),
            (None, false) => Some((false, PushKind::First)),
            (Some(false), true) => {
                let soonest = self.told_at.map(|at| at + limits::ACTIVATION_PAUSE);
                self.owed = soonest.filter(|at| *at > now);
                self.owed.is_none().then(|| self.tell(PushKind::Activated, now, jitter))
            }
            (Some(true), true) => {
                let is_due = self.owed.is_some_and(|at| at <= now);
                is_due.then(|| self.tell(PushKind::Activated, now, jitter))
            }
            (Some(true), false) => {
                (self.repeat, self.owed) = (None, None);
                if self.push_inactive {
                    self.told_at = None;
                }
                self.push_inactive.then_some((false, PushKind::Deactivated))
            }
            (Some(false), false) => None,
        }
    }

    fn tell(&mut self, kind: PushKind, now: Instant, jitter: f64) -> (bool, PushKind) {
        (self.told_at, self.owed) = (Some(now), None);
        self.plan_repeat(0, now, jitter);
        (true, kind)
    }

    /// Whether an edge waits for its time.
    pub(super) fn owes(&self) -> bool {
        self.owed.is_some()
    }

    /// When the next repeat is due, or an edge that waits.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.owed.or(self.repeat.map(|(_, at)| at))
    }

    /// Whether the repeat that is due has its place in the timetable already.
    pub(super) fn is_booked(&self) -> bool {
        self.booked
    }

    /// Notes that the repeat was sent, and plans the next one.
    pub(super) fn repeated(&mut self, now: Instant, jitter: f64) {
        if let Some((number, _)) = self.repeat.take() {
            self.told_at = Some(now);
            self.plan_repeat(number + 1, now, jitter);
        }
    }

    /// Puts the repeat off to its place in the timetable.
    pub(super) fn defer(&mut self, until: Instant) {
        if let Some((_, at)) = &mut self.repeat {
            (*at, self.booked) = (until, true);
        }
    }

    fn plan_repeat(&mut self, number: usize, now: Instant, jitter: f64) {
        let pause = limits::REPEAT_PAUSES.get(number);
        self.booked = false;
        self.repeat = pause.map(|pause| (number, now + pause.mul_f64(0.8 + 0.4 * jitter)));
    }
}

/// What all streams together may send: [`limits::PUSH_RATE`] a second, with a burst. Each message
/// takes a place in one timetable, so that repeats which have to wait are due one after another.
#[derive(Debug)]
pub(super) struct Budget {
    /// When the timetable is empty again.
    booked_until: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self { booked_until: now }
    }

    /// Books an edge, which never waits; repeats then wait the longer, up to a bound.
    pub(super) fn pay(&mut self, now: Instant) {
        let bound = now + 2 * limits::PUSH_BURST * self.interval();
        self.booked_until =
            (self.booked_until.max(now) + self.interval()).min(bound.max(self.booked_until));
    }

    /// Books a repeat and tells when it may be sent: now, or later if more than the burst is booked.
    pub(super) fn book(&mut self, now: Instant) -> Instant {
        self.booked_until = self.booked_until.max(now) + self.interval();
        let burst = limits::PUSH_BURST * self.interval();
        self.booked_until.checked_sub(burst).map_or(now, |at| at.max(now))
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(1) / limits::PUSH_RATE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushes(steps: &[(u64, bool)], push_inactive: bool) -> Vec<(u64, bool)> {
        let start = Instant::now();
        let mut pulse = Pulse::new(push_inactive);
        let mut sent = Vec::new();
        for second in 0..120 {
            let now = start + Duration::from_secs(second);
            if !pulse.owes() && pulse.due_at().is_some_and(|at| at <= now) {
                pulse.repeated(now, 0.5);
                sent.push((second, true));
            }
            for (_, active) in steps.iter().filter(|(at, _)| *at == second) {
                sent.extend(pulse.observe(*active, now, 0.5).map(|(result, _)| (second, result)));
            }
        }
        sent
    }

    #[test]
    fn an_edge_is_sent_at_once_and_twice_more_and_never_on_a_ticker() {
        let sent = pushes(&[(0, false), (10, true)], false);
        assert_eq!(sent, [(0, false), (10, true), (15, true), (35, true)]);
    }

    #[test]
    fn a_workload_that_became_inactive_is_not_repeated_and_false_is_not_pushed() {
        assert_eq!(pushes(&[(0, false), (10, true), (12, false)], false), [(0, false), (10, true)]);
        assert_eq!(pushes(&[(0, true), (2, false)], true), [(0, true), (2, false)]);
    }

    #[test]
    fn an_active_workload_is_told_first_and_repeated_as_an_edge() {
        assert_eq!(pushes(&[(0, true)], false), [(0, true), (5, true), (25, true)]);
    }

    #[test]
    fn a_queue_that_flaps_is_told_once_in_a_while_and_what_it_became_is_told_in_the_end() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut pulse = Pulse::new(false);
        assert!(pulse.observe(false, start, 0.5).is_some());
        let mut sent = vec![];
        for millis in 0..10_000 {
            let active = millis % 20 < 10;
            sent.extend(pulse.observe(active, at(millis), 0.5).map(|_| millis));
        }
        assert_eq!(sent.len(), 10, "{sent:?}");
        assert!(sent.windows(2).all(|pair| pair[1] - pair[0] >= 1_000), "{sent:?}");
        // One that stays active is not forgotten, and one that does not is not told any more.
        for (millis, active) in [(10_000, true), (10_010, false), (10_020, true)] {
            pulse.observe(active, at(millis), 0.5);
        }
        assert!(pulse.owes());
        let due = pulse.due_at().unwrap();
        assert_eq!(pulse.observe(true, due, 0.5), Some((true, PushKind::Activated)));
        assert!(pulse.due_at() > Some(due + Duration::from_secs(3)), "then it is repeated");
        pulse.observe(false, due, 0.5);
        pulse.observe(true, due, 0.5);
        pulse.observe(false, due, 0.5);
        assert_eq!(pulse.due_at(), None);
    }

    #[test]
    fn an_edge_after_a_false_that_was_sent_does_not_wait() {
        let start = Instant::now();
        let mut pulse = Pulse::new(true);
        let sent: Vec<bool> = [true, false, true, false, true]
            .into_iter()
            .filter_map(|active| pulse.observe(active, start, 0.5))
            .map(|(sent, _)| sent)
            .collect();
        assert_eq!(sent, [true, false, true, false, true]);
    }

    #[test]
    fn repeats_wait_for_the_budget_one_after_another_and_edges_do_not() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        for _ in 0..1000 {
            budget.pay(now);
        }
        let first = budget.book(now);
        assert!(now < first && first <= now + Duration::from_secs(3), "the debt is bounded");
        let booked: Vec<Instant> = (0..100).map(|_| budget.book(now)).collect();
        let interval = Duration::from_secs(1) / limits::PUSH_RATE;
        assert!(booked.windows(2).all(|pair| pair[1] == pair[0] + interval));
        let later = booked[99] + limits::PUSH_BURST * interval;
        assert_eq!(budget.book(later), later, "the timetable empties with time");
    }
}
