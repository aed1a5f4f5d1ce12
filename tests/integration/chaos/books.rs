//! What every part held at every time, and whether an answer can have been true.

use std::time::Duration;

use tokio::time::Instant;

use super::{audience::Sample, fleet::Fleet};

/// A number that something had, from the earliest moment that it can have had it to the latest.
#[derive(Debug, Clone, Copy)]
struct Entry {
    number: f64,
    from: Instant,
    until: Option<Instant>,
}

/// Every number that one thing had.
#[derive(Debug, Default)]
struct Track(Vec<Entry>);

impl Track {
    fn note(&mut self, number: f64, from: Instant, until: Instant) {
        if let Some(last) = self.0.last_mut() {
            if last.number == number {
                return;
            }
            last.until = Some(until);
        }
        self.0.push(Entry { number, from, until: None });
    }

    /// The numbers that it had at some time from one moment to another.
    fn during(&self, from: Instant, to: Instant) -> Vec<f64> {
        let overlaps =
            |entry: &&Entry| entry.from <= to && entry.until.is_none_or(|until| until >= from);
        self.0.iter().filter(overlaps).map(|entry| entry.number).collect()
    }
}

impl Track {
    /// The numbers of a time and one before and after, each with its times relative to a moment.
    fn around(&self, (from, to): (Instant, Instant), moment: Instant) -> String {
        let relative = |at: Instant| match at.checked_duration_since(moment) {
            Some(after) => format!("+{}", after.as_millis()),
            None => format!("-{}", (moment - at).as_millis()),
        };
        let is_near = |entry: &&Entry| {
            entry.from <= to
                && entry.until.is_none_or(|until| until + Duration::from_millis(300) >= from)
        };
        let told = self.0.iter().filter(is_near).map(|Entry { number, from, until }| {
            let until = until.map_or_else(String::new, relative);
            format!("{number}[{}..{until}]", relative(*from))
        });
        told.collect::<Vec<_>>().join(" ")
    }
}

/// The books of a fleet.
pub struct Books {
    pub fleet: Fleet,
    /// The counts of the parts as they were last asked for.
    pub counts: Vec<f64>,
    asked_at: Instant,
    parts: Vec<Track>,
    values: Vec<Track>,
    activities: Vec<Track>,
}

impl Books {
    pub fn new(fleet: Fleet) -> Self {
        let tracks = |number| (0..number).map(|_| Track::default()).collect();
        Self {
            counts: vec![0.0; fleet.parts.len()],
            asked_at: Instant::now(),
            parts: tracks(fleet.parts.len()),
            values: tracks(fleet.members.len()),
            activities: tracks(fleet.members.len()),
            fleet,
        }
    }

    /// Notes what the parts hold, as an answer to a question put at `asked_at`. What is new has come
    /// about since the question before it.
    pub fn note(&mut self, counts: Vec<f64>, asked_at: Instant) {
        let (since, now) = (self.asked_at, Instant::now());
        for (track, count) in self.parts.iter_mut().zip(&counts) {
            track.note(*count, since, now);
        }
        for (member, track) in self.fleet.members.iter().zip(&mut self.values) {
            track.note(member.value(&counts), since, now);
        }
        for (member, track) in self.fleet.members.iter().zip(&mut self.activities) {
            track.note(f64::from(u8::from(member.active(&counts))), since, now);
        }
        (self.counts, self.asked_at) = (counts, asked_at);
    }

    /// Notes that nothing was left for a moment, which nobody had the time to count.
    pub fn was_empty(&mut self) {
        self.note(vec![0.0; self.fleet.parts.len()], self.asked_at);
    }

    /// What a trigger must be answered now that nothing changes any more.
    pub fn truth(&self, member: usize) -> (f64, bool) {
        let member = &self.fleet.members[member];
        (member.value(&self.counts), member.active(&self.counts))
    }

    /// What is wrong with a sample, if it can be no value that the trigger had within the budget.
    pub fn objection(&self, sample: &Sample, budget: Duration) -> Option<String> {
        let from = sample.asked_at.checked_sub(budget).unwrap_or(sample.asked_at);
        let window = (from, sample.answered_at);
        let wrong_value =
            sample.value.is_some_and(|value| !self.may_be(sample.member, value, window));
        let activities = self.activities[sample.member].during(window.0, window.1);
        let wrong_activity =
            sample.active.is_some_and(|active| !activities.contains(&f64::from(u8::from(active))));
        (wrong_value || wrong_activity).then(|| {
            let member = &self.fleet.members[sample.member];
            let around = |track: &Track| track.around(window, sample.asked_at);
            let parts = member.valued().map(|part| (&self.fleet.parts[part].key, around(&self.parts[part])));
            format!(
                "{:?}: asked {sample:?}; relative to the question in ms: values {}, activities {}, parts {:?}",
                member.trigger.metadata,
                around(&self.values[sample.member]),
                around(&self.activities[sample.member]),
                parts.collect::<Vec<_>>(),
            )
        })
    }

    /// Whether a trigger can have had a value. Of what is read in one command it must have been the
    /// value at one moment. Along a flow no job is missed, and those that move may count twice.
    fn may_be(&self, member: usize, value: f64, (from, to): (Instant, Instant)) -> bool {
        let values = self.values[member].during(from, to);
        let member = &self.fleet.members[member];
        if !member.is_several {
            return values.contains(&value);
        }
        let highest =
            |part: usize| self.parts[part].during(from, to).into_iter().fold(0.0, f64::max);
        let least = values.into_iter().fold(f64::INFINITY, f64::min);
        (least..=member.valued().map(highest).sum()).contains(&value)
    }
}
