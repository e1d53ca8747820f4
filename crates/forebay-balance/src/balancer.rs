//! One core's way to pick: the fleet, whose turn it is, and what to do when the good endpoints are used up.

use std::sync::Arc;

use fastrand::Rng;
use forebay_clock::Moment;

use crate::round_robin::Turns;
use crate::{Candidate, Fleet, Policy, Tried, least_request};

/// Picks endpoints of one fleet for one core.
///
/// Not `Sync`, and cheap to make: each core makes its own when a new fleet arrives. Requests under way keep the
/// balancer they began with (in an `Rc`), so their indices stay true.
#[derive(Debug)]
pub struct Balancer<E> {
    fleet: Arc<Fleet<E>>,
    state: State,
}

#[derive(Debug)]
enum State {
    RoundRobin(Turns),
    LeastRequest,
}

/// What a pick needs to know about the request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Now; eligibility may depend on it.
    pub now: Moment,
    /// Where this request has already been.
    pub tried: &'a Tried,
    /// Hash of whatever ties the request to an endpoint; for the hashing policies, others ignore it.
    pub key: Option<u64>,
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
    /// No endpoint is eligible, so this is one of all (panic mode), preferably new to the request. When everything
    /// looks dead, the judgement is likelier wrong than the whole fleet gone, and refusing helps nobody.
    Panicked,
}

impl<E: Candidate> Balancer<E> {
    /// A balancer for one core; `rng` decides who has the first turn.
    pub fn new(fleet: Arc<Fleet<E>>, rng: &mut Rng) -> Balancer<E> {
        let state = match fleet.policy() {
            Policy::RoundRobin => State::RoundRobin(Turns::new(&fleet, rng)),
            Policy::LeastRequest => State::LeastRequest,
        };
        Balancer { fleet, state }
    }

    /// The fleet's endpoints, in the order that [`Pick::index`] counts.
    pub fn endpoints(&self) -> &[E] {
        self.fleet.endpoints()
    }

    /// The endpoint for this try; `None` only when there are no endpoints at all.
    pub fn pick(&self, request: &Request<'_>, rng: &mut Rng) -> Option<Pick> {
        let is_eligible = |index: usize| self.endpoints()[index].is_eligible(request.now);
        let is_untried = |index: usize| !request.tried.contains(index);
        let pick = |standing| move |index| Pick { index, standing };

        if request.tried.is_empty() {
            return (self.choose(is_eligible, rng).map(pick(Standing::Untried)))
                .or_else(|| self.choose(|_| true, rng).map(pick(Standing::Panicked)));
        }
        (self.choose(|index| is_untried(index) && is_eligible(index), rng).map(pick(Standing::Untried)))
            .or_else(|| self.choose(is_eligible, rng).map(pick(Standing::Retried)))
            .or_else(|| self.choose(is_untried, rng).map(pick(Standing::Panicked)))
            .or_else(|| self.choose(|_| true, rng).map(pick(Standing::Panicked)))
    }

    fn choose(&self, admits: impl Fn(usize) -> bool, rng: &mut Rng) -> Option<usize> {
        match &self.state {
            State::RoundRobin(turns) => turns.choose(&self.fleet, admits),
            State::LeastRequest => least_request::choose(&self.fleet, admits, rng),
        }
    }
}
