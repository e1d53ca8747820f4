//! What is due when. One moment per key; setting another replaces it.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use forebay_clock::Moment;

/// Moments in order, each with the key it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Agenda<K> {
    order: BTreeSet<(Moment, K)>,
    moments: HashMap<K, Moment>,
}

impl<K> Default for Agenda<K> {
    fn default() -> Agenda<K> {
        Agenda { order: BTreeSet::new(), moments: HashMap::new() }
    }
}

impl<K: Copy + Ord + Hash> Agenda<K> {
    /// Sets the key's moment; [`Moment::NEVER`] clears it.
    pub(crate) fn set(&mut self, key: K, at: Moment) {
        self.cancel(key);
        if at != Moment::NEVER {
            self.moments.insert(key, at);
            self.order.insert((at, key));
        }
    }

    /// Forgets the key.
    pub(crate) fn cancel(&mut self, key: K) {
        if let Some(at) = self.moments.remove(&key) {
            self.order.remove(&(at, key));
        }
    }

    /// The earliest moment of all.
    pub(crate) fn next(&self) -> Moment {
        self.order.first().map_or(Moment::NEVER, |&(at, _)| at)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Takes the key that has waited longest, if its moment has come.
    pub(crate) fn pop(&mut self, now: Moment) -> Option<K> {
        let &(at, key) = self.order.first()?;
        (at <= now).then(|| {
            self.cancel(key);
            key
        })
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
        agenda.set('a', at(3));
        agenda.set('b', at(2));
        agenda.set('c', at(1));
        agenda.set('c', at(4));
        agenda.set('d', at(1));
        agenda.cancel('d');
        assert_eq!(agenda.next(), at(2));
        assert_eq!(agenda.pop(at(1)), None);
        assert_eq!(std::iter::from_fn(|| agenda.pop(at(4))).collect::<String>(), "bac");
        assert_eq!(agenda.next(), Moment::NEVER);
    }
}
