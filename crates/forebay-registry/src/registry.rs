//! What is registered, on this node and on others, and what changed. Pure: it has no clock, no I/O and no rng of its own.
//! Refuses what `checking` refuses. Everything that local clients ask for happens to this node's own instances.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use forebay_clock::{Agenda, Moment};

use crate::check::{Check, CheckId};
use crate::found::Found;
use crate::indexes::{Indexes, folded, folded_arc};
use crate::instance::Instance;
use crate::node::Node;
use crate::services::{Member, Services};
use crate::topic::Topic;

/// The machine.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) me: Node,
    /// The folded name of `me`.
    pub(crate) me_key: Arc<str>,
    /// Other nodes, by folded name.
    pub(crate) others: BTreeMap<Arc<str>, Node>,
    pub(crate) services: Services,
    /// Where each of our own checks is.
    pub(crate) places: HashMap<CheckId, Place>,
    /// Which of our own instances answer where.
    pub(crate) addresses: HashMap<SocketAddr, BTreeSet<Arc<str>>>,
    pub(crate) indexes: Indexes,
    pub(crate) due: Agenda<Due>,
    pub(crate) probes: Agenda<CheckId>,
    /// Probes under way, by the number of their order.
    pub(crate) probing: HashMap<CheckId, u64>,
    pub(crate) orders: u64,
    pub(crate) effects: Effects,
}

/// Whose a check is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Node,
    Instance(Arc<str>),
}

/// What time alone brings about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Due {
    /// A TTL check has not been reported to.
    Silence(CheckId),
    /// A check has been critical for too long: its instance goes.
    Removal(CheckId),
    /// A check's words have changed, and it is time to tell.
    Words(CheckId),
}

/// What a change brings about outside the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Topics whose index moved, names folded.
    pub topics: BTreeSet<Topic>,
    /// Our own instances that are to be stored as they are now, or deleted from the store.
    pub instances: BTreeSet<Arc<str>>,
    /// Our own node is to be stored: its checks, or its maintenance.
    pub node: bool,
    /// Other nodes that are to be stored as last known, or deleted, by folded name.
    pub others: BTreeSet<Arc<str>>,
}

impl Effects {
    /// Whether this node itself is concerned.
    pub(crate) fn is_ours(&self) -> bool {
        self.node || !self.instances.is_empty()
    }

    /// Whether there is anything to store.
    pub(crate) fn is_to_be_stored(&self) -> bool {
        self.is_ours() || !self.others.is_empty()
    }
}

impl Registry {
    /// Knows this node alone. Its lease should be [`crate::Lease::Own`].
    pub fn new(me: Node) -> Registry {
        let me_key = folded_arc(&me.name);
        let mut indexes = Indexes::new(1);
        indexes.touch(Topic::Node(Arc::clone(&me_key)));
        indexes.settle();
        indexes.take_changed();
        Registry {
            me,
            me_key,
            others: BTreeMap::new(),
            services: Services::default(),
            places: HashMap::new(),
            addresses: HashMap::new(),
            indexes,
            due: Agenda::default(),
            probes: Agenda::default(),
            probing: HashMap::new(),
            orders: 0,
            effects: Effects::default(),
        }
    }

    /// This node.
    pub fn me(&self) -> &Node {
        &self.me
    }

    /// The node of this name, whatever its case.
    pub fn node(&self, name: &str) -> Option<&Node> {
        let name = folded(name);
        if *name == *self.me_key { Some(&self.me) } else { self.others.get(&*name) }
    }

    /// All nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        let before = self.others.range(..Arc::clone(&self.me_key)).map(|(_, node)| node);
        let after = self.others.range(Arc::clone(&self.me_key)..).map(|(_, node)| node);
        before.chain(std::iter::once(&self.me)).chain(after)
    }

    /// All services by name, each with the tags of all its instances.
    pub fn services(&self) -> impl Iterator<Item = (&Arc<str>, BTreeSet<&str>)> {
        self.services.iter()
    }

    /// The instances of a service, whatever its name's case, by node and id.
    pub fn instances_of(&self, service: &str) -> impl Iterator<Item = Found<'_>> {
        self.services.members(service).filter_map(|(node, id)| self.found(node, id))
    }

    /// An instance of this node.
    pub fn instance(&self, id: &str) -> Option<Found<'_>> {
        self.me.instances.get(id).map(|instance| Found { node: &self.me, instance })
    }

    /// A check of this node, and the instance it is about.
    pub fn check(&self, id: &str) -> Option<(&Check, Option<&Instance>)> {
        match self.places.get(id)? {
            Place::Node => self.me.checks.get(id).map(|check| (check, None)),
            Place::Instance(instance) => {
                let instance = self.me.instances.get(instance)?;
                instance.checks.get(id).map(|check| (check, Some(instance)))
            }
        }
    }

    /// The count of changes at the topic's last one. Never 0.
    pub fn index(&self, topic: &Topic) -> u64 {
        self.indexes.of(topic)
    }

    /// The count of changes at the last one of all.
    pub fn count(&self) -> u64 {
        self.indexes.count()
    }

    /// What is to be heard of by who waits for this topic: of a service that is not known, `Services`.
    pub fn awaited(&self, topic: &Topic) -> Topic {
        self.indexes.awaited(topic)
    }

    /// What changes brought about since the last call.
    pub fn take_effects(&mut self) -> Effects {
        let mut effects = std::mem::take(&mut self.effects);
        effects.topics = self.indexes.take_changed();
        effects
    }

    /// When [`Registry::lapse`] has something to do next.
    pub fn next_due(&self) -> Moment {
        self.due.next()
    }

    /// When [`Registry::pop_probe`] has something to give next.
    pub fn next_probe(&self) -> Moment {
        self.probes.next()
    }

    pub(crate) fn found(&self, node: &str, id: &str) -> Option<Found<'_>> {
        let node = if *node == *self.me_key { &self.me } else { self.others.get(node)? };
        node.instances.get(id).map(|instance| Found { node, instance })
    }

    pub(crate) fn check_mut(&mut self, id: &str) -> Option<&mut Check> {
        match self.places.get(id)? {
            Place::Node => self.me.checks.get_mut(id),
            Place::Instance(instance) => self.me.instances.get_mut(instance)?.checks.get_mut(id),
        }
    }

    /// A node by its folded name.
    pub(crate) fn node_mut(&mut self, key: &str) -> Option<&mut Node> {
        if *key == *self.me_key { Some(&mut self.me) } else { self.others.get_mut(key) }
    }

    /// Puts an instance in the place of another, or none in it, and touches what that concerns.
    pub(crate) fn replace(&mut self, node_key: &Arc<str>, id: &Arc<str>, new: Option<Instance>) {
        let Some(node) = self.node_mut(node_key) else { return };
        let old = match &new {
            Some(new) => node.instances.insert(Arc::clone(id), new.clone()),
            None => node.instances.remove(id),
        };
        let node_address = node.address.clone();
        let (old, new) = (old.as_ref(), new.as_ref());
        if *node_key == self.me_key {
            for (instance, is_new) in [(old, false), (new, true)] {
                let address = instance.and_then(|instance| socket_address(instance, &node_address));
                if let Some(address) = address {
                    self.note_address(address, id, is_new);
                }
            }
            self.effects.instances.insert(Arc::clone(id));
        }
        let member: Member = (Arc::clone(node_key), Arc::clone(id));
        let (old_registration, new_registration) =
            (old.map(|old| &old.registration), new.map(|new| &new.registration));
        let listed = self.services.change(&member, old_registration, new_registration);
        for registration in old_registration.into_iter().chain(new_registration) {
            self.indexes.touch(Topic::Service(folded_arc(&registration.service)));
        }
        self.indexes.touch(Topic::Node(Arc::clone(node_key)));
        // Maintenance counts as a check, as with Consul.
        let checked = |instance: Option<&Instance>| {
            let checks =
                instance.filter(|instance| !instance.checks.is_empty() || instance.maintenance.is_some());
            checks.map(|instance| (instance.checks.clone(), instance.maintenance.clone()))
        };
        if checked(old) != checked(new) {
            self.indexes.touch(Topic::Checks);
        }
        if listed.changed {
            self.indexes.touch(Topic::Services);
        }
        if let Some(gone) = listed.gone {
            self.indexes.bury_service(&gone);
        }
    }

    /// Something about all instances of a node has changed: its checks, its maintenance, its lease.
    pub(crate) fn touch_whole_node(&mut self, node_key: &Arc<str>) {
        let Some(node) = self.node_mut(node_key) else { return };
        let services: BTreeSet<Arc<str>> =
            node.instances.values().map(|instance| folded_arc(&instance.registration.service)).collect();
        for service in services {
            self.indexes.touch(Topic::Service(service));
        }
        self.indexes.touch(Topic::Node(Arc::clone(node_key)));
        self.indexes.touch(Topic::Checks);
    }

    /// One of our own checks has changed.
    pub(crate) fn touch_check(&mut self, place: &Place) {
        match place {
            Place::Node => {
                let key = Arc::clone(&self.me_key);
                self.touch_whole_node(&key);
                self.effects.node = true;
            }
            Place::Instance(id) => {
                let Some(instance) = self.me.instances.get(id) else { return };
                self.indexes.touch(Topic::Service(folded_arc(&instance.registration.service)));
                self.indexes.touch(Topic::Node(Arc::clone(&self.me_key)));
                self.indexes.touch(Topic::Checks);
                self.effects.instances.insert(Arc::clone(id));
            }
        }
    }

    fn note_address(&mut self, address: SocketAddr, id: &Arc<str>, is_new: bool) {
        if is_new {
            self.addresses.entry(address).or_default().insert(Arc::clone(id));
        } else if let Some(ids) = self.addresses.get_mut(&address) {
            ids.remove(id);
            if ids.is_empty() {
                self.addresses.remove(&address);
            }
        }
    }
}

/// Where an instance answers, if that can be told without asking anybody.
fn socket_address(instance: &Instance, node_address: &str) -> Option<SocketAddr> {
    let registration = &instance.registration;
    let address = if registration.address.is_empty() { node_address } else { &registration.address };
    let address: IpAddr = address.parse().ok()?;
    (registration.port != 0).then(|| SocketAddr::new(address, registration.port))
}

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod lasting;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
