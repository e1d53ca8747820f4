//! What a store has yet to be told. Each thing once, as it is when it is told: a store that is slow or away sees fewer
//! states, and this never grows beyond what is registered.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::registry::Effects;

/// Things to tell a store.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Our own instances.
    pub(crate) instances: BTreeSet<Arc<str>>,
    /// Our own node.
    pub(crate) node: bool,
    /// Other nodes, by folded name.
    pub(crate) others: BTreeSet<Arc<str>>,
    /// Counts what was put in: whoever put something in has been heard when the store is at this number.
    pub(crate) number: u64,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.instances.is_empty() && !self.node && self.others.is_empty()
    }

    pub(crate) fn put(&mut self, effects: &Effects) {
        self.put_own(effects);
        if !effects.others.is_empty() {
            self.number += 1;
            self.others.extend(effects.others.iter().cloned());
        }
    }

    /// Puts in what is ours to tell.
    pub(crate) fn put_own(&mut self, effects: &Effects) {
        if !effects.is_ours() {
            return;
        }
        self.number += 1;
        self.instances.extend(effects.instances.iter().cloned());
        self.node |= effects.node;
    }

    /// Takes some of it: this many instances and everything else.
    pub(crate) fn take(&mut self, instances_max: usize) -> Outbox {
        let mut instances = std::mem::take(&mut self.instances);
        if let Some(first_left) = instances.iter().nth(instances_max).cloned() {
            self.instances = instances.split_off(&first_left);
        }
        Outbox {
            instances,
            node: std::mem::take(&mut self.node),
            others: std::mem::take(&mut self.others),
            number: self.number,
        }
    }

    /// Puts back what could not be told.
    pub(crate) fn put_back(&mut self, untold: Outbox) {
        self.instances.extend(untold.instances);
        self.node |= untold.node;
        self.others.extend(untold.others);
    }
}
