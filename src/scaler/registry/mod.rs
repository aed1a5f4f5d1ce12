//! The triggers that are remembered: one entry each, with its parsed form, who answers for it, when it was
//! asked for, its open streams, and what it takes of its namespace's share. An entry that goes gives all of
//! that back.
//!
//! A trigger is remembered for as long as its sampler remembers it. A request that was let in is known again
//! by a fingerprint of 128 bits under two keys that are drawn at the start, so that it is not parsed with
//! every poll, and nobody outside can make two requests that look the same.

mod common;
mod fingerprint;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    config::Quota,
    layouts, limits,
    sampling::{KeyShares, Sampler, Subject},
    telemetry::Method,
    time::Instant,
    trigger::shown,
};

use super::{refusal::OverQuota, request::Request, target::MovingTarget};

use common::{Common, CommonUse};
pub(super) use fingerprint::Fingerprint;
use fingerprint::Keys;

/// How often what was not asked for any more is looked for.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
/// The shortest time between two such looks at one namespace, for calls that are refused meanwhile.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// Every trigger that is remembered, by namespace.
#[derive(Debug)]
pub(super) struct Registry {
    quota: Quota,
    layouts: layouts::Registry,
    /// The keys, which the samplers take from too when they find some.
    shares: KeyShares,
    keys: Keys,
    all: Mutex<All>,
}

#[derive(Debug)]
struct All {
    tenants: HashMap<Box<str>, Tenant>,
    /// Which trigger a request asks for.
    requests: HashMap<Fingerprint, Arc<Subject>>,
    swept_at: Instant,
}

#[derive(Debug, Default)]
struct Tenant {
    triggers: HashMap<Arc<Subject>, KnownTrigger>,
    streams: usize,
    common: Common,
    swept_at: Option<Instant>,
}

#[derive(Debug, Clone)]
pub(super) struct KnownTrigger {
    pub(super) subject: Arc<Subject>,
    /// Who answers for it.
    pub(super) sampler: Sampler,
    /// When each method last asked for it.
    pub(super) asked: [Option<Instant>; Method::ALL.len()],
    pub(super) streams: usize,
    /// Its target, if it follows what is measured.
    pub(super) target: Option<Arc<Mutex<MovingTarget>>>,
    /// How the last new request for it looked.
    fingerprint: Fingerprint,
    /// When its answer was last asked for, or its last stream ended.
    last_asked: Instant,
    /// What it has in common with others; most triggers have nothing.
    held: Option<Arc<CommonUse>>,
}

impl KnownTrigger {
    /// A trigger that was not asked for yet.
    pub(super) fn new(subject: Arc<Subject>, sampler: Sampler, fingerprint: Fingerprint) -> Self {
        let held = CommonUse::of(&subject.trigger, sampler.name()).map(Arc::from);
        let (asked, last_asked) = ([None; Method::ALL.len()], Instant::now());
        let moves = subject.trigger.has_moving_target();
        let target = moves.then(|| Arc::new(Mutex::new(MovingTarget::new(subject.trigger.target))));
        Self { subject, sampler, asked, streams: 0, target, fingerprint, last_asked, held }
    }

    fn ask(&mut self, method: Method, now: Instant) {
        self.last_asked = now;
        self.note(method, now);
    }

    fn note(&mut self, method: Method, now: Instant) {
        self.asked[method as usize] = Some(now);
    }
}

/// One open stream of a namespace, until it is dropped.
pub(super) struct StreamSlot {
    registry: Arc<Registry>,
    subject: Arc<Subject>,
    /// Whether it keeps the trigger remembered. One that was opened before that does not.
    keeps: bool,
}

impl Registry {
    pub(super) fn new(
        quota: Quota,
        layouts: layouts::Registry,
        shares: KeyShares,
        now: Instant,
    ) -> Arc<Self> {
        let all = All { tenants: HashMap::new(), requests: HashMap::new(), swept_at: now };
        Arc::new(Self { quota, layouts, shares, keys: Keys::default(), all: Mutex::new(all) })
    }

    /// The layouts that triggers can name.
    pub(super) fn layouts(&self) -> &layouts::Registry {
        &self.layouts
    }

    /// How a request is known again.
    pub(super) fn fingerprint(&self, request: &Request) -> Fingerprint {
        self.keys.fingerprint(request)
    }

    /// The trigger of a request whose answer is asked for, and who gives it, if it is remembered.
    pub(super) fn asked(
        &self,
        fingerprint: Fingerprint,
        method: Method,
        now: Instant,
    ) -> Option<(Arc<Subject>, Sampler)> {
        let mut all = self.all();
        all.sweep(&self.shares, now);
        let known = all.known(fingerprint)?;
        known.ask(method, now);
        Some((Arc::clone(&known.subject), known.sampler.clone()))
    }

    /// The trigger of a request, if it is remembered. That keeps it no longer.
    pub(super) fn looked_up(
        &self,
        fingerprint: Fingerprint,
        method: Method,
        now: Instant,
    ) -> Option<KnownTrigger> {
        let mut all = self.all();
        let known = all.known(fingerprint)?;
        known.note(method, now);
        Some(known.clone())
    }

    /// A trigger that is remembered, in whatever words it was asked for.
    pub(super) fn of(&self, subject: &Subject) -> Option<KnownTrigger> {
        let all = self.all();
        all.tenants.get(subject.namespace.as_str())?.triggers.get(subject).cloned()
    }

    /// Remembers a trigger that is asked for, if it is new.
    ///
    /// # Errors
    /// [`OverQuota`] when its namespace has as much of something as it may.
    pub(super) fn admit(
        &self,
        mut new: KnownTrigger,
        method: Method,
        now: Instant,
    ) -> Result<(), OverQuota> {
        let mut guard = self.all();
        guard.sweep(&self.shares, now);
        guard.tenant(&new.subject.namespace);
        let All { tenants, requests, .. } = &mut *guard;
        let tenant = tenants.get_mut(new.subject.namespace.as_str()).expect("it was just made");
        if let Some(known) = tenant.triggers.get_mut(&new.subject) {
            known.ask(method, now);
            // The same trigger in other words.
            let old = std::mem::replace(&mut known.fingerprint, new.fingerprint);
            requests.remove(&old);
            requests.insert(new.fingerprint, Arc::clone(&known.subject));
            return Ok(());
        }
        let held = new.held.as_deref();
        if self.is_over(tenant, held).is_some() || !self.take_keys(&new.subject) {
            tenant.forget((&self.shares, requests), now);
            let over = self.is_over(tenant, held);
            let over = over
                .or_else(|| (!self.take_keys(&new.subject)).then(|| ("keys", self.shares.most())));
            if let Some((what, most)) = over {
                let namespace = shown(&new.subject.namespace);
                guard.drop_if_empty(&new.subject.namespace);
                return Err(OverQuota { namespace, what, most });
            }
        }
        tenant.common.add(held);
        new.ask(method, now);
        requests.insert(new.fingerprint, Arc::clone(&new.subject));
        tenant.triggers.insert(Arc::clone(&new.subject), new);
        Ok(())
    }

    /// What there would be too much of with one more trigger that holds this, but for keys.
    fn is_over(&self, tenant: &Tenant, held: Option<&CommonUse>) -> Option<(&'static str, usize)> {
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
        self.shares.take(&subject.namespace, subject.trigger.share())
    }

    /// Forgets a trigger that was admitted and that its sampler does not remember after all.
    pub(super) fn dismiss(&self, subject: &Arc<Subject>) {
        let mut guard = self.all();
        let All { tenants, requests, .. } = &mut *guard;
        if let Some(tenant) = tenants.get_mut(subject.namespace.as_str())
            && tenant.triggers.get(subject).is_some_and(|known| known.streams == 0)
            && let Some(known) = tenant.triggers.remove(subject)
        {
            known.give_back((&self.shares, requests), &mut tenant.common);
        }
        guard.drop_if_empty(&subject.namespace);
    }

    /// Counts a stream.
    ///
    /// # Errors
    /// [`OverQuota`] when its namespace has as many open as it may.
    pub(super) fn open(self: &Arc<Self>, subject: &Arc<Subject>) -> Result<StreamSlot, OverQuota> {
        let mut all = self.all();
        let tenant = all.tenant(&subject.namespace);
        if tenant.streams >= self.quota.streams {
            let namespace = shown(&subject.namespace);
            return Err(OverQuota { namespace, what: "streams", most: self.quota.streams });
        }
        tenant.streams += 1;
        let known = tenant.triggers.get_mut(subject);
        let keeps = known.is_some();
        known.into_iter().for_each(|known| known.streams += 1);
        Ok(StreamSlot { registry: Arc::clone(self), subject: Arc::clone(subject), keeps })
    }

    /// The triggers of some objects, in the order of namespace and name: so many, and the rest of the last
    /// object's up to as many again.
    pub(super) fn known(
        &self,
        which: impl Fn((&str, &str)) -> bool,
        most: usize,
        now: Instant,
    ) -> Vec<KnownTrigger> {
        let mut subjects = self.subjects(now);
        let object = |subject: &Arc<Subject>| (subject.namespace.clone(), subject.name.clone());
        subjects.retain(|subject| which((&subject.namespace, &subject.name)));
        subjects.sort_by(|one, other| {
            (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name))
        });
        if let Some(last) = subjects.get(most.saturating_sub(1)).map(object) {
            let others = subjects.iter().skip(most).take(most);
            let rest = others.take_while(|subject| object(subject) == last).count();
            subjects.truncate(most + rest);
        }
        let all = self.all();
        let known = |subject: &Arc<Subject>| {
            all.tenants.get(subject.namespace.as_str())?.triggers.get(subject).cloned()
        };
        subjects.iter().filter_map(known).collect()
    }

    /// How many triggers are remembered.
    pub(super) fn count(&self, now: Instant) -> usize {
        let mut all = self.all();
        all.sweep(&self.shares, now);
        all.requests.len()
    }

    /// Taken out quickly, since every call waits meanwhile.
    fn subjects(&self, now: Instant) -> Vec<Arc<Subject>> {
        let mut all = self.all();
        all.sweep(&self.shares, now);
        all.requests.values().cloned().collect()
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock()
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut all = self.registry.all();
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

/// What an entry gives back when it goes: its keys, and how its request looks.
type GivenBack<'a> = (&'a KeyShares, &'a mut HashMap<Fingerprint, Arc<Subject>>);

impl KnownTrigger {
    fn give_back(&self, (shares, requests): GivenBack<'_>, common: &mut Common) {
        common.remove(self.held.as_deref());
        shares.give_back(&self.subject.namespace, self.subject.trigger.share());
        requests.remove(&self.fingerprint);
    }
}

impl All {
    fn known(&mut self, fingerprint: Fingerprint) -> Option<&mut KnownTrigger> {
        let subject = self.requests.get(&fingerprint)?;
        self.tenants.get_mut(subject.namespace.as_str())?.triggers.get_mut(subject)
    }

    fn tenant(&mut self, namespace: &str) -> &mut Tenant {
        // Most calls are of a namespace that is known: its name is only copied for another.
        if !self.tenants.contains_key(namespace) {
            self.tenants.insert(namespace.into(), Tenant::default());
        }
        self.tenants.get_mut(namespace).expect("it was just made")
    }

    fn drop_if_empty(&mut self, namespace: &str) {
        if self.tenants.get(namespace).is_some_and(Tenant::is_empty) {
            self.tenants.remove(namespace);
        }
    }

    fn sweep(&mut self, shares: &KeyShares, now: Instant) {
        if now < self.swept_at + SWEEP_INTERVAL {
            return;
        }
        self.swept_at = now;
        let Self { tenants, requests, .. } = self;
        tenants.retain(|_, tenant| {
            tenant.forget((shares, &mut *requests), now);
            !tenant.is_empty()
        });
    }
}

impl Tenant {
    fn is_empty(&self) -> bool {
        self.triggers.is_empty() && self.streams == 0
    }

    /// Forgets what the sampler forgets.
    fn forget(&mut self, (shares, requests): GivenBack<'_>, now: Instant) {
        if self.swept_at.is_some_and(|swept_at| now < swept_at + SWEEP_PAUSE) {
            return;
        }
        self.swept_at = Some(now);
        let common = &mut self.common;
        self.triggers.retain(|_, known| {
            let stays = known.streams > 0 || now < known.last_asked + limits::TRIGGER_MEMORY;
            if !stays {
                known.give_back((shares, &mut *requests), common);
            }
            stays
        });
    }
}
