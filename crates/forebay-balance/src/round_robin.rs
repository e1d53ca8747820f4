//! Takes endpoints in turn, each as often as its weight says.
//!
//! Three ways, one order: equal weights need no more than a cursor. Small pools use the smooth weighted round robin that
//! nginx introduced in 2012, where a heavy endpoint's turns are spread between the others' rather than taken in a row;
//! it looks at every endpoint for each pick. Large pools are scheduled by deadline (see `deadlines`): as fair, in
//! logarithmic time, though the order within a round is not nginx's.

use std::cell::{Cell, RefCell};

use fastrand::Rng;

use crate::Candidate;
use crate::deadlines::Deadlines;
use crate::pool::Pool;
use crate::scope::Scope;

/// Up to this size every endpoint is looked at for a pick: less than a hundred nanoseconds.
const SMOOTH_SIZE_MAX: usize = 32;
/// Places that the cursor tries one by one, before it asks the census for the next eligible endpoint.
const STEPS_MAX: usize = 8;

/// Whose turn it is, for one core. Not shared: an exact turn across cores would cost a contended write a pick.
#[derive(Debug)]
pub(crate) enum Turns {
    /// The place whose turn is next.
    Cursor(Cell<usize>),
    /// See [`Smooth`].
    Smooth(Smooth),
    /// Boxed: few fleets are so large.
    Deadlines(Box<RefCell<Deadlines>>),
}

/// Whose turn it is where weights differ.
#[derive(Debug)]
pub(crate) struct Smooth {
    /// What each place is owed: it earns its weight with every pick and pays everyone's when picked.
    owed: Box<[Cell<i64>]>,
    /// Turns to pass over with the first pick.
    ahead: Cell<usize>,
}

impl Turns {
    /// Where the first turn falls is random, or else every core and every replica of Forebay begins on the same
    /// endpoint.
    pub(crate) fn new(pool: &Pool, has_ramp: bool, rng: &mut Rng) -> Turns {
        let size = pool.size();
        if pool.has_equal_weights() && !has_ramp {
            return Turns::Cursor(Cell::new(rng.usize(..size.max(1))));
        }
        let weights = pool.weights();
        if size > SMOOTH_SIZE_MAX {
            return Turns::Deadlines(Box::new(RefCell::new(Deadlines::new(weights, rng))));
        }
        let owed = weights.iter().map(|_| Cell::new(0)).collect();
        Turns::Smooth(Smooth { owed, ahead: Cell::new(rng.usize(..2 * size)) })
    }

    /// The next of the admitted; `None` only when there is none.
    pub(crate) fn choose<E: Candidate>(&self, scope: &Scope<'_, E>, rng: &mut Rng) -> Option<usize> {
        match self {
            Turns::Cursor(next) => {
                let (place, index) = step(next.get(), scope)?;
                // Behind the chosen one, not one further than before: else the endpoint after a sick one
                // would get the sick one's share too.
                next.set(if place + 1 == scope.pool.size() { 0 } else { place + 1 });
                Some(index)
            }
            Turns::Smooth(turns) => {
                let admitted = |place: &usize| scope.admits(scope.pool.index(*place));
                let weight = |place| (place, scope.weight(scope.endpoint(scope.pool.index(place))) as i64);
                let turn = || smooth(&turns.owed, (0..turns.owed.len()).filter(admitted).map(weight));
                (0..turns.ahead.take()).for_each(|_| {
                    turn();
                });
                Some(scope.pool.index(turn()?))
            }
            Turns::Deadlines(deadlines) => deadlines.borrow_mut().choose(scope, rng),
        }
    }
}

/// The first admitted place from `next` on, and its index.
fn step<E: Candidate>(next: usize, scope: &Scope<'_, E>) -> Option<(usize, usize)> {
    let pool = scope.pool;
    let size = pool.size();
    let around =
        |count: usize| (next..size).chain(0..next).take(count).map(|place| (place, pool.index(place)));
    if let Some(near) = around(STEPS_MAX).find(|&(_, index)| scope.admits(index)) {
        return Some(near);
    }
    let eligible = &scope.tally.eligible;
    let here = pool.index(next) as u32;
    let (before, behind) = eligible.split_at(eligible.partition_point(|&index| index < here));
    let index = behind.iter().chain(before).map(|&index| index as usize).find(|&index| scope.admits(index));
    match index {
        // Places are in the order of indices.
        Some(index) => Some((pool.place(index)?, index)),
        None => around(size).find(|&(_, index)| scope.admits(index)),
    }
}

/// One step among the given places with their weights.
fn smooth(owed: &[Cell<i64>], admitted: impl Iterator<Item = (usize, i64)>) -> Option<usize> {
    let mut chosen = None;
    let mut earned = 0;
    for (place, weight) in admitted {
        owed[place].update(|owed| owed + weight);
        earned += weight;
        if chosen.is_none_or(|best: usize| owed[place].get() > owed[best].get()) {
            chosen = Some(place);
        }
    }
    owed[chosen?].update(|owed| owed - earned);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_nginx() {
        let check = |weights: &[i64], expected: &str| {
            let owed: Vec<Cell<i64>> = weights.iter().map(|_| Cell::new(0)).collect();
            let turn = |_| smooth(&owed, weights.iter().copied().enumerate()).unwrap() as u8;
            let order: Vec<u8> = (0..expected.len()).map(|turn_number| b'a' + turn(turn_number)).collect();
            assert_eq!(String::from_utf8(order).unwrap(), expected, "{weights:?}");
        };
        // The example in the message of the change that brought it to nginx, twice round.
        check(&[5, 1, 1], "aabacaaaabacaa");
        check(&[1, 1, 1], "abcabc");
        check(&[3, 2], "ababaababa");
        check(&[2, 1], "abaaba");
    }
}
