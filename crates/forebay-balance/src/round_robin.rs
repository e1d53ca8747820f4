//! Takes endpoints in turn, each as often as its weight says.
//!
//! Unequal weights use the smooth weighted round robin that nginx introduced in 2012: a heavy endpoint's turns
//! are spread between the others' rather than taken in a row. It looks at every endpoint for each pick.

use std::cell::Cell;

use fastrand::Rng;

use crate::{Candidate, Fleet};

/// Whose turn it is, for one core. Not shared: an exact turn across cores would cost a contended write a pick.
#[derive(Debug)]
pub(crate) enum Turns {
    /// The index whose turn is next.
    Equal(Cell<usize>),
    /// What each endpoint is owed: it earns its weight with every pick and pays everyone's when picked.
    Weighted(Box<[Cell<i64>]>),
}

impl Turns {
    pub(crate) fn new<E: Candidate>(fleet: &Fleet<E>, rng: &mut Rng) -> Turns {
        let count = fleet.endpoints().len();
        if fleet.has_equal_weights() {
            // At random, or else every core and every replica of Forebay begins on the same endpoint.
            Turns::Equal(Cell::new(rng.usize(..count.max(1))))
        } else {
            Turns::Weighted((0..count).map(|_| Cell::new(0)).collect())
        }
    }

    /// The next that `admits` lets through; `None` only when it lets none through.
    pub(crate) fn choose<E: Candidate>(
        &self,
        fleet: &Fleet<E>,
        admits: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        match self {
            Turns::Equal(next) => {
                let count = fleet.endpoints().len();
                let chosen = (next.get()..count).chain(0..next.get()).find(|&index| admits(index))?;
                // Behind the chosen one, not one further than before: else the endpoint after a sick one
                // would get the sick one's share too.
                next.set(if chosen + 1 == count { 0 } else { chosen + 1 });
                Some(chosen)
            }
            Turns::Weighted(owed) => smooth(fleet, owed, admits),
        }
    }
}

fn smooth<E: Candidate>(
    fleet: &Fleet<E>,
    owed: &[Cell<i64>],
    admits: impl Fn(usize) -> bool,
) -> Option<usize> {
    let mut chosen = None;
    let mut earned = 0;
    for (index, endpoint) in fleet.endpoints().iter().enumerate() {
        if !admits(index) {
            continue;
        }
        let weight = i64::from(endpoint.weight().get());
        owed[index].update(|owed| owed + weight);
        earned += weight;
        if chosen.is_none_or(|best: usize| owed[index].get() > owed[best].get()) {
            chosen = Some(index);
        }
    }
    owed[chosen?].update(|owed| owed - earned);
    chosen
}
