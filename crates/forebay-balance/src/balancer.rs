//! One core's way to pick: the fleet, whose turn it is, and what to do when the good endpoints are used up.

use std::cell::RefCell;
use std::sync::Arc;

use fastrand::Rng;
use forebay_clock::Moment;

use crate::census::Census;
use crate::hash::rehash;
use crate::round_robin::Turns;
use crate::scope::Scope;
use crate::sticky::Token;
use crate::{Candidate, Endpoints, Fleet, Policy, Tried, bounded, two_choices};

/// Picks endpoints of one fleet for one core.
///
/// Not `Sync`, and cheap to make: each core makes its own when a new fleet arrives. Requests under way keep the
/// balancer they began with (in an `Rc`), so their indices stay true.
#[derive(Debug)]
pub struct Balancer<E> {
    fleet: Arc<Fleet<E>>,
    /// By pool; empty unless the policy takes turns.
    turns: Box<[Turns]>,
    census: RefCell<Census>,
}

/// What a pick needs to know about the request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Now; eligibility may depend on it.
    pub now: Moment,
    /// Where this request has already been.
    pub tried: &'a Tried,
    /// Hash of whatever ties the request to an endpoint ([`HashKey::of`](crate::HashKey::of)); for the hashing policies,
    /// which take the less busy of two without it. Others ignore it.
    pub key: Option<u64>,
    /// The endpoint that the client's cookie names ([`Sticky::read`](crate::Sticky::read)).
    pub session: Option<Token>,
    /// Requests in flight to the whole service, this one not counted: what the hashing policies' bound is measured
    /// against. `None` takes the latest census's sum, which in small fleets is a fraction of a millisecond old.
    pub in_flight: Option<u32>,
}

/// The chosen endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Its place in [`Balancer::endpoints`].
    pub index: usize,
    /// How good a choice was left.
    pub standing: Standing,
}

/// How good the chosen endpoint is. Worse ones are chosen only when no better one exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Eligible, and new to this request.
    Untried,
    /// Eligible, but this request has been there: it may have recovered, an ineligible one is known to be worse.
    Retried,
    /// Health was disregarded (panic mode): less of the fleet is eligible than the threshold says, or nothing. Then the
    /// judgement is likelier wrong than the fleet gone, or what is left cannot carry all; refusing helps nobody.
    /// Preferably new to the request.
    Panicked,
}

impl<'a> Request<'a> {
    /// A request that nothing ties to an endpoint.
    pub fn new(now: Moment, tried: &'a Tried) -> Request<'a> {
        Request { now, tried, key: None, session: None, in_flight: None }
    }
}

/// Which endpoints a choice may fall on.
#[derive(Clone, Copy)]
struct Terms {
    untried_only: bool,
    eligible_only: bool,
}

impl<E: Candidate> Balancer<E> {
    /// A balancer for one core; `rng` decides who has the first turn.
    pub fn new(fleet: Arc<Fleet<E>>, rng: &mut Rng) -> Balancer<E> {
        let census = Census::new(&fleet);
        Balancer::with(fleet, census, rng)
    }

    /// The balancer that follows this one on a fleet that follows its own. Who is eligible is counted again where endpoints
    /// have changed; of the others the count goes on to hold, so that the first pick is as cheap as any.
    pub fn succeed(&self, fleet: Arc<Fleet<E>>, now: Moment, rng: &mut Rng) -> Balancer<E> {
        let census = Census::succeed(&self.census.borrow(), &self.fleet, &fleet, now);
        Balancer::with(fleet, census, rng)
    }

    fn with(fleet: Arc<Fleet<E>>, census: Census, rng: &mut Rng) -> Balancer<E> {
        let has_ramp = !fleet.balance().ramp.is_off();
        let pools = fleet.pools().iter().filter(|_| fleet.balance().policy == Policy::RoundRobin);
        let turns = pools.map(|pool| Turns::new(pool, has_ramp, rng)).collect();
        Balancer { fleet, turns, census: RefCell::new(census) }
    }

    /// That a census which was carried on is what a new one would be.
    #[cfg(test)]
    pub(crate) fn check_census(&self, now: Moment) {
        let mut afresh = Census::new(&self.fleet);
        afresh.take(&self.fleet, now);
        let carried = self.census.borrow();
        if !carried.is_due(now) {
            assert_eq!(format!("{:?}", carried.findings()), format!("{:?}", afresh.findings()));
        }
    }

    /// What it picks from.
    pub fn fleet(&self) -> &Arc<Fleet<E>> {
        &self.fleet
    }

    /// The fleet's endpoints, in the order that [`Pick::index`] counts.
    pub fn endpoints(&self) -> &Endpoints<E> {
        self.fleet.endpoints()
    }

    /// The endpoint for this try; `None` only when there are no endpoints at all.
    pub fn pick(&self, request: &Request<'_>, rng: &mut Rng) -> Option<Pick> {
        if self.endpoints().is_empty() {
            return None;
        }
        let mut census = self.census.borrow_mut();
        if census.is_due(request.now) {
            census.take(&self.fleet, request.now);
        }
        let census = &*census;
        let key = request.key.filter(|_| self.fleet.balance().policy.is_hashing());
        if let Some(pick) = self.resume(request, census) {
            return Some(pick);
        }
        // Another hash than the one that finds the seat: a level's keys shall be spread over all of its table.
        let first = census.draw(key.map(|key| rehash(key, 0)), rng);
        let panicked = census.is_panicked(first);
        let terms = Terms { untried_only: true, eligible_only: !panicked };
        let standing = if panicked { Standing::Panicked } else { Standing::Untried };
        (self.choose(first, terms, request, census, rng).map(|index| Pick { index, standing }))
            .or_else(|| self.settle(first, request, census, rng))
    }

    /// The endpoint that the client has a session with, as long as others might get this request to it, too.
    fn resume(&self, request: &Request<'_>, census: &Census) -> Option<Pick> {
        let index = self.fleet.find(request.session?)?;
        if request.tried.contains(index) {
            return None;
        }
        if self.endpoints()[index].is_eligible(request.now) {
            return Some(Pick { index, standing: Standing::Untried });
        }
        let pool = self.fleet.pools().iter().position(|pool| pool.place(index).is_some())?;
        census.is_panicked(pool).then_some(Pick { index, standing: Standing::Panicked })
    }

    /// The pool that was drawn has nobody: from any pool, the preferred first, the best that is left.
    #[cold]
    fn settle(&self, drawn: usize, request: &Request<'_>, census: &Census, rng: &mut Rng) -> Option<Pick> {
        let worse_and_worse = [
            (true, true, Standing::Untried),
            (false, true, Standing::Retried),
            (true, false, Standing::Panicked),
            (false, false, Standing::Panicked),
        ];
        let pools =
            || std::iter::once(drawn).chain((0..self.fleet.pools().len()).filter(|&pool| pool != drawn));
        worse_and_worse.into_iter().find_map(|(untried_only, eligible_only, standing)| {
            let terms = Terms { untried_only, eligible_only };
            let index = pools().find_map(|pool| self.choose(pool, terms, request, census, rng))?;
            Some(Pick { index, standing })
        })
    }

    fn choose(
        &self,
        place: usize,
        terms: Terms,
        request: &Request<'_>,
        census: &Census,
        rng: &mut Rng,
    ) -> Option<usize> {
        let pool = &self.fleet.pools()[place];
        let scope = Scope {
            fleet: &self.fleet,
            pool,
            tally: census.tally(place),
            now: request.now,
            tried: Some(request.tried).filter(|tried| terms.untried_only && !tried.is_empty()),
            eligible_only: terms.eligible_only,
        };
        match self.fleet.balance().policy {
            Policy::LeastRequest => two_choices::least_request(&scope, rng),
            Policy::PeakEwma => two_choices::peak_ewma(&scope, rng),
            Policy::RoundRobin => self.turns[place].choose(&scope, rng),
            Policy::Random => scope.draw(None, rng).map(|drawn| drawn.index),
            Policy::Maglev | Policy::RingHash => match request.key.zip(pool.seated.as_ref()) {
                Some((key, seated)) => bounded::choose(&scope, seated, key, request.in_flight),
                None => two_choices::least_request(&scope, rng),
            },
        }
    }
}
