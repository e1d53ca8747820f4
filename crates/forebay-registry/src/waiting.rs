//! Who waits for which topic. A change wakes those who wait for it, and nobody else.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::topic::Topic;

/// One bell per topic that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Bells(Mutex<HashMap<Topic, Bell>>);

#[derive(Debug, Default)]
struct Bell {
    notify: Arc<Notify>,
    waiting: usize,
}

/// A place among those who wait for a topic; given up when dropped.
pub(crate) struct Place<'b> {
    bells: &'b Bells,
    topic: Topic,
    bell: Arc<Notify>,
}

impl Bells {
    pub(crate) fn wait_for(&self, topic: Topic) -> Place<'_> {
        let mut bells = self.lock();
        let bell = bells.entry(topic.clone()).or_default();
        bell.waiting += 1;
        Place { bells: self, topic, bell: Arc::clone(&bell.notify) }
    }

    pub(crate) fn ring(&self, topics: &BTreeSet<Topic>) {
        let bells = self.lock();
        for topic in topics {
            if let Some(bell) = bells.get(topic) {
                bell.notify.notify_waiters();
            }
        }
    }

    /// How many wait for each topic.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> HashMap<Topic, usize> {
        self.lock().iter().map(|(topic, bell)| (topic.clone(), bell.waiting)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Topic, Bell>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    pub(crate) fn is_for(&self, topic: &Topic) -> bool {
        self.topic == *topic
    }

    pub(crate) fn bell(&self) -> &Notify {
        &self.bell
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut bells = self.bells.lock();
        let Some(bell) = bells.get_mut(&self.topic) else { return };
        bell.waiting -= 1;
        if bell.waiting == 0 {
            bells.remove(&self.topic);
        }
    }
}
