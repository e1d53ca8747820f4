//! Tells one listener which services have changed, and which of their instances, each once however often it did: a slow
//! listener loses nothing but intermediate states, and nothing grows but to the number of services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use crate::services::Member;
use crate::topic::Topic;

/// Instances of one service that are told by name; of more, everything is told. Who listens can take so many changes one
/// by one for less than the whole of a large service costs.
pub const TOLD_MAX: usize = 64;

/// What has changed of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// These instances, by the folded names of their nodes and their ids there: each came, went, or is otherwise.
    Instances(BTreeSet<Member>),
    /// Maybe all of them.
    Everything,
}

/// Services that changed.
#[derive(Debug)]
pub struct Subscription(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    changed: Mutex<BTreeMap<Arc<str>, Changed>>,
    bell: Notify,
}

/// Who listens.
#[derive(Debug, Default)]
pub(crate) struct Subscribers(Mutex<Vec<Weak<Shared>>>);

impl Changed {
    /// One instance more.
    pub(crate) fn add(&mut self, member: Member) {
        if let Changed::Instances(members) = self {
            members.insert(member);
            self.bound();
        }
    }

    fn join(&mut self, other: &Changed) {
        match (&mut *self, other) {
            (Changed::Instances(members), Changed::Instances(others)) => {
                members.extend(others.iter().cloned());
                self.bound();
            }
            _ => *self = Changed::Everything,
        }
    }

    fn bound(&mut self) {
        if matches!(self, Changed::Instances(members) if members.len() > TOLD_MAX) {
            *self = Changed::Everything;
        }
    }
}

impl Default for Changed {
    fn default() -> Changed {
        Changed::Instances(BTreeSet::new())
    }
}

impl Subscription {
    /// Waits for changes and takes them, by the services' folded names. May be dropped and called again without losing
    /// anything.
    pub async fn next(&mut self) -> BTreeMap<Arc<str>, Changed> {
        loop {
            let changed = std::mem::take(&mut *lock(&self.0.changed));
            if !changed.is_empty() {
                return changed;
            }
            self.0.bell.notified().await;
        }
    }
}

impl Subscribers {
    pub(crate) fn subscribe(&self) -> Subscription {
        let shared = Arc::new(Shared::default());
        let mut all = lock(&self.0);
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(&shared));
        Subscription(shared)
    }

    /// Tells of the services among the topics, and of those of their instances that are known to be all.
    pub(crate) fn tell(&self, topics: &BTreeSet<Topic>, known: &BTreeMap<Arc<str>, Changed>) {
        let names = || {
            topics.iter().filter_map(|topic| match topic {
                Topic::Service(name) => Some(name),
                _ => None,
            })
        };
        if names().next().is_none() {
            return;
        }
        for shared in lock(&self.0).iter().filter_map(Weak::upgrade) {
            let mut changed = lock(&shared.changed);
            for name in names() {
                let news = known.get(name).unwrap_or(&Changed::Everything);
                changed.entry(Arc::clone(name)).or_default().join(news);
            }
            shared.bell.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(number: usize) -> Member {
        ("web-1".into(), format!("orders-{number}").into())
    }

    #[test]
    fn many_instances_are_everything_and_so_is_what_nobody_knows_better() {
        let mut changed = Changed::default();
        (0..TOLD_MAX).for_each(|number| changed.add(member(number)));
        changed.add(member(0));
        assert_eq!(changed, Changed::Instances((0..TOLD_MAX).map(member).collect()));
        let mut joined = changed.clone();
        joined.join(&Changed::Everything);
        assert_eq!(joined, Changed::Everything);
        let mut others = Changed::default();
        others.add(member(TOLD_MAX));
        others.join(&changed);
        changed.add(member(TOLD_MAX));
        assert_eq!((changed, others), (Changed::Everything, Changed::Everything));
    }
}
