//! Draws an index with a chance proportional to its weight, in constant time.
//!
//! Walker's alias method in Vose's construction ("A linear algorithm for generating random numbers with a given
//! distribution", 1991), in integers, so that the chances are exact.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::hash::reduce;

#[derive(Clone, Debug)]
pub(crate) struct AliasTable {
    slots: Arc<[Slot]>,
    /// Sum of all weights, which is also how much of the chances each slot holds.
    total: u64,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Of `total`, how much belongs to the slot's own index; the rest is the alias's.
    own: u64,
    alias: u32,
}

impl AliasTable {
    /// For at least one weight.
    pub(crate) fn new(weights: &[NonZeroU32]) -> AliasTable {
        let total: u64 = weights.iter().map(|weight| u64::from(weight.get())).sum();
        let count = weights.len() as u64;
        // Scaled by their number, the weights average to `total`: what one has too little, another has too much.
        let mut own: Vec<u64> = weights.iter().map(|weight| u64::from(weight.get()) * count).collect();
        let mut slots: Vec<Slot> = (0..).take(weights.len()).map(|i| Slot { own: total, alias: i }).collect();
        let (mut short, mut ample): (Vec<usize>, Vec<usize>) =
            (0..weights.len()).partition(|&index| own[index] < total);
        while let (Some(&giver), Some(taker)) = (ample.last(), short.pop()) {
            slots[taker] = Slot { own: own[taker], alias: giver as u32 };
            own[giver] -= total - own[taker];
            if own[giver] < total {
                short.extend(ample.pop());
            }
        }
        AliasTable { slots: slots.into(), total }
    }

    pub(crate) fn draw(&self, rng: &mut fastrand::Rng) -> usize {
        let index = reduce(rng.u64(..), self.slots.len());
        let slot = self.slots[index];
        if rng.u64(..self.total) < slot.own { index } else { slot.alias as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chances that the table holds, summed over its slots, are the weights: no sampling needed.
    fn check(weights: &[u32]) {
        let nonzero: Vec<_> = weights.iter().map(|&weight| NonZeroU32::new(weight).unwrap()).collect();
        let table = AliasTable::new(&nonzero);
        let mut chances = vec![0; weights.len()];
        for (index, slot) in table.slots.iter().enumerate() {
            chances[index] += slot.own;
            chances[slot.alias as usize] += table.total - slot.own;
        }
        let expected: Vec<u64> = weights.iter().map(|&w| u64::from(w) * weights.len() as u64).collect();
        assert_eq!(chances, expected, "{weights:?}");
    }

    #[test]
    fn chances_are_exactly_the_weights() {
        check(&[1]);
        check(&[5, 5, 5]);
        check(&[1, 2]);
        check(&[3, 1, 1, 7, 100, 2]);
        check(&[u32::MAX, 1, u32::MAX]);
    }
}
