//! Reads in quarantine: they may have ended a link, since they look at the members of a collection, or at jobs, and were
//! under way when it went.
//!
//! Pure. The values of members may be of any length, so one reply can be more than a link carries. Such a
//! read would go out with all others after each reconnect, and no read would be answered as long as its key
//! stands. So it is quarantined: read alone until it is answered, and put off when it ends the link alone as
//! well. Reads that look alike are one question, and are quarantined together.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use crate::{
    layouts::{Name, PerMember, Read},
    limits,
    time::Instant,
};

use super::source::Fault;

/// The quarantined reads of one connection, and what is under way on its link.
#[derive(Debug, Default)]
pub struct Quarantine {
    /// By the first of their reads, with no text of its own.
    known: HashMap<Read, Quarantined>,
    /// The batch that is not answered yet, if it looks at members.
    under_way: Vec<Read>,
    /// Since when quarantined reads are kept back for the others.
    kept_back_since: Option<Instant>,
    /// Whether it is their turn when they were kept back for long.
    gave_way: bool,
}

#[derive(Debug)]
struct Quarantined {
    /// One of its reads.
    read: Read,
    /// How often in a row it ended a link alone.
    alone: u32,
    /// Until when it is not sent, and why.
    put_off: Option<(Instant, Fault)>,
}

impl Quarantine {
    fn of(&self, read: &Read) -> Option<&Quarantined> {
        if self.known.is_empty() {
            return None;
        }
        self.known.get(&question(read)?)
    }

    /// Whether a read may have ended a link since it was last answered.
    pub fn has(&self, read: &Read) -> bool {
        self.of(read).is_some()
    }

    /// Why a read is not to be sent now, if so.
    pub fn put_off(&self, read: &Read, now: Instant) -> Option<&Fault> {
        let (until, fault) = self.of(read)?.put_off.as_ref()?;
        (now < *until).then_some(fault)
    }

    /// Which of these reads are to be sent next: those of the question that ended the fewest links alone, so
    /// that reads that met an outage by chance do not wait for the one that causes them.
    pub fn choose<I: Copy>(&self, ready: &[(I, &Read)]) -> Vec<I> {
        let ended = |read: &Read| self.of(read).map_or(0, |quarantined| quarantined.alone);
        let Some((_, first)) = ready.iter().min_by_key(|(_, read)| ended(read)) else {
            return vec![];
        };
        let alike = ready.iter().filter(|(_, read)| is_alike(first, read));
        alike.map(|(id, _)| *id).collect()
    }

    /// Whether quarantined reads that are due are sent now. Other reads that are due come first; where there are
    /// always some, they take turns after a while.
    pub fn take_turn(&mut self, others_are_due: bool, now: Instant) -> bool {
        let since = *self.kept_back_since.get_or_insert(now);
        let is_long = now >= since + limits::QUARANTINE_PATIENCE;
        let is_turn = !others_are_due || is_long && self.gave_way;
        self.gave_way = !is_turn;
        is_turn
    }

    /// Notes that no quarantined read is due.
    pub fn none_is_due(&mut self) {
        self.kept_back_since = None;
    }

    /// Notes what is sent.
    pub fn sent<'r>(&mut self, batch: impl Iterator<Item = &'r Read> + Clone) {
        self.under_way.clear();
        if batch.clone().any(looks_at_members) {
            self.under_way.extend(batch.cloned());
        }
    }

    /// Notes that what was sent is answered: it ended no link.
    pub fn answered(&mut self) {
        let answered = std::mem::take(&mut self.under_way);
        if !self.known.is_empty() {
            answered.iter().filter_map(question).for_each(|question| {
                self.known.remove(&question);
            });
        }
    }

    /// Notes that the link ended, and tells which reads are put off for that for the first time. What
    /// was under way may have ended it; `is_used` tells whether a quarantined read is still asked for.
    pub fn link_ended(
        &mut self,
        fault: &Fault,
        is_used: impl Fn(&Read) -> bool,
        now: Instant,
    ) -> Vec<Read> {
        self.kept_back_since = None;
        let batch = std::mem::take(&mut self.under_way);
        let is_alone = batch.iter().all(|read| is_alike(&batch[0], read));
        let of_members: HashMap<Read, Read> =
            batch.into_iter().filter_map(|read| Some((question(&read)?, read))).collect();
        let mut put_off = Vec::new();
        for (question, read) in of_members {
            match self.known.entry(question) {
                Entry::Vacant(place) => {
                    place.insert(Quarantined { read, alone: 0, put_off: None });
                }
                Entry::Occupied(known) => {
                    let quarantined = known.into_mut();
                    quarantined.read = read;
                    if is_alone {
                        quarantined.ended(fault, now);
                        put_off.extend((quarantined.alone == 2).then(|| quarantined.read.clone()));
                    }
                }
            }
        }
        self.known.retain(|_, quarantined| is_used(&quarantined.read));
        put_off
    }
}

impl Quarantined {
    /// Notes that it ended the link alone. The first time may have been an outage that came just then.
    fn ended(&mut self, fault: &Fault, now: Instant) {
        let pause = match self.alone {
            0 => Duration::ZERO,
            before => limits::QUARANTINE_PAUSES.after(before),
        };
        self.alone = self.alone.saturating_add(1);
        self.put_off = Some((now + pause, fault.clone()));
    }
}

/// What all reads have in common that look alike, if this one looks at members.
fn question(read: &Read) -> Option<Read> {
    if !looks_at_members(read) {
        return None;
    }
    let Read::PerMember(each) = read else { return Some(read.clone()) };
    let mut question = PerMember::clone(each);
    if let Some(filter) = &mut question.filter {
        filter.is = Name::from("").into();
    }
    Some(Read::PerMember(Arc::new(question)))
}

/// Whether what it looks at may be of any length: members, or jobs for their times.
fn looks_at_members(read: &Read) -> bool {
    match read {
        Read::PerMember(_) | Read::Oldest(_) => true,
        Read::Size(_)
        | Read::Number(_)
        | Read::Group(_)
        | Read::Idle(_)
        | Read::Flag(_)
        | Read::Heartbeats(_) => false,
    }
}

/// Whether both are one question about members.
fn is_alike(one: &Read, other: &Read) -> bool {
    match (one, other) {
        (Read::PerMember(one), Read::PerMember(other)) => one.looks_alike(other),
        (Read::Oldest(one), Read::Oldest(other)) => one == other,
        _ => false,
    }
}
