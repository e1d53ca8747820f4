//! Power of two choices: draws two endpoints by weight and takes the one with less to do (Mitzenmacher, 2001).
//!
//! Draws are by weight and loads are compared per weight, so weights hold when the fleet is idle (the first
//! draw wins a tie) and when it is busy (load per weight evens out). Comparing the load that an endpoint
//! *would* have, as some do, starves light endpoints of an idle fleet.

use fastrand::Rng;

use crate::Candidate;
use crate::ramp::FULL;
use crate::scope::Scope;

/// What an endpoint counts for that is busy and has never answered: more than any answer takes, so that it gets one
/// request at a time until it has shown how fast it is, unless the others have not either.
const UNKNOWN_NANOS: f64 = 1e15;

/// By requests in flight: one of the admitted; `None` only when there is none.
pub(crate) fn least_request<E: Candidate>(scope: &Scope<'_, E>, rng: &mut Rng) -> Option<usize> {
    if scope.weighs_all_the_same() {
        return choose(scope, |a, b| a.in_flight() > b.in_flight(), rng);
    }
    // Compared crosswise, since integers do not divide well.
    let load = |of: &E, weight_of: &E| u128::from(of.in_flight()) * u128::from(scope.weight(weight_of));
    choose(scope, |a, b| load(a, b) > load(b, a), rng)
}

/// By expected latency times the requests that would share it, this one included.
pub(crate) fn peak_ewma<E: Candidate>(scope: &Scope<'_, E>, rng: &mut Rng) -> Option<usize> {
    let weight_mean = scope.pool.capacity as f64 * f64::from(FULL) / scope.pool.size() as f64;
    let load = |endpoint: &E| {
        let in_flight = endpoint.in_flight();
        let nanos = match endpoint.latency().and_then(|latency| latency.cost_nanos(scope.now)) {
            Some(nanos) => f64::from(nanos),
            None if in_flight == 0 => 0.0,
            None => UNKNOWN_NANOS,
        };
        // The request itself is not counted per weight: among idle endpoints the draw has weighed them already.
        nanos * (1.0 + f64::from(in_flight) * weight_mean / scope.weight(endpoint) as f64)
    };
    choose(scope, |a, b| load(a) > load(b), rng)
}

fn choose<E: Candidate>(
    scope: &Scope<'_, E>,
    is_busier: impl Fn(&E, &E) -> bool,
    rng: &mut Rng,
) -> Option<usize> {
    let first = scope.draw(None, rng)?;
    let Some(second) = scope.draw(Some(first.index), rng) else {
        return Some(first.index);
    };
    Some(if is_busier(first.endpoint, second.endpoint) { second.index } else { first.index })
}
