//! What is due when. One moment per key; setting another replaces it. Decides nothing.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::Moment;

/// Moments in order, each with the key it belongs to.
#[derive(Clone, Debug)]
pub struct Agenda<K> {
    order: BTreeSet<(Moment, K)>,
    moments: HashMap<K, Moment>,
}

impl<K> Default for Agenda<K> {
    fn default() -> Agenda<K> {
        Agenda { order: BTreeSet::new(), moments: HashMap::new() }
    }
}

impl<K: Clone + Ord + Hash> Agenda<K> {
    /// Sets the key's moment; [`Moment::NEVER`] clears it.
    pub fn set(&mut self, key: K, at: Moment) {
        if self.moments.get(&key) == Some(&at) {
            return;
        }
        let key = self.cancel(&key).unwrap_or(key);
        if at != Moment::NEVER {
            self.moments.insert(key.clone(), at);
            self.order.insert((at, key));
        }
    }

    /// Forgets the key, and gives it back if it was there.
    pub fn cancel(&mut self, key: &K) -> Option<K> {
        let (key, at) = self.moments.remove_entry(key)?;
        let entry = (at, key);
        self.order.remove(&entry);
        Some(entry.1)
    }

    /// The earliest moment of all.
    pub fn next(&self) -> Moment {
        self.order.first().map_or(Moment::NEVER, |&(at, _)| at)
    }

    /// Keys that have a moment.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing is ever due.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Takes the key that has waited longest, if its moment has come.
    pub fn pop(&mut self, now: Moment) -> Option<K> {
        let (at, _) = self.order.first()?;
        if *at > now {
            return None;
        }
        let (_, key) = self.order.pop_first()?;
        self.moments.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_longest_waiting_comes_first_and_nothing_comes_early_or_twice() {
        let at = |s: u64| Moment::START + Duration::from_secs(s);
        let mut agenda = Agenda::default();
        agenda.set("b", at(2));
        agenda.set("a", at(3));
        agenda.set("a", at(1));
        agenda.set("c", at(1));
        agenda.set("c", Moment::NEVER);
        assert_eq!(agenda.pop(at(0)), None);
        assert_eq!(agenda.next(), at(1));
        assert_eq!(agenda.pop(at(9)), Some("a"));
        assert_eq!(agenda.pop(at(9)), Some("b"));
        assert_eq!(agenda.pop(at(9)), None);
        assert_eq!(agenda.next(), Moment::NEVER);
    }
}
