//! The search that `probe` makes for patterns, and what it found. It may be many commands, so it has no
//! transcript.

use std::collections::BTreeSet;

use anyhow::bail;

use crate::{
    layouts::{Allowed, FoundQueue, Name, Plan, Search},
    limits,
    sampling::{Link, Position},
    trigger::shown,
};

/// Queues that are listed by name.
const LISTED: usize = 20;

/// What was found for the patterns of a trigger.
pub(super) struct Findings {
    /// What is read of the queues.
    pub(super) plan: Plan,
    searches: Vec<(String, usize)>,
    queues: BTreeSet<FoundQueue>,
    left_out: Option<Name>,
}

/// Looks through the whole keyspace once for each pattern of keys.
pub(super) async fn look(
    link: &mut impl Link,
    search: &Search,
    allowed: &Allowed,
) -> anyhow::Result<Findings> {
    let (mut keys, mut searches, mut left_out) = (BTreeSet::new(), vec![], None);
    for wild in search.wilds() {
        let mut from: Option<Position> = None;
        let mut steps = 0;
        loop {
            let page = link.scan(wild, from.as_ref()).await??;
            steps += 1;
            // Redis is not given all of a pattern with many stars.
            let wanted = page.keys.into_iter().filter(|key| wild.glob.matches(key.as_bytes()));
            for key in wanted {
                if allowed.includes(key.as_bytes()) {
                    keys.insert(key);
                } else {
                    left_out.get_or_insert(key);
                }
            }
            if keys.len() > limits::KEYS_FOUND {
                bail!("more than {} keys match `{}`", limits::KEYS_FOUND, search.describe());
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        searches.push((shown(&wild.glob.to_string()), steps));
    }
    let (queues, refused) = search.queues(keys.iter(), &BTreeSet::new(), allowed);
    if queues.len() > limits::QUEUES_FOUND {
        bail!("more than {} queues match `{}`", limits::QUEUES_FOUND, search.describe());
    }
    let plan = search.plan(queues.iter(), allowed);
    Ok(Findings { plan, searches, queues, left_out: left_out.or(refused) })
}

impl Findings {
    /// The names of the queues.
    pub(super) fn names(&self) -> Vec<String> {
        self.queues.iter().map(|queue| queue.name.to_string()).collect()
    }

    /// A key of a queue that may not be counted, if there is one.
    pub(super) fn left_out(&self) -> Option<String> {
        self.left_out.as_ref().map(|key| shown(&key.to_string()))
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let steps = |(wild, steps): &(String, usize)| {
            let s = if *steps == 1 { "" } else { "s" };
            format!("looked for {wild} in {steps} SCAN{s}")
        };
        let mut names: Vec<String> =
            self.names().iter().take(LISTED).map(|name| shown(name)).collect();
        if self.queues.len() > LISTED {
            names.push(format!("{} more", self.queues.len() - LISTED));
        }
        let names = if names.is_empty() { "no queue".to_owned() } else { names.join(", ") };
        let left_out = self.left_out().map(|key| {
            format!("left out   a queue with the key {key}, which the rule `keys` does not include")
        });
        let searches = self.searches.iter().map(steps);
        searches.chain([format!("found      {names}")]).chain(left_out).collect()
    }
}
