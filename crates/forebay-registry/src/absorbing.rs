//! What comes from stores: this node as it was before a restart, and other nodes as they say they are. Decides what of it
//! is a change; never lets silence of a store change anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_clock::Moment;

use crate::check::{Check, CheckId, Status};
use crate::found::Found;
use crate::indexes::{Indexes, folded, folded_arc};
use crate::instance::Instance;
use crate::node::{Lease, Node};
use crate::registry::{Effects, Place, Registry};
use crate::topic::Topic;

/// What a store kept.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// No index that was ever given out is larger.
    pub count: u64,
    /// This node's instances, checks and maintenance; the rest of it comes from the configuration.
    pub me: Option<Node>,
    /// Other nodes as last known.
    pub others: Vec<Node>,
}

impl Registry {
    /// Takes what was stored before anything else happens. Checks keep their status; TTL checks get a full lease, so
    /// that what fell silent meanwhile lapses after it; the others are asked soon, spread over their intervals.
    pub fn restore(&mut self, now: Moment, snapshot: Snapshot) {
        self.indexes = Indexes::new(snapshot.count.max(self.indexes.count()));
        self.indexes.touch(Topic::Node(Arc::clone(&self.me_key)));
        if let Some(me) = snapshot.me {
            let (mut number, count) = (0, checks_of(&me).filter(|check| check.spec.kind.is_probed()).count());
            self.me.maintenance = me.maintenance;
            let mut revive = |check: Check| {
                let share = f64::from(number) / count.max(1) as f64;
                number += u32::from(check.spec.kind.is_probed());
                revived(now, share, check)
            };
            let mut ids: Vec<(CheckId, Place)> = Vec::new();
            for (id, check) in me.checks {
                ids.push((Arc::clone(&id), Place::Node));
                self.me.checks.insert(id, revive(check));
            }
            let me_key = Arc::clone(&self.me_key);
            for (id, mut instance) in me.instances {
                let checks = std::mem::take(&mut instance.checks);
                instance.checks = checks.into_iter().map(|(id, check)| (id, revive(check))).collect();
                instance.node = Arc::clone(&self.me.name);
                let place = |check: &CheckId| (Arc::clone(check), Place::Instance(Arc::clone(&id)));
                ids.extend(instance.checks.keys().map(place));
                self.replace(&me_key, &id, Some(instance));
            }
            for (id, place) in ids {
                self.places.insert(Arc::clone(&id), place);
                self.schedule(&id);
            }
        }
        for node in snapshot.others {
            self.absorb(node);
        }
        self.indexes.settle();
        // It is stored already, and nobody waits yet.
        self.effects = Effects::default();
        self.indexes.take_changed();
    }

    /// Another node is like this. Nothing about this node is taken from others, whatever name they give themselves.
    pub fn absorb(&mut self, mut node: Node) {
        let key = folded_arc(&node.name);
        if key == self.me_key || node.lease == Lease::Own {
            return;
        }
        let index = self.indexes.coming();
        let instances = std::mem::take(&mut node.instances);
        self.absorb_node(index, &key, node);
        let had: Vec<Arc<str>> =
            self.others.get(&key).into_iter().flat_map(|node| node.instances.keys().cloned()).collect();
        for id in had.iter().filter(|id| !instances.contains_key(*id)) {
            self.replace(&key, id, None);
        }
        for (id, instance) in instances {
            let was = self.others.get(&key).and_then(|node| node.instances.get(&id));
            let instance = settled(index, instance, was);
            if was != Some(&instance) {
                self.replace(&key, &id, Some(instance));
            }
        }
        self.note_other(&key);
    }

    /// Another node is there, or is not, and nothing else about it is new.
    pub fn confirm(&mut self, name: &str, lease: Lease, confirmed: Moment) {
        let key = folded(name);
        let Some(node) = self.others.get_mut(&*key) else { return };
        node.confirmed = Some(confirmed);
        let is_other = matches!(node.lease, Lease::Lapsed { .. }) != matches!(lease, Lease::Lapsed { .. });
        if is_other && lease != Lease::Own {
            node.lease = lease;
            let key = folded_arc(&node.name);
            self.touch_whole_node(&key);
            self.note_other(&key);
        }
    }

    /// Another node is gone for good, with its instances.
    pub fn forget_node(&mut self, name: &str) {
        let Some(node) = self.others.get(&*folded(name)) else { return };
        let key = folded_arc(&node.name);
        let ids: Vec<Arc<str>> = node.instances.keys().cloned().collect();
        ids.iter().for_each(|id| self.replace(&key, id, None));
        self.others.remove(&key);
        self.indexes.touch(Topic::Nodes);
        self.indexes.touch(Topic::Checks);
        self.indexes.bury_node(&key);
        self.note_other(&key);
    }

    /// Everything of a node but its instances.
    fn absorb_node(&mut self, index: u64, key: &Arc<str>, mut new: Node) {
        let Some(had) = self.others.get_mut(key) else {
            new.checks.values_mut().for_each(|check| *check = distant(index, check.clone(), None));
            (new.create_index, new.modify_index) = (index, index);
            self.others.insert(Arc::clone(key), new);
            self.indexes.touch(Topic::Nodes);
            self.indexes.touch(Topic::Node(Arc::clone(key)));
            self.indexes.touch(Topic::Checks);
            return;
        };
        let checks: BTreeMap<CheckId, Check> = new
            .checks
            .into_iter()
            .map(|(id, check)| {
                let check = distant(index, check, had.checks.get(&id));
                (id, check)
            })
            .collect();
        let is_gone = |lease: Lease| matches!(lease, Lease::Lapsed { .. });
        let is_other = had.checks != checks
            || had.maintenance != new.maintenance
            || is_gone(had.lease) != is_gone(new.lease);
        let is_elsewhere =
            had.address != new.address || had.meta != new.meta || had.id != new.id || had.name != new.name;
        if is_gone(had.lease) != is_gone(new.lease) {
            had.lease = new.lease;
        }
        had.confirmed = new.confirmed;
        (had.checks, had.maintenance) = (checks, new.maintenance);
        if is_elsewhere {
            (had.name, had.id, had.address, had.meta) = (new.name, new.id, new.address, new.meta);
            had.modify_index = index;
            self.indexes.touch(Topic::Nodes);
        }
        if is_other || is_elsewhere {
            self.touch_whole_node(key);
        }
    }

    fn note_other(&mut self, key: &Arc<str>) {
        if self.indexes.is_moving() {
            self.effects.others.insert(Arc::clone(key));
        }
        self.indexes.settle();
    }

    /// All instances there are, by service; for those who list everything.
    pub fn instances(&self) -> impl Iterator<Item = Found<'_>> {
        self.nodes().flat_map(|node| node.instances.values().map(move |instance| Found { node, instance }))
    }
}

fn checks_of(node: &Node) -> impl Iterator<Item = &Check> {
    node.checks.values().chain(node.instances.values().flat_map(|instance| instance.checks.values()))
}

/// A check of ours after a restart; `share` of its interval passes until it is asked.
fn revived(now: Moment, share: f64, check: Check) -> Check {
    let interval = check.spec.kind.interval();
    let due = if check.spec.kind.is_probed() { now + interval.mul_f64(share) } else { now + interval };
    Check {
        due,
        answered: None,
        critical_since: (check.status == Status::Critical).then_some(now),
        streak: 0,
        quiet_until: now,
        untold: false,
        ..check
    }
}

/// A check that another node works on: nothing about it is ever due here.
fn distant(index: u64, check: Check, was: Option<&Check>) -> Check {
    let mut check = Check {
        due: Moment::NEVER,
        answered: None,
        critical_since: None,
        streak: 0,
        quiet_until: Moment::START,
        untold: false,
        create_index: was.map_or(index, |was| was.create_index),
        modify_index: was.map_or(index, |was| was.modify_index),
        ..check
    };
    if was.is_some_and(|was| *was != check) {
        check.modify_index = index;
    }
    check
}

/// An instance of another node, counted by this registry.
fn settled(index: u64, mut instance: Instance, was: Option<&Instance>) -> Instance {
    for (id, check) in &mut instance.checks {
        *check = distant(index, check.clone(), was.and_then(|was| was.checks.get(id)));
    }
    instance.create_index = was.map_or(index, |was| was.create_index);
    instance.modify_index = was.map_or(index, |was| was.modify_index);
    let is_other = was.is_some_and(|was| {
        was.registration != instance.registration || was.maintenance != instance.maintenance
    });
    if is_other {
        instance.modify_index = index;
    }
    instance
}
