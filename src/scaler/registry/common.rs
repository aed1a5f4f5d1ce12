//! What several triggers of a namespace have in common: searches for the keys of a pattern, and channels of
//! heartbeats. Each counts once, however many of its triggers use it.
//!
//! What two namespaces both want is one to the link, and counts for each of them.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use crate::{
    layouts::{HeartbeatFormat, KeyPattern, Read},
    trigger::Trigger,
};

/// What one trigger takes part in, on the link of this name.
#[derive(Debug)]
pub(super) struct CommonUse {
    link: Arc<str>,
    searches: Box<[KeyPattern]>,
    heartbeats: Box<[Arc<HeartbeatFormat>]>,
}

/// What all triggers of one namespace take part in, and how many of them do.
#[derive(Debug, Default)]
pub(super) struct Common {
    searches: HashMap<(Arc<str>, KeyPattern), usize>,
    heartbeats: HashMap<(Arc<str>, Arc<HeartbeatFormat>), usize>,
}

impl CommonUse {
    /// What this trigger takes part in; `None` for one with neither patterns nor heartbeats.
    pub(super) fn of(trigger: &Trigger, link: &str) -> Option<Box<Self>> {
        let searches = trigger.search.iter().flat_map(|search| search.wilds()).cloned().collect();
        let mut heartbeats: Vec<Arc<HeartbeatFormat>> = vec![];
        for read in trigger.plan.reads() {
            if let Read::Heartbeats(read) = read
                && !heartbeats.contains(&read.format)
            {
                heartbeats.push(Arc::clone(&read.format));
            }
        }
        let held = Self { link: link.into(), searches, heartbeats: heartbeats.into() };
        (!held.searches.is_empty() || !held.heartbeats.is_empty()).then(|| Box::new(held))
    }

    fn searches(&self) -> impl Iterator<Item = (Arc<str>, KeyPattern)> {
        self.searches.iter().map(|wild| (Arc::clone(&self.link), wild.clone()))
    }

    fn heartbeats(&self) -> impl Iterator<Item = (Arc<str>, Arc<HeartbeatFormat>)> {
        self.heartbeats.iter().map(|format| (Arc::clone(&self.link), Arc::clone(format)))
    }
}

impl Common {
    /// How many searches and sets of channels there are with these.
    pub(super) fn with(&self, held: Option<&CommonUse>) -> (usize, usize) {
        let Some(held) = held else { return (0, 0) };
        let searches = held.searches().filter(|one| !self.searches.contains_key(one)).count();
        let heartbeats = held.heartbeats().filter(|one| !self.heartbeats.contains_key(one)).count();
        let more = |has: usize, new: usize| if new == 0 { 0 } else { has + new };
        (more(self.searches.len(), searches), more(self.heartbeats.len(), heartbeats))
    }

    pub(super) fn add(&mut self, held: Option<&CommonUse>) {
        let Some(held) = held else { return };
        held.searches().for_each(|one| *self.searches.entry(one).or_default() += 1);
        held.heartbeats().for_each(|one| *self.heartbeats.entry(one).or_default() += 1);
    }

    pub(super) fn remove(&mut self, held: Option<&CommonUse>) {
        let Some(held) = held else { return };
        held.searches().for_each(|one| leave(&mut self.searches, &one));
        held.heartbeats().for_each(|one| leave(&mut self.heartbeats, &one));
    }
}

fn leave<T: Eq + Hash>(users: &mut HashMap<T, usize>, one: &T) {
    if let Some(count) = users.get_mut(one) {
        *count -= 1;
        if *count == 0 {
            users.remove(one);
        }
    }
}
