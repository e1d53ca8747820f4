//! Tells one listener which services have changed, each once however often it did: a slow listener loses nothing but
//! intermediate states, and nothing grows but to the number of services.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

use crate::topic::Topic;

/// Names, folded, of services that changed.
#[derive(Debug)]
pub struct Subscription(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    changed: Mutex<BTreeSet<Arc<str>>>,
    bell: Notify,
}

/// Who listens.
#[derive(Debug, Default)]
pub(crate) struct Subscribers(Mutex<Vec<Weak<Shared>>>);

impl Subscription {
    /// Waits for changes and takes them. May be dropped and called again without losing anything.
    pub async fn next(&mut self) -> BTreeSet<Arc<str>> {
        loop {
            let changed = std::mem::take(&mut *self.0.changed.lock().unwrap_or_else(PoisonError::into_inner));
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
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(&shared));
        Subscription(shared)
    }

    pub(crate) fn tell(&self, topics: &BTreeSet<Topic>) {
        let names: Vec<&Arc<str>> = topics
            .iter()
            .filter_map(|topic| match topic {
                Topic::Service(name) => Some(name),
                _ => None,
            })
            .collect();
        if names.is_empty() {
            return;
        }
        for shared in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade) {
            let mut changed = shared.changed.lock().unwrap_or_else(PoisonError::into_inner);
            changed.extend(names.iter().map(|name| Arc::clone(name)));
            shared.bell.notify_one();
        }
    }
}
