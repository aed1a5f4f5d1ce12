//! What the state says about one subject: whether its reads are settled, what may be said, and
//! what is news.
//!
//! Pure. `mod.rs` is about what happens next, and this file about what is true.

use crate::{
    layouts::{LayoutMismatch, Measure},
    limits,
    time::Instant,
    trigger::Verdict,
};

use super::{
    super::{
        cache::{ReadId, Slot},
        ids::SubscriptionId,
        news::News,
        note::Note,
        observation::{HeldVerdict, Look, Observation, Why, hold},
        subject::Subject,
    },
    LinkState, State,
};

impl State {
    /// Whether a call that came at `asked_at` can be answered: each read is fresh, or was sent or
    /// failed after the call came, or there is no link to wait for.
    pub(in crate::sampling) fn is_settled(
        &self,
        id: SubscriptionId,
        asked_at: Instant,
        now: Instant,
    ) -> bool {
        self.settled_until(id, now) >= Some(asked_at)
    }

    /// The last moment at which a call may have come that can be answered now.
    fn settled_until(&self, id: SubscriptionId, now: Instant) -> Option<Instant> {
        if matches!(self.link, LinkState::Down(_)) {
            return Some(now);
        }
        let subscription = self.subscriptions.get(id);
        if let Some(queues) = &subscription.queues {
            if queues.known_at.is_none() {
                return self.failing(id).map(|failing| failing.last);
            }
            // Where no queue is, none has to be read.
            if queues.mismatch.is_some() || subscription.reads.is_empty() {
                return Some(now);
            }
        }
        let is_final = !subscription.falls.is_provisional();
        let until = |slot: &Slot| {
            let failed_at = slot.fault.as_ref().map(|fault| fault.1);
            let stands = is_final && slot.is_fresh(now);
            if stands { Some(now) } else { read_at(slot).max(failed_at) }
        };
        let is_usable = self.is_coherent(id) || self.has_fault(id);
        self.slots(id).map(until).min().flatten().filter(|_| is_usable)
    }

    /// What may be said about a subject now, whatever is under way.
    pub(in crate::sampling) fn observe(&self, id: SubscriptionId, now: Instant) -> Observation {
        self.observe_judged(id, || self.judge(id), now)
    }

    /// What is said about a subject that is settled; `None` while a fall has to be confirmed.
    pub(in crate::sampling) fn conclude(
        &mut self,
        id: SubscriptionId,
        now: Instant,
    ) -> Option<Observation> {
        // What a call is told while nothing can be read is no count.
        if self.why_not(id).is_some() {
            return Some(self.observe(id, now));
        }
        // A reading is judged and believed once. Until something is read again, calls are answered with that.
        let known =
            self.subscriptions.get(id).judged.filter(|(of, _)| Some(*of) == self.newest(id));
        let judged = match known {
            Some((_, verdict)) => Some(Ok(verdict)),
            None => self.take_in(id, now),
        };
        let is_believed = self.subscriptions.get(id).falls.again_at().is_none();
        is_believed.then(|| self.observe_judged(id, || judged, now))
    }

    /// Judges what was read, and takes note of it.
    fn take_in(
        &mut self,
        id: SubscriptionId,
        now: Instant,
    ) -> Option<Result<Verdict, LayoutMismatch>> {
        let judged = self.judge(id);
        let verdict = judged.as_ref().and_then(|judged| judged.as_ref().ok());
        let newest = self.newest(id);
        self.note_past(id, verdict.copied(), now);
        let subscription = self.subscriptions.get_mut(id);
        subscription.judged = newest.zip(verdict.copied());
        subscription.noted = false;
        self.note_reading(id, verdict, now);
        judged
    }

    fn observe_judged(
        &self,
        id: SubscriptionId,
        judged: impl FnOnce() -> Option<Result<Verdict, LayoutMismatch>>,
        now: Instant,
    ) -> Observation {
        if let Some(why) = self.why_not(id) {
            return self.held(id, why, now);
        }
        if let Some(queues) = &self.subscriptions.get(id).queues {
            if let Some(why) = self.why_not_found(id, now) {
                return self.held(id, why, now);
            }
            if let Some(mismatch) = &queues.mismatch {
                return Observation::LayoutMismatch(mismatch.clone());
            }
        }
        match judged() {
            Some(Ok(verdict)) => {
                let falls = &self.subscriptions.get(id).falls;
                if falls.again_at().is_some() {
                    return self.held(id, Why::Unconfirmed, now);
                }
                self.told(id, falls.told(verdict, now), verdict, now)
            }
            // Jobs that are there are reason enough to run, whatever else is not known of them.
            Some(Err(mismatch)) if self.has_jobs(id) => {
                Observation::ActivityOnly { active: true, why: Why::Mismatch(mismatch) }
            }
            Some(Err(mismatch)) => Observation::LayoutMismatch(mismatch),
            None => self.held(id, Why::NotYetRead, now),
        }
    }

    /// What may be said about a subject without reading anything for it.
    #[must_use]
    pub fn look(&self, subject: &Subject, now: Instant) -> Option<Look> {
        let id = self.subscriptions.find(subject)?;
        let observation = if self.is_settled(id, now, now) {
            self.observe(id, now)
        } else {
            let why = self.why_not(id).or_else(|| self.why_not_found(id, now));
            self.held(id, why.unwrap_or(Why::NotAsked), now)
        };
        let is_exact = !self.subscriptions.get(id).exactness.is_bound();
        Some(Look { observation, is_exact, task_time: self.settings(id).task_time })
    }

    /// What a call must be answered with whose deadline has come.
    #[must_use]
    pub fn observe_late(&mut self, subject: &Subject, now: Instant) -> Observation {
        let Some(id) = self.subscriptions.find(subject) else {
            return Observation::Unavailable(Why::NotYetRead);
        };
        let observation = self.observe(id, now);
        if observation.is_of_now() {
            return self.held(id, Why::Slow, now);
        }
        observation
    }

    /// The last known value, as the stale policy allows it.
    pub(in crate::sampling) fn held(
        &self,
        id: SubscriptionId,
        why: Why,
        now: Instant,
    ) -> Observation {
        let subscription = self.subscriptions.get(id);
        let own = subscription.subject.trigger.stale_for.unwrap_or(self.hold_stale);
        // What was read since vouches for its own answers and not for this value.
        // A rate and an age change with time alone, whatever vouches for what they are made of.
        let trigger = &subscription.subject.trigger;
        let is_of_age = trigger.signal.is_made_of(Measure::Oldest, &trigger.settings);
        let is_of_time = subscription.arrivals.is_some() || is_of_age;
        let held = subscription.held.map(|held| HeldVerdict {
            valid_until: self
                .valid_until(id)
                .filter(|_| self.newest(id) == Some(held.read_at) && !is_of_time)
                .map_or(held.valid_until, |until| until.max(held.valid_until)),
            ..held
        });
        hold(held, why, own.min(self.hold_stale), now)
    }

    /// Takes note of what a finished batch means for a subject: answers its calls, tells its
    /// streams and plans its next reads.
    pub(in crate::sampling) fn settle(&mut self, id: SubscriptionId, now: Instant) {
        let scattered = !self.is_coherent(id);
        self.subscriptions.get_mut(id).scattered = scattered;
        // A trigger that was only polled may have answers here that nobody has looked at for long.
        if self.has_fault(id) {
            self.lose_sight(id, now);
        }
        let is_settled = self.is_settled(id, self.sent_at, self.sent_at);
        let concluded = if is_settled { self.conclude(id, now) } else { None };
        if let Some(observation) = &concluded {
            self.remember(id, observation);
            self.tell(id, self.for_streams(id, observation, now));
        }
        self.answer(id, concluded, now);
        self.plan_lapse(id, now);
        if self.subscriptions.get(id).is_wanted() {
            self.plan_reads(id, now);
        }
    }

    /// Activity within the window after a change that was announced: a worker that waits in BRPOP
    /// takes a job before anybody can count it.
    pub(in crate::sampling) fn windowed(
        &self,
        id: SubscriptionId,
        verdict: Verdict,
        now: Instant,
    ) -> Verdict {
        let until = self.subscriptions.get(id).active_until();
        Verdict { active: verdict.active || until.is_some_and(|until| now < until), ..verdict }
    }

    /// Notes an announced change for the subjects of a read that have an activity window.
    pub(in crate::sampling) fn note_activity(&mut self, read: ReadId, now: Instant) {
        let users: Vec<_> = self.subscriptions.users(read).collect();
        for user in users {
            let subscription = self.subscriptions.get_mut(user);
            if subscription.subject.trigger.activity_window.is_some() {
                subscription.last_change = Some(now);
            }
        }
    }

    /// Keeps a fresh value as the one to hold, and notes the edge if the subject became active.
    pub(in crate::sampling) fn remember(&mut self, id: SubscriptionId, observation: &Observation) {
        let times = self.valid_until(id).zip(self.newest(id));
        let (Observation::Fresh(verdict), Some((valid_until, read_at))) = (observation, times)
        else {
            return;
        };
        let subscription = self.subscriptions.get_mut(id);
        let before = subscription.held;
        subscription.held = Some(HeldVerdict { verdict: *verdict, read_at, valid_until });
        // The reading that was judged last, told once more.
        let is_noted = std::mem::replace(&mut subscription.noted, true);
        if is_noted && before.is_some_and(|held| held.verdict == *verdict) {
            return;
        }
        let was_active = before.is_some_and(|held| held.verdict.active);
        if verdict.active && !was_active {
            let suppressed = subscription.log.tell(read_at, limits::ACTIVATION_LOG_PAUSE);
            let subject = subscription.subject.clone();
            self.notes.push(Note::Active(subject, *verdict, suppressed));
        }
        self.note_exactness(id, read_at);
    }

    /// Answers the calls that wait for a subject and can be answered.
    fn answer(&mut self, id: SubscriptionId, concluded: Option<Observation>, now: Instant) {
        if self.subscriptions.get(id).is_awaited()
            && let Some(asked_until) = self.settled_until(id, now)
            && let Some(observation) = concluded.or_else(|| self.conclude(id, now))
        {
            self.subscriptions.get_mut(id).answer(&observation, asked_until);
        }
    }

    /// Tells the open streams of a subject what is news to them.
    fn tell(&self, id: SubscriptionId, observation: Observation) {
        if let Some(board) = &self.subscriptions.get(id).board {
            board.put_up(News { observation, announced_at: self.announced_at(id) });
        }
    }

    /// Every call and stream looks again, after the link or everything changed.
    pub(in crate::sampling) fn look_again(&mut self, now: Instant) {
        for id in self.subscriptions.ids() {
            let observation = self.observe(id, now);
            // What was read before is fresh no more, and no mismatch either, until it is read again.
            if !observation.is_of_now() {
                self.tell(id, observation);
            }
            self.answer(id, None, now);
            if self.subscriptions.get(id).is_wanted() {
                self.plan_reads(id, now);
            }
        }
    }

    /// Marks everything dirty; what was clean was true until `confirmed_at` where changes were
    /// announced.
    pub(in crate::sampling) fn invalidate_all(&mut self, confirmed_at: Option<Instant>) {
        self.cache.invalidate_all(confirmed_at);
    }

    /// Until when a link that announces changes has announced them all.
    pub(in crate::sampling) fn announced_until(&self) -> Option<Instant> {
        match &self.link {
            LinkState::Up { tracked: true, confirmed_at, .. } => Some(*confirmed_at),
            LinkState::Up { .. } | LinkState::Connecting | LinkState::Down(_) => None,
        }
    }

    pub(in crate::sampling) fn slots(&self, id: SubscriptionId) -> impl Iterator<Item = &Slot> {
        self.subscriptions.get(id).reads.iter().map(|read| self.cache.slot(*read))
    }

    pub(in crate::sampling) fn has_fault(&self, id: SubscriptionId) -> bool {
        self.slots(id).any(|slot| slot.fault.is_some())
    }

    /// Why nothing fresh can be said, if so.
    pub(in crate::sampling) fn why_not(&self, id: SubscriptionId) -> Option<Why> {
        match &self.link {
            LinkState::Down(fault) => return Some(Why::Fault(fault.clone())),
            LinkState::Connecting => return Some(Why::NotYetRead),
            LinkState::Up { .. } => {}
        }
        let fault = self.slots(id).find_map(|slot| slot.fault.as_ref());
        fault.map(|fault| Why::Fault(fault.0.clone()))
    }

    /// Whether no job can hide between the answers: none of them is both older than another one
    /// and no longer true. A job that moved on would be missing from the newer answer, and not yet
    /// be in the older one. Where nothing is announced, it is unknown what is still true, so that
    /// no answer may be older than one before it along the flow. A batch that was sent before the
    /// subject was known did not follow its flow, so that its answers are in no order.
    pub(in crate::sampling) fn is_coherent(&self, id: SubscriptionId) -> bool {
        let newest = self.newest(id);
        let is_announced = self.announced_until().is_some();
        let subscription = self.subscriptions.get(id);
        let in_order = |at| at >= Some(subscription.since) || subscription.reads.len() == 1;
        let along = |one, other| one < other || one == other && in_order(one);
        let is_still_valid = |slot: &Slot| slot.is_valid() && !slot.changes_silently();
        self.slots(id)
            .all(|slot| is_still_valid(slot) || read_at(slot) == newest && in_order(newest))
            && (is_announced
                || self.slots(id).map(read_at).is_sorted_by(|one, other| along(*one, *other)))
    }

    /// When the change was announced for which the newest answers were read.
    pub(in crate::sampling) fn announced_at(&self, id: SubscriptionId) -> Option<Instant> {
        let newest = self.newest(id)?;
        let known = self.slots(id).filter_map(|slot| slot.known.as_ref());
        known.filter(|known| known.read_at == newest).filter_map(|known| known.announced_at).max()
    }

    /// When the newest answer was read.
    pub(in crate::sampling) fn newest(&self, id: SubscriptionId) -> Option<Instant> {
        self.slots(id).filter_map(read_at).max().or_else(|| self.found_empty_at(id))
    }

    /// Until when all answers are known to have been true.
    fn valid_until(&self, id: SubscriptionId) -> Option<Instant> {
        let announced = self.announced_until();
        let until = |slot: &Slot| {
            let known = slot.known.as_ref()?;
            let clean = announced.filter(|_| slot.is_valid());
            Some(clean.map_or(known.valid_until, |proved| known.valid_until(proved)))
        };
        let read_until = self.slots(id).map(until).min().flatten();
        // What is still found speaks no longer for all there is once a search does not go on.
        let failing = self.failing(id).map(|failing| failing.since + limits::SEARCH_GRACE);
        read_until
            .or_else(|| self.found_empty_at(id))
            .map(|until| failing.map_or(until, |f| f.min(until)))
    }

    /// When it was found that there is no queue, and so nothing to read.
    fn found_empty_at(&self, id: SubscriptionId) -> Option<Instant> {
        let subscription = self.subscriptions.get(id);
        let queues = subscription.queues.as_ref().filter(|_| subscription.reads.is_empty());
        queues?.known_at
    }

    /// What the answers mean, if every read has one.
    pub(in crate::sampling) fn judge(
        &self,
        id: SubscriptionId,
    ) -> Option<Result<Verdict, LayoutMismatch>> {
        let subscription = self.subscriptions.get(id);
        // Of a search that has not ended nothing is known, however little there is to read.
        if subscription.queues.as_ref().is_some_and(|queues| queues.known_at.is_none()) {
            return None;
        }
        let counts = self.plan(id).counts(&self.answers(id)?);
        let settings = self.settings(id);
        let verdict = |counts| subscription.subject.trigger.verdict_under(&settings, counts);
        Some(counts.map(verdict))
    }
}

pub(in crate::sampling) fn read_at(slot: &Slot) -> Option<Instant> {
    slot.known.as_ref().map(|known| known.read_at)
}
