//! Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2018): a key's endpoint takes its request
//! unless it has more than its share of all requests in flight, with some headroom; then the next one on the circle is
//! asked. So keys stay where they are as long as no key is too hot.

use crate::Candidate;
use crate::scope::Scope;
use crate::table::Seated;

/// Seats walked along before all endpoints are looked at. With a tenth of a fleet eligible, the least before panic by
/// default, one walk in a thousand gets there.
const WALK_MAX: usize = 64;
const MILLION: u32 = 1_000_000;

/// The most that an endpoint may have in flight: its part of all requests with the one to come, times one plus the
/// headroom, rounded up. In integers, so that nothing strays.
#[derive(Clone, Copy, Debug)]
struct Bound {
    /// Requests times the factor in millionths.
    allowed: u128,
    /// Weights, in the same millionths.
    capacity: u128,
}

impl Bound {
    /// `in_flight` are all requests there are, this one not counted.
    fn new<E: Candidate>(scope: &Scope<'_, E>, in_flight: Option<u32>) -> Bound {
        let in_flight = in_flight.map_or(scope.tally.in_flight, u64::from);
        let counted = if scope.eligible_only { scope.tally.capacity } else { 0 };
        let capacity = if counted == 0 { scope.pool.capacity } else { counted };
        let factor = MILLION + scope.fleet.balance().headroom.millionths();
        Bound {
            allowed: u128::from(in_flight + 1) * u128::from(factor),
            capacity: u128::from(capacity) * u128::from(MILLION),
        }
    }

    /// Whether the endpoint may have one more.
    fn holds<E: Candidate>(self, endpoint: &E) -> bool {
        u128::from(endpoint.in_flight()) * self.capacity < self.allowed * u128::from(endpoint.weight().get())
    }
}

/// The endpoint for `key` among the admitted; `None` only when there is none.
pub(crate) fn choose<E: Candidate>(
    scope: &Scope<'_, E>,
    seated: &Seated,
    key: u64,
    in_flight: Option<u32>,
) -> Option<usize> {
    let bound = Bound::new(scope, in_flight);
    let mut position = seated.start(key);
    for _ in 0..WALK_MAX {
        let (index, behind) = seated.seat(position);
        if let Some(index) = index
            && scope.admitted(index).is_some_and(|endpoint| bound.holds(endpoint))
        {
            return Some(index);
        }
        position = behind;
    }
    // The least loaded is within the bound if any is.
    let load = |index: usize| {
        let endpoint = scope.endpoint(index);
        f64::from(endpoint.in_flight()) / f64::from(endpoint.weight().get())
    };
    let admitted = scope.pool.indices().filter(|&index| scope.admits(index));
    admitted.min_by(|&a, &b| load(a).total_cmp(&load(b)))
}
