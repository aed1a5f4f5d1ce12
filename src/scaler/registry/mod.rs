//! What each namespace has of what all of them share: remembered triggers, their keys, open streams,
//! what is looked for and listened to.
//!
//! It is apart from the sampler because a namespace's triggers may be spread over all connections,
//! and from access because here it is not about what may be read but how much. A trigger counts for
//! as long as the sampler remembers it.

mod common;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    config::Quota,
    limits,
    sampling::{KeyShares, Subject},
    time::Instant,
    trigger::shown,
};
use common::{Common, Held};

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
    /// The keys, which the samplers take from too when they find some.
    keys: KeyShares,
    all: Mutex<All>,
}

#[derive(Debug)]
struct All {
    tenants: HashMap<Box<str>, Tenant>,
    swept_at: Instant,
}

#[derive(Debug, Default)]
struct Tenant {
    triggers: HashMap<Arc<Subject>, Known>,
    streams: usize,
    common: Common,
    swept_at: Option<Instant>,
}

/// A trigger that counts.
#[derive(Debug)]
struct Known {
    last_asked: Instant,
    streams: usize,
    /// What it has in common with others; most triggers have nothing.
    held: Option<Box<Held>>,
}

/// One open stream of a namespace, until it is dropped.
pub(super) struct Place {
    tenants: Arc<Tenants>,
    subject: Arc<Subject>,
    /// Whether it keeps the trigger counted. One that was opened before the trigger counted does not.
    keeps: bool,
}

impl Tenants {
    pub(super) fn new(quota: Quota, keys: KeyShares, now: Instant) -> Arc<Self> {
        let all = Mutex::new(All { tenants: HashMap::new(), swept_at: now });
        Arc::new(Self { quota, keys, all })
    }

    /// Counts a trigger that is asked for on the link of this name, if it is new.
    ///
    /// # Errors
    /// [`OverQuota`] when its namespace has as much of something as it may.
    pub(super) fn admit(
        &self,
        subject: &Arc<Subject>,
        link: &str,
        now: Instant,
    ) -> Result<(), OverQuota> {
        let mut all = self.all();
        all.sweep(&self.keys, now);
        let tenant = all.tenant(subject);
        if let Some(known) = tenant.triggers.get_mut(subject) {
            known.last_asked = now;
            return Ok(());
        }
        let held = Held::of(&subject.trigger, link);
        if self.is_over(tenant, held.as_deref()).is_some() || !self.take_keys(subject) {
            tenant.forget(&self.keys, now);
            let over = self.is_over(tenant, held.as_deref());
            let over =
                over.or_else(|| (!self.take_keys(subject)).then(|| ("keys", self.keys.most())));
            if let Some((what, most)) = over {
                all.drop_if_empty(&subject.namespace);
                let namespace = shown(&subject.namespace);
                return Err(OverQuota { namespace, what, most });
            }
        }
        tenant.common.add(held.as_deref());
        tenant.triggers.insert(Arc::clone(subject), Known { last_asked: now, streams: 0, held });
        Ok(())
    }

    /// What there would be too much of with one more trigger that holds this, but for keys.
    fn is_over(&self, tenant: &Tenant, held: Option<&Held>) -> Option<(&'static str, usize)> {
        let Quota { triggers, searches, heartbeats, .. } = self.quota;
        let (more_searches, more_heartbeats) = tenant.common.with(held);
        if tenant.triggers.len() >= triggers {
            Some(("triggers", triggers))
        } else if more_searches > searches {
            Some(("searches", searches))
        } else if more_heartbeats > heartbeats {
            Some(("heartbeats", heartbeats))
        } else {
            None
        }
    }

    fn take_keys(&self, subject: &Subject) -> bool {
        self.keys.take(&subject.namespace, subject.trigger.share())
    }

    /// A trigger that was admitted and is not remembered after all.
    pub(super) fn dismiss(&self, subject: &Arc<Subject>) {
        let mut all = self.all();
        if let Some(tenant) = all.tenants.get_mut(subject.namespace.as_str()) {
            let is_open = tenant.triggers.get(subject).is_some_and(|known| known.streams > 0);
            if !is_open && let Some(known) = tenant.triggers.remove(subject) {
                tenant.common.remove(known.held.as_deref());
                give_back_keys(subject, &self.keys);
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
        let known = tenant.triggers.get_mut(subject);
        let keeps = known.is_some();
        known.into_iter().for_each(|known| known.streams += 1);
        Ok(Place { tenants: Arc::clone(self), subject: Arc::clone(subject), keeps })
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
            if let Some(known) = tenant.triggers.get_mut(&self.subject)
                && self.keeps
            {
                known.streams -= 1;
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
            self.tenants.insert(subject.namespace.as_str().into(), Tenant::default());
        }
        self.tenants.get_mut(subject.namespace.as_str()).expect("it was just made")
    }

    fn drop_if_empty(&mut self, namespace: &str) {
        if self.tenants.get(namespace).is_some_and(Tenant::is_empty) {
            self.tenants.remove(namespace);
        }
    }

    fn sweep(&mut self, keys: &KeyShares, now: Instant) {
        if now < self.swept_at + SWEEP_INTERVAL {
            return;
        }
        self.swept_at = now;
        self.tenants.retain(|_, tenant| {
            tenant.forget(keys, now);
            !tenant.is_empty()
        });
    }
}

impl Tenant {
    fn is_empty(&self) -> bool {
        self.triggers.is_empty() && self.streams == 0
    }

    /// Forgets what the sampler forgets.
    fn forget(&mut self, keys: &KeyShares, now: Instant) {
        if self.swept_at.is_some_and(|swept_at| now < swept_at + SWEEP_PAUSE) {
            return;
        }
        self.swept_at = Some(now);
        let common = &mut self.common;
        self.triggers.retain(|subject, known| {
            let stays = known.streams > 0 || now < known.last_asked + limits::TRIGGER_MEMORY;
            if !stays {
                common.remove(known.held.as_deref());
                give_back_keys(subject, keys);
            }
            stays
        });
    }
}

fn give_back_keys(subject: &Subject, keys: &KeyShares) {
    keys.give_back(&subject.namespace, subject.trigger.share());
}
