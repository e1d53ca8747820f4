//! Round robin for large pools: each endpoint has a deadline, the earliest is next, and a heavy one's deadlines follow
//! each other more closely (earliest deadline first, as in weighted fair queueing).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;

use fastrand::Rng;

use crate::Candidate;
use crate::ramp::FULL;
use crate::scope::Scope;

/// The heaviest endpoint's time from turn to turn. Fine enough for weights to hold within 1%; the time of all turns
/// that a core could ever give fits 64 bits.
const STEP_MIN: u64 = 1 << 10;
/// Turns given up for endpoints that must not be chosen, for one pick; beyond it, one is drawn.
const PASSES_MAX: usize = 32;

#[derive(Debug)]
pub(crate) struct Deadlines {
    /// Deadline and place.
    queue: BinaryHeap<Reverse<(u64, u32)>>,
    weight_max: u64,
}

impl Deadlines {
    /// For places of these weights.
    pub(crate) fn new(weights: &[NonZeroU32], rng: &mut Rng) -> Deadlines {
        let weight_max = u64::from(weights.iter().copied().max().map_or(1, NonZeroU32::get));
        let mut deadlines = Deadlines { queue: BinaryHeap::new(), weight_max };
        // Anywhere in their first round: not all cores the same, and not all endpoints at once.
        let first = |(place, weight): (usize, &NonZeroU32)| {
            Reverse((rng.u64(..=deadlines.step(u64::from(weight.get()) * u64::from(FULL))), place as u32))
        };
        deadlines.queue = weights.iter().enumerate().map(first).collect();
        deadlines
    }

    /// The admitted endpoint with the earliest deadline; `None` only when none is admitted.
    pub(crate) fn choose<E: Candidate>(&mut self, scope: &Scope<'_, E>, rng: &mut Rng) -> Option<usize> {
        for _ in 0..PASSES_MAX {
            let Reverse((deadline, place)) = self.queue.peek().copied()?;
            let index = scope.pool.index(place as usize);
            let next = Reverse((deadline + self.step(scope.weight(scope.endpoint(index))), place));
            // Sinks to its place in the heap: no element is taken out or put in.
            if let Some(mut first) = self.queue.peek_mut() {
                *first = next;
            }
            if scope.admits(index) {
                return Some(index);
            }
        }
        scope.draw(None, rng).map(|drawn| drawn.index)
    }

    /// From turn to turn; `weight` in thousandths.
    fn step(&self, weight: u64) -> u64 {
        let step =
            u128::from(self.weight_max) * u128::from(STEP_MIN) * u128::from(FULL) / u128::from(weight.max(1));
        step as u64
    }
}
