//! What each namespace has of what all of them share: remembered triggers, their keys, open streams.
//!
//! It is apart from the sampler because a namespace's triggers may be spread over all connections,
//! and from access because here it is not about what may be read but how much. A trigger counts for
//! as long as the sampler remembers it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    config::Quota, layouts::Read, limits, sampling::Subject, time::Instant, trigger::shown,
};

/// How often what was not asked for any more is looked for.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
/// The shortest time between two such looks at one namespace, for calls that are refused meanwhile.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// A namespace has as much of something as it may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "namespace `{namespace}` is at its limit of {most} {what} (setting limits.{what}_per_namespace)"
)]
pub(super) struct OverQuota {
    namespace: String,
    what: &'static str,
    most: usize,
}

/// Every namespace that has something.
#[derive(Debug)]
pub(super) struct Tenants {
    quota: Quota,
    all: Mutex<All>,
}

#[derive(Debug)]
struct All {
    tenants: HashMap<Box<str>, Tenant>,
    swept_at: Instant,
}

#[derive(Debug)]
struct Tenant {
    triggers: HashMap<Arc<Subject>, Known>,
    keys: usize,
    streams: usize,
    swept_at: Option<Instant>,
}

/// A trigger that counts.
#[derive(Debug)]
struct Known {
    last_asked: Instant,
    streams: usize,
}

/// One open stream of a namespace, until it is dropped.
pub(super) struct Place {
    tenants: Arc<Tenants>,
    subject: Arc<Subject>,
}

impl Tenants {
    pub(super) fn new(quota: Quota, now: Instant) -> Arc<Self> {
        let all = Mutex::new(All { tenants: HashMap::new(), swept_at: now });
        Arc::new(Self { quota, all })
    }

    /// Counts a trigger that is asked for, if it is new.
    ///
    /// # Errors
    /// [`OverQuota`] when its namespace has as many triggers or keys as it may.
    pub(super) fn admit(&self, subject: &Arc<Subject>, now: Instant) -> Result<(), OverQuota> {
        let mut all = self.all();
        all.sweep(now);
        let tenant = all.tenant(subject);
        if let Some(known) = tenant.triggers.get_mut(subject) {
            known.last_asked = now;
            return Ok(());
        }
        let keys = keys_of(subject);
        if tenant.is_over(self.quota, keys).is_some() {
            tenant.forget(now);
        }
        if let Some((what, most)) = tenant.is_over(self.quota, keys) {
            all.drop_if_empty(&subject.namespace);
            let namespace = shown(&subject.namespace);
            return Err(OverQuota { namespace, what, most });
        }
        tenant.keys += keys;
        tenant.triggers.insert(Arc::clone(subject), Known { last_asked: now, streams: 0 });
        Ok(())
    }

    /// A trigger that was admitted and is not remembered after all.
    pub(super) fn dismiss(&self, subject: &Arc<Subject>) {
        let mut all = self.all();
        if let Some(tenant) = all.tenants.get_mut(subject.namespace.as_str()) {
            let is_open = tenant.triggers.get(subject).is_some_and(|known| known.streams > 0);
            if !is_open && tenant.triggers.remove(subject).is_some() {
                tenant.keys -= keys_of(subject);
            }
        }
        all.drop_if_empty(&subject.namespace);
    }

    /// Counts a stream.
    ///
    /// # Errors
    /// [`OverQuota`] when its namespace has as many open as it may.
    pub(super) fn open(self: &Arc<Self>, subject: &Arc<Subject>) -> Result<Place, OverQuota> {
        let mut all = self.all();
        let tenant = all.tenant(subject);
        if tenant.streams >= self.quota.streams {
            let namespace = shown(&subject.namespace);
            return Err(OverQuota { namespace, what: "streams", most: self.quota.streams });
        }
        tenant.streams += 1;
        if let Some(known) = tenant.triggers.get_mut(subject) {
            known.streams += 1;
        }
        Ok(Place { tenants: Arc::clone(self), subject: Arc::clone(subject) })
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.tenants.all();
        if let Some(tenant) = all.tenants.get_mut(self.subject.namespace.as_str()) {
            tenant.streams -= 1;
            if let Some(known) = tenant.triggers.get_mut(&self.subject) {
                known.streams = known.streams.saturating_sub(1);
                known.last_asked = known.last_asked.max(Instant::now());
            }
        }
        all.drop_if_empty(&self.subject.namespace);
    }
}

impl All {
    fn tenant(&mut self, subject: &Subject) -> &mut Tenant {
        // Most calls are of a namespace that is known: its name is only copied for another.
        if !self.tenants.contains_key(subject.namespace.as_str()) {
            let tenant = Tenant { triggers: HashMap::new(), keys: 0, streams: 0, swept_at: None };
            self.tenants.insert(subject.namespace.as_str().into(), tenant);
        }
        self.tenants.get_mut(subject.namespace.as_str()).expect("it was just made")
    }

    fn drop_if_empty(&mut self, namespace: &str) {
        if self.tenants.get(namespace).is_some_and(Tenant::is_empty) {
            self.tenants.remove(namespace);
        }
    }

    fn sweep(&mut self, now: Instant) {
        if now < self.swept_at + SWEEP_INTERVAL {
            return;
        }
        self.swept_at = now;
        self.tenants.retain(|_, tenant| {
            tenant.forget(now);
            !tenant.is_empty()
        });
    }
}

impl Tenant {
    fn is_empty(&self) -> bool {
        self.triggers.is_empty() && self.streams == 0
    }

    /// What there would be too much of with one more trigger of so many keys.
    fn is_over(&self, quota: Quota, keys: usize) -> Option<(&'static str, usize)> {
        if self.triggers.len() >= quota.triggers {
            return Some(("triggers", quota.triggers));
        }
        (self.keys + keys > quota.keys).then_some(("keys", quota.keys))
    }

    /// Forgets what the sampler forgets.
    fn forget(&mut self, now: Instant) {
        if self.swept_at.is_some_and(|swept_at| now < swept_at + SWEEP_PAUSE) {
            return;
        }
        self.swept_at = Some(now);
        let keys = &mut self.keys;
        self.triggers.retain(|subject, known| {
            let stays = known.streams > 0 || now < known.last_asked + limits::TRIGGER_MEMORY;
            if !stays {
                *keys -= keys_of(subject);
            }
            stays
        });
    }
}

/// How many keys a trigger names.
fn keys_of(subject: &Subject) -> usize {
    subject.trigger.plan.reads().iter().flat_map(Read::keys).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{layouts::Registry, trigger::Trigger};

    const QUOTA: Quota = Quota { triggers: 2, keys: 5, streams: 2 };

    fn subject(namespace: &str, name: &str, queues: &str) -> Arc<Subject> {
        let pairs = [("queue".to_owned(), queues.to_owned())];
        let trigger = Trigger::parse(pairs, Registry::builtin()).unwrap();
        Subject::new(namespace.to_owned(), name.to_owned(), Arc::new(trigger))
    }

    fn told(result: Result<(), OverQuota>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_namespace_at_a_limit_is_told_which_and_no_other_is_disturbed() {
        let now = Instant::now();
        let tenants = Tenants::new(QUOTA, now);
        for name in ["one", "two"] {
            tenants.admit(&subject("a", name, "q"), now).unwrap();
        }
        assert_eq!(
            told(tenants.admit(&subject("a", "three", "q"), now)),
            "namespace `a` is at its limit of 2 triggers (setting limits.triggers_per_namespace)"
        );
        tenants.admit(&subject("a", "one", "q"), now).unwrap();
        tenants.admit(&subject("b", "one", "q,r,s,t"), now).unwrap();
        assert_eq!(
            told(tenants.admit(&subject("b", "two", "q,r"), now)),
            "namespace `b` is at its limit of 5 keys (setting limits.keys_per_namespace)"
        );
        tenants.admit(&subject("b", "two", "q"), now).unwrap();
    }

    #[test]
    fn streams_are_counted_until_they_end() {
        let now = Instant::now();
        let tenants = Tenants::new(QUOTA, now);
        let subject = subject("a", "one", "q");
        tenants.admit(&subject, now).unwrap();
        let (one, _two) = (tenants.open(&subject).unwrap(), tenants.open(&subject).unwrap());
        assert_eq!(
            told(tenants.open(&subject).map(drop)),
            "namespace `a` is at its limit of 2 streams (setting limits.streams_per_namespace)"
        );
        drop(one);
        assert!(tenants.open(&subject).is_ok());
    }

    #[test]
    fn what_was_not_asked_for_in_a_while_counts_no_more_unless_a_stream_is_open() {
        let now = Instant::now();
        let tenants = Tenants::new(QUOTA, now);
        let (watched, asked) = (subject("a", "watched", "q"), subject("a", "asked", "r"));
        tenants.admit(&watched, now).unwrap();
        tenants.admit(&asked, now).unwrap();
        let stream = tenants.open(&watched).unwrap();
        let later = now + limits::TRIGGER_MEMORY;
        tenants.admit(&subject("a", "new", "s"), later).unwrap();
        assert!(tenants.admit(&asked, later).is_err());
        drop(stream);
        let last = later + 2 * limits::TRIGGER_MEMORY;
        tenants.admit(&subject("b", "other", "q"), last).unwrap();
        assert_eq!(tenants.all().tenants.len(), 1, "nothing is left of the namespace `a`");
    }

    #[test]
    fn a_trigger_that_is_not_remembered_after_all_does_not_count() {
        let now = Instant::now();
        let tenants = Tenants::new(QUOTA, now);
        for n in 0..10 {
            let subject = subject("a", &n.to_string(), "q,r,s");
            tenants.admit(&subject, now).unwrap();
            tenants.dismiss(&subject);
        }
        assert!(tenants.all().tenants.is_empty());
    }
}
