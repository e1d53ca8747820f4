//! What one choice is made from: a pool, and which of its endpoints may be chosen. Draws among them by weight.

use fastrand::Rng;
use forebay_clock::Moment;

use crate::census::Tally;
use crate::pool::Pool;
use crate::{Candidate, Fleet, Tried};

/// Draws for one choice before all eligible endpoints are looked at. With a third of a fleet eligible, one choice in
/// ten thousand needs that look; with a tenth, one in twelve, at a tenth of the fleet.
const DRAWS_MAX: usize = 24;
/// In pools up to this size looking at every endpoint is cheaper than drawing again and again when some are
/// ineligible or tried.
const SCANNED_SIZE_MAX: usize = 4;

/// The endpoints that a choice is between.
#[derive(Debug)]
pub(crate) struct Scope<'a, E> {
    pub(crate) fleet: &'a Fleet<E>,
    pub(crate) pool: &'a Pool,
    pub(crate) tally: &'a Tally,
    pub(crate) now: Moment,
    /// Where the request must not go.
    pub(crate) tried: Option<&'a Tried>,
    /// Whether endpoints must be eligible.
    pub(crate) eligible_only: bool,
}

/// An endpoint that may be chosen, and its index in the fleet.
pub(crate) struct Drawn<'a, E> {
    pub(crate) index: usize,
    pub(crate) endpoint: &'a E,
}

impl<E: Candidate> Scope<'_, E> {
    pub(crate) fn endpoint(&self, index: usize) -> &E {
        &self.fleet.endpoints()[index]
    }

    /// The endpoint, if it may be chosen.
    pub(crate) fn admitted(&self, index: usize) -> Option<&E> {
        if self.tried.is_some_and(|tried| tried.contains(index)) {
            return None;
        }
        let endpoint = self.endpoint(index);
        (!self.eligible_only || endpoint.is_eligible(self.now)).then_some(endpoint)
    }

    /// Whether the endpoint may be chosen.
    pub(crate) fn admits(&self, index: usize) -> bool {
        self.admitted(index).is_some()
    }

    /// The endpoint's weight at present, in thousandths of the unit of [`Candidate::weight`].
    pub(crate) fn weight(&self, endpoint: &E) -> u64 {
        let permille = self.fleet.balance().ramp.permille(endpoint, self.now);
        u64::from(endpoint.weight().get()) * u64::from(permille)
    }

    /// Whether all endpoints have the same weight at present, without a look at any.
    pub(crate) fn weighs_all_the_same(&self) -> bool {
        self.pool.has_equal_weights() && self.fleet.balance().ramp.is_off()
    }

    /// One of the admitted but `except`, by weight; `None` only when there is none.
    #[inline]
    pub(crate) fn draw(&self, except: Option<usize>, rng: &mut Rng) -> Option<Drawn<'_, E>> {
        if self.pool.size() > SCANNED_SIZE_MAX {
            // Of a fleet in health nearly every first draw will do.
            self.draw_once(except, rng).or_else(|| self.draw_on(except, rng))
        } else {
            self.look_at_all(except, rng)
        }
    }

    #[inline]
    fn draw_once(&self, except: Option<usize>, rng: &mut Rng) -> Option<Drawn<'_, E>> {
        let index = self.pool.draw(rng);
        let drawn = self.admitted_but(except, index)?;
        self.has_warmed_up(drawn.endpoint, rng).then_some(drawn)
    }

    /// Further draws, and if they are all in vain, a look at those that were eligible when they were counted.
    #[cold]
    fn draw_on(&self, except: Option<usize>, rng: &mut Rng) -> Option<Drawn<'_, E>> {
        if let Some(drawn) = (1..DRAWS_MAX).find_map(|_| self.draw_once(except, rng)) {
            return Some(drawn);
        }
        let listed = self.tally.eligible.iter().map(|&index| index as usize);
        (self.scan(listed.filter_map(|index| self.admitted_but(except, index)), rng))
            .or_else(|| self.look_at_all(except, rng))
    }

    fn look_at_all(&self, except: Option<usize>, rng: &mut Rng) -> Option<Drawn<'_, E>> {
        self.scan(self.pool.indices().filter_map(|index| self.admitted_but(except, index)), rng)
    }

    #[inline]
    fn admitted_but(&self, except: Option<usize>, index: usize) -> Option<Drawn<'_, E>> {
        let endpoint = self.admitted(index).filter(|_| except != Some(index))?;
        Some(Drawn { index, endpoint })
    }

    /// Lets through as many draws of an endpoint in slow start as its weight at present says.
    fn has_warmed_up(&self, endpoint: &E, rng: &mut Rng) -> bool {
        let ramp = self.fleet.balance().ramp;
        ramp.is_off() || {
            let permille = ramp.permille(endpoint, self.now);
            permille >= self.tally.permille_max || rng.u32(..self.tally.permille_max) < permille
        }
    }

    /// Draws by weight with one look at each (reservoir sampling). Taking the first instead would heap the requests of a
    /// sick stretch onto the endpoint behind it.
    fn scan<'a>(&self, admitted: impl Iterator<Item = Drawn<'a, E>>, rng: &mut Rng) -> Option<Drawn<'a, E>> {
        let mut weight_seen = 0;
        let mut chosen = None;
        for drawn in admitted {
            let weight = self.weight(drawn.endpoint);
            weight_seen += weight;
            if rng.u64(..weight_seen) < weight {
                chosen = Some(drawn);
            }
        }
        chosen
    }
}
