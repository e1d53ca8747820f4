//! Power of two choices: draws two endpoints by weight and takes the one with less to do.
//!
//! Draws are by weight and loads are compared per weight, so weights hold when the fleet is idle (the first
//! draw wins a tie) and when it is busy (load per weight evens out). Comparing the load that an endpoint
//! *would* have, as some do, starves light endpoints of an idle fleet.

use fastrand::Rng;

use crate::{Candidate, Fleet};

/// Draws for one choice before every endpoint is looked at. With half of a fleet ineligible, one choice in 4,096
/// needs that look, which keeps its cost small even among 10,000.
const DRAWS_MAX: usize = 12;

/// In fleets up to this size looking at every endpoint is cheaper than drawing again and again when some are
/// ineligible or tried.
const SCANNED_SIZE_MAX: usize = 4;

/// One of the endpoints that `admits` lets through; `None` only when it lets none through.
pub(crate) fn choose<E: Candidate>(
    fleet: &Fleet<E>,
    admits: impl Fn(usize) -> bool,
    rng: &mut Rng,
) -> Option<usize> {
    let first = draw(fleet, &admits, rng)?;
    let Some(second) = draw(fleet, |index| index != first && admits(index), rng) else {
        return Some(first);
    };
    let endpoints = fleet.endpoints();
    Some(if is_busier(&endpoints[first], &endpoints[second]) { second } else { first })
}

/// Whether `a` has more requests per weight than `b`; compared crosswise, since integers do not divide well.
fn is_busier<E: Candidate>(a: &E, b: &E) -> bool {
    let load = |of: &E, weight_of: &E| u64::from(of.in_flight()) * u64::from(weight_of.weight().get());
    load(a, b) > load(b, a)
}

fn draw<E: Candidate>(fleet: &Fleet<E>, admits: impl Fn(usize) -> bool, rng: &mut Rng) -> Option<usize> {
    if fleet.endpoints().len() <= SCANNED_SIZE_MAX {
        return scan(fleet, admits, rng);
    }
    let drawn = (0..DRAWS_MAX).map(|_| fleet.draw(rng)).find(|&index| admits(index));
    drawn.or_else(|| scan(fleet, admits, rng))
}

/// Looks at every endpoint once and draws by weight among the admitted (reservoir sampling). Taking the first
/// admitted one instead would heap the requests of a sick stretch onto the endpoint behind it.
fn scan<E: Candidate>(fleet: &Fleet<E>, admits: impl Fn(usize) -> bool, rng: &mut Rng) -> Option<usize> {
    let mut weight_seen = 0;
    let mut chosen = None;
    for (index, endpoint) in fleet.endpoints().iter().enumerate() {
        if admits(index) {
            let weight = u64::from(endpoint.weight().get());
            weight_seen += weight;
            if rng.u64(..weight_seen) < weight {
                chosen = Some(index);
            }
        }
    }
    chosen
}
