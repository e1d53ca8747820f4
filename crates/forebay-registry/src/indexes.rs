//! The registry's count of changes, and where it stood at each topic's last one. Never 0, never backwards.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::topic::Topic;

/// Services that are gone and whose index is still known: those who wait for one wake when it comes back, and for no
/// other's sake. Beyond it the index of [`Topic::Services`] stands in, which is never smaller.
pub(crate) const TOMBSTONES_MAX: usize = 4096;

/// One count for all. Names in topics are folded here: `Orders` and `orders` are one service.
#[derive(Clone, Debug)]
pub(crate) struct Indexes {
    count: u64,
    moved: bool,
    services: u64,
    nodes: u64,
    checks: u64,
    service: HashMap<Arc<str>, u64>,
    node: HashMap<Arc<str>, u64>,
    gone: VecDeque<(Arc<str>, u64)>,
    changed: BTreeSet<Topic>,
}

/// The name by which a service or a node is looked up: ASCII letters without case, as DNS has it.
pub(crate) fn folded(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// The same, shared where it is already as it should be.
pub(crate) fn folded_arc(name: &Arc<str>) -> Arc<str> {
    match folded(name) {
        Cow::Borrowed(_) => Arc::clone(name),
        Cow::Owned(name) => name.into(),
    }
}

impl Indexes {
    pub(crate) fn new(count: u64) -> Indexes {
        let count = count.max(1);
        Indexes {
            count,
            moved: false,
            services: count,
            nodes: count,
            checks: count,
            service: HashMap::new(),
            node: HashMap::new(),
            gone: VecDeque::new(),
            changed: BTreeSet::new(),
        }
    }

    /// What the change under way is counted as.
    pub(crate) fn coming(&self) -> u64 {
        self.count + 1
    }

    /// The count at the last change.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn of(&self, topic: &Topic) -> u64 {
        match topic {
            Topic::Services => self.services,
            Topic::Nodes => self.nodes,
            Topic::Checks => self.checks,
            Topic::Service(name) => self.service.get(&*folded(name)).copied().unwrap_or(self.services),
            Topic::Node(name) => self.node.get(&*folded(name)).copied().unwrap_or(self.nodes),
        }
    }

    /// Whose changes a waiter for this topic has to hear of: the topic itself, or what stands in for it.
    pub(crate) fn awaited(&self, topic: &Topic) -> Topic {
        match topic {
            Topic::Service(name) => match self.service.get_key_value(&*folded(name)) {
                Some((name, _)) => Topic::Service(Arc::clone(name)),
                None => Topic::Services,
            },
            Topic::Node(name) => match self.node.get_key_value(&*folded(name)) {
                Some((name, _)) => Topic::Node(Arc::clone(name)),
                None => Topic::Nodes,
            },
            other => other.clone(),
        }
    }

    /// Something of this topic, with its name folded, has changed.
    pub(crate) fn touch(&mut self, topic: Topic) {
        let coming = self.coming();
        self.moved = true;
        match &topic {
            Topic::Services => self.services = coming,
            Topic::Nodes => self.nodes = coming,
            Topic::Checks => self.checks = coming,
            Topic::Service(name) => drop(self.service.insert(Arc::clone(name), coming)),
            Topic::Node(name) => drop(self.node.insert(Arc::clone(name), coming)),
        }
        self.changed.insert(topic);
    }

    /// The last instance of a service, by its folded name, is gone. Touched already, and `Services` with it.
    pub(crate) fn bury_service(&mut self, name: &Arc<str>) {
        let index = self.service.get(name).copied().unwrap_or(self.services);
        self.gone.push_back((Arc::clone(name), index));
        while self.gone.len() > TOMBSTONES_MAX {
            let Some((name, index)) = self.gone.pop_front() else { return };
            // It may have come back since.
            if self.service.get(&name) == Some(&index) {
                self.service.remove(&name);
                self.changed.insert(Topic::Service(name));
            }
        }
    }

    /// A node, by its folded name, is gone; `Nodes` is touched and stands in from now on.
    pub(crate) fn bury_node(&mut self, name: &Arc<str>) {
        self.node.remove(name);
        self.changed.insert(Topic::Node(Arc::clone(name)));
    }

    /// Whether the change under way has touched anything.
    pub(crate) fn is_moving(&self) -> bool {
        self.moved
    }

    /// The change under way is complete.
    pub(crate) fn settle(&mut self) {
        self.count += u64::from(std::mem::take(&mut self.moved));
    }

    /// Topics whose index moved since the last call.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<Topic> {
        std::mem::take(&mut self.changed)
    }
}
